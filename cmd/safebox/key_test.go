package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"safebox/cmd/internal/keystore"
	"safebox/verifier/keyfile"
)

// testOwner is the secret key of the story's owner.
func testOwner(t *testing.T, s *story) ed25519.PrivateKey {
	t.Helper()
	key, err := keyfile.DecodeAudience(s.read(t, "owner.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKey(t *testing.T) {
	s := &story{dir: t.TempDir()}
	out := s.must(t, "key", "audience", "--out", "@a", "--no-passphrase")
	key := testKeyPair(t, s, "a")
	sum := sha256.Sum256(key)
	if want := "audience " + hex.EncodeToString(sum[:]) + " " + s.path("a.pub") + "\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	var j map[string]string
	if err := json.Unmarshal([]byte(s.must(t, "key", "recipient", "--out", "@r", "--no-passphrase", "--json")), &j); err != nil {
		t.Fatal(err)
	}
	secret, err := keyfile.DecodeRecipient(s.read(t, "r"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := keyfile.DecodeRecipientPublic(s.read(t, "r.pub"))
	if err != nil || !bytes.Equal(public, secret.PublicKey().Bytes()) {
		t.Errorf("public file: got %x, %v", public, err)
	}
	if sum := sha256.Sum256(public); j["kind"] != "recipient" || j["id"] != hex.EncodeToString(sum[:]) || j["public"] != s.path("r.pub") {
		t.Errorf("got %v", j)
	}
	for name, mode := range map[string]os.FileMode{"a": 0o600, "a.pub": 0o644, "r": 0o600, "r.pub": 0o644} {
		if st, err := os.Stat(s.path(name)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: got %v, %v, want mode %o", name, st, err, mode)
		}
	}
	if s.must(t, "key", "audience", "--out", "@b", "--no-passphrase"); bytes.Equal(s.read(t, "a"), s.read(t, "b")) {
		t.Error("two keys are the same")
	}
}

func testKeyPair(t *testing.T, s *story, name string) ed25519.PublicKey {
	t.Helper()
	secret, err := keyfile.DecodeAudience(s.read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	public, err := keyfile.DecodeAudiencePublic(s.read(t, name+keystore.PublicSuffix))
	if err != nil || !public.Equal(secret.Public()) {
		t.Errorf("public file: got %x, %v", public, err)
	}
	return public
}

// A key is never written over a file, be it a key or not.
func TestKeyReplacesNothing(t *testing.T) {
	for _, taken := range []string{"k", "k.pub"} {
		s := &story{dir: t.TempDir()}
		s.write(t, taken, []byte("mine"))
		a := s.invoke(t, "key", "recipient", "--out", "@k", "--no-passphrase")
		if a.code != 1 || !strings.Contains(a.stderr, taken+" is there already") || string(s.read(t, taken)) != "mine" {
			t.Errorf("%s: got %+v", taken, a)
		}
		if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: got %v, %v, want one file", taken, entries, err)
		}
	}
	// Both files or none: of a secret alone nobody could make the other half.
	s := &story{dir: t.TempDir()}
	long := strings.Repeat("k", 243) // with .pub and what makes it temporary mostly too long for a name
	a := s.invoke(t, "key", "recipient", "--out", "@"+long, "--no-passphrase")
	if want := a.code == 0; exists(s.path(long)) != want || exists(s.path(long+keystore.PublicSuffix)) != want {
		t.Errorf("public file can't be written: got %+v and one file", a)
	}
	if a := s.invoke(t, "key", "audience"); a.code != 2 || !strings.Contains(a.stderr, "no --out") {
		t.Errorf("no --out: got %+v", a)
	}
}
