package bzimage

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

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
			Refused    bool // QEMU does not start
		}
	}
	b, err := os.ReadFile("testdata/qemu-header.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 32 {
		t.Fatalf("got %d cases, want 32", len(file.Cases))
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
		if (err != nil) != c.Refused {
			t.Errorf("case %d: %+v: got error %v, want one: %v", i, p, err, c.Refused)
		}
		if err != nil {
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
