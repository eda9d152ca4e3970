package vhd

import "fmt"

// Geometry is what a drive of the days of cylinders would say of the disk. It
// covers at most as much as there is.
type Geometry struct {
	Cylinders       uint16
	Heads           uint8
	SectorsPerTrack uint8
}

// String is cylinders, heads and sectors of a track.
func (g Geometry) String() string {
	return fmt.Sprintf("%d/%d/%d", g.Cylinders, g.Heads, g.SectorsPerTrack)
}

// largest is the geometry of files that mean the size alone to count, such as
// those of qemu-img with force_size.
func largest() Geometry { return newGeometry(maxCylinders*maxHeads*maxTrack, maxHeads, maxTrack) }

// Limits of the specification, appendix "CHS Calculation".
const (
	maxCylinders = 65535
	maxHeads     = 16
	maxTrack     = 255
	ideTrack     = 63 // sectors, the most an IDE drive may have
)

// geometry is the appendix "CHS Calculation": the shortest track of 17, 31 or
// 63 sectors with which there are fewer than 1024 cylinders, else 63 or 255.
func geometry(sectors uint64) Geometry {
	sectors = min(sectors, maxCylinders*maxHeads*maxTrack)
	if sectors >= maxCylinders*maxHeads*ideTrack {
		return newGeometry(sectors, maxHeads, maxTrack)
	}
	// The number of tracks, and heads enough for them.
	tracks := sectors / 17
	heads := max((tracks+1023)/1024, 4)
	if tracks < heads*1024 && heads <= maxHeads {
		return newGeometry(sectors, heads, 17)
	}
	if sectors/31 < maxHeads*1024 {
		return newGeometry(sectors, maxHeads, 31)
	}
	return newGeometry(sectors, maxHeads, ideTrack)
}

func newGeometry(sectors, heads, track uint64) Geometry {
	return Geometry{Cylinders: uint16(sectors / track / heads), Heads: uint8(heads), SectorsPerTrack: uint8(track)}
}
