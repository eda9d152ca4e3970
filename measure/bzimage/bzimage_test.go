package bzimage

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// setup is the start of a real kernel (testdata/README.md).
func setup(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/vmlinuz-setup.bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRealKernel compares with what `file` 5.44 and `xxd` print of the kernel.
func TestRealKernel(t *testing.T) {
	b := setup(t)
	h, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &Header{
		SetupSects: 0x27, RootFlags: 1, SysSize: 0xb2520, VideoMode: 0xffff, BootFlag: 0xaa55, Jump: 0x6aeb,
		Magic: 0x53726448, Protocol: 0x20f, StartSysSeg: 0x1000, KernelVersion: 0x4300, LoadFlags: 1,
		SetupMoveSize: 0x8000, Code32Start: 0x100000, HeapEnd: 0x5c20, InitrdMax: 0x7fffffff,
		KernelAlignment: 0x200000, Relocatable: 1, MinAlignment: 0x15, XLoadFlags: 0x7f, CommandLineSize: 0x7ff,
		PayloadOffset: 0x2cc, PayloadLength: 0xaed515, PreferredAddress: 0x1000000, InitSize: 0x37dd000,
		HandoverOffset: 0xb11b20, KernelInfoOffset: 0xb21c5c,
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	version, err := h.Version(b)
	if want := "6.12.107+deb13-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1 (2026-08-29)"; err != nil || version != want {
		t.Errorf("got %q, %v, want %q", version, err, want)
	}
	// The file has 11708352 bytes; its signature begins at 0xb2a200.
	if got, want := uint64(h.SetupSize())+h.KernelSize(), uint64(0xb2a200); got != want {
		t.Errorf("setup and kernel: got %#x bytes, want %#x", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"short", func(b []byte) []byte { return b[:0x26b] }, "length: got 619, want at least 620"},
		{"header and no setup code", func(b []byte) []byte { return b[:0x26c] }, "setup code: got 620 bytes, want 20480"},
		{"setup_sects 0", func(b []byte) []byte { b[0x1f1] = 0; return b[:5*512-1] }, "setup code: got 2559 bytes, want 2560"},
		{"boot flag", func(b []byte) []byte { b[0x1fe] = 0; return b }, "boot flag and magic: got 0xaa00"},
		{"magic", func(b []byte) []byte { b[0x202] = 'h'; return b }, "boot flag and magic"},
		{"too old", func(b []byte) []byte { b[0x206] = 1; return b }, "at 0x206: protocol: got 2.01, want 2.02 to 2.15"},
		{"too new", func(b []byte) []byte { b[0x206] = 0x10; return b }, "at 0x206: protocol: got 2.16"},
		{"no jump", func(b []byte) []byte { b[0x200] = 0xe9; return b }, "at 0x200: jump"},
		{"jump into the header", func(b []byte) []byte { b[0x201] = 0x69; return b }, "to 0x26b, want a short one"},
		{"setup code cut", func(b []byte) []byte { return b[:0x27*512] }, "setup code: got 19968 bytes, want 20480"},
	} {
		_, err := Decode(tt.change(setup(t)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestFieldsOfVersions reads a header whose bytes are all set, in each version
// of the protocol: the fields behind the last of that version are zero. Offsets
// and versions are those of boot.rst, "The Real-Mode Kernel Header".
func TestFieldsOfVersions(t *testing.T) {
	for _, tt := range []struct {
		protocol uint16
		end      int
	}{
		{0x0202, 0x22c},
		{0x0203, 0x230},
		{0x0204, 0x230},
		{0x0205, 0x238}, // kernel_alignment, relocatable; two fields of later versions fill the word
		{0x0206, 0x23c},
		{0x0207, 0x248},
		{0x0208, 0x250},
		{0x0209, 0x258},
		{0x020a, 0x264},
		{0x020b, 0x268},
		{0x020c, 0x268},
		{0x020d, 0x268},
		{0x020e, 0x268},
		{0x020f, 0x26c},
	} {
		b := setup(t)
		for i := 0x22c; i < 0x26c; i++ {
			b[i] = 0xff
		}
		binary.LittleEndian.PutUint16(b[0x206:], tt.protocol)
		b[0x201] = byte(tt.end - 0x202) // the jump over the header, as long as it must be
		h, err := Decode(b)
		if err != nil {
			t.Errorf("protocol %#x: %v", tt.protocol, err)
			continue
		}
		got, err := binary.Append(nil, binary.LittleEndian, h)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Clone(b[0x1f1:0x26c])
		clear(want[tt.end-0x1f1:])
		if !bytes.Equal(got, want) {
			t.Errorf("protocol %#x: got\n% x, want\n% x", tt.protocol, got, want)
		}
		if encoded, err := h.Encode(); err != nil || len(encoded) != tt.end-0x1f1 {
			t.Errorf("protocol %#x: encoded: got %d bytes, %v, want %d", tt.protocol, len(encoded), err, tt.end-0x1f1)
		}
		b[0x201]--
		if _, err := Decode(b); err == nil {
			t.Errorf("protocol %#x: a jump into the header: no error", tt.protocol)
		}
	}
}

// TestFlags has the bits of arch/x86/include/uapi/asm/bootparam.h (Linux 6.12):
// LOADED_HIGH, CAN_USE_HEAP and the XLF_ ones.
func TestFlags(t *testing.T) {
	got := []int{LoadedHigh, CanUseHeap, Kernel64, LoadAbove4G, EFIHandover32, EFIHandover64, EFIKexec, FiveLevel, FiveLevelInUse}
	if diff := cmp.Diff([]int{0x01, 0x80, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40}, got); diff != "" {
		t.Error(diff)
	}
}

func TestVersionRefuses(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"offset behind the setup code": func(b []byte) { b[0x20f] = 0xff },
		"offset at its end":            func(b []byte) { b[0x20e], b[0x20f] = 0, 0x4e }, // and 0x200: 0x5000
		"no NUL":                       func(b []byte) { copy(b[0x4500:], bytes.Repeat([]byte{'a'}, 512)) },
		"control character":            func(b []byte) { b[0x4500] = '\n' },
	} {
		b := setup(t)
		change(b)
		h, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := h.Version(b); err == nil {
			t.Errorf("%s: got %q", name, v)
		}
	}
	b := setup(t)
	b[0x20e], b[0x20f] = 0, 0
	h, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := h.Version(b); v != "" || err != nil {
		t.Errorf("no version: got %q, %v", v, err)
	}
}

// FuzzDecode checks that a header is refused or written as it was read.
func FuzzDecode(f *testing.F) {
	b := setup(f)
	f.Add(b)
	for _, p := range []uint16{0x0202, 0x0203, 0x0205, 0x0206, 0x0207, 0x0208, 0x0209, 0x020a, 0x020b, 0x020c} {
		old := bytes.Clone(b)
		binary.LittleEndian.PutUint16(old[0x206:], p)
		f.Add(old)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Decode(b)
		if err != nil {
			return
		}
		if h.SetupSize() > len(b) {
			t.Fatalf("setup code of %d bytes in %d", h.SetupSize(), len(b))
		}
		got, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want := b[headerOffset:][:len(got)]; len(got) < 0x22c-headerOffset || !bytes.Equal(got, want) {
			t.Fatalf("got % x, want % x", got, want)
		}
		if _, err := h.Version(b); err != nil {
			return
		}
		out, err := Patch{CommandLine: "vga=ask", Memory: 1 << 30, Initrd: true, InitrdSize: 1}.Apply(b)
		if err == nil && len(out) != len(b) {
			t.Fatalf("patched: got %d bytes, want %d", len(out), len(b))
		}
	})
}
