package eif

import (
	"hash/crc32"
	"io"
)

// bufferSize is how much of a file is held in memory at a time.
const bufferSize = 256 << 10

// checksum is the CRC32 (IEEE 802.3) of the whole file but the field that
// holds it (EIF specification, "eif_crc32"). It shows damage, not intent.
func checksum(r io.ReaderAt, size int64) (uint32, error) {
	h := crc32.NewIEEE()
	buffer := make([]byte, bufferSize)
	for _, part := range []*io.SectionReader{
		io.NewSectionReader(r, 0, offsetCRC),
		io.NewSectionReader(r, headerSize, size-headerSize),
	} {
		n, err := io.CopyBuffer(h, onlyReader{part}, buffer)
		if err != nil {
			return 0, err
		}
		if n != part.Size() {
			return 0, io.ErrUnexpectedEOF
		}
	}
	return h.Sum32(), nil
}

// onlyReader hides SectionReader's WriteTo, which copies in smaller pieces.
type onlyReader struct{ io.Reader }
