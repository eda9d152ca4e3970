package disk

import (
	"sort"

	"safebox/image/disk/sparse"
)

// ReadAt reads the disk as a machine sees it.
func (im *Image) ReadAt(b []byte, off int64) (int, error) {
	b, end := sparse.Bounds(b, off, im.size)
	clear(b)
	// The first piece that ends behind off.
	i := sort.Search(len(im.pieces), func(i int) bool { return im.pieces[i].end() > off })
	for ; i < len(im.pieces) && im.pieces[i].offset < off+int64(len(b)); i++ {
		p := im.pieces[i]
		if p.offset >= off {
			copy(b[p.offset-off:], p.data)
		} else {
			copy(b, p.data[off-p.offset:])
		}
	}
	return len(b), end
}

// Extents says where the disk holds data.
func (im *Image) Extents() []sparse.Extent {
	list := make([]sparse.Extent, 0, len(im.pieces))
	for _, p := range im.pieces {
		if len(p.data) > 0 {
			list = append(list, sparse.Extent{Offset: p.offset, Size: int64(len(p.data))})
		}
	}
	return list
}

func (p piece) end() int64 { return p.offset + int64(len(p.data)) }
