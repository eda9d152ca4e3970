package disk

import (
	"bytes"
	"testing"

	"safebox/measure/benchtest"
)

// BenchmarkAssemble lays out and writes a disk with a UKI of real size, and
// compares with copying as many bytes.
func BenchmarkAssemble(b *testing.B) {
	files := []File{{Boot, benchtest.Bytes(14_800_000)}}
	im, err := Assemble(files, seed)
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := im.WriteTo(&out); err != nil {
		b.Fatal(err)
	}
	whole, target := bytes.Clone(out.Bytes()), make([]byte, out.Len())
	benchtest.Ratio(b, "x-of-copy", func() {
		out.Reset()
		im, err := Assemble(files, seed)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := im.WriteTo(&out); err != nil {
			b.Fatal(err)
		}
	}, func() { copy(target, whole) })
}
