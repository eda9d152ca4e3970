package compare

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

func enclave(t *testing.T, name string) []byte {
	t.Helper()
	return shared(t, "nitro/eif/"+name)
}

// summed puts the CRC32 of an image right: of all bytes but itself (EIF
// specification, "eif_crc32").
func summed(b []byte) []byte {
	h := crc32.NewIEEE()
	h.Write(b[:0x220])
	h.Write(b[0x224:])
	binary.BigEndian.PutUint32(b[0x220:], h.Sum32())
	return b
}

// enclaveWith writes an image from sections, by the tables of the EIF
// specification ("EifHeader", "EifSectionHeader").
func enclaveWith(sections ...eifSection) []byte {
	b := make([]byte, 0x224)
	copy(b, ".eif")
	be := binary.BigEndian
	be.PutUint16(b[4:], 4)
	be.PutUint16(b[0x1a:], uint16(len(sections)))
	for i, s := range sections {
		be.PutUint64(b[0x1c+8*i:], uint64(len(b)))
		be.PutUint64(b[0x11c+8*i:], uint64(len(s.data)))
		b = be.AppendUint16(b, s.kind)
		b = be.AppendUint16(b, 0)
		b = be.AppendUint64(b, uint64(len(s.data)))
		b = append(b, s.data...)
	}
	return summed(b)
}

type eifSection struct {
	kind uint16
	data []byte
}

// TestEnclaves compares the images of the vectors, which differ in what
// vectors.json says.
func TestEnclaves(t *testing.T) {
	two := enclave(t, "two_ramdisks.eif")
	tests := []struct{ a, want string }{
		{"two_ramdisks.eif", ""},
		{"one_ramdisk.eif", "f: ramdisk 1: none, want 495 bytes"},
		{"three_ramdisks.eif", "f: ramdisk 2: 10 bytes, want none"},
		{"two_ramdisks_aarch64.eif", "f: header: arch: aarch64, want x86_64"},
		{"metadata_last.eif", "f: order: section 2: ramdisk 0, want metadata"},
		{"cmdline_last.eif", "f: order: measured section 1: ramdisk 0, want cmdline"},
		{"signed_p384.eif", `f: signature: "CN=eif-vector-signer", want none`},
		{"bad_crc.eif", "f: byte 547: ..."},
	}
	for _, tt := range tests {
		t.Run(tt.a, func(t *testing.T) { check(t, enclave(t, tt.a), two, tt.want) })
	}
	check(t, two, enclave(t, "signed_p384.eif"), `f: signature: none, want "CN=eif-vector-signer"`)
}

// TestEnclaveInside leads into the ramdisk's entries.
func TestEnclaveInside(t *testing.T) {
	good := newBuild(t)
	image := func(b build, edit func(list []eifSection)) []byte {
		list := []eifSection{
			{1, b.kernel},
			{2, []byte(b.cmdline)},
			{5, []byte(`{"ImageName":"n","ImageVersion":"1","BuildMetadata":{"BuildTime":"t","BuildTool":"b","BuildToolVersion":"1","OperatingSystem":"o","KernelVersion":"k"},"DockerInfo":null}`)},
			{3, b.initrd(t)},
			{3, []byte("second ramdisk")},
		}
		edit(list)
		return enclaveWith(list...)
	}
	same := func([]eifSection) {}
	reference := image(good, same)
	other := func(change func(b *build)) []byte {
		b := good
		change(&b)
		return image(b, same)
	}
	header := func(off int) []byte {
		b := bytes.Clone(reference)
		b[off]++
		return summed(b)
	}
	tests := []struct {
		name string
		a    []byte
		want string
	}{
		{"init", other(func(b *build) { b.init = flip(b.init, 5) }), "f: ramdisk 0: entry /init: byte 5: 0x00, want 0x01"},
		{"cmdline", other(func(b *build) { b.cmdline += " quiet" }), `f: cmdline: word 3: "quiet", want none`},
		{"kernel", other(func(b *build) { b.kernel = flip(b.kernel, after(t, b.kernel, "LoaderInfo", 0)) }), "f: kernel: section .sdmagic: ..."},
		{"second", image(good, func(l []eifSection) { l[4].data = []byte("second ramdisc") }), `f: ramdisk 1: word 2: "ramdisc", want "ramdisk"`},
		{"metadata", image(good, func(l []eifSection) { l[2].data = bytes.Replace(l[2].data, []byte(`"1"`), []byte(`"2"`), 1) }), `f: metadata: ImageVersion: "2", want "1"`},
		{"version", header(5), "f: byte 5: 0x05, want 0x04 (the first can't be read: parsing EIF: header: version at 0x4: ..."},
		{"memory", header(0xf), "f: header: default memory: 1, want 0"},
		{"CPUs", header(0x17), "f: header: default CPUs: 1, want 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.a, reference, tt.want) })
	}
}
