package gcp

import (
	"bytes"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

// Owner is what the tar says of disk.raw besides its content.
type Owner struct {
	Mode, UID, GID int64
	ModTime        int64 // seconds since 1970
}

// entry is what a reader learns from the header of disk.raw.
type entry struct {
	raw     []byte // with the blocks of the map
	owner   Owner
	size    int64 // of the disk
	extents []sparse.Extent
}

// stored is how much data follows the header.
func (e *entry) stored() int64 {
	var n int64
	for _, x := range e.extents {
		n += x.Size
	}
	return n
}

// readHeader reads the header and the map. Owner, mode and time may be any.
func readHeader(r io.Reader) (*entry, error) {
	b := make([]byte, blockSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, noEOF(err)
	}
	if name := string(bytes.TrimRight(b[:offMode], "\x00")); name != fileName {
		return nil, fmt.Errorf("name: got %q, want %q", name, fileName)
	}
	if got := string(b[offMagic : offMagic+len(magic)]); got != magic {
		return nil, fmt.Errorf("magic: got %q, want %q, the old GNU format", got, magic)
	}
	sum, err := number(b[offChecksum : offChecksum+7])
	if want := checksum(b); err != nil || sum != want || b[offChecksum+7] != ' ' {
		return nil, fmt.Errorf("checksum: got %q, want %06o", b[offChecksum:offChecksum+8], want)
	}
	size, err := number(b[offSize : offSize+12])
	if err != nil {
		return nil, fmt.Errorf("size: %w", err)
	}
	if !sparse.Zero(b[offType+1:offMagic]) || !sparse.Zero(b[offPrefix:offSparse]) || !sparse.Zero(b[offPad:]) {
		return nil, fmt.Errorf("link name, times or padding: got data, want zeros")
	}
	e := &entry{raw: b}
	if err := e.owner.decode(b); err != nil {
		return nil, err
	}
	switch b[offType] {
	case typeRegular:
		e.size, e.extents = size, []sparse.Extent{{Size: size}}
		if !sparse.Zero(b[offSparse:offPad]) {
			return nil, fmt.Errorf("map: got one, want zeros for a file that is not sparse")
		}
	case typeSparse:
		err = e.readMap(r)
	default:
		return nil, fmt.Errorf("type: got %q, want %q (sparse) or %q", b[offType], typeSparse, typeRegular)
	}
	if err != nil {
		return nil, err
	}
	if e.size <= 0 || e.size > maxSize || e.size%GiB != 0 {
		return nil, fmt.Errorf("disk size: got %d, want a multiple of %d up to %d", e.size, GiB, int64(maxSize))
	}
	if got := e.stored(); got != size {
		return nil, fmt.Errorf("size: got %d, want %d, the sum of the map", size, got)
	}
	return e, nil
}

func (o *Owner) decode(b []byte) error {
	for _, f := range []struct {
		name      string
		value     *int64
		off, size int
	}{
		{"mode", &o.Mode, offMode, 8},
		{"owner", &o.UID, offUID, 8},
		{"group", &o.GID, offGID, 8},
		{"time", &o.ModTime, offMtime, 12},
	} {
		v, err := number(b[f.off : f.off+f.size])
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		*f.value = v
	}
	return nil
}

// readMap reads the map of a sparse file: some entries in the header, the
// others in blocks that follow.
func (e *entry) readMap(r io.Reader) (err error) {
	if e.size, err = number(e.raw[offRealSize:offPad]); err != nil {
		return fmt.Errorf("real size: %w", err)
	}
	list := bytes.Clone(e.raw[offSparse:offExtended])
	for more := e.raw[offExtended]; more != 0; {
		if more != 1 || len(list) > maxEntries*sparseSize {
			return fmt.Errorf("map: flag for more: got %d after %d entries, want 0 or 1, and at most %d entries", more, len(list)/sparseSize, maxEntries)
		}
		block := make([]byte, blockSize)
		if _, err := io.ReadFull(r, block); err != nil {
			return fmt.Errorf("map: %w", noEOF(err))
		}
		if sparse.Zero(block[:sparseSize]) || !sparse.Zero(block[offExtended2+1:]) {
			return fmt.Errorf("map: block after %d entries: got no entry or data behind them", len(list)/sparseSize)
		}
		list = append(list, block[:offExtended2]...)
		more = block[offExtended2]
		e.raw = append(e.raw, block...)
	}
	return e.addExtents(list)
}

// addExtents reads a map. An entry without data marks a hole at the end of the
// disk; places for entries that are not needed are zeros.
func (e *entry) addExtents(list []byte) error {
	var last sparse.Extent
	for i := 0; len(list) > 0 && !sparse.Zero(list); i++ {
		offset, err := number(list[:12])
		if err != nil {
			return fmt.Errorf("map: entry %d: offset: %w", i, err)
		}
		size, err := number(list[12:sparseSize])
		if err != nil {
			return fmt.Errorf("map: entry %d: size: %w", i, err)
		}
		x := sparse.Extent{Offset: offset, Size: size}
		ends := size == 0 && offset == e.size
		if offset < last.End() || offset > e.size || size > e.size-offset || (offset|size)%blockSize != 0 || size == 0 && !ends {
			return fmt.Errorf("map: entry %d: got %d bytes at %d, want whole blocks from %d to %d", i, size, offset, last.End(), e.size)
		}
		list = list[sparseSize:]
		if ends {
			if !sparse.Zero(list) {
				return fmt.Errorf("map: entry %d: got one behind the end", i+1)
			}
			break
		}
		e.extents, last = append(e.extents, x), x
	}
	return nil
}
