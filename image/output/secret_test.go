package output

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestModes: who may read a result does not depend on the umask, nor on what
// was there before.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	want := map[string]fs.FileMode{"plain": 0o644, "secret": 0o600, "out/plain": 0o644, "out/secret": 0o600}
	if err := os.WriteFile(filepath.Join(dir, "secret"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := NewFolder(filepath.Join(dir, "out"), "plain")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		File(filepath.Join(dir, "plain"), text("")),
		SecretFile(filepath.Join(dir, "secret"), text("")),
		f.Write("plain", text("")),
		f.WriteSecret("secret", text("")),
		f.Commit(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("%s: got mode %v, want %v", name, got, mode)
		}
	}
}
