package transcript

import (
	"bytes"
	"crypto/sha256"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/tpm/golden"
	"safebox/verifier/vectortest"
)

// vectors are those of docs/format-transcript.md, which testdata/vectors.py
// made without our code.
func vectors(t testing.TB) *vectortest.Vectors {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-transcript.md")
	if err != nil {
		t.Fatal(err)
	}
	return vectortest.Parse(t, doc)
}

// example is the input of the vectors on one platform.
func example(t testing.TB, v *vectortest.Vectors, platform string) *Input {
	t.Helper()
	return &Input{
		Platform:    platform,
		Nonce:       v.Octets32("nonce"),
		Audience:    v.Octets32("audience"),
		KEM:         bytes.Clone(v.Value("kem")), // a test may change it
		ReceiptKey:  v.Octets32("receipt_key"),
		Release:     v.Octets32("release"),
		Config:      v.Octets32("config"),
		BootSession: v.Octets32("boot_session"),
	}
}

func TestVectors(t *testing.T) {
	v := vectors(t)
	in := example(t, v, VTPM)
	b, err := in.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if want := v.Value("i_vtpm"); !bytes.Equal(b, want) {
		t.Errorf("I: got %x\nwant %x", b, want)
	}
	back, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, back); d != "" {
		t.Error(d)
	}
	sum := checkSum(t, v, in, "t_vtpm", "qualifying_data_vtpm")
	if got, want := sha256.Sum256(sum[:]), v.Octets32("t_vtpm_sha256"); got != want {
		t.Errorf("SHA-256(T): got %x, want %x", got, want)
	}
	in.Config = v.Octets32("config_none")
	checkSum(t, v, in, "t_vtpm_none", "qualifying_data_vtpm_none")
	for _, platform := range Platforms() {
		checkSum(t, v, example(t, v, platform), "t_"+platform, "")
	}
}

// checkSum compares both digests of an input with the vectors of these names.
func checkSum(t *testing.T, v *vectortest.Vectors, in *Input, sum, qualifying string) [64]byte {
	t.Helper()
	got, err := in.Sum()
	if err != nil {
		t.Fatal(err)
	}
	if want := v.Value(sum); !bytes.Equal(got[:], want) {
		t.Errorf("%s: got %x, want %x", sum, got, want)
	}
	if qualifying == "" {
		return got
	}
	q, err := in.QualifyingData()
	if err != nil {
		t.Fatal(err)
	}
	if want := v.Octets32(qualifying); q != want {
		t.Errorf("%s: got %x, want %x", qualifying, q, want)
	}
	return got
}

func TestDigestVectors(t *testing.T) {
	v := vectors(t)
	if got, want := Audience(v.Octets32("owner")), v.Octets32("audience"); got != want {
		t.Errorf("audience: got %x, want %x", got, want)
	}
	if got, want := Config(v.Value("document")), v.Octets32("config"); got != want {
		t.Errorf("config: got %x, want %x", got, want)
	}
	for _, none := range [][]byte{nil, {}} {
		if got, want := Config(none), v.Octets32("config_none"); got != want {
			t.Errorf("config of no document: got %x, want %x", got, want)
		}
	}
}

// TestRegisterVectors: the events, and the arithmetic of PCR 15 with them.
func TestRegisterVectors(t *testing.T) {
	v := vectors(t)
	for _, bank := range golden.Banks() {
		keys := KeysEvent(bank, v.Octets32("grant"))
		compare(t, v, "keys_event_"+bank.String(), keys)
		for _, kind := range []string{"", "_none"} {
			event := ConfigEvent(bank, v.Octets32("config"+kind))
			suffix := kind + "_" + bank.String()
			compare(t, v, "config_event"+suffix, event)
			compare(t, v, "pcr15_fresh"+suffix, bank.Extend(bank.Zero(), event))
			compare(t, v, "pcr15_working"+suffix, bank.Extend(bank.Zero(), event, keys))
		}
	}
}

func compare(t *testing.T, v *vectortest.Vectors, name string, got []byte) {
	t.Helper()
	if want := v.Value(name); !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", name, got, want)
	}
}
