package gcp

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"

	"safebox/image/disk/sparse"
)

const (
	// MaxData bounds what of a disk is not zeros, and so what a reader holds
	// in memory: twice what package disk writes.
	MaxData = 512 << 20
	// maxEntries bounds the map of a disk, maxTail the zeros behind its data.
	maxEntries = 1 << 16
	maxTail    = 64 << 10

	// chunk is how much is read, and kept or dropped, together.
	chunk = 64 << 10
)

// Image is the disk in an archive, unpacked: what of it is not zeros is in
// memory.
type Image struct {
	Gzip   gzip.Header
	Header []byte // of disk.raw in the tar, with the map of its holes
	Owner  Owner

	size   int64
	pieces []piece // in the order of the disk
	kept   int64   // bytes in pieces
}

type piece struct {
	offset int64
	data   []byte
}

// Open unpacks the archive r, which is size bytes long.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	im, err := open(bufio.NewReader(io.NewSectionReader(r, 0, size)))
	if err != nil {
		return nil, fmt.Errorf("parsing GCP disk: %w", err)
	}
	return im, nil
}

func open(file *bufio.Reader) (*Image, error) {
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("gzip header: %w", noEOF(err))
	}
	z.Multistream(false)
	im := &Image{Gzip: z.Header}
	h, err := readHeader(z)
	if err != nil {
		return nil, fmt.Errorf("tar header: %w", err)
	}
	im.Header, im.Owner, im.size = h.raw, h.owner, h.size
	if err := im.load(z, h.extents); err != nil {
		return nil, fmt.Errorf("%s: %w", fileName, err)
	}
	if err := readTail(z, h.stored()); err != nil {
		return nil, fmt.Errorf("end of the tar: %w", err)
	}
	if _, err := file.Peek(1); err != io.EOF {
		return nil, fmt.Errorf("behind the gzip: got more data, want the end of the file")
	}
	return im, nil
}

// load reads the data of the extents and keeps what is not zeros.
func (im *Image) load(r io.Reader, extents []sparse.Extent) error {
	buf := make([]byte, chunk)
	for _, e := range extents {
		for off := e.Offset; off < e.End(); {
			b := buf[:min(chunk, e.End()-off)]
			if _, err := io.ReadFull(r, b); err != nil {
				return fmt.Errorf("at 0x%x: %w", off, noEOF(err))
			}
			if !sparse.Zero(b) {
				if im.kept += int64(len(b)); im.kept > MaxData {
					return fmt.Errorf("at 0x%x: got more than %d bytes that are not zeros", off, MaxData)
				}
				im.pieces = append(im.pieces, piece{off, bytes.Clone(b)})
			}
			off += int64(len(b))
		}
	}
	return nil
}

// readTail wants the zeros that end a tar: two blocks at least, and whole ones.
func readTail(r io.Reader, stored int64) error {
	// What is stored are whole blocks, so there is no padding before the end.
	b, err := io.ReadAll(io.LimitReader(r, maxTail+1))
	if err != nil {
		return noEOF(err)
	}
	if len(b) < 2*blockSize || len(b) > maxTail || len(b)%blockSize != 0 || !sparse.Zero(b) {
		return fmt.Errorf("behind %d bytes of %s: got %d bytes, want %d to %d zeros, a multiple of %d",
			stored, fileName, len(b), 2*blockSize, maxTail, blockSize)
	}
	return nil
}

// noEOF says that a file which should go on has ended.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Size is the size of the disk in bytes.
func (im *Image) Size() int64 { return im.size }

// ReadAt reads the disk as a machine sees it.
func (im *Image) ReadAt(b []byte, off int64) (int, error) {
	b, end := sparse.Bounds(b, off, im.size)
	clear(b)
	stop := off + int64(len(b))
	i, _ := slices.BinarySearchFunc(im.pieces, off, func(p piece, off int64) int {
		if p.end() <= off {
			return -1
		}
		return 1
	})
	for ; i < len(im.pieces) && im.pieces[i].offset < stop; i++ {
		p := im.pieces[i]
		from, to := max(p.offset, off), min(p.end(), stop)
		copy(b[from-off:to-off], p.data[from-p.offset:])
	}
	return len(b), end
}

// Extents says where the disk holds data.
func (im *Image) Extents() []sparse.Extent {
	list := make([]sparse.Extent, len(im.pieces))
	for i, p := range im.pieces {
		list[i] = sparse.Extent{Offset: p.offset, Size: int64(len(p.data))}
	}
	return list
}

func (p piece) end() int64 { return p.offset + int64(len(p.data)) }
