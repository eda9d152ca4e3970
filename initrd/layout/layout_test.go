package layout

import (
	"slices"
	"strings"
	"testing"
)

func TestModuleFile(t *testing.T) {
	tests := []struct {
		n    int
		name string
		want string // empty for an error
	}{
		{0, "failover", "modules/00-failover.ko"},
		{99, "virtio_net", "modules/99-virtio_net.ko"},
		{7, "a", "modules/07-a.ko"},
		{7, strings.Repeat("a", 55), "modules/07-" + strings.Repeat("a", 55) + ".ko"},
		{7, strings.Repeat("a", 56), ""},
		{-1, "a", ""},
		{100, "a", ""},
		{0, "", ""},
		{0, "tdx-guest", ""},
		{0, "../a", ""},
		{0, "a.ko", ""},
	}
	for _, tt := range tests {
		got, err := ModuleFile(tt.n, tt.name)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ModuleFile(%d, %q): got %q, %v, want %q", tt.n, tt.name, got, err, tt.want)
		}
		base, ok := strings.CutPrefix(got, ModuleDir+"/")
		if !ok {
			continue
		}
		if n, name, err := ParseModuleFile(base); n != tt.n || name != tt.name || err != nil {
			t.Errorf("ParseModuleFile(%q): got %d, %q, %v, want %d, %q", base, n, name, err, tt.n, tt.name)
		}
	}
}

func TestParseModuleFileErrors(t *testing.T) {
	for _, base := range []string{"", ".ko", "00-.ko", "00-a", "0-a.ko", "000-a.ko", "x0-a.ko", "00_a.ko", "00-a.ko.ko", "00-A.ko", "+1-a.ko", "00-a/b.ko"} {
		if n, name, err := ParseModuleFile(base); err == nil {
			t.Errorf("ParseModuleFile(%q): got %d, %q, want an error", base, n, name)
		}
	}
}

// TestDirectories holds the promise of archive order: sorted, parents first.
func TestDirectories(t *testing.T) {
	dirs := Directories()
	if !slices.IsSorted(dirs) || !slices.Contains(dirs, ModuleDir) {
		t.Errorf("got %q, want them sorted and with %q", dirs, ModuleDir)
	}
}
