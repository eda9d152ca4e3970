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
	}
}

// TestDirectories holds the promise of archive order: sorted, parents first.
func TestDirectories(t *testing.T) {
	dirs := Directories()
	if !slices.IsSorted(dirs) || !slices.Contains(dirs, ModuleDir) {
		t.Errorf("got %q, want them sorted and with %q", dirs, ModuleDir)
	}
}
