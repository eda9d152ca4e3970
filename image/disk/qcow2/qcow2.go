// Package qcow2 writes and reads disks in QEMU's format qcow2, version 3, in
// which a cluster of zeros takes no space.
//
// It implements QEMU 10.0, docs/interop/qcow2.rst ("Qcow2 Image File Format"),
// called the specification below.
//
// The bytes depend on the content alone: clusters of 64 KiB, and in the file
// the header, the table and blocks of reference counts, the L1 table, the L2
// tables that are needed, then the clusters of data in the order of the disk.
//
// The reader takes what describes a disk and nothing else: each feature by
// which an image refers to something outside, or could be read in two ways,
// is refused by name, and every reference count must be what the tables say.
package qcow2

import (
	"encoding/binary"
	"fmt"
)

// Magic begins an image (the specification, "Header": magic).
const Magic = "QFI\xfb"

const (
	version = 3
	// headerSize is the shortest header of version 3, without the field for
	// the type of compression.
	headerSize     = 104
	headerSizeLong = 112

	clusterBits    = 16 // what is written: QEMU's default
	minClusterBits = 9
	maxClusterBits = 21 // QEMU's limit

	refcountOrder = 4 // 16 bits for a count, the only width that is written or read

	maxSize = 1 << 40 // of a disk, as in package disk
)

// Bits of table entries (the specification, "Cluster mapping").
const (
	flagCopied     = 1 << 63 // the reference count is exactly one
	flagCompressed = 1 << 62
	flagZero       = 1 << 0
	offsetMask     = 1<<56 - 1<<9
)

// header is the specification, "Header", from the start of the file. All
// numbers are big endian.
type header struct {
	backingOffset    uint64 // 8
	backingSize      uint32 // 16
	clusterBits      uint32 // 20
	size             uint64 // 24
	cryptMethod      uint32 // 32
	l1Size           uint32 // 36, in entries
	l1Offset         uint64 // 40
	refcountOffset   uint64 // 48
	refcountClusters uint32 // 56
	snapshots        uint32 // 60
	snapshotsOffset  uint64 // 64
	incompatible     uint64 // 72
	compatible       uint64 // 80
	autoclear        uint64 // 88
	refcountOrder    uint32 // 96
	headerLength     uint32 // 100
}

// encode gives the header with the mark that ends the extensions, of which
// there are none.
func (h *header) encode() []byte {
	b := append([]byte(Magic), make([]byte, headerSize-len(Magic)+8)...)
	be := binary.BigEndian
	be.PutUint32(b[4:], version)
	be.PutUint64(b[8:], h.backingOffset)
	be.PutUint32(b[16:], h.backingSize)
	be.PutUint32(b[20:], h.clusterBits)
	be.PutUint64(b[24:], h.size)
	be.PutUint32(b[32:], h.cryptMethod)
	be.PutUint32(b[36:], h.l1Size)
	be.PutUint64(b[40:], h.l1Offset)
	be.PutUint64(b[48:], h.refcountOffset)
	be.PutUint32(b[56:], h.refcountClusters)
	be.PutUint32(b[60:], h.snapshots)
	be.PutUint64(b[64:], h.snapshotsOffset)
	be.PutUint64(b[72:], h.incompatible)
	be.PutUint64(b[80:], h.compatible)
	be.PutUint64(b[88:], h.autoclear)
	be.PutUint32(b[96:], h.refcountOrder)
	be.PutUint32(b[100:], h.headerLength)
	return b
}

func decodeHeader(b []byte) (*header, error) {
	be := binary.BigEndian
	if string(b[:4]) != Magic {
		return nil, fmt.Errorf("magic: got %x, want %x", b[:4], Magic)
	}
	if got := be.Uint32(b[4:]); got != version {
		return nil, fmt.Errorf("version: got %d, want %d", got, version)
	}
	return &header{
		backingOffset:    be.Uint64(b[8:]),
		backingSize:      be.Uint32(b[16:]),
		clusterBits:      be.Uint32(b[20:]),
		size:             be.Uint64(b[24:]),
		cryptMethod:      be.Uint32(b[32:]),
		l1Size:           be.Uint32(b[36:]),
		l1Offset:         be.Uint64(b[40:]),
		refcountOffset:   be.Uint64(b[48:]),
		refcountClusters: be.Uint32(b[56:]),
		snapshots:        be.Uint32(b[60:]),
		snapshotsOffset:  be.Uint64(b[64:]),
		incompatible:     be.Uint64(b[72:]),
		compatible:       be.Uint64(b[80:]),
		autoclear:        be.Uint64(b[88:]),
		refcountOrder:    be.Uint32(b[96:]),
		headerLength:     be.Uint32(b[100:]),
	}, nil
}

// divUp is a/b, rounded up.
func divUp(a, b int64) int64 { return (a + b - 1) / b }
