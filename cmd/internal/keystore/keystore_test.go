package keystore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
)

// The passphrase of testdata/signer.key.age; what is in it, the signer's key of
// docs/format-keys.md; and its public key, by `openssl pkey -pubout` (3.0.19).
const (
	testPassphrase = "correct horse battery staple"
	testSigner     = `{"algorithm":"ed25519","key":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","type":"safebox/signer-key/v1"}`
	testPublic     = "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
)

// The example key of the documentation of golang.org/x/mod/sumdb/note.
const testLog = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"

// secretFile writes a secret file.
func secretFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// foreign is the encrypted file that another implementation of age wrote.
func foreign(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/signer.key.age")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answers are options whose terminal gives these answers, one a time.
func answers(t *testing.T, texts ...string) Options {
	return Options{factor: 1, ask: func(context.Context, string) (string, error) {
		t.Helper()
		if len(texts) == 0 {
			t.Error("asked once too often")
			return "", errors.New("no answer left")
		}
		text := texts[0]
		texts = texts[1:]
		return text, nil
	}}
}

// wantError checks text, hint and exit code of an error for people.
func wantError(t *testing.T, name string, err error, code int, text, hint string) {
	t.Helper()
	var e *cli.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(err.Error(), text) || !strings.Contains(e.Hint, hint) {
		t.Errorf("%s: got %+v, want code %d, %q, hint %q", name, e, code, text, hint)
	}
}

// Both forms of a file are read, and nobody is asked for what is not needed.
func TestSigner(t *testing.T) {
	for name, tt := range map[string]struct {
		content []byte
		o       Options
	}{
		"plain":     {[]byte(testSigner), answers(t)},
		"encrypted": {foreign(t), answers(t, testPassphrase)},
		"from file": {foreign(t), Options{PassphraseFile: secretFile(t, []byte(testPassphrase+"\nsecond line\n"))}},
	} {
		signer, err := Signer(secretFile(t, tt.content), tt.o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := signer.Public().String(); got != testPublic {
			t.Errorf("%s: got %s, want %s", name, got, testPublic)
		}
		sig, err := signer.Sign([]byte("message"))
		if err != nil || !signer.Public().Verify([]byte("message"), sig) {
			t.Errorf("%s: got signature %x, %v", name, sig, err)
		}
	}
}

func TestNoteKey(t *testing.T) {
	if got, err := NoteKey(secretFile(t, []byte(testLog+"\n")), answers(t)); err != nil || got != testLog {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := NoteKey(secretFile(t, []byte(testSigner)), answers(t))
	wantError(t, "signer as log", err, cli.ExitUsage, "kind of key: got signer, want log or witness", "secret file")
}

// A key is never taken for one of another kind, nor a public one for a secret.
func TestKinds(t *testing.T) {
	path := secretFile(t, []byte(testSigner))
	_, err := Audience(path, answers(t))
	wantError(t, "signer as audience", err, cli.ExitUsage, "kind of key: got signer, want audience", "secret file")
	_, err = Recipient(path, answers(t))
	wantError(t, "signer as recipient", err, cli.ExitUsage, "kind of key: got signer, want recipient", "secret file")
	_, err = Recipient(secretFile(t, []byte(testLog+"\n")), answers(t))
	wantError(t, "log as recipient", err, cli.ExitUsage, "kind of key: got log or witness, want recipient", "secret file")
	damaged := strings.Replace(testSigner, "ed25519", "ed448", 1)
	_, err = Signer(secretFile(t, []byte(damaged)), answers(t))
	wantError(t, "damaged", err, cli.ExitUsage, `algorithm: got "ed448"`, "secret file")
	_, err = Signer(secretFile(t, []byte(testPublic+"\n")), answers(t))
	wantError(t, "public as secret", err, cli.ExitUsage, "decoding signer key", "not the .pub file")
}

func TestWritePair(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := WritePair(path, []byte(testSigner), []byte(testPublic+"\n"), answers(t, "a", "a")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{path: 0o600, path + ".pub": 0o644} {
		if st, err := os.Stat(name); err != nil || st.Mode() != mode {
			t.Errorf("%s: got %v, %v, want mode %o", name, st, err, mode)
		}
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("000102030405060708")) {
		t.Errorf("secret file: got %q, %v", b, err)
	}
	if b, err := os.ReadFile(path + ".pub"); err != nil || string(b) != testPublic+"\n" {
		t.Errorf("public file: got %q, %v", b, err)
	}
	if b, err := ReadSecret(path, answers(t, "a")); err != nil || string(b) != testSigner {
		t.Errorf("read again: got %q, %v", b, err)
	}
	_, err := ReadSecret(path, answers(t, "b"))
	wantError(t, "other passphrase", err, cli.ExitUsage, path+": wrong passphrase", "passphrase")
}

// Nothing is written when there is no passphrase.
func TestWritePairRefuses(t *testing.T) {
	file := secretFile(t, []byte("a\n"))
	for name, tt := range map[string]struct {
		o    Options
		code int
		want string
	}{
		"typed differently": {answers(t, "a", "b"), cli.ExitNo, "differ"},
		"typed nothing":     {answers(t, ""), cli.ExitUsage, "empty"},
		"both flags":        {Options{PassphraseFile: file, NoPassphrase: true}, cli.ExitUsage, "want one of them"},
		"no such file":      {Options{PassphraseFile: file + "-"}, cli.ExitUsage, "no such file"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		err := WritePair(path, []byte(testSigner), []byte(testPublic), tt.o)
		wantError(t, name, err, tt.code, tt.want, "")
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
			t.Errorf("%s: got %v, %v, want no file", name, entries, err)
		}
	}
}

// Who wants no encryption gets none, and is told.
func TestNoPassphrase(t *testing.T) {
	var o Options
	var stderr bytes.Buffer
	c := &cobra.Command{}
	c.SetErr(&stderr)
	o.AddMakeFlags(c)
	if err := c.ParseFlags([]string{"--no-passphrase"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := WritePair(path, []byte(testSigner), []byte(testPublic), o); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != testSigner {
		t.Errorf("got %q, %v", b, err)
	}
	if got := stderr.String(); !strings.HasPrefix(got, "safebox: hint: "+path+" is not encrypted") {
		t.Errorf("stderr: got %q", got)
	}
}

// No file is replaced, and no passphrase asked for in vain.
func TestWritePairReplacesNothing(t *testing.T) {
	for _, taken := range []string{"", PublicSuffix} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path+taken, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := WritePair(path, []byte(testSigner), []byte(testPublic), answers(t))
		wantError(t, taken, err, cli.ExitNo, path+taken+" is there already", "another name")
		if b, err := os.ReadFile(path + taken); err != nil || string(b) != "mine" {
			t.Errorf("%s: got %q, %v", taken, b, err)
		}
	}
}

// The example of docs/format-keys.md is the file that is read here.
func TestDocs(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/format-keys.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(doc), "\nsigner_encrypted\n")
	var encoded strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		part, isValue := strings.CutPrefix(line, "  ")
		if !isValue {
			break
		}
		encoded.WriteString(part)
	}
	if b, err := base64.StdEncoding.DecodeString(encoded.String()); err != nil || !bytes.Equal(b, foreign(t)) {
		t.Errorf("got %d bytes, %v, want testdata/signer.key.age", len(b), err)
	}
}
