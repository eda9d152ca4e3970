package compare

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/image/disk"
	"safebox/image/uki"
	"safebox/initrd"
	"safebox/initrd/layout"
)

const cmdline = "console=ttyS0 panic=1"

func stub(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/addonx64.efi.stub")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// build is a build small enough for a test. A test changes one thing of it.
type build struct {
	init    []byte
	modules []initrd.Module
	cmdline string
	kernel  []byte
	extra   []uki.Section
	esp     []disk.File
	seed    string
	size    int64
}

func newBuild(t testing.TB) build {
	return build{
		init:    bytes.Repeat([]byte{0, 1, 2, 3}, 1000),
		modules: []initrd.Module{{Name: "failover", Data: []byte("\x00first")}, {Name: "virtio_net", Data: []byte("\x00second")}},
		cmdline: cmdline,
		kernel:  stub(t),
		seed:    "test",
	}
}

func (b build) archive(t testing.TB) []byte {
	t.Helper()
	archive, err := initrd.Archive(layout.Distro, b.init, b.modules)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func (b build) initrd(t testing.TB) []byte {
	t.Helper()
	packed, err := initrd.Compress(b.archive(t))
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func (b build) uki(t testing.TB) []byte {
	t.Helper()
	sections := append([]uki.Section{{Name: ".cmdline", Data: []byte(b.cmdline)}}, b.extra...)
	sections = append(sections, uki.Section{Name: ".linux", Data: b.kernel}, uki.Section{Name: ".initrd", Data: b.initrd(t)})
	image, err := uki.Assemble(stub(t), sections)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (b build) disk(t testing.TB) []byte {
	t.Helper()
	files := append([]disk.File{{Path: disk.Boot, Data: b.uki(t)}}, b.esp...)
	image, err := disk.AssembleSize(files, b.seed, b.size)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := image.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// check compares a and b and wants the sentence, empty for equal files. A
// sentence that ends in " ..." may go on with what can't be known by hand, such
// as a value that the seed makes.
func check(t *testing.T, a, b []byte, want string) {
	t.Helper()
	d, err := Files("f", a, b)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if d != nil {
		got = d.String()
	}
	start, open := strings.CutSuffix(want, " ...")
	if got != want && !(open && strings.HasPrefix(got, start)) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// flip changes the lowest bit of a byte.
func flip(b []byte, pos int) []byte {
	c := slices.Clone(b)
	c[pos] ^= 1
	return c
}

// after is the position n bytes behind where text begins.
func after(t *testing.T, b []byte, text string, n int) int {
	t.Helper()
	i := bytes.Index(b, []byte(text))
	if i < 0 {
		t.Fatalf("%q is not in the test file", text)
	}
	return i + n
}

func TestInitrd(t *testing.T) {
	good := newBuild(t)
	plain := good.archive(t)
	module := func(list ...initrd.Module) []byte {
		b := good
		b.modules = list
		return b.initrd(t)
	}
	// set replaces a field of the header of an entry: 110 bytes before its
	// name, after a magic of 6, 8 digits each (buffer-format.rst). The first
	// entry, dev, takes 110 bytes and its name 4, padded to 116, so field n
	// of init is at 122 + 8n.
	set := func(name string, field int, digits string) []byte {
		b := slices.Clone(plain)
		copy(b[after(t, b, name+"\x00", -110+6+8*field):], digits)
		return b
	}
	swapped := slices.Clone(plain)
	copy(swapped[after(t, swapped, "proc\x00", 0):], "run\x00")
	tests := map[string]struct {
		a, b []byte
		want string
	}{
		"equal":          {good.initrd(t), good.initrd(t), ""},
		"content":        {build{init: flip(good.init, 5), modules: good.modules}.initrd(t), good.initrd(t), "f: entry /init: byte 5: 0x00, want 0x01"},
		"shorter":        {build{init: good.init[:8], modules: good.modules}.initrd(t), good.initrd(t), "f: entry /init: size: 8 bytes, want 4000 bytes"},
		"module missing": {module(good.modules[0]), good.initrd(t), "f: entry /modules/01-virtio_net.ko: none, want mode 0100444, 7 bytes"},
		"module extra":   {good.initrd(t), module(), "f: entry /modules/00-failover.ko: mode 0100444, 6 bytes, want none"},
		"mode":           {set("init", 1, "0000816d"), set("init", 1, "000081ed"), "f: entry /init: mode: 0100555, want 0100755"},
		"owner":          {set("init", 2, "000003e8"), plain, "f: entry /init: owner: 1000, want 0"},
		"group":          {set("sys", 3, "00000001"), plain, "f: entry /sys: group: 1, want 0"},
		"links":          {set("dev", 4, "00000003"), plain, "f: entry /dev: links: 3, want 2"},
		"time":           {set("tmp", 5, "69568000"), plain, "f: entry /tmp: modification time: 1767276544, want 0"},
		"its device":     {set("dev", 8, "00000007"), plain, "f: entry /dev: minor of its device: 7, want 0"},
		"inode":          {set("proc", 0, "00000063"), plain, "f: entry /proc: inode number: 99, want 6"},
		"name":           {set("tmp", 11, "00000004"), func() []byte { b := slices.Clone(plain); copy(b[after(t, b, "tmp\x00", 0):], "top"); return b }(), "f: entry /top: none, want mode 040755, 0 bytes"},
		"digits":         {set("init", 1, "0000816D"), set("init", 1, "0000816d"), "f: byte 137: 0x44, want 0x64 (the entries are equal, only their encoding differs)"},
		"compression":    {plain, good.initrd(t), "f: byte 0: 0x30, want 0x28 (the entries are equal, only their encoding differs)"},
		"unreadable":     {set("init", 6, "ffffffff"), plain, `f: byte 170: 0x66, want 0x30 (the first can't be read: parsing initrd: archive 0: entry 1 at 0x74: "init": size: got 4294967295, want at most ...`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, tt.b, tt.want) })
	}
}

func TestUKI(t *testing.T) {
	good := newBuild(t)
	image := good.uki(t)
	pe := int(binary.LittleEndian.Uint32(image[0x3c:])) // PE Format: offset of the signature
	with := func(change func(*build)) []byte {
		b := newBuild(t)
		change(&b)
		return b.uki(t)
	}
	set := func(pos int, value string) []byte {
		b := slices.Clone(image)
		copy(b[pos:], value)
		return b
	}
	table := pe + 24 + int(binary.LittleEndian.Uint16(image[pe+20:]))
	tests := map[string]struct {
		a, b []byte
		want string
	}{
		"equal":           {image, good.uki(t), ""},
		"init":            {with(func(b *build) { b.init = flip(b.init, 3999) }), image, "f: section .initrd: entry /init: byte 3999: 0x02, want 0x03"},
		"cmdline":         {with(func(b *build) { b.cmdline = "console=ttyS0 panic=0" }), image, `f: section .cmdline: word 2: "panic=0", want "panic=1"`},
		"longer cmdline":  {with(func(b *build) { b.cmdline += " quiet" }), image, `f: section .cmdline: word 3: "quiet", want none`},
		"kernel":          {with(func(b *build) { b.kernel = flip(b.kernel, len(b.kernel)-200) }), image, "f: section .linux: section ..."},
		"section missing": {image, with(func(b *build) { b.extra = []uki.Section{{Name: ".uname", Data: []byte("6.12")}} }), "f: section .uname: none, want 4 bytes"},
		"section extra":   {with(func(b *build) { b.extra = []uki.Section{{Name: ".osrel", Data: []byte("ID=x")}} }), image, "f: section .osrel: 4 bytes, want none"},
		"timestamp":       {set(pe+8, "\x78\x56\x34\x12"), set(pe+8, "\x00\x00\x00\x00"), "f: COFF header: TimeDateStamp: 0x12345678, want 0x0"},
		"checksum":        {set(pe+24+64, "\x01"), image, "f: optional header: CheckSum: 0x1, want 0x0"},
		"subsystem":       {set(pe+24+68, "\x0b\x00"), image, "f: optional header: Subsystem: 0xb, want 0xa (the first can't be read: parsing PE: optional header ..."},
		"characteristics": {set(table+36, "\x21"), image, "f: header of section .text: Characteristics: ..."},
		"padding":         {set(len(image)-1, "\x01"), image, "f: section .sbat: byte 511: 0x01, want 0x00"}, // ukify puts .sbat last; FileAlignment is 512
		"trailing":        {append(slices.Clone(image), 0), image, "f: size: ..."},
		"not a PE":        {set(pe, "XX"), image, "f: byte ..."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, tt.b, tt.want) })
	}
}

func TestDisk(t *testing.T) {
	good := newBuild(t)
	image := good.disk(t)
	with := func(change func(*build)) []byte {
		b := newBuild(t)
		change(&b)
		return b.disk(t)
	}
	const (
		boot = `f: partition "esp": `
		mib  = 1 << 20
	)
	tests := map[string]struct {
		a, b []byte
		want string
	}{
		"equal":         {image, good.disk(t), ""},
		"init":          {with(func(b *build) { b.init = flip(b.init, 7) }), image, boot + "EFI/BOOT/BOOTX64.EFI: section .initrd: entry /init: byte 7: 0x02, want 0x03"},
		"cmdline":       {with(func(b *build) { b.cmdline += "0" }), image, boot + `EFI/BOOT/BOOTX64.EFI: section .cmdline: word 2: "panic=10", want "panic=1"`},
		"file missing":  {image, with(func(b *build) { b.esp = []disk.File{{Path: "loader/x.conf", Data: []byte("x")}} }), boot + "loader: none, want directory"},
		"file extra":    {with(func(b *build) { b.esp = []disk.File{{Path: "EFI/x", Data: []byte("x")}} }), image, boot + "EFI/x: 1 byte, want none"},
		"size":          {with(func(b *build) { b.size = int64(len(image)) + mib }), image, "f: size: 37748736 bytes, want 36700160 bytes"},
		"seed":          {with(func(b *build) { b.seed = "other" }), image, "f: GPT header: DiskGUID: ..."},
		"protective":    {flip(image, 440), image, "f: protective MBR: byte 440: 0x01, want 0x00 ..."},
		"header":        {flip(image, 512+56), image, "f: GPT header: DiskGUID: ..."},
		"header crc":    {flip(image, 512+16), image, "f: GPT header: HeaderCRC32: ..."},
		"entry":         {flip(image, 1024+16), image, "f: GPT entry 1: UniquePartitionGUID: ..."},
		"entry 2":       {flip(image, 1024+128+48), image, "f: GPT entry 2: Attributes: 0x1, want 0x0 ..."},
		"backup header": {flip(image, len(image)-512+56), image, "f: backup GPT header: DiskGUID: ..."},
		"volume serial": {flip(image, mib+67), image, boot + "FAT boot sector: BS_VolID: ..."},
		"boot code":     {flip(image, mib+100), image, boot + "byte 100: ..."},
		"gap":           {flip(image, len(image)-mib+8), image, "f: byte ..."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, tt.b, tt.want) })
	}
}
