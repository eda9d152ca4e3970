package image

import (
	"os"
	"strings"
	"testing"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
)

// pinned are the digests of what a release packs around an init of ten bytes,
// from the inputs of safebox.lock. They are our own output and say nothing about
// what is right: other tests ask ukify, objdump, cpio and sfdisk. They notice
// that a release would have other digests, for a reason other than its init's
// source. Whoever changes them writes a BREAKING line with both into NEWS.md.
const pinned = `61c7ef31615eef219d7e38b4e0ba0edda912ab5c4dff24d6c5b95e514a900f18  initrd.cpio.zst
5cd05e9004fe6ee61c0d71a3cce31d5132eb51dce38c8100845f6676a26065ed  safebox.efi
dc790eebc467ad59841971856767620c0cd96afaf40e99b39c0132f9a6d1b366  safebox.raw
`

// TestPackagingPinned assembles everything but the init.
func TestPackagingPinned(t *testing.T) {
	text, err := os.ReadFile("safebox.lock")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver("..")
	if err != nil {
		t.Fatal(err)
	}
	in, err := readInputs(t.Context(), r, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	release, ramdisk, err := packInitrd(in, []byte("not an ELF"))
	if err != nil {
		t.Fatal(err)
	}
	a := newArtifacts()
	a.add("initrd.cpio.zst", ramdisk)
	if err := assemble(a, in, release, ramdisk); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range a.files {
		got.WriteString(hexSHA256(f.Data) + "  " + f.Name + "\n")
	}
	if got.String() != pinned {
		t.Errorf("got\n%swant\n%s", got.String(), pinned)
	}
}
