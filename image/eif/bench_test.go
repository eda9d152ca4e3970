package eif

import (
	"crypto/elliptic"
	"crypto/sha512"
	"testing"

	"safebox/measure/benchtest"
)

// release is an image as large as a release's may be: 10 MB.
func release(b *testing.B) Image {
	b.Helper()
	im := good(b)
	im.Kernel = kernel(b, 5_000_000/16)
	copy(im.Kernel[20480:], benchtest.Bytes(5_000_000))
	im.Ramdisks = [][]byte{append([]byte("\x28\xb5\x2f\xfd"), benchtest.Bytes(4_900_000)...)}
	return im
}

// BenchmarkEncode compares with SHA-384 of the same bytes, which whoever
// measures the image computes.
func BenchmarkEncode(b *testing.B) {
	im := release(b)
	image := mustEncode(b, im)
	b.SetBytes(int64(len(image)))
	benchtest.Ratio(b, "x-of-SHA-384", func() { mustEncode(b, im) }, func() { sha512.Sum384(image) })
}

// BenchmarkSign signs, which measures the image, and compares likewise.
func BenchmarkSign(b *testing.B) {
	image := mustEncode(b, release(b))
	key, certificate := newKey(b, elliptic.P384())
	b.SetBytes(int64(len(image)))
	benchtest.Ratio(b, "x-of-SHA-384", func() {
		if _, err := Sign(image, key, certificate); err != nil {
			b.Fatal(err)
		}
	}, func() { sha512.Sum384(image) })
}
