package cli

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadInputSizes: files around the size from which large pages are asked for
// are read whole, and none that is longer than the limit.
func TestReadInputSizes(t *testing.T) {
	all := make([]byte, 2*hugePage+1)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(all); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "input")
	for _, size := range []int{0, 1, bytes.MinRead, hugePage - bytes.MinRead - 1, hugePage - 1, hugePage, hugePage + 1, len(all)} {
		if err := os.WriteFile(path, all[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadInput(path, int64(size))
		if err != nil || !bytes.Equal(got, all[:size]) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if size == 0 {
			continue
		}
		if _, err := ReadInput(path, int64(size)-1); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%d bytes with a limit below: got %v", size, err)
		}
	}
}

// TestReadInputOfDevices: a file without a size, and one without an end.
func TestReadInputOfDevices(t *testing.T) {
	if b, err := ReadInput("/proc/self/stat", 1<<20); err != nil || len(b) == 0 {
		t.Errorf("/proc/self/stat: got %d bytes, %v", len(b), err)
	}
	if _, err := ReadInput("/dev/zero", 1<<20); err == nil {
		t.Error("/dev/zero: got all of it")
	}
	if b, err := ReadInput("/dev/null", 0); err != nil || len(b) != 0 {
		t.Errorf("/dev/null: got %d bytes, %v", len(b), err)
	}
}
