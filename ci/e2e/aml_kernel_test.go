package e2e

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Fields of the setup header of a bzImage (Linux,
// Documentation/arch/x86/boot.rst, "Details of Header Fields").
const (
	offSetupSects      = 0x1f1 // u8
	offKernelAlignment = 0x230 // u32
	offPayload         = 0x248 // u32, from the end of the setup code
	offPayloadLength   = 0x24c // u32
	offPrefAddress     = 0x258 // u64
	offInitSize        = 0x260 // u32
	sectorSize         = 512
)

// kernelPlan says where a kernel lies in memory, as far as its file tells.
type kernelPlan struct {
	preferred uint64 // the lowest address; the real one is some steps above
	step      uint64
	size      uint64
	release   []uint64 // where copies of utsname's release lie above the kernel's start
	pattern   [2]uint32
}

// planOf finds what a host that knows the release's kernel can find out: where
// the text that uname(2) gives lies. The kernel's file is no secret, and only
// the random multiple of its alignment is missing.
func planOf(t *testing.T, bzImage []byte) kernelPlan {
	t.Helper()
	le := binary.LittleEndian
	p := kernelPlan{
		preferred: le.Uint64(bzImage[offPrefAddress:]),
		step:      uint64(le.Uint32(bzImage[offKernelAlignment:])),
		size:      uint64(le.Uint32(bzImage[offInitSize:])),
	}
	start := (int(bzImage[offSetupSects])+1)*sectorSize + int(le.Uint32(bzImage[offPayload:]))
	// The last four bytes are the size of what comes out (Linux,
	// scripts/Makefile.lib, size_append).
	packed := bzImage[start : start+int(le.Uint32(bzImage[offPayloadLength:]))-4]
	d, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	image, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	p.find(t, image)
	return p
}

// Layout of struct new_utsname (Linux, include/uapi/linux/utsname.h): six texts
// of this size; system, node, release.
const utsField = 65

// find looks for struct new_utsname in the segments of vmlinux.
func (p *kernelPlan) find(t *testing.T, image []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 2*utsField)
	copy(want, "Linux")
	copy(want[utsField:], "(none)")
	for _, s := range f.Progs {
		if s.Type != elf.PT_LOAD {
			continue
		}
		data, err := io.ReadAll(s.Open())
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; ; {
			i := bytes.Index(data[at:], want)
			if i < 0 {
				break
			}
			at += i + len(want)
			p.release = append(p.release, s.Paddr+uint64(at)-p.preferred)
			p.pattern = [2]uint32{binary.LittleEndian.Uint32(data[at:]), binary.LittleEndian.Uint32(data[at+4:])}
		}
	}
	if len(p.release) == 0 {
		t.Fatal("no utsname in the kernel")
	}
}

// candidates are all places of the release in a machine with so much memory: the
// EFI stub puts the kernel at a random multiple of its alignment, from its
// preferred address (Linux 6.12, drivers/firmware/efi/libstub/x86-stub.c,
// efi_decompress_kernel).
func (p *kernelPlan) candidates(memory uint64) []uint64 {
	var list []uint64
	for base := p.preferred; base+p.size <= memory; base += p.step {
		list = append(list, base+p.release[0])
	}
	return list
}
