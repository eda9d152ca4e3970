package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

// Image is the disk that an image holds.
type Image struct {
	ClusterSize int64 // in bytes

	r    io.ReaderAt
	size int64
	maps []mapping // in the order of the disk
}

// mapping says where a run of the disk lies in the file.
type mapping struct {
	sparse.Extent
	host int64
}

// Open reads the image r, which is size bytes long, and checks all but the
// content. What it holds in memory is less than the tables of the image.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	im, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("parsing qcow2: %w", err)
	}
	return im, nil
}

func open(r io.ReaderAt, size int64) (*Image, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	o := newOpener(r, size, h)
	if err := o.claim(0, 1); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	blocks, err := o.refcountBlocks()
	if err != nil {
		return nil, err
	}
	if err := o.walkL1(); err != nil {
		return nil, err
	}
	if err := o.checkCounts(blocks); err != nil {
		return nil, err
	}
	if err := o.checkTail(); err != nil {
		return nil, err
	}
	return &Image{ClusterSize: o.cluster, r: r, size: int64(h.size), maps: o.maps}, nil
}

// opener reads the tables and notes for what each cluster of the file is used.
type opener struct {
	*header
	r       io.ReaderAt
	file    int64 // bytes
	cluster int64 // bytes
	used    []bool
	maps    []mapping
}

func newOpener(r io.ReaderAt, size int64, h *header) *opener {
	cluster := int64(1) << h.clusterBits
	return &opener{header: h, r: r, file: size, cluster: cluster, used: make([]bool, divUp(size, cluster))}
}

// claim notes that n bytes from off are used, and refuses what was used before.
func (o *opener) claim(off uint64, n int64) error {
	if off%uint64(o.cluster) != 0 || off > uint64(o.file) || n > o.file-int64(off) {
		return fmt.Errorf("offset 0x%x: want a multiple of 0x%x, with %d bytes in a file of %d", off, o.cluster, n, o.file)
	}
	first := int64(off) / o.cluster
	for i := first; i < first+divUp(n, o.cluster); i++ {
		if o.used[i] {
			return fmt.Errorf("cluster at 0x%x: used twice", i*o.cluster)
		}
		o.used[i] = true
	}
	return nil
}

// entries calls f for each of the n entries of the table at off.
func (o *opener) entries(off uint64, n int64, f func(i int64, entry uint64) error) error {
	buf := make([]byte, min(o.cluster, n*entrySize))
	for i := int64(0); i < n; {
		b := buf[:min(int64(len(buf)), (n-i)*entrySize)]
		if err := sparse.ReadFull(o.r, b, int64(off)+i*entrySize); err != nil {
			return err
		}
		for ; len(b) > 0; b, i = b[entrySize:], i+1 {
			if err := f(i, binary.BigEndian.Uint64(b)); err != nil {
				return fmt.Errorf("entry %d: %w", i, err)
			}
		}
	}
	return nil
}

// refcountBlocks reads the table of reference counts: the offset of each
// block, 0 where there is none.
func (o *opener) refcountBlocks() ([]uint64, error) {
	if o.refcountClusters == 0 || int64(o.refcountClusters) > int64(len(o.used)) {
		return nil, fmt.Errorf("refcount_table_clusters: got %d, want 1 to %d", o.refcountClusters, len(o.used))
	}
	size := int64(o.refcountClusters) * o.cluster
	if err := o.claim(o.refcountOffset, size); err != nil {
		return nil, fmt.Errorf("refcount table: %w", err)
	}
	perBlock := o.cluster / 2
	blocks := make([]uint64, divUp(int64(len(o.used)), perBlock))
	err := o.entries(o.refcountOffset, size/entrySize, func(i int64, entry uint64) error {
		switch {
		case entry == 0:
			return nil
		case i >= int64(len(blocks)):
			return fmt.Errorf("got 0x%x, want 0 behind the end of the file", entry)
		}
		blocks[i] = entry
		return o.claim(entry, o.cluster)
	})
	if err != nil {
		return nil, fmt.Errorf("refcount table at 0x%x: %w", o.refcountOffset, err)
	}
	return blocks, nil
}

// walkL1 reads L1 and every L2 table.
func (o *opener) walkL1() error {
	entries := o.cluster / entrySize
	perTable := entries * o.cluster
	if want := divUp(int64(o.size), perTable); int64(o.l1Size) != want {
		return fmt.Errorf("l1_size: got %d, want %d for a disk of %d bytes", o.l1Size, want, o.size)
	}
	if err := o.claim(o.l1Offset, int64(o.l1Size)*entrySize); err != nil {
		return fmt.Errorf("L1 table: %w", err)
	}
	err := o.entries(o.l1Offset, int64(o.l1Size), func(i int64, entry uint64) error {
		if entry == 0 {
			return nil
		}
		off, err := o.pointer(entry)
		if err != nil {
			return err
		}
		err = o.entries(off, entries, func(j int64, entry uint64) error {
			return o.mapCluster(i*perTable+j*o.cluster, entry)
		})
		if err != nil {
			return fmt.Errorf("L2 table at 0x%x: %w", off, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("L1 table at 0x%x: %w", o.l1Offset, err)
	}
	return nil
}

// pointer claims the cluster of an entry of L1 or L2.
func (o *opener) pointer(entry uint64) (uint64, error) {
	if entry&^(flagCopied|offsetMask) != 0 {
		return 0, fmt.Errorf("got 0x%x, want no reserved bit", entry)
	}
	off := entry & offsetMask
	if off == 0 || entry&flagCopied == 0 {
		return 0, fmt.Errorf("got 0x%x, want an offset and bit 63, a reference count of one", entry)
	}
	return off, o.claim(off, o.cluster)
}

// mapCluster takes the L2 entry of the cluster at off of the disk.
func (o *opener) mapCluster(off int64, entry uint64) error {
	switch {
	case entry == 0:
		return nil
	case off >= int64(o.size):
		return fmt.Errorf("got 0x%x, want 0 behind the end of the disk", entry)
	case entry == flagZero:
		return nil
	case entry&flagCompressed != 0:
		return fmt.Errorf("got 0x%x: compressed cluster, which is not supported", entry)
	case entry&flagZero != 0:
		return fmt.Errorf("got 0x%x: zero cluster with space set aside, which is not supported", entry)
	}
	host, err := o.pointer(entry)
	if err != nil {
		return err
	}
	if n := len(o.maps); n > 0 {
		last := &o.maps[n-1]
		if last.End() == off && last.host+last.Size == int64(host) {
			last.Size += o.cluster
			return nil
		}
	}
	o.maps = append(o.maps, mapping{sparse.Extent{Offset: off, Size: o.cluster}, int64(host)})
	return nil
}

// checkCounts compares every reference count with what was claimed.
func (o *opener) checkCounts(blocks []uint64) error {
	buf := make([]byte, o.cluster)
	perBlock := o.cluster / 2
	for n, off := range blocks {
		clear(buf) // no block: all counts are 0
		if off != 0 {
			if err := sparse.ReadFull(o.r, buf, int64(off)); err != nil {
				return fmt.Errorf("refcount block: %w", err)
			}
		}
		for i := range perBlock {
			cluster, got, want := int64(n)*perBlock+i, binary.BigEndian.Uint16(buf[2*i:]), uint16(0)
			if cluster < int64(len(o.used)) && o.used[cluster] {
				want = 1
			}
			if got != want {
				return fmt.Errorf("refcount block at 0x%x: cluster at 0x%x: got count %d, want %d", off, cluster*o.cluster, got, want)
			}
		}
	}
	return nil
}

// checkTail cuts the last cluster at the end of the disk and wants zeros
// behind it.
func (o *opener) checkTail() error {
	if len(o.maps) == 0 {
		return nil
	}
	last := &o.maps[len(o.maps)-1]
	over := last.End() - int64(o.size)
	if over <= 0 {
		return nil
	}
	last.Size -= over
	b := make([]byte, over)
	if err := sparse.ReadFull(o.r, b, last.host+last.Size); err != nil {
		return err
	}
	if !sparse.Zero(b) {
		return fmt.Errorf("cluster at 0x%x: got data behind the end of the disk, want zeros", last.host+last.Size)
	}
	return nil
}
