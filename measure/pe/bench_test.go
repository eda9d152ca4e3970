package pe

import (
	"crypto/sha256"
	"crypto/sha512"
	"testing"

	"safebox/measure/benchtest"
)

// kernelSize is that of Debian's cloud kernel.
const kernelSize = 11_708_352

// BenchmarkAuthenticode compares with one plain hash of the file.
func BenchmarkAuthenticode(b *testing.B) {
	stub := read(b, "linuxx64.efi.stub")
	image := append(stub, benchtest.Bytes(kernelSize-len(stub))...)
	f, err := Decode(image)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sha256", func(b *testing.B) {
		benchtest.Ratio(b, "x-of-hash", func() { f.Authenticode(sha256.New()) }, func() { sha256.Sum256(image) })
	})
	b.Run("sha384", func(b *testing.B) {
		benchtest.Ratio(b, "x-of-hash", func() { f.Authenticode(sha512.New384()) }, func() { sha512.Sum384(image) })
	})
}
