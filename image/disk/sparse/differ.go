package sparse

import (
	"slices"
)

// Differ finds the first byte in which two disks differ, of those from off on
// and before end, both of which lie within both disks. Parts that neither has
// data in are not read. It returns -1 if there is none.
func Differ(a, b Disk, off, end int64) (int64, error) {
	var bufA, bufB [unit]byte
	list := slices.Concat(extents(a), extents(b))
	slices.SortFunc(list, func(x, y Extent) int {
		switch {
		case x.Offset < y.Offset:
			return -1
		case x.Offset > y.Offset:
			return 1
		}
		return 0
	})
	for _, e := range list {
		for off = max(off, e.Offset); off < min(e.End(), end); {
			n := min(unit, e.End()-off, end-off)
			if err := ReadFull(a, bufA[:n], off); err != nil {
				return 0, err
			}
			if err := ReadFull(b, bufB[:n], off); err != nil {
				return 0, err
			}
			if i := mismatch(bufA[:n], bufB[:n]); i >= 0 {
				return off + i, nil
			}
			off += n
		}
	}
	return -1, nil
}

// mismatch is the first place where two slices of one length differ, -1 if
// there is none.
func mismatch(a, b []byte) int64 {
	if string(a) == string(b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	return -1
}
