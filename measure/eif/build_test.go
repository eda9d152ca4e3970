package eif

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
	"testing"

	"safebox/measure/vectortest"
)

const folder = "nitro/eif/"

func testdata() fs.FS { return os.DirFS("../testdata") }

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	return vectortest.File(t, testdata(), folder+name)
}

// realFiles are all images of testdata.
func realFiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := fs.Glob(testdata(), folder+"*.eif")
	if err != nil || len(names) == 0 {
		t.Fatalf("no image in testdata: %v", err)
	}
	files := map[string][]byte{}
	for _, n := range names {
		files[strings.TrimPrefix(n, folder)] = vectortest.File(t, testdata(), n)
	}
	return files
}

func openBytes(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// image is a file to be written. What is nil or zero is written right.
type image struct {
	version, flags uint16
	sections       []section
	trailing       []byte
	patch          func(b []byte) // before the CRC32 is computed
}

type section struct {
	kind Type
	data string
	gap  int // zero bytes before it
}

// good is an image that is right in every respect.
func good() image {
	const metadata = `{"ImageName":"a","ImageVersion":"1","BuildMetadata":{"BuildTime":"","BuildTool":"","BuildToolVersion":"","OperatingSystem":"","KernelVersion":""},"DockerInfo":null}`
	return image{version: 4, sections: []section{
		{kind: KernelSection, data: "kernel"},
		{kind: CommandLineSection, data: "panic=1"},
		{kind: MetadataSection, data: metadata},
		{kind: RamdiskSection, data: "init"},
		{kind: RamdiskSection, data: "application"},
	}}
}

// with replaces one section.
func (im image) with(i int, s section) image {
	list := append([]section(nil), im.sections...)
	list[i] = s
	im.sections = list
	return im
}

// only keeps some sections, in this order.
func (im image) only(which ...int) image {
	var list []section
	for _, i := range which {
		list = append(list, im.sections[i])
	}
	im.sections = list
	return im
}

func (im image) patched(patch func(b []byte)) image {
	im.patch = patch
	return im
}

func (im image) encode() []byte {
	be := binary.BigEndian
	b := make([]byte, 0x224)
	copy(b, ".eif")
	be.PutUint16(b[0x04:], im.version)
	be.PutUint16(b[0x06:], im.flags)
	be.PutUint64(b[0x08:], 1<<30)
	be.PutUint64(b[0x10:], 2)
	be.PutUint16(b[0x1a:], uint16(len(im.sections)))
	for i, s := range im.sections {
		b = append(b, make([]byte, s.gap)...)
		if i < 32 {
			be.PutUint64(b[0x1c+8*i:], uint64(len(b)))
			be.PutUint64(b[0x11c+8*i:], uint64(len(s.data)))
		}
		b = be.AppendUint16(b, uint16(s.kind))
		b = be.AppendUint16(b, 0)
		b = be.AppendUint64(b, uint64(len(s.data)))
		b = append(b, s.data...)
	}
	b = append(b, im.trailing...)
	if im.patch != nil {
		im.patch(b)
	}
	return fixCRC(b)
}

// fixCRC writes the CRC32 that the rest asks for.
func fixCRC(b []byte) []byte {
	if len(b) >= 0x224 {
		sum := crc32.Update(crc32.ChecksumIEEE(b[:0x220]), crc32.IEEETable, b[0x224:])
		binary.BigEndian.PutUint32(b[0x220:], sum)
	}
	return b
}

func put16(at int, v uint16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) }
}

func put64(at int, v uint64) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) }
}
