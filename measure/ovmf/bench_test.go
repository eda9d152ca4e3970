package ovmf

import (
	"bytes"
	"io"
	"testing"

	"github.com/ulikunitz/xz/lzma"

	"safebox/measure/benchtest"
)

// BenchmarkDXEVolume compares with the decompression of the same bytes by the
// library that it uses.
func BenchmarkDXEVolume(b *testing.B) {
	firmware := realFirmware(b)
	inner, err := unpackAll(firmware)
	if err != nil {
		b.Fatal(err)
	}
	var plain []byte
	for _, v := range inner {
		plain = append(plain, v.bytes...)
	}
	packed := compress(plain)
	benchtest.Ratio(b, "x-of-lzma", func() {
		if _, err := DXEVolume(firmware); err != nil {
			b.Fatal(err)
		}
	}, func() {
		r, err := lzma.NewReader(bytes.NewReader(packed))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkOpen is for an image of 4 MiB. Only its last page is looked at.
func BenchmarkOpen(b *testing.B) {
	firmware := readShared(b, fileUnified)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(firmware); err != nil {
			b.Fatal(err)
		}
	}
}
