package nitro_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
)

// TestLimits: what lies just within a limit is accepted.
func TestLimits(t *testing.T) {
	for name, change := range map[string]func(e *nitrotest.Evidence){
		"fields of 1,024 bytes": func(e *nitrotest.Evidence) {
			long := bytes.Repeat([]byte("x"), 1024)
			e.Document.Nonce, e.Document.UserData, e.Document.PublicKey = long, long, long
			e.Expected.Nonce, e.Expected.UserData = long, long
			e.Policy.PublicKey = nitropolicy.Field{Rule: nitropolicy.Listed, Values: [][]byte{{1}, long}}
		},
		"8 certificates": func(e *nitrotest.Evidence) {
			for i := range 3 {
				key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				l := nitrotest.Link{Key: key, Template: e.Chain[nitrotest.Root].Template}
				l.Template.Subject.CommonName += string(rune('a' + i))
				e.Chain = slices.Insert(e.Chain, 1, l)
			}
		},
		"a document from the future, by the skew and the rounding": func(e *nitrotest.Evidence) {
			e.Document.Timestamp = e.At.Add(6 * time.Second)
		},
		"a leaf that begins after the skew": func(e *nitrotest.Evidence) {
			e.Chain[nitrotest.Leaf].Template.NotBefore = e.At.Add(5 * time.Second)
			e.Document.Timestamp = e.At.Add(4 * time.Second)
		},
		"a leaf that ends now": func(e *nitrotest.Evidence) { e.Chain[nitrotest.Leaf].Template.NotAfter = e.At },
		"a document of exactly five minutes": func(e *nitrotest.Evidence) {
			e.Document.Timestamp = e.At.Add(-300 * time.Second)
		},
		"registers to 31, unused": func(e *nitrotest.Evidence) {
			for i := 18; i < 32; i++ {
				e.Document.PCRs[i] = make([]byte, 48)
			}
		},
		"another partition, its root given": func(e *nitrotest.Evidence) {
			for i, cn := range []string{
				"aws-us-gov.nitro-enclaves", "x", "y", "i-0a22e5c5f24d22174.us-gov-west-1.aws-us-gov.nitro-enclaves",
				e.Document.Module + ".us-gov-west-1.aws-us-gov",
			} {
				e.Chain[i].Template.Subject.CommonName = cn
			}
		},
		"several instances listed": func(e *nitrotest.Evidence) {
			e.Policy.Instances = append([]string{"i-00000000000000000"}, e.Policy.Instances...)
		},
		"any instance": func(e *nitrotest.Evidence) { e.Policy.Instances, e.Policy.AnyInstance = nil, true },
		"a listed register": func(e *nitrotest.Evidence) {
			e.Policy.PCRs[5] = nitropolicy.Register{Rule: nitropolicy.Listed, Values: [][48]byte{{1}, {}}}
		},
		"a register that may be there": func(e *nitrotest.Evidence) { e.Policy.PCRs[30] = nitropolicy.Register{Rule: nitropolicy.Any} },
	} {
		t.Run(name, func(t *testing.T) {
			e := nitrotest.New(t, nitropolicy.Enclave, "strict")
			change(e)
			checktest.Passes(t, e.Verify(t))
		})
	}
}

// TestReturned: a document is given if AWS's root vouches for it, and only then.
func TestReturned(t *testing.T) {
	for name, c := range map[string]struct {
		change func(e *nitrotest.Evidence)
		given  bool
	}{
		"accepted":      {func(*nitrotest.Evidence) {}, true},
		"another image": {func(e *nitrotest.Evidence) { e.Document.PCRs[0][0] ^= 1 }, true},
		"another nonce": {func(e *nitrotest.Evidence) { e.Document.Nonce[0] ^= 1 }, true},
		"too old":       {func(e *nitrotest.Evidence) { e.Document.Timestamp = e.At.Add(-6 * time.Minute) }, true},
		"changed on its way": {func(e *nitrotest.Evidence) {
			e.Document.Signed = func(s *nitrotest.Sign1) { s.Payload[bytes.Index(s.Payload, e.Document.PCRs[3])] ^= 1 }
		}, false},
		"expired":         {func(e *nitrotest.Evidence) { e.At = e.At.Add(4 * time.Hour) }, false},
		"no root":         {func(e *nitrotest.Evidence) { e.NoRoots = true }, false},
		"of another kind": {func(e *nitrotest.Evidence) { e.Policy.Kind = nitropolicy.NitroTPM }, false},
		"not a document":  {func(e *nitrotest.Evidence) { e.Document.Raw = func([]byte) []byte { return []byte("{}") } }, false},
	} {
		e := nitrotest.New(t, nitropolicy.Enclave, "strict")
		c.change(e)
		if doc := nitro.Verify(e.Make(t), check.New()); (doc != nil) != c.given {
			t.Errorf("%s: got document %v, want one: %t", name, doc, c.given)
		}
	}
}

// TestZeroValues: what nobody has filled in refuses a passing document.
func TestZeroValues(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(in *nitro.Input)
		refused []string
	}{
		"nothing":     {func(in *nitro.Input) { *in = nitro.Input{} }, []string{"NITRO-1"}},
		"no policy":   {func(in *nitro.Input) { in.Policy = nil }, []string{"NITRO-2"}},
		"zero policy": {func(in *nitro.Input) { in.Policy = &nitropolicy.Policy{} }, []string{"NITRO-2"}},
		"zero policy of a kind": {func(in *nitro.Input) { in.Policy = &nitropolicy.Policy{Kind: nitropolicy.Enclave} }, []string{
			"NITRO-4", "NITRO-5", "NITRO-9", "NITRO-10",
		}},
		"nothing expected": {func(in *nitro.Input) { in.Expected = nitro.Expected{} }, []string{"NITRO-9", "NITRO-10"}},
		"no time":          {func(in *nitro.Input) { in.Rules = chain.Rules{} }, []string{"NITRO-4", "NITRO-5"}},
		"no roots":         {func(in *nitro.Input) { in.Roots = nitro.Roots{} }, []string{"NITRO-4"}},
		"AWS's own root":   {func(in *nitro.Input) { in.Roots = nitro.PinnedRoots() }, []string{"NITRO-4"}},
	} {
		in := nitrotest.New(t, nitropolicy.Enclave, "strict").Make(t)
		c.change(&in)
		log := check.New()
		nitro.Verify(in, log)
		wantRefused(t, name, log.Verdict(nitro.Definitions(nitro.Enclave)), c.refused...)
	}
}

// TestRootsRefused: roots are certificates, at least one.
func TestRootsRefused(t *testing.T) {
	if _, err := nitro.NewRoots(); err == nil {
		t.Error("no root: accepted")
	}
	if _, err := nitro.NewRoots([]byte("root")); err == nil {
		t.Error("no certificate: accepted")
	}
	if _, err := nitro.NewRoots(make([][]byte, 9)...); err == nil {
		t.Error("9 roots: accepted")
	}
}

// TestDeterministic: equal inputs give equal verdicts, wrong in many ways at
// once or not.
func TestDeterministic(t *testing.T) {
	e := nitrotest.New(t, nitropolicy.Enclave, "strict")
	e.Expected = nitro.Expected{}
	e.Document.Nonce, e.Document.PublicKey = nil, []byte("key")
	in := e.Make(t)
	broken := in
	broken.Document = nitrotest.Array(nitrotest.Bytes(nitrotest.Map()), nitrotest.Null(), nitrotest.Number(1), nitrotest.Text("x"))
	for name, in := range map[string]nitro.Input{"policy": in, "format": broken} {
		var first []byte
		for range 20 {
			log := check.New()
			nitro.Verify(in, log)
			b, err := log.Verdict(nitro.Definitions(nitro.Enclave)).Encode()
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = b
			}
			if !bytes.Equal(first, b) {
				t.Fatalf("%s: got %s, then %s", name, first, b)
			}
		}
	}
}

// TestWaivers: what is not checked is said, by name.
func TestWaivers(t *testing.T) {
	e := nitrotest.New(t, nitropolicy.Enclave, "test")
	e.Policy.AnyInstance, e.Policy.Instances = true, nil
	var got []string
	for _, w := range e.Verify(t).Waived {
		got = append(got, w.What)
	}
	for _, want := range []string{
		"revocation of AWS's certificates", "age of the document", "instance", "PCR0", "PCR1", "PCR2", "PCR3", "PCR4", "PCR8", "PCR16", "PCR17",
		"registers that the policy does not name", "nonce", "user_data", "public_key",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("waived: got %q, want %q among them", got, want)
		}
	}
}

// TestSize: the size is looked at before anything else.
func TestSize(t *testing.T) {
	for size, want := range map[int]string{
		0:                 "got 0 bytes, want 1 to 32768",
		nitro.MaxSize + 1: "got 32769 bytes, want 1 to 32768",
		nitro.MaxSize:     "COSE_Sign1",
	} {
		if _, err := nitro.Decode(make([]byte, size)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: got %v, want %q", size, err, want)
		}
	}
}

// TestObserved: a document that AWS's root vouches for says that it is at least
// as late, but never later than the verdict; one judged by itself says nothing.
func TestObserved(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).Unix()
	for name, c := range map[string]struct {
		change func(e *nitrotest.Evidence)
		want   []check.Observation
	}{
		"two minutes old":   {func(e *nitrotest.Evidence) { e.Document.Timestamp = e.At.Add(-2 * time.Minute) }, []check.Observation{{Key: "time", Value: uint64(at - 120)}}},
		"ahead by the skew": {func(e *nitrotest.Evidence) { e.Document.Timestamp = e.At.Add(5 * time.Second) }, []check.Observation{{Key: "time", Value: uint64(at)}}},
		"too old":           {func(e *nitrotest.Evidence) { e.Document.Timestamp = e.At.Add(-6 * time.Minute) }, nil},
		"of another root":   {func(e *nitrotest.Evidence) { e.NoRoots = true }, nil},
		"judged by itself":  {func(e *nitrotest.Evidence) { e.Policy.Time = nitropolicy.Self }, nil},
		"refused by its image": {func(e *nitrotest.Evidence) {
			e.Document.PCRs[0] = make([]byte, 48)
			e.Document.Timestamp = e.At
		}, []check.Observation{{Key: "time", Value: uint64(at)}}},
	} {
		e := nitrotest.New(t, nitropolicy.Enclave, "strict")
		c.change(e)
		log := check.New()
		nitro.Verify(e.Make(t), log)
		if diff := cmp.Diff(c.want, log.Observations()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
