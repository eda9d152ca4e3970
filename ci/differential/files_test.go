package differential

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"safebox/verifier"
	"safebox/verifier/endorse"
	"safebox/verifier/policy"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
)

const evidence = "../../verifier/testdata/evidence/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(evidence + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func setOf(files []verifier.File) *endorse.Set {
	set := &endorse.Set{}
	for _, f := range files {
		set.Add(f.Name, f.Bytes)
	}
	return set
}

func day(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// profileTest is the policy file of profile test, and the policy in it.
func profileTest(t testing.TB, platforms ...string) ([]byte, *policy.Policy) {
	t.Helper()
	text, err := policy.Profile(policy.Test, platforms)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return text, p
}

// members decodes JSON.
func members(t testing.TB, b []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// hardware is the processor's report in the evidence of Azure's machines.
func hardware(t testing.TB, name string) azure.Hardware {
	t.Helper()
	e, err := cloud.Decode(read(t, name))
	if err != nil || e.Azure == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e.Azure.Hardware
}

// flip gives a copy in which a bit is the other way.
func flip(b []byte, at int, bit int) []byte {
	out := bytes.Clone(b)
	out[at] ^= 1 << bit
	return out
}

// with gives a copy with bytes appended.
func with(b []byte, more ...byte) []byte { return append(bytes.Clone(b), more...) }
