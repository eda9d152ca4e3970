package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

// Sizes that follow from the one cluster size that is written.
const (
	clusterSize     = 1 << clusterBits
	entrySize       = 8                       // of the table of reference counts, L1 and L2
	entriesPerTable = clusterSize / entrySize // of an L2 table, or a cluster of another
	countsPerBlock  = clusterSize * 8 / (1 << refcountOrder)
	bytesPerL2      = entriesPerTable * clusterSize // of the disk: 512 MiB
)

// Encode writes the disk as an image.
func Encode(w io.Writer, d sparse.Disk) error {
	if size := d.Size(); size <= 0 || size > maxSize || size%512 != 0 {
		return fmt.Errorf("writing qcow2: disk size: got %d, want a multiple of 512 up to %d", size, int64(maxSize))
	}
	runs, err := sparse.Runs(d, clusterSize)
	if err != nil {
		return fmt.Errorf("writing qcow2: %w", err)
	}
	l := newLayout(d.Size(), runs)
	if err := l.write(w, d); err != nil {
		return fmt.Errorf("writing qcow2: %w", err)
	}
	return nil
}

// layout says in which cluster of the file everything begins. The header is
// cluster 0.
type layout struct {
	size   int64
	runs   []sparse.Extent
	tables []int64 // the L2 tables that are needed, by their place in L1

	refcountTable, refcountTableLen int64
	refcountBlocks, blocks          int64
	l1, l1Len                       int64
	l2                              int64
	data                            int64
	end                             int64 // clusters of the file
}

func newLayout(size int64, runs []sparse.Extent) *layout {
	l := &layout{size: size, runs: runs}
	var clusters int64
	for _, r := range runs {
		clusters += divUp(r.Size, clusterSize)
		for t := r.Offset / bytesPerL2; t <= (r.End()-1)/bytesPerL2; t++ {
			if n := len(l.tables); n == 0 || l.tables[n-1] != t {
				l.tables = append(l.tables, t)
			}
		}
	}
	l.l1Len = divUp(divUp(size, bytesPerL2), entriesPerTable)
	rest := 1 + l.l1Len + int64(len(l.tables)) + clusters
	// The counts cover the clusters that they take themselves.
	for {
		l.end = rest + l.refcountTableLen + l.blocks
		blocks := divUp(l.end, countsPerBlock)
		table := divUp(blocks, entriesPerTable)
		if blocks == l.blocks && table == l.refcountTableLen {
			break
		}
		l.blocks, l.refcountTableLen = blocks, table
	}
	l.refcountTable = 1
	l.refcountBlocks = l.refcountTable + l.refcountTableLen
	l.l1 = l.refcountBlocks + l.blocks
	l.l2 = l.l1 + l.l1Len
	l.data = l.l2 + int64(len(l.tables))
	return l
}

func (l *layout) header() *header {
	return &header{
		clusterBits:      clusterBits,
		size:             uint64(l.size),
		l1Size:           uint32(divUp(l.size, bytesPerL2)),
		l1Offset:         uint64(l.l1 * clusterSize),
		refcountOffset:   uint64(l.refcountTable * clusterSize),
		refcountClusters: uint32(l.refcountTableLen),
		refcountOrder:    refcountOrder,
		headerLength:     headerSize,
	}
}

func (l *layout) write(w io.Writer, d sparse.Disk) error {
	for _, region := range [][]byte{
		padded(l.header().encode()),
		l.pointers(l.refcountBlocks, l.blocks),
		l.counts(),
		l.l1Table(),
		l.l2Tables(),
	} {
		if _, err := w.Write(region); err != nil {
			return err
		}
	}
	for _, r := range l.runs {
		if _, err := io.Copy(w, io.NewSectionReader(d, r.Offset, r.Size)); err != nil {
			return err
		}
		if rest := r.Size % clusterSize; rest != 0 { // the disk ends within a cluster
			if _, err := w.Write(make([]byte, clusterSize-rest)); err != nil {
				return err
			}
		}
	}
	return nil
}

// padded fills up the last cluster.
func padded(b []byte) []byte {
	return append(b, make([]byte, divUp(int64(len(b)), clusterSize)*clusterSize-int64(len(b)))...)
}

// pointers is the table of reference counts: where its n blocks are, from
// cluster first on.
func (l *layout) pointers(first, n int64) []byte {
	var b []byte
	for i := range n {
		b = binary.BigEndian.AppendUint64(b, uint64((first+i)*clusterSize))
	}
	return padded(b)
}

// counts is every block of reference counts: one for each cluster of the file.
func (l *layout) counts() []byte {
	var b []byte
	for range l.end {
		b = binary.BigEndian.AppendUint16(b, 1)
	}
	return append(b, make([]byte, l.blocks*clusterSize-int64(len(b)))...)
}

func (l *layout) l1Table() []byte {
	b := make([]byte, l.l1Len*clusterSize)
	for i, t := range l.tables {
		binary.BigEndian.PutUint64(b[t*entrySize:], uint64((l.l2+int64(i))*clusterSize)|flagCopied)
	}
	return b
}

// l2Tables are the tables that are needed, each of one cluster.
func (l *layout) l2Tables() []byte {
	b := make([]byte, int64(len(l.tables))*clusterSize)
	next, table := l.data, 0
	for _, r := range l.runs {
		for off := r.Offset; off < r.End(); off += clusterSize {
			for l.tables[table] != off/bytesPerL2 {
				table++
			}
			entry := table*entriesPerTable + int(off%bytesPerL2/clusterSize)
			binary.BigEndian.PutUint64(b[entry*entrySize:], uint64(next*clusterSize)|flagCopied)
			next++
		}
	}
	return b
}
