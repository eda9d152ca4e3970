package grant_test

import (
	"bytes"
	"strings"
	"testing"

	"safebox/verifier/grant"
)

// An output opens for its recipient, its grant and its slot only.
func TestOutput(t *testing.T) {
	key, digest, plain := privateKey(t, 4), [32]byte{1}, []byte("result")
	sealed, err := grant.SealOutput(key.PublicKey().Bytes(), digest, 7, plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := grant.OpenOutput(key, digest, 7, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %q, %v", got, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"other recipient": func() ([]byte, error) { return grant.OpenOutput(privateKey(t, 5), digest, 7, sealed) },
		"other grant":     func() ([]byte, error) { return grant.OpenOutput(key, [32]byte{2}, 7, sealed) },
		"other slot":      func() ([]byte, error) { return grant.OpenOutput(key, digest, 8, sealed) },
		"flipped bit":     func() ([]byte, error) { return grant.OpenOutput(key, digest, 7, flipped) },
		"cut":             func() ([]byte, error) { return grant.OpenOutput(key, digest, 7, sealed[:len(sealed)-1]) },
		"empty":           func() ([]byte, error) { return grant.OpenOutput(key, digest, 7, nil) },
	} {
		if got, err := open(); err == nil || !strings.Contains(err.Error(), "opening output") {
			t.Errorf("%s: got %q, %v, want an error", name, got, err)
		}
	}
	if _, err := grant.OpenOutput(nil, digest, 7, sealed); err == nil {
		t.Error("no key: accepted")
	}
	if _, err := grant.SealOutput(key.PublicKey().Bytes()[1:], digest, 7, plain); err == nil || !strings.Contains(err.Error(), "got 1215 bytes, want 1216") {
		t.Errorf("short recipient: got %v", err)
	}
	empty, err := grant.SealOutput(key.PublicKey().Bytes(), digest, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := grant.OpenOutput(key, digest, 0, empty); err != nil || len(got) != 0 {
		t.Errorf("empty output: got %q, %v", got, err)
	}
}
