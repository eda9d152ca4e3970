package bzimage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
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

func TestVersionRefuses(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"offset behind the setup code": func(b []byte) { b[0x20f] = 0xff },
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

// patchTest lists the bytes that a patch changes.
type patchTest struct {
	name   string
	patch  Patch
	header func(b []byte)
	want   map[int]byte
}

// patchTests have what specs/measure.md 5.5 and QEMU's x86_load_linux say.
func patchTests() []patchTest {
	const gib = 1 << 30
	base := map[int]byte{0x210: 0xb0, 0x211: 0x81, 0x225: 0xfe, 0x224: 0, 0x22a: 2}
	with := func(more map[int]byte) map[int]byte {
		m := map[int]byte{}
		for _, list := range []map[int]byte{base, more} {
			for k, v := range list {
				m[k] = v
			}
		}
		return m
	}
	return []patchTest{
		{"no initrd", Patch{Memory: 2 * gib}, nil, base},
		// 0x7ffd7fff - 0x1000 = 0x7ffd6fff, to the page
		{
			"2 GiB",
			Patch{Memory: 2 * gib, Initrd: true, InitrdSize: 0x1000},
			nil,
			with(map[int]byte{0x219: 0x60, 0x21a: 0xfd, 0x21b: 0x7f, 0x21d: 0x10}),
		},
		{
			"16 GiB as 2",
			Patch{Memory: 16 * gib, Initrd: true, InitrdSize: 0x1000},
			nil,
			with(map[int]byte{0x219: 0x60, 0x21a: 0xfd, 0x21b: 0x7f, 0x21d: 0x10}),
		},
		// 0x9ffd7fff - 0x1234 = 0x9ffd6dcb
		{
			"2.5 GiB",
			Patch{Memory: 5 * gib / 2, Initrd: true, InitrdSize: 0x1234},
			nil,
			with(map[int]byte{0x219: 0x60, 0x21a: 0xfd, 0x21b: 0x9f, 0x21c: 0x34, 0x21d: 0x12}),
		},
		// without XLF_CAN_BE_LOADED_ABOVE_4G the header's 0x7fffffff counts
		{
			"2.5 GiB, initrd_addr_max",
			Patch{Memory: 5 * gib / 2, Initrd: true, InitrdSize: 0x1234},
			func(b []byte) { b[0x236] = 0x7d }, with(map[int]byte{0x219: 0xe0, 0x21a: 0xff, 0x21b: 0x7f, 0x21c: 0x34, 0x21d: 0x12}),
		},
		{"vga=0x317", Patch{CommandLine: "quiet vga=0x317 x", Memory: gib}, nil, with(map[int]byte{0x1fa: 0x17, 0x1fb: 3})},
		{"vga=791", Patch{CommandLine: "vga=791", Memory: gib}, nil, with(map[int]byte{0x1fa: 0x17, 0x1fb: 3})},
		{"vga=010", Patch{CommandLine: "vga=010", Memory: gib}, nil, with(map[int]byte{0x1fa: 8, 0x1fb: 0})},
		{"vga=ask", Patch{CommandLine: "vga=ask", Memory: gib}, nil, with(map[int]byte{0x1fa: 0xfd})},
		{"vga=ext", Patch{CommandLine: "vga=ext", Memory: gib}, nil, with(map[int]byte{0x1fa: 0xfe})},
		{"vga=normal", Patch{CommandLine: "vga=normal", Memory: gib}, nil, base},
		{"vga= passed over", Patch{CommandLine: "vga=ask", Memory: gib, KeepVideoMode: true}, nil, base},
		{"heap end of 16 bits", Patch{Memory: gib}, func(b []byte) { b[0x226], b[0x227] = 1, 2 }, base},
		{
			"heap end of 32 bits",
			Patch{Memory: gib, WideHeapEnd: true},
			func(b []byte) { b[0x226], b[0x227] = 1, 2 },
			with(map[int]byte{0x226: 0, 0x227: 0}),
		},
	}
}

func TestPatch(t *testing.T) {
	for _, tt := range patchTests() {
		in := setup(t)
		if tt.header != nil {
			tt.header(in)
		}
		kept := bytes.Clone(in)
		got, err := tt.patch.Apply(in)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := bytes.Clone(in)
		for off, v := range tt.want {
			want[off] = v
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n% x, want\n% x", tt.name, got[0x1f0:0x26c], want[0x1f0:0x26c])
		}
		if !bytes.Equal(in, kept) {
			t.Errorf("%s: the input was changed", tt.name)
		}
	}
}

// TestPatchAsQEMU compares with the headers that a real QEMU handed out.
func TestPatchAsQEMU(t *testing.T) {
	var file struct {
		QEMU  string
		Cases []struct {
			Memory     uint64 `json:"memory_mib"`
			Initrd     *uint64
			Cmdline    string
			Change     map[string]byte
			Header     string
			RestAsFile bool `json:"rest_as_file"`
		}
	}
	b, err := os.ReadFile("testdata/qemu-header.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 16 {
		t.Fatalf("got %d cases, want 16", len(file.Cases))
	}
	for i, c := range file.Cases {
		kernel := setup(t)
		for off, v := range c.Change {
			n, err := strconv.ParseUint(off, 0, 16)
			if err != nil {
				t.Fatal(err)
			}
			kernel[n] = v
		}
		p := Patch{CommandLine: c.Cmdline, Memory: c.Memory << 20}
		if c.Initrd != nil {
			p.Initrd, p.InitrdSize = true, *c.Initrd
		}
		out, err := p.Apply(kernel)
		if err != nil {
			t.Errorf("case %d: %v", i, err)
			continue
		}
		if got := hex.EncodeToString(out[0x1f1:0x26c]); got != c.Header || !c.RestAsFile {
			t.Errorf("case %d: %+v: got\n%s, want\n%s", i, p, got, c.Header)
		}
	}
}

func TestPatchRefuses(t *testing.T) {
	low := setup(t)
	low[0x211] = 0
	for _, tt := range []struct {
		name   string
		patch  Patch
		kernel []byte
		want   string
	}{
		{"no kernel", Patch{}, nil, "length: got 0"},
		{"loaded low", Patch{}, low, "loaded low"},
		{"initrd too large", Patch{Memory: 1 << 20, Initrd: true, InitrdSize: 1 << 20}, setup(t), "initrd: got 1048576 bytes, want less than 884735"},
		{"no memory", Patch{Initrd: true}, setup(t), "memory: got 0 bytes"},
		{"vga=fb", Patch{CommandLine: "vga=fb"}, setup(t), `vga="fb": want normal`},
		{"vga=1,2", Patch{CommandLine: "vga=1,2"}, setup(t), `vga="1,2"`},
		{"vga= of 33 bits", Patch{CommandLine: "vga=0x100000000"}, setup(t), `vga="0x100000000"`},
	} {
		_, err := tt.patch.Apply(tt.kernel)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
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
