package kernel

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiles(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		b, err := os.ReadFile("../../" + f.Name)
		if err != nil || string(b) != string(f.Content) {
			t.Errorf("%s: %v, or not the file's bytes", f.Name, err)
		}
	}
	want := []string{
		"image/kernel/config/fragment", "image/kernel/config/policy",
		"image/kernel/patches/0001-acpi-refuse-ram.patch", "image/kernel/patches/0002-x86-keep-virtio-mmio-words.patch",
		"image/kernel/patches/0003-x86-acpi-refuse-mailbox.patch",
		"image/kernel/patches/0004-x86-confidential-guests-know-kvm.patch",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecipe: each patch says why it is there before its first line of change,
// in the order of their names.
func TestRecipe(t *testing.T) {
	r, err := standardRecipe(testEpoch)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.fragment+r.policy, commandLineMark) {
		t.Errorf("%s is left", commandLineMark)
	}
	names := make([]string, len(r.patches))
	for i, p := range r.patches {
		names[i] = p.name
		why, _, ok := strings.Cut(p.text, "\n--- a/")
		if !ok || len(why) < 200 {
			t.Errorf("%s: its head has %d bytes, want a reason", p.name, len(why))
		}
	}
	if len(names) != 4 || !slices.IsSorted(names) {
		t.Errorf("patches: got %q, want 4 in the order of their names", names)
	}
}
