package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// table is the file allocation table: for each cluster the next one of the
// same file (FATGEN, "FAT Data Structure").
type table struct {
	kind  Type
	raw   []byte
	count uint32 // clusters, numbered from 2
	owned []bool // by cluster number: some file or directory holds it
}

// readTable reads both copies and compares them.
func (f *FS) readTable() error {
	size := f.boot.fatSectors * sectorSize
	// The part beyond the last cluster means nothing and may be of any size.
	used := min(size, ((int64(f.boot.clusters)+2)*int64(f.Type)+7)/8)
	copies := [numFATs][]byte{}
	for i := range copies {
		copies[i] = make([]byte, used)
		if err := readAt(f.r, copies[i], f.boot.fatStart+int64(i)*size); err != nil {
			return fmt.Errorf("FAT %d: %w", i, err)
		}
	}
	if !bytes.Equal(copies[0], copies[1]) {
		return fmt.Errorf("FAT 1: differs from FAT 0")
	}
	f.table = table{kind: f.Type, raw: copies[0], count: f.boot.clusters}
	f.table.owned = make([]bool, f.boot.clusters+2)
	if got := f.table.next(0); byte(got) != f.boot.media || got|0xff != f.table.ones() {
		return fmt.Errorf("FAT entry 0: got 0x%x, want the media byte 0x%02x below ones", got, f.boot.media)
	}
	return nil
}

// ones is the largest value of an entry: 28 bits are used in FAT32.
func (t *table) ones() uint32 {
	if t.kind == FAT32 {
		return 1<<28 - 1
	}
	return 1<<t.kind - 1
}

// next is the entry of cluster n, which must be at most count + 1.
func (t *table) next(n uint32) uint32 {
	switch t.kind {
	case FAT12:
		// Two entries of 12 bits in three bytes.
		at := n + n/2
		v := uint32(t.raw[at]) | uint32(t.raw[at+1])<<8
		if n%2 == 1 {
			return v >> 4
		}
		return v & 0xfff
	case FAT16:
		return uint32(binary.LittleEndian.Uint16(t.raw[2*n:]))
	}
	return binary.LittleEndian.Uint32(t.raw[4*n:]) & t.ones() // the upper 4 bits are reserved
}

// isEnd reports whether v marks the end of a chain. (FATGEN, "FAT Data
// Structure": from ...FF8 on.)
func (t *table) isEnd(v uint32) bool { return v >= t.ones()-7 }

// claim walks the chain that begins at first and marks its clusters as owned.
// A cluster that has an owner already is a cross-link or a loop. The chain must
// have least to most clusters.
func (t *table) claim(first uint32, least, most int64) error {
	count := int64(0)
	for n := first; ; {
		if n < 2 || n-2 >= t.count {
			return fmt.Errorf("cluster chain from %d: got cluster %d after %d clusters, want 2 to %d", first, n, count, t.count+1)
		}
		if t.owned[n] {
			return fmt.Errorf("cluster chain from %d: cluster %d: has an owner already", first, n)
		}
		t.owned[n] = true
		if count++; count > most {
			return fmt.Errorf("cluster chain from %d: got more than %d clusters", first, most)
		}
		if n = t.next(n); t.isEnd(n) {
			break
		}
	}
	if count < least {
		return fmt.Errorf("cluster chain from %d: got %d clusters, want %d", first, count, least)
	}
	return nil
}

// checkLost looks for clusters that are in use by nobody.
func (t *table) checkLost() error {
	for n := uint32(2); n < t.count+2; n++ {
		if v := t.next(n); v != 0 && !t.owned[n] {
			return fmt.Errorf("FAT entry %d: got 0x%x, want 0 as no file holds the cluster", n, v)
		}
	}
	return nil
}

// readChain returns the clusters of a chain that claim has accepted. Runs of
// neighbouring clusters are read at once.
func (f *FS) readChain(first uint32) ([]byte, error) {
	var b []byte
	for n := first; n != 0 && !f.table.isEnd(n); {
		run := int64(1)
		end := f.table.next(n)
		for end == n+uint32(run) {
			end = f.table.next(end)
			run++
		}
		at := len(b)
		b = append(b, make([]byte, run*f.boot.clusterSize)...)
		if err := readAt(f.r, b[at:], f.clusterOffset(n)); err != nil {
			return nil, fmt.Errorf("clusters %d to %d: %w", n, int64(n)+run-1, err)
		}
		n = end
	}
	return b, nil
}

// clusterOffset is where cluster n begins (FATGEN, "FAT Data Structure":
// FirstSectorofCluster).
func (f *FS) clusterOffset(n uint32) int64 {
	return f.boot.dataStart + int64(n-2)*f.boot.clusterSize
}
