package initrd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Compressed modules: The .xz File Format 1.2.1 (2024-04-08).
const (
	xzMagic       = "\xfd7zXZ\x00" // section 2.1.1.1
	xzBlockHeader = 12             // section 2.1: the stream header has 12 bytes, then comes the first block
	xzFilterLZMA2 = "\x21\x01"     // section 5.3.1: filter ID and size of its properties

	// Section 3.1.2, Block Flags.
	blockHasSize        = 0x40
	blockHasContentSize = 0x80

	// maxDictCode is that of 64 MiB (section 5.3.1, Dictionary Size).
	// scripts/Makefile.modinst asks for 1 MiB or 2 MiB.
	maxDictCode = 28
)

// expandModule returns the .ko in b, which may be an .ko.xz.
func expandModule(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte(xzMagic)) {
		return b, checkSize(len(b), maxModule)
	}
	if err := checkBlock(b); err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	// DictCap is a lower bound for the reader, what the block says is taken
	// if it is more.
	r, err := xz.ReaderConfig{DictCap: lzma.MinDictCap, SingleStream: true}.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	ko, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	return ko, checkSize(len(ko), maxModule)
}

// checkBlock reads the header of the first block (section 3.1), because the
// reader allocates whatever dictionary it asks for. It wants LZMA2 alone, which
// is all that modules have.
func checkBlock(b []byte) error {
	if len(b) <= xzBlockHeader {
		return fmt.Errorf("block header at 0x%x: past the end at 0x%x", xzBlockHeader, len(b))
	}
	size := (int(b[xzBlockHeader]) + 1) * 4 // section 3.1.1, Block Header Size
	if size > len(b)-xzBlockHeader {
		return fmt.Errorf("block header at 0x%x: size: got %d, want at most %d", xzBlockHeader, size, len(b)-xzBlockHeader)
	}
	flags, rest := b[xzBlockHeader+1], b[xzBlockHeader+2:xzBlockHeader+size]
	if flags&^(blockHasSize|blockHasContentSize) != 0 {
		return fmt.Errorf("block header at 0x%x: flags: got 0x%02x, want one filter", xzBlockHeader, flags)
	}
	for _, bit := range []byte{blockHasSize, blockHasContentSize} {
		if flags&bit == 0 {
			continue
		}
		_, n := binary.Uvarint(rest) // section 1.2: the same coding, up to 63 bits
		if n <= 0 {
			return fmt.Errorf("block header at 0x%x: sizes: got %x, want integers", xzBlockHeader, rest)
		}
		rest = rest[n:]
	}
	if len(rest) < 3 || string(rest[:2]) != xzFilterLZMA2 || rest[2] > maxDictCode {
		return fmt.Errorf("block header at 0x%x: filter: got %x, want LZMA2 (%x) with a dictionary size code of at most %d", xzBlockHeader, rest, xzFilterLZMA2, maxDictCode)
	}
	return nil
}
