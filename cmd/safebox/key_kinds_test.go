package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"testing"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"safebox/cmd/internal/keystore"
)

// makeKey makes a key that is not encrypted and gives what was printed.
func makeKey(t *testing.T, s *story, name string, args ...string) []string {
	t.Helper()
	args = append([]string{"key"}, args...)
	return strings.Fields(s.must(t, append(args, "--out", "@"+name, "--no-passphrase")...))
}

// openssl knows the public file and verifies what the secret one signs: both
// algorithms, P-256 in the DER that the file has.
func TestKeySignerOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("run ci/setup: %v", err)
	}
	for algorithm, prefix := range map[string]string{
		"ecdsa-p256": "",
		"ed25519":    "MCowBQYDK2VwAyEA", // RFC 8410, section 4: the start of its SubjectPublicKeyInfo, 12 bytes
	} {
		s := &story{dir: t.TempDir()}
		printed := makeKey(t, s, "k", "signer", "--algorithm", algorithm)
		text, ok := strings.CutPrefix(string(s.read(t, "k.pub")), algorithm+":")
		if !ok || !strings.HasSuffix(text, "\n") {
			t.Fatalf("got public file %q", text)
		}
		der, err := base64.StdEncoding.DecodeString(prefix + strings.TrimSuffix(text, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, "pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		signer, err := keystore.Signer(s.path("k"), keystore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if printed[0] != "signer" || printed[1] != signer.Public().ID() || printed[2] != s.path("k.pub") {
			t.Errorf("printed %q", printed)
		}
		message := []byte("message")
		sig, err := signer.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, "message", message)
		s.write(t, "sig", sig)
		args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", s.path("pem"), "-rawin", "-in", s.path("message"), "-sigfile", s.path("sig")}
		if algorithm == "ecdsa-p256" {
			args = append(args, "-digest", "sha256")
		}
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Verified Successfully")) {
			t.Errorf("%s: openssl: %v, %s", algorithm, err, out)
		}
	}
}

// The keys of logs and witnesses are what other programs for them read.
func TestKeyNotes(t *testing.T) {
	s := &story{dir: t.TempDir()}
	text := func(name string) string { return strings.TrimSuffix(string(s.read(t, name)), "\n") }

	printed := makeKey(t, s, "log", "log", "--origin", "log.example.com/releases")
	if _, err := note.NewSigner(text("log")); err != nil {
		t.Error(err)
	}
	verifier, err := note.NewVerifier(text("log.pub"))
	if err != nil || verifier.Name() != "log.example.com/releases" || !strings.HasPrefix(text("log.pub"), printed[1]+"+") || printed[0] != "log" {
		t.Errorf("log: printed %q, %v", printed, err)
	}

	printed = makeKey(t, s, "w", "witness", "--name", "witness.example.com")
	if _, err := formats.NewSignerForCosignatureV1(text("w")); err != nil {
		t.Error(err)
	}
	if _, err := formats.NewVerifierForCosignatureV1(text("w.pub")); err != nil || !strings.HasPrefix(text("w.pub"), printed[1]+"+") || printed[0] != "witness" {
		t.Errorf("witness: printed %q, %v", printed, err)
	}

	makeKey(t, s, "pq", "witness", "--name", "witness.example.com", "--algorithm", "ml-dsa-44")
	if _, err := formats.NewMLDSASigner(text("pq")); err != nil {
		t.Error(err)
	}
	if _, err := formats.NewMLDSAVerifier(text("pq.pub")); err != nil {
		t.Errorf("ML-DSA-44: %v", err)
	}
}

// key public gives every public file again, of a plain and of an encrypted key.
func TestKeyPublic(t *testing.T) {
	s := &story{dir: t.TempDir()}
	for kind, args := range map[string][]string{
		"audience":   {"audience"},
		"recipient":  {"recipient"},
		"signer":     {"signer"},
		"signer-p":   {"signer", "--algorithm", "ecdsa-p256"},
		"log":        {"log", "--origin", "log.example"},
		"witness":    {"witness", "--name", "w.example"},
		"witness-pq": {"witness", "--name", "w.example", "--algorithm", "ml-dsa-44"},
	} {
		printed := makeKey(t, s, kind, args...)
		public := string(s.read(t, kind+".pub"))
		if got := s.must(t, "key", "public", "@"+kind); got != public {
			t.Errorf("%s: got %q, want %q", kind, got, public)
		}
		var j struct{ Kind, Algorithm, ID, Public string }
		if err := json.Unmarshal([]byte(s.must(t, "key", "public", "@"+kind, "--json")), &j); err != nil {
			t.Fatal(err)
		}
		if j.Kind != args[0] || j.ID != printed[1] || j.Public != strings.TrimSuffix(public, "\n") {
			t.Errorf("%s: got %+v", kind, j)
		}
		want := map[string]string{"recipient": "mlkem768-x25519", "signer-p": "ecdsa-p256", "witness-pq": "ml-dsa-44"}[kind]
		if want == "" {
			want = "ed25519"
		}
		if j.Algorithm != want {
			t.Errorf("%s: got algorithm %q, want %q", kind, j.Algorithm, want)
		}
	}
	for name, file := range map[string]string{
		"public":      "signer.pub",
		"no key":      "text",
		"damaged log": "log2",
	} {
		s.write(t, "text", []byte("text"))
		s.write(t, "log2", bytes.TrimSuffix(s.read(t, "log"), []byte("\n")))
		if err := os.Chmod(s.path(file), 0o600); err != nil {
			t.Fatal(err)
		}
		a := s.invoke(t, "key", "public", "@"+file)
		if a.code != 2 || a.stdout != "" || !strings.Contains(a.stderr, "error: reading key "+s.path(file)) || !strings.Contains(a.stderr, "hint: give a secret file") {
			t.Errorf("%s: got %+v", name, a)
		}
	}
}

// A key is encrypted unless somebody says otherwise, and read with its
// passphrase wherever one is read.
func TestKeyEncrypted(t *testing.T) {
	s := &story{dir: t.TempDir()}
	s.write(t, "pass", []byte("a passphrase\n"))
	s.write(t, "wrong", []byte("another\n"))
	for _, name := range []string{"pass", "wrong"} {
		if err := os.Chmod(s.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := s.invoke(t, "key", "recipient", "--out", "@r", "--passphrase-file", "@pass")
	if a.code != 0 || a.stderr != "" {
		t.Fatalf("got %+v", a)
	}
	if !bytes.HasPrefix(s.read(t, "r"), []byte("age-encryption.org/v1\n-> scrypt ")) {
		t.Error("the file is not encrypted by age")
	}
	if got := s.must(t, "key", "public", "@r", "--passphrase-file", "@pass"); got != string(s.read(t, "r.pub")) {
		t.Errorf("got %q", got)
	}
	if a := s.invoke(t, "key", "public", "@r", "--passphrase-file", "@wrong"); a.code != 2 || !strings.Contains(a.stderr, "wrong passphrase") {
		t.Errorf("wrong passphrase: got %+v", a)
	}
	o := keystore.Options{PassphraseFile: s.path("pass")}
	key, err := openKey("--recipient-key", s.path("r"), o, keystore.Recipient)
	if err != nil || !strings.Contains(string(s.read(t, "r.pub")), base64.StdEncoding.EncodeToString(key.PublicKey().Bytes())) {
		t.Errorf("as a recipient's: %v", err)
	}
	if _, err := openKey("--audience-key", s.path("r"), o, keystore.Audience); err == nil || !strings.HasPrefix(err.Error(), "--audience-key: reading key "+s.path("r")+": kind of key: got recipient, want audience") {
		t.Errorf("as an owner's: %v", err)
	}
	if _, err := openKey("--audience-key", "", o, keystore.Audience); err == nil || err.Error() != "no --audience-key" {
		t.Errorf("no path: %v", err)
	}
}

func TestKeyUsage(t *testing.T) {
	s := &story{dir: t.TempDir()}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"both":              {[]string{"audience", "--no-passphrase", "--passphrase-file", "@p"}, "--passphrase-file and --no-passphrase"},
		"no origin":         {[]string{"log"}, "no --origin"},
		"no name":           {[]string{"witness"}, "no --name"},
		"origin of two":     {[]string{"log", "--origin", "a b"}, "name: got"},
		"signer of ML-DSA":  {[]string{"signer", "--algorithm", "ml-dsa-44"}, `algorithm: got "ml-dsa-44"`},
		"witness of ECDSA":  {[]string{"witness", "--name", "w", "--algorithm", "ecdsa-p256"}, `algorithm: got "ecdsa-p256"`},
		"no passphrasefile": {[]string{"signer", "--passphrase-file", "@none"}, "--passphrase-file: open "},
	} {
		a := s.invoke(t, append(append([]string{"key"}, tt.args...), "--out", "@k")...)
		if a.code != 2 || !strings.Contains(a.stderr, tt.want) || exists(s.path("k")) || exists(s.path("k.pub")) {
			t.Errorf("%s: got %+v", name, a)
		}
	}
}
