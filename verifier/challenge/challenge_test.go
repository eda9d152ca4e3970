package challenge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/vectortest"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// example is the challenge in docs/format-challenge.md, written by hand.
func example(t testing.TB) []byte {
	t.Helper()
	doc := read(t, "../../docs/format-challenge.md")
	return []byte(strings.ReplaceAll(vectortest.Block(t, doc, "Example"), "\n", ""))
}

func TestExample(t *testing.T) {
	b := example(t)
	// By sha256sum; the document says so too.
	const sum = "9918bb4f8b076f1c20e463d8f48a43a75c8e29e3dca5e9b58fa873a21aca3862"
	if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum || !bytes.Contains(read(t, "../../docs/format-challenge.md"), []byte(sum)) {
		t.Errorf("SHA-256: got %x, want %s, in the document too", got, sum)
	}
	v := vectortest.Parse(t, read(t, "../../docs/format-transcript.md"))
	want := &Challenge{
		Type: "safebox/challenge/v1", Nonce: v.Octets32("nonce"), Audience: v.Octets32("owner"),
		Release: v.Octets32("release"), Expires: 1767225660, // date -ud '2026-01-01 00:01:00' +%s
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if again, err := want.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("encodes as %s, %v", again, err)
	}
}

// captured are the three files of one enrolment of a software TPM.
func captured(t testing.TB) (*Challenge, *Secret, *Enrollment) {
	t.Helper()
	c, err := Decode(read(t, "../testdata/vtpm/challenge.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := DecodeSecret(read(t, "../testdata/vtpm/secret.json"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := DecodeEnrollment(read(t, "../testdata/vtpm/enrollment.json"))
	if err != nil {
		t.Fatal(err)
	}
	return c, s, e
}

// TestReal: the files agree with each other by rules that are not this
// package's: a Name is its algorithm and the digest of the public area (TPM
// 2.0 Library, Part 1, "Names"), a challenge is named by its SHA-256.
func TestReal(t *testing.T) {
	c, s, e := captured(t)
	name := sha256.Sum256(e.AK)
	if want := append([]byte{0x00, 0x0b}, name[:]...); !bytes.Equal(c.Enroll.AKName, want) || !bytes.Equal(s.Enroll.AKName, want) {
		t.Errorf("Name of the AK: got %x and %x, want %x", c.Enroll.AKName, s.Enroll.AKName, want)
	}
	if !bytes.Equal(s.Enroll.AK, e.AK) {
		t.Errorf("AK: got %x and %x", s.Enroll.AK, e.AK)
	}
	if want := sha256.Sum256(read(t, "../testdata/vtpm/challenge.json")); s.Challenge != want {
		t.Errorf("challenge: got %s, want %x", s.Challenge, want)
	}
	if want := sha256.Sum256(e.EKCertificate); s.Enroll.EKCertificate != want {
		t.Errorf("certificate: got %s, want %x", s.Enroll.EKCertificate, want)
	}
	for file, encode := range map[string]func() ([]byte, error){"challenge": c.Encode, "secret": s.Encode, "enrollment": e.Encode} {
		b, err := encode()
		if err != nil || !bytes.Equal(b, read(t, "../testdata/vtpm/"+file+".json")) {
			t.Errorf("%s: encodes as %s, %v", file, b, err)
		}
	}
}

// rule is a rule of docs/format-challenge.md broken in one place.
type rule[T any] struct {
	name   string
	change func(*T)
	want   string
}

// checkRules holds both directions against each rule: Encode, and Decode of a
// file that only this rule forbids.
func checkRules[T any](t *testing.T, kind string, fresh func() *T, encode func(*T) ([]byte, error), decode func([]byte) (*T, error), rules []rule[T]) {
	t.Helper()
	for _, tt := range rules {
		v := fresh()
		tt.change(v)
		if _, err := encode(v); err == nil || !strings.HasPrefix(err.Error(), "encoding "+kind+": "+tt.want) {
			t.Errorf("%s: encoding: got %.300v, want %s", tt.name, err, tt.want)
		}
		b, err := canon.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(b); err == nil || !strings.HasPrefix(err.Error(), "decoding "+kind+": "+tt.want) {
			t.Errorf("%s: decoding: got %.300v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestChallengeRules(t *testing.T) {
	fresh := func() *Challenge { c, _, _ := captured(t); return c }
	checkRules(t, "challenge", fresh, (*Challenge).Encode, Decode, []rule[Challenge]{
		{"no type", func(c *Challenge) { c.Type = "" }, `type: got "", want "safebox/challenge/v1"`},
		{"other type", func(c *Challenge) { c.Type = SecretType }, `type: got "safebox/challenge-secret/v1"`},
		{"no time", func(c *Challenge) { c.Expires = 0 }, "expires: got 0, want a time after 1970"},
		{"time before 1970", func(c *Challenge) { c.Expires = -1 }, "expires: got -1"},
		{"no kind", func(c *Challenge) { c.Enroll.EK = "" }, `enroll: ek: got "", want "rsa2048" or "ecc384"`},
		{"other kind", func(c *Challenge) { c.Enroll.EK = "ecc256" }, `enroll: ek: got "ecc256"`},
		{"no name", func(c *Challenge) { c.Enroll.AKName = nil }, "enroll: ak_name: got 0 bytes, want an algorithm and a digest"},
		{"name of one byte", func(c *Challenge) { c.Enroll.AKName = []byte{0} }, "enroll: ak_name: got 1 bytes"},
		{"name by SHA-1", func(c *Challenge) { c.Enroll.AKName = append([]byte{0, 4}, make([]byte, 20)...) }, "enroll: ak_name: algorithm: got 0x0004, want 0x000b or 0x000c"},
		{"short digest", func(c *Challenge) { c.Enroll.AKName = c.Enroll.AKName[:33] }, "enroll: ak_name: digest: got 31 bytes, want 32"},
		{"SHA-384 of 32 bytes", func(c *Challenge) { c.Enroll.AKName[1] = 0x0c }, "enroll: ak_name: digest: got 32 bytes, want 48"},
		{"no credential", func(c *Challenge) { c.Enroll.Credential = nil }, "enroll: credential: got 0 bytes, want 1 to 256"},
		{"long credential", func(c *Challenge) { c.Enroll.Credential = make([]byte, 257) }, "enroll: credential: got 257 bytes"},
		{"no secret", func(c *Challenge) { c.Enroll.Secret = []byte{} }, "enroll: secret: got 0 bytes, want 1 to 512"},
		{"long secret", func(c *Challenge) { c.Enroll.Secret = make([]byte, 513) }, "enroll: secret: got 513 bytes"},
	})
}

func TestSecretRules(t *testing.T) {
	fresh := func() *Secret { _, s, _ := captured(t); return s }
	checkRules(t, "challenge secret", fresh, (*Secret).Encode, DecodeSecret, []rule[Secret]{
		{"other type", func(s *Secret) { s.Type = Type }, `type: got "safebox/challenge/v1", want "safebox/challenge-secret/v1"`},
		{"no time", func(s *Secret) { s.Issued = 0 }, "issued: got 0, want a time after 1970"},
		{"no value", func(s *Secret) { s.Enroll.Value = nil }, "enroll: value: got 0 bytes, want 32"},
		{"short value", func(s *Secret) { s.Enroll.Value = s.Enroll.Value[:31] }, "enroll: value: got 31 bytes, want 32"},
		{"long value", func(s *Secret) { s.Enroll.Value = make([]byte, 33) }, "enroll: value: got 33 bytes, want 32"},
		{"no name", func(s *Secret) { s.Enroll.AKName = nil }, "enroll: ak_name: got 0 bytes"},
		{"no AK", func(s *Secret) { s.Enroll.AK = nil }, "enroll: ak: got 0 bytes, want 1 to 1024"},
		{"long AK", func(s *Secret) { s.Enroll.AK = make([]byte, 1025) }, "enroll: ak: got 1025 bytes"},
	})
}

func TestEnrollmentRules(t *testing.T) {
	fresh := func() *Enrollment { _, _, e := captured(t); return e }
	checkRules(t, "enrollment", fresh, (*Enrollment).Encode, DecodeEnrollment, []rule[Enrollment]{
		{"other type", func(e *Enrollment) { e.Type = Type }, `type: got "safebox/challenge/v1", want "safebox/enrollment/v1"`},
		{"no AK", func(e *Enrollment) { e.AK = nil }, "ak: got 0 bytes, want 1 to 1024"},
		{"long AK", func(e *Enrollment) { e.AK = make([]byte, 1025) }, "ak: got 1025 bytes"},
		{"other kind", func(e *Enrollment) { e.EK = "RSA2048" }, `ek: got "RSA2048", want "rsa2048" or "ecc384"`},
		{"no EK", func(e *Enrollment) { e.EKPublic = nil }, "ek_public: got 0 bytes, want 1 to 1024"},
		{"long EK", func(e *Enrollment) { e.EKPublic = make([]byte, 1025) }, "ek_public: got 1025 bytes"},
		{"no certificate", func(e *Enrollment) { e.EKCertificate = nil }, "ek_certificate: got 0 bytes, want 1 to 8192"},
		{"long certificate", func(e *Enrollment) { e.EKCertificate = make([]byte, 8193) }, "ek_certificate: got 8193 bytes"},
		{"five issuers", func(e *Enrollment) {
			e.Issuers = [][]byte{{1}, {2}, {3}, {4}, {5}}
		}, "issuers: got 5, want a list of at most 4"},
		{"empty issuer", func(e *Enrollment) { e.Issuers = [][]byte{{1}, {}} }, "issuer 1: got 0 bytes, want 1 to 8192"},
		{"long issuer", func(e *Enrollment) { e.Issuers = [][]byte{make([]byte, 8193)} }, "issuer 0: got 8193 bytes"},
	})
}

// TestNoIssuers: nil encodes as an empty list, and null is none.
func TestNoIssuers(t *testing.T) {
	_, _, e := captured(t)
	e.Issuers = nil
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeEnrollment(b); err != nil || !bytes.Contains(b, []byte(`"issuers":[]`)) {
		t.Errorf("got %s, %v", b, err)
	}
	b = bytes.Replace(b, []byte(`"issuers":[]`), []byte(`"issuers":null`), 1)
	if _, err := DecodeEnrollment(b); err == nil || !strings.Contains(err.Error(), "issuers: got 0, want a list") {
		t.Errorf("null: got %v", err)
	}
}

// TestLargest: every field of a challenge at its limit fits the file, and so
// for the others.
func TestLargest(t *testing.T) {
	c, s, e := captured(t)
	c.Enroll.AKName = append([]byte{0, 0x0c}, make([]byte, 48)...)
	c.Enroll.Credential, c.Enroll.Secret = make([]byte, maxCredential), make([]byte, maxSeed)
	s.Enroll.AKName, s.Enroll.AK = c.Enroll.AKName, make([]byte, MaxPublic)
	e.AK, e.EKPublic, e.EKCertificate = make([]byte, MaxPublic), make([]byte, MaxPublic), make([]byte, MaxCertificate)
	e.Issuers = [][]byte{e.EKCertificate, e.EKCertificate, e.EKCertificate, e.EKCertificate}
	for kind, encode := range map[string]func() ([]byte, error){"challenge": c.Encode, "secret": s.Encode, "enrollment": e.Encode} {
		if _, err := encode(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestDecodeRefuses: what no value of the type would encode to.
func TestDecodeRefuses(t *testing.T) {
	good := string(example(t))
	change := func(old, changed string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the example has no %s", old)
		}
		return strings.Replace(good, old, changed, 1)
	}
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "EOF"},
		{"null", "null", "not in canonical form"},
		{"list", "[" + good + "]", "cannot unmarshal"},
		{"newline at end", good + "\n", "not in canonical form"},
		{"trailing bytes", good + "x", "trailing data"},
		{"unknown member", change(`"enroll":null`, `"enroll":null,"enrol":null`), `unknown field "enrol"`},
		{"missing member", change(`"enroll":null,`, ""), "not in canonical form"},
		{"member twice", change(`"enroll":null,`, `"enroll":null,"enroll":null,`), "not in canonical form"},
		{"empty enroll", change(`"enroll":null`, `"enroll":{}`), "not in canonical form"},
		{"short nonce", change(`"nonce":"00`, `"nonce":"`), "want 32 bytes of lower-case hex"},
		{"long nonce", change(`"nonce":"00`, `"nonce":"0000`), "want 32 bytes of lower-case hex"},
		{"upper case", change(`"audience":"d7`, `"audience":"D7`), "want 32 bytes of lower-case hex"},
		{"time as text", change(`1767225660`, `"1767225660"`), "cannot unmarshal"},
		{"time as a float", change(`1767225660`, `1767225660.0`), "cannot unmarshal"},
		{"time past 2^53", change(`1767225660`, `9007199254740992`), "no integer within"},
		{"too large", good + strings.Repeat(" ", 4<<10), "want at most 4096"},
	} {
		if _, err := Decode([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := DecodeSecret(make([]byte, MaxSecret+1)); err == nil || !strings.Contains(err.Error(), "8193 bytes, want at most 8192") {
		t.Errorf("secret: got %v", err)
	}
	if _, err := DecodeEnrollment(make([]byte, MaxEnrollment+1)); err == nil || !strings.Contains(err.Error(), "65537 bytes, want at most 65536") {
		t.Errorf("enrollment: got %v", err)
	}
}
