package keystore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
)

// A secret file of ours is ours alone; one of somebody else's that we may read
// as a group is not open to all.
func TestTooOpen(t *testing.T) {
	for _, tt := range []struct {
		mode          uint32
		mine, foreign bool
	}{
		{0o600, false, false},
		{0o400, false, false},
		{0o700, false, false},
		{0o640, true, false},
		{0o440, true, false},
		{0o620, true, false},
		{0o610, true, false},
		{0o604, true, true},
		{0o602, true, true},
		{0o601, true, true},
		{0o644, true, true},
		{0o666, true, true},
		{unix.S_IFREG | 0o600, false, false},
		{unix.S_IFREG | unix.S_ISUID | unix.S_ISVTX | 0o600, false, false},
	} {
		if got := tooOpen(tt.mode, true); got != tt.mine {
			t.Errorf("mine, %o: got %v", tt.mode, got)
		}
		if got := tooOpen(tt.mode, false); got != tt.foreign {
			t.Errorf("another's, %o: got %v", tt.mode, got)
		}
	}
}

// Both secret files and passphrase files are looked at.
func TestReadSecretModes(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644} {
		path, secret := secretFile(t, []byte(testSigner)), secretFile(t, foreign(t))
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSecret(path, answers(t))
		wantError(t, "key", err, cli.ExitUsage, fmt.Sprintf("(mode %#o)", mode), "chmod 600 "+path)
		_, err = ReadSecret(secret, Options{PassphraseFile: path})
		wantError(t, "passphrase", err, cli.ExitUsage, "--passphrase-file: reading "+path+": others than its owner", "chmod 600 "+path)
	}
	public := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(public, []byte(testPublic), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := ReadSecret(public, answers(t))
	wantError(t, "public file", err, cli.ExitUsage, "others than its owner", "not the .pub file")
}

// A file from a pipe, as a shell's <(...) gives it, is as good as another.
func TestReadSecretPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := w.WriteString(testSigner); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := readOwned(r, maxWrapped); err != nil || string(b) != testSigner {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestReadSecretLimit(t *testing.T) {
	for _, size := range []int{0, 99, 100, 101} {
		b, err := readSecret(secretFile(t, bytes.Repeat([]byte("a"), size)), 100)
		if size <= 100 {
			if err != nil || len(b) != size {
				t.Errorf("%d bytes: got %d, %v", size, len(b), err)
			}
			continue
		}
		wantError(t, "too large", err, cli.ExitUsage, "more than 100 bytes", "")
	}
	_, err := ReadSecret(filepath.Join(t.TempDir(), "none"), Options{})
	wantError(t, "none", err, cli.ExitUsage, "no such file", "")
	_, err = ReadSecret(t.TempDir(), Options{})
	if err == nil {
		t.Error("folder: read")
	}
}
