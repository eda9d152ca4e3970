package nitro

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"testing"

	"safebox/measure/benchtest"
	"safebox/measure/eif"
)

// section is one of an image to be written.
type section struct {
	kind eif.Type
	data []byte
}

// encode writes an image of format version 3, which needs no metadata.
func encode(list []section) []byte {
	be := binary.BigEndian
	b := make([]byte, 0x224)
	copy(b, ".eif")
	be.PutUint16(b[0x04:], 3)
	be.PutUint16(b[0x1a:], uint16(len(list)))
	for i, s := range list {
		be.PutUint64(b[0x1c+8*i:], uint64(len(b)))
		be.PutUint64(b[0x11c+8*i:], uint64(len(s.data)))
		b = be.AppendUint16(b, uint16(s.kind))
		b = be.AppendUint16(b, 0)
		b = be.AppendUint64(b, uint64(len(s.data)))
		b = append(b, s.data...)
	}
	return fixCRC(b)
}

// fixCRC writes the CRC32 that the rest asks for.
func fixCRC(b []byte) []byte {
	if len(b) >= 0x224 {
		sum := crc32.Update(crc32.ChecksumIEEE(b[:0x220]), crc32.IEEETable, b[0x224:])
		be := binary.BigEndian
		be.PutUint32(b[0x220:], sum)
	}
	return b
}

// large is an image with a kernel of 8 MB and ramdisks of the given sizes.
func large(ramdisks ...int) []byte {
	list := []section{
		{eif.KernelSection, benchtest.Bytes(8_000_000)},
		{eif.CommandLineSection, []byte("console=ttyS0 panic=1")},
	}
	for _, n := range ramdisks {
		list = append(list, section{eif.RamdiskSection, benchtest.Bytes(n)})
	}
	return encode(list)
}

func openLarge(t testing.TB, r io.ReaderAt, size int64) *eif.File {
	t.Helper()
	f, err := eif.OpenOlder(r, size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// BenchmarkPredict opens an image and computes its registers. It compares with
// the hashing that no implementation can do without: every byte once with
// SHA-384, those of the second ramdisk twice, as they are in PCR0 and PCR2
// behind different bytes. The bound hashes on one processor; the second
// ramdisk's two hashes run on two if there are.
func BenchmarkPredict(b *testing.B) {
	for name, ramdisks := range map[string][]int{
		"one ramdisk of 80 MB":  {80_000_000},
		"two ramdisks of 40 MB": {40_000_000, 40_000_000},
	} {
		raw := large(ramdisks...)
		twice := raw[len(raw):]
		if len(ramdisks) > 1 {
			twice = raw[len(raw)-ramdisks[1]:]
		}
		b.Run(name, func(b *testing.B) {
			benchtest.Ratio(b, "x-of-hash-bound", func() {
				if _, err := Predict(Input{Image: openLarge(b, bytes.NewReader(raw), int64(len(raw)))}); err != nil {
					b.Fatal(err)
				}
			}, func() {
				sha512.Sum384(raw)
				sha512.Sum384(twice)
			})
		})
	}
}

// TestMemory: an image of 88 MB takes less than 2 MiB, whatever its ramdisks.
func TestMemory(t *testing.T) {
	raw := large(40_000_000, 40_000_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Predict(Input{Image: openLarge(t, bytes.NewReader(raw), int64(len(raw))), Sections: true})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
		t.Errorf("allocated %d bytes, want at most 2 MiB", got)
	}
}
