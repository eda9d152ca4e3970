package deb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// Control bytes of LZMA2 chunks; the .xz format leaves them to the decoder, so
// the authority is lzma2_decoder.c of XZ Utils 5.4.
const (
	chunkEnd        = 0x00
	chunkStored     = 0x02 // 0x01 resets the dictionary, 0x02 does not
	chunkCompressed = 0x80 // and above
	chunkProperties = 0xc0 // and above: a properties byte follows the sizes
)

// newLZMA2 returns the decoder of ulikunitz/xz over the chunks of one block.
func newLZMA2(in *counter, dictionary int64) (*lzma.Reader2, *chunks, error) {
	c := &chunks{in: in}
	config := lzma.Reader2Config{DictCap: int(max(dictionary, lzma.MinDictCap))}
	r, err := config.NewReader2(c)
	return r, c, err
}

// chunks hands on LZMA2 data and keeps account of where each chunk ends. The
// decoder does not compare a chunk's compressed size with what it used; a
// size that is too large would pass.
type chunks struct {
	in     *counter
	header []byte // of the chunk, what the decoder has not taken yet
	left   int64  // bytes of the chunk's body
	ended  bool
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.header) == 0 && c.left == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.header) > 0 {
		n := copy(p, c.header)
		c.header = c.header[n:]
		return n, nil
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, unexpected(err)
}

// unexpected marks an end inside a chunk: the decoder takes a bare io.EOF
// there for the end of the data.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *chunks) next() error {
	control, err := c.in.ReadByte()
	if err != nil {
		return unexpected(err)
	}
	size := 0 // of the header behind the control byte
	switch {
	case control == chunkEnd:
		c.ended = true
	case control <= chunkStored:
		size = 2 // uncompressed size less one
	case control < chunkCompressed:
		return fmt.Errorf("lzma2 chunk: control byte: got %#02x", control)
	case control < chunkProperties:
		size = 4 // uncompressed size less one, compressed size less one
	default:
		size = 5
	}
	c.header = make([]byte, 1+size)
	c.header[0] = control
	if _, err := io.ReadFull(c.in, c.header[1:]); err != nil {
		return unexpected(err)
	}
	switch size {
	case 2:
		c.left = int64(binary.BigEndian.Uint16(c.header[1:])) + 1
	case 4, 5:
		c.left = int64(binary.BigEndian.Uint16(c.header[3:])) + 1
	}
	return nil
}

// finish checks that the decoder stopped where the chunks do.
func (c *chunks) finish() error {
	if !c.ended || len(c.header) > 0 || c.left > 0 {
		return fmt.Errorf("lzma2 chunk: compressed size: %d bytes more than its data", c.left)
	}
	return nil
}
