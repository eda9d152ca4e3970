package lockfile

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLock: flock(2) ties a lock to the open file, so that two in one process
// exclude each other as two processes do. flock(1) of util-linux is the other
// implementation.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if held, err := Held(path); held || err != nil {
		t.Errorf("no file: held %v, %v", held, err)
	}
	f, err := Wait(path)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := Held(path); !held || err != nil {
		t.Errorf("held %v, %v, want true", held, err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want %v", err, ErrHeld)
	}
	if err := exec.Command("flock", "--nonblock", path, "true").Run(); err == nil {
		t.Error("flock(1) got the lock too")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err := Held(path); held || err != nil {
		t.Errorf("after the end: held %v, %v", held, err)
	}
	if err := exec.Command("flock", "--nonblock", path, "true").Run(); err != nil {
		t.Errorf("flock(1) after the end: %v", err)
	}
	if f, err = Try(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestLockNeedsAFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "lock")} {
		if _, err := Try(path); err == nil || errors.Is(err, ErrHeld) {
			t.Errorf("%s: got %v, want another error", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); err == nil {
		t.Error("a folder was made")
	}
}
