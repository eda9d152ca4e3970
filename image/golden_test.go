package image

import (
	"os"
	"strings"
	"testing"

	"safebox/guest/boot/cmdline"
	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/initrd/layout"
	"safebox/verifier/release"
)

// pinned are the digests of what a release packs around an init of ten bytes,
// from the inputs of safebox.lock. They are our own output and say nothing about
// what is right: other tests ask ukify, objdump, cpio and sfdisk. They notice
// that a release would have other digests, for a reason other than its init's
// source. Whoever changes them writes a BREAKING line with both into NEWS.md.
const pinned = `61c7ef31615eef219d7e38b4e0ba0edda912ab5c4dff24d6c5b95e514a900f18  initrd.cpio.zst
f4f2702d8644974c91eaadc2b49b5a6c9aefec091986285ac3baac8d4bead955  safebox.efi
a1e6d6f3e3fab36d2a2da4e91a660d7d692c53c8fdc9b99117f8a9cabe2c50b2  safebox.gcp.tar.gz
7e62ec23771171e6ad974ed34761da50aa8608f91aec1bfbf76b738f5fc0c125  safebox.qcow2
b5e2401d4d42825cdf58f8614dfff5129e5d0c23485b26029411a4d775047fb3  safebox.raw
6cccea55470c7e310ffb1db2b56d29154d8e7ebabc4afe69582bd1ceb0d23000  safebox.vhd
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
	o := Options{Kernel: layout.Distro, Platforms: []string{release.PlatformVTPM}, Disks: Disks(), Resolver: r, Progress: func(Progress) {}}
	in, err := o.readInputs(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	a := newArtifacts()
	if err := o.addKernel(t.Context(), a, l, in); err != nil {
		t.Fatal(err)
	}
	a.add(initProgram, []byte("not an ELF"))
	a.add(commandLine, []byte(cmdline.Text(o.Kernel)))
	if err := o.addInitrd(t.Context(), a, in); err != nil {
		t.Fatal(err)
	}
	if err := o.addImages(t.Context(), a, l, in); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range a.files {
		if f.Name == ramdiskName || strings.HasPrefix(f.Name, "safebox.") {
			got.WriteString(hexSHA256(f.Data) + "  " + f.Name + "\n")
		}
	}
	if got.String() != pinned {
		t.Errorf("got\n%swant\n%s", got.String(), pinned)
	}
}
