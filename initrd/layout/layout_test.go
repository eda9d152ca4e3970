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
	for kernel, modules := range map[Kernel]bool{Distro: true, Source: false} {
		dirs := Directories(kernel)
		if !slices.IsSorted(dirs) || slices.Contains(dirs, ModuleDir) != modules || (len(Modules(kernel)) > 0) != modules {
			t.Errorf("kernel %s: got %q, want them sorted and with %q only if it has modules", kernel, dirs, ModuleDir)
		}
	}
}
