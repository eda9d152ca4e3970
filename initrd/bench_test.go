package initrd

import (
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"

	"safebox/initrd/layout"
	"safebox/measure/benchtest"
)

// program is a Go binary, as the init is one: this test's own.
func program(b *testing.B) []byte {
	b.Helper()
	name, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	binary, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return binary
}

func archive(b *testing.B) []byte {
	b.Helper()
	packed, err := Archive(layout.Distro, program(b), []Module{{Name: "virtio_net", Data: benchtest.Bytes(50_000)}})
	if err != nil {
		b.Fatal(err)
	}
	return packed
}

// BenchmarkArchive compares with copying the same bytes.
func BenchmarkArchive(b *testing.B) {
	binary := program(b)
	benchtest.Ratio(b, "x-of-copy", func() {
		if _, err := Archive(layout.Source, binary, nil); err != nil {
			b.Fatal(err)
		}
	}, func() { copy(make([]byte, len(binary)), binary) })
}

// BenchmarkCompress compares with the encoder's default settings: what our
// level costs in time, and what it saves in size.
func BenchmarkCompress(b *testing.B) {
	packed := archive(b)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs []byte
	benchtest.Ratio(b, "x-of-default-level", func() {
		if ours, err = Compress(packed); err != nil {
			b.Fatal(err)
		}
	}, func() { theirs = enc.EncodeAll(packed, nil) })
	b.ReportMetric(float64(len(ours))/float64(len(theirs)), "x-of-default-size")
	if err := enc.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDecode compares with decompression alone.
func BenchmarkDecode(b *testing.B) {
	compressed, err := Compress(archive(b))
	if err != nil {
		b.Fatal(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	benchtest.Ratio(b, "x-of-zstd", func() {
		if _, err := Decode(compressed); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := dec.DecodeAll(compressed, nil); err != nil {
			b.Fatal(err)
		}
	})
}
