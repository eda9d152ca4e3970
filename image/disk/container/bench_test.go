package container

import (
	"bytes"
	"testing"

	"safebox/image/disk/disktest"
	"safebox/measure/benchtest"
)

// BenchmarkEncode lays out and writes each format of a disk with a UKI of real
// size, and compares with writing as many bytes as the raw disk has.
func BenchmarkEncode(b *testing.B) {
	esp := disktest.Files(16_000_000)
	raw, err := Raw.Content(esp, disktest.Seed)
	if err != nil {
		b.Fatal(err)
	}
	whole := disktest.Bytes(b, raw)
	target := make([]byte, len(whole))
	for _, f := range Formats() {
		b.Run(f.String(), func(b *testing.B) {
			var out bytes.Buffer
			benchtest.Ratio(b, "x-of-copy", func() {
				out.Reset()
				content, err := f.Content(esp, disktest.Seed)
				if err != nil {
					b.Fatal(err)
				}
				if err := f.Encode(&out, content, disktest.Seed); err != nil {
					b.Fatal(err)
				}
			}, func() { copy(target, whole) })
			b.ReportMetric(float64(out.Len())/1e6, "MB")
		})
	}
}

// BenchmarkOpen opens each format and reads its partition's 16 MB, and
// compares with copying the raw disk.
func BenchmarkOpen(b *testing.B) {
	esp := disktest.Files(16_000_000)
	for _, f := range Formats() {
		content, err := f.Content(esp, disktest.Seed)
		if err != nil {
			b.Fatal(err)
		}
		var file bytes.Buffer
		if err := f.Encode(&file, content, disktest.Seed); err != nil {
			b.Fatal(err)
		}
		whole := make([]byte, 35<<20)
		target, read := make([]byte, len(whole)), make([]byte, 16_000_000)
		b.Run(f.String(), func(b *testing.B) {
			benchtest.Ratio(b, "x-of-copy", func() {
				d, err := Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.ReadAt(read, 2<<20); err != nil {
					b.Fatal(err)
				}
			}, func() { copy(target, whole) })
		})
	}
}
