package deb

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"slices"
)

// Numbers of The .xz File Format, version 1.2.1.
const (
	xzMagic       = "\xfd7zXZ\x00" // 2.1.1.1
	xzFooterMagic = "YZ"           // 2.1.2.4
)

// maxBlocks bounds the blocks of a stream: each costs a dictionary. dpkg-deb
// writes one for every 24 MiB at its usual level.
const maxBlocks = 1024

// xzReader decompresses one .xz stream and demands that nothing follows it.
//
// The LZMA2 decoder is that of ulikunitz/xz. Its container reader is not used:
// it allocates whatever dictionary a block header names, up to 4 GiB, and a
// package is read before anybody vouches for it (lock update).
type xzReader struct {
	in         *counter
	dictionary int64 // limit
	flags      [2]byte
	records    []xzRecord
	block      *xzBlock
	err        error
}

// xzRecord is one record of the index: section 4.3.
type xzRecord struct{ unpadded, uncompressed uint64 }

// xzBlock is the block being read.
type xzBlock struct {
	start  int64 // of its header
	sizes  xzRecord
	header xzBlockHeader
	body   int64 // start of the compressed data
	check  hash.Hash
	chunks *chunks
	r      io.Reader
}

// NewXZReader returns a reader of the bytes that one .xz stream unpacks to. It
// refuses a block whose dictionary is larger than the limit given, and reports
// io.EOF only where the input ends too.
func NewXZReader(r io.Reader, dictionary int64) io.Reader {
	return newXZReader(r, dictionary)
}

func newXZReader(r io.Reader, dictionary int64) *xzReader {
	return &xzReader{in: &counter{r: bufio.NewReaderSize(r, 64<<10)}, dictionary: dictionary}
}

// Read implements io.Reader. Every error, io.EOF included, is final.
func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.read(p)
		if errors.Is(err, io.EOF) {
			err = x.endBlock()
		}
		x.err = x.at(err)
		if n > 0 || x.err != nil {
			return n, x.err
		}
	}
	return 0, x.err
}

// at adds the place in the compressed stream; a stream that ends inside one of
// its structures is cut off.
func (x *xzReader) at(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("truncated: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("decompressing xz at %#x: %w", x.in.n, err)
}

// next reads the stream header if it is due, then a block header or the end.
func (x *xzReader) next() error {
	if x.in.n == 0 {
		if err := x.streamHeader(); err != nil {
			return x.at(err)
		}
	}
	start := x.in.n
	size, err := x.in.ReadByte()
	if err != nil {
		return x.at(err)
	}
	if size == 0 { // 4.1, index indicator
		if err := x.end(start); err != nil {
			return x.at(err)
		}
		return io.EOF
	}
	return x.at(x.startBlock(start, size))
}

// streamHeader: section 2.1.1.
func (x *xzReader) streamHeader() error {
	var b [12]byte
	if _, err := io.ReadFull(x.in, b[:]); err != nil {
		return err
	}
	if string(b[:6]) != xzMagic {
		return fmt.Errorf("magic: got %q, want %q", b[:6], xzMagic)
	}
	x.flags = [2]byte(b[6:8])
	if got, want := crc32.ChecksumIEEE(b[6:8]), binary.LittleEndian.Uint32(b[8:]); got != want {
		return fmt.Errorf("stream header: crc32: got %08x, want %08x", got, want)
	}
	if x.flags[0] != 0 {
		return fmt.Errorf("stream flags: got %#02x, want 0", x.flags[0])
	}
	_, err := newCheck(x.flags[1])
	return err
}

// newCheck returns the hash of a check ID: section 2.1.1.2. dpkg-deb writes
// CRC32 or CRC64; "none" is refused with the rest.
func newCheck(id byte) (hash.Hash, error) {
	switch id {
	case 0x01:
		return crc32.NewIEEE(), nil
	case 0x04:
		return crc64.New(crc64.MakeTable(crc64.ECMA)), nil
	case 0x0a:
		return sha256.New(), nil
	default:
		return nil, fmt.Errorf("integrity check: got ID %#02x, want CRC32, CRC64 or SHA-256", id)
	}
}

// checkBytes is the check as the stream has it: CRCs are little endian (3.4).
func checkBytes(h hash.Hash) []byte {
	sum := h.Sum(nil)
	if h.Size() != sha256.Size {
		slices.Reverse(sum)
	}
	return sum
}

func (x *xzReader) startBlock(start int64, size byte) error {
	if len(x.records) == maxBlocks {
		return fmt.Errorf("limit of %d blocks exceeded", maxBlocks)
	}
	b := make([]byte, (int(size)+1)*4) // 3.1.1
	b[0] = size
	if _, err := io.ReadFull(x.in, b[1:]); err != nil {
		return err
	}
	header, err := decodeBlockHeader(b)
	if err != nil {
		return fmt.Errorf("block header: %w", err)
	}
	if header.dictionary > x.dictionary {
		return fmt.Errorf("block header: dictionary: got %d bytes, limit is %d", header.dictionary, x.dictionary)
	}
	check, err := newCheck(x.flags[1])
	if err != nil {
		return err
	}
	blk := &xzBlock{start: start, body: x.in.n, header: header, check: check}
	if blk.r, blk.chunks, err = newLZMA2(x.in, header.window()); err != nil {
		return err
	}
	x.block = blk
	return nil
}

// read returns io.EOF at the end of the LZMA2 data.
func (b *xzBlock) read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.sizes.uncompressed += uint64(n)
	if b.header.hasSize && b.sizes.uncompressed > b.header.uncompressed {
		return 0, fmt.Errorf("block: uncompressed size: got more than the %d bytes of its header", b.header.uncompressed)
	}
	if _, werr := b.check.Write(p[:n]); werr != nil {
		return n, werr
	}
	return n, err
}

// endBlock checks what follows the data of a block: sections 3.3 and 3.4.
func (x *xzReader) endBlock() error {
	b := x.block
	x.block = nil
	if err := b.chunks.finish(); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	compressed := uint64(x.in.n - b.body)
	if b.header.hasCompressed && compressed != b.header.compressed {
		return fmt.Errorf("block: compressed size: got %d, want %d", compressed, b.header.compressed)
	}
	if b.header.hasSize && b.sizes.uncompressed != b.header.uncompressed {
		return fmt.Errorf("block: uncompressed size: got %d, want %d", b.sizes.uncompressed, b.header.uncompressed)
	}
	b.sizes.unpadded = uint64(x.in.n-b.start) + uint64(b.check.Size())
	if err := x.zeros(compressed); err != nil {
		return fmt.Errorf("block padding: %w", err)
	}
	want := make([]byte, b.check.Size())
	if _, err := io.ReadFull(x.in, want); err != nil {
		return err
	}
	if got := checkBytes(b.check); !bytes.Equal(got, want) {
		return fmt.Errorf("block: integrity check: got %x, want %x", got, want)
	}
	x.records = append(x.records, b.sizes)
	return nil
}

// zeros reads the padding that brings n to a multiple of four.
func (x *xzReader) zeros(n uint64) error {
	for ; n%4 != 0; n++ {
		c, err := x.in.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return fmt.Errorf("got %#02x, want 0", c)
		}
	}
	return nil
}

// end reads the index (section 4), the stream footer (2.1.2) and the end of
// the input. start is the offset of the index indicator.
func (x *xzReader) end(start int64) error {
	x.in.sum = crc32.NewIEEE()
	if _, err := x.in.sum.Write([]byte{0}); err != nil {
		return err
	}
	if err := x.index(start); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	got := x.in.sum.Sum32()
	x.in.sum = nil
	var b [16]byte // CRC32 of the index, then the footer
	if _, err := io.ReadFull(x.in, b[:]); err != nil {
		return err
	}
	if want := binary.LittleEndian.Uint32(b[:]); got != want {
		return fmt.Errorf("index: crc32: got %08x, want %08x", got, want)
	}
	if err := x.footer(b[4:], x.in.n-12-start); err != nil {
		return fmt.Errorf("stream footer: %w", err)
	}
	if _, err := x.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return errors.New("data behind the end of the stream, want none")
	}
	return nil
}

func (x *xzReader) index(start int64) error {
	count, err := readVLI(x.in)
	if err != nil {
		return err
	}
	if count != uint64(len(x.records)) {
		return fmt.Errorf("number of records: got %d, want %d", count, len(x.records))
	}
	for i, want := range x.records {
		var got xzRecord
		if got.unpadded, err = readVLI(x.in); err != nil {
			return err
		}
		if got.uncompressed, err = readVLI(x.in); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("record %d: got %v, want %v", i, got, want)
		}
	}
	return x.zeros(uint64(x.in.n - start))
}

// footer checks the 12 bytes of the stream footer: section 2.1.2.
func (x *xzReader) footer(b []byte, indexSize int64) error {
	if string(b[10:]) != xzFooterMagic {
		return fmt.Errorf("magic: got %q, want %q", b[10:], xzFooterMagic)
	}
	if got, want := crc32.ChecksumIEEE(b[4:10]), binary.LittleEndian.Uint32(b); got != want {
		return fmt.Errorf("crc32: got %08x, want %08x", got, want)
	}
	if got := (int64(binary.LittleEndian.Uint32(b[4:])) + 1) * 4; got != indexSize {
		return fmt.Errorf("backward size: got %d, want %d", got, indexSize)
	}
	if got := [2]byte(b[8:10]); got != x.flags {
		return fmt.Errorf("flags: got %x, want %x", got, x.flags)
	}
	return nil
}

// counter counts what is taken from the compressed stream, and sums it while
// sum is set.
type counter struct {
	r   *bufio.Reader
	n   int64
	sum hash.Hash32
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.sum != nil {
		if _, werr := c.sum.Write(p[:n]); werr != nil {
			return n, werr
		}
	}
	return n, err
}

func (c *counter) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return b[0], err
}
