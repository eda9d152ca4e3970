package eif

import (
	"strings"
	"testing"
)

// TestRefuse: each case is the good image with one thing wrong.
func TestRefuse(t *testing.T) {
	big := make([]byte, 16<<20)
	copy(big, "\x1f\x8b")
	put := func(at int, b ...byte) func(im *Image) {
		return func(im *Image) { copy(im.Kernel[at:], b) }
	}
	line := func(s string) func(im *Image) { return func(im *Image) { im.CommandLine = []byte(s) } }
	disks := func(list ...string) func(im *Image) {
		return func(im *Image) {
			im.Ramdisks = nil
			for _, s := range list {
				im.Ramdisks = append(im.Ramdisks, []byte(s))
			}
		}
	}
	for name, c := range map[string]struct {
		change func(im *Image)
		want   string
	}{
		"no kernel":         {func(im *Image) { im.Kernel = nil }, "kernel: parsing kernel setup header: length: got 0"},
		"vmlinux":           {func(im *Image) { im.Kernel = append([]byte("\x7fELF"), im.Kernel[4:]...) }, "kernel: got an ELF file, want a bzImage: an enclave with a vmlinux hangs"},
		"no HdrS":           {put(0x202, 'h'), "kernel: parsing kernel setup header at 0x1fe: boot flag and magic"},
		"zImage":            {put(0x211, 0), "kernel: loadflags at 0x211: got 0x00, want bit 0"},
		"32-bit kernel":     {put(0x236, 0x7e), "kernel: xloadflags at 0x236: got 0x007e, want bit 0"},
		"truncated kernel":  {func(im *Image) { im.Kernel = im.Kernel[:len(im.Kernel)-1] }, "kernel: truncated: got 22079 bytes, want the 22080 that its header says"},
		"kernel too large":  {func(im *Image) { im.Kernel = make([]byte, 256<<20+1) }, "kernel: got 268435457 bytes, want at most 268435456"},
		"NUL":               {line("panic=1\x00"), "command line: byte 7: got 0x00, want printable ASCII"},
		"newline":           {line("panic=1\n"), "command line: byte 7: got 0x0a, want printable ASCII"},
		"newline within":    {line("panic=1\nquiet"), "command line: byte 7: got 0x0a, want printable ASCII"},
		"tab":               {line("a\tb"), "command line: byte 1: got 0x09, want printable ASCII"},
		"DEL":               {line("a\x7f"), "command line: byte 1: got 0x7f, want printable ASCII"},
		"UTF-8":             {line("ä"), "command line: byte 0: got 0xc3, want printable ASCII"},
		"space first":       {line(" a"), `command line: got " a", want no space at its ends`},
		"space last":        {line("a "), `command line: got "a ", want no space at its ends`},
		"long command line": {line(strings.Repeat("a", 0x800)), "command line: got 2048 bytes, want at most the 2047 that the kernel reads (cmdline_size)"},
		"no ramdisk":        {disks(), "ramdisks: got 0, want 1 to 28"},
		"29 ramdisks":       {func(im *Image) { im.Ramdisks = repeat(im.Ramdisks[0], 29) }, "ramdisks: got 29, want 1 to 28"},
		"too large":         {func(im *Image) { im.Ramdisks = repeat(big, 16) }, "ramdisk 15: kernel and ramdisks: got 268457536 bytes, want at most 268435456"},
		"empty ramdisk":     {disks("\x1f\x8b", ""), `ramdisk 1: got "", want a cpio archive`},
		"no archive":        {disks("MZ\x00"), `ramdisk 0: got "MZ\x00", want a cpio archive`},
		"old cpio":          {disks("070707"), `ramdisk 0: got "070707", want a cpio archive`},
		"unaligned":         {disks("\x1f\x8b0", "070701"), "ramdisk 1: offset in the initramfs: got 3, want a multiple of 4"},
		"unaligned last":    {disks("\x1f\x8b0", "\x28\xb5\x2f\xfd00", "070702"), "ramdisk 2: offset in the initramfs: got 9, want a multiple of 4"},
		"before 1970":       {func(im *Image) { im.Metadata.Epoch = -1 }, "metadata: epoch: got -1, want 0 to 253402300799 seconds"},
		"year 10000":        {func(im *Image) { im.Metadata.Epoch = 253402300800 }, "metadata: epoch: got 253402300800, want 0 to"},
		"no name":           {func(im *Image) { im.Metadata.ImageName = "" }, "metadata: member ImageName: got no text"},
		"no version":        {func(im *Image) { im.Metadata.ImageVersion = "" }, "metadata: member ImageVersion: got no text"},
		"no tool":           {func(im *Image) { im.Metadata.BuildTool = "" }, "metadata: member BuildTool: got no text"},
		"no tool version":   {func(im *Image) { im.Metadata.BuildToolVersion = "" }, "metadata: member BuildToolVersion: got no text"},
		"no system":         {func(im *Image) { im.Metadata.OperatingSystem = "" }, "metadata: member OperatingSystem: got no text"},
		"no kernel version": {func(im *Image) { im.Metadata.KernelVersion = "6.12\n" }, "metadata: member KernelVersion: byte 4: got 0x0a, want printable ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			im := good(t)
			c.change(&im)
			b, err := Encode(im)
			if err == nil || !strings.HasPrefix(err.Error(), "writing EIF: "+c.want) || b != nil {
				t.Errorf("got  %v and %d bytes\nwant writing EIF: %s and none", err, len(b), c.want)
			}
		})
	}
}

// TestRefuseLargest: exactly at the limit passes the checks.
func TestRefuseLargest(t *testing.T) {
	im := good(t)
	rest := make([]byte, 256<<20-len(im.Kernel)+1)
	copy(rest, "\x1f\x8b")
	im.Ramdisks = [][]byte{rest[:len(rest)-1]}
	if err := check(im); err != nil {
		t.Error(err)
	}
	im.Ramdisks[0] = rest
	if err := check(im); err == nil {
		t.Error("one byte more: accepted")
	}
}

// TestRefuseFull: the tables have room for 32 sections.
func TestRefuseFull(t *testing.T) {
	h, b := newHeader(), make([]byte, headerSize)
	var err error
	for i := range 33 {
		if b, err = h.append(b, section{3, []byte("a")}); (err != nil) != (i == 32) {
			t.Fatalf("section %d: got %v", i, err)
		}
	}
	if want := "section ramdisk: number of sections: got 33 with it, want at most 32"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
