package spawn

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestIPCNamespace: left out only where the kernel shows other namespaces and
// not that one.
func TestIPCNamespace(t *testing.T) {
	with, without := t.TempDir(), t.TempDir()
	for _, file := range []string{filepath.Join(with, "ipc"), filepath.Join(with, "pid"), filepath.Join(without, "pid")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ipcNamespace(with); got != syscall.CLONE_NEWIPC || err != nil {
		t.Errorf("a kernel with IPC: got %#x, %v, want %#x", got, err, syscall.CLONE_NEWIPC)
	}
	if got, err := ipcNamespace(without); got != 0 || err != nil {
		t.Errorf("a kernel without IPC: got %#x, %v, want 0", got, err)
	}
	if got, err := ipcNamespace(t.TempDir()); err == nil {
		t.Errorf("an empty folder: got %#x, want an error", got)
	}
}
