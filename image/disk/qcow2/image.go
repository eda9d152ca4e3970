package qcow2

import (
	"sort"

	"safebox/image/disk/sparse"
)

// Size is the size of the disk in bytes.
func (im *Image) Size() int64 { return im.size }

// ReadAt reads the disk as a machine sees it.
func (im *Image) ReadAt(b []byte, off int64) (int, error) {
	b, end := sparse.Bounds(b, off, im.size)
	clear(b)
	stop := off + int64(len(b))
	i := sort.Search(len(im.maps), func(i int) bool { return im.maps[i].End() > off })
	for ; i < len(im.maps) && im.maps[i].Offset < stop; i++ {
		m := im.maps[i]
		from, to := max(m.Offset, off), min(m.End(), stop)
		if err := sparse.ReadFull(im.r, b[from-off:to-off], m.host+from-m.Offset); err != nil {
			return 0, err
		}
	}
	return len(b), end
}

// Extents says where the disk holds data.
func (im *Image) Extents() []sparse.Extent {
	list := make([]sparse.Extent, len(im.maps))
	for i, m := range im.maps {
		list[i] = m.Extent
	}
	return list
}
