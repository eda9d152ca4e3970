package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

// Types of header extensions (the specification, "Header extensions").
const (
	extensionEnd          = 0x00000000
	extensionFeatureNames = 0x6803f857
	extensionBacking      = 0xe2792aca
	extensionBitmaps      = 0x23852875
	extensionEncryption   = 0x0537be77
	extensionExternal     = 0x44415441

	featureNameSize = 48 // the specification, "Feature name table"
)

// readHeader reads the first cluster and refuses every feature that is more
// than a map of clusters.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	if size < headerSizeLong {
		return nil, fmt.Errorf("file size: got %d, want at least %d", size, headerSizeLong)
	}
	b := make([]byte, headerSizeLong)
	if err := sparse.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	b = make([]byte, min(int64(1)<<h.clusterBits, size))
	if err := sparse.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	if h.headerLength == headerSizeLong && !sparse.Zero(b[headerSize:headerSizeLong]) {
		return nil, fmt.Errorf("compression_type: got %x, want zeros", b[headerSize:headerSizeLong])
	}
	return h, checkExtensions(b, int(h.headerLength))
}

// check looks at the fields in their order.
func (h *header) check() error {
	switch {
	case h.backingOffset != 0 || h.backingSize != 0:
		return fmt.Errorf("backing_file_offset 0x%x, backing_file_size %d: a backing file, which is not supported", h.backingOffset, h.backingSize)
	case h.clusterBits < minClusterBits || h.clusterBits > maxClusterBits:
		return fmt.Errorf("cluster_bits: got %d, want %d to %d", h.clusterBits, minClusterBits, maxClusterBits)
	case h.size == 0 || h.size > maxSize || h.size%512 != 0:
		return fmt.Errorf("size: got %d, want a multiple of 512 up to %d", h.size, int64(maxSize))
	case h.cryptMethod != 0:
		return fmt.Errorf("crypt_method: got %d: encryption, which is not supported", h.cryptMethod)
	case h.snapshots != 0 || h.snapshotsOffset != 0:
		return fmt.Errorf("nb_snapshots %d, snapshots_offset 0x%x: snapshots, which are not supported", h.snapshots, h.snapshotsOffset)
	case h.refcountOrder != refcountOrder:
		return fmt.Errorf("refcount_order: got %d, want %d", h.refcountOrder, refcountOrder)
	case h.headerLength != headerSize && h.headerLength != headerSizeLong:
		return fmt.Errorf("header_length: got %d, want %d or %d", h.headerLength, headerSize, headerSizeLong)
	}
	for _, f := range []struct {
		field string
		bits  uint64
		names []string
	}{
		{"incompatible_features", h.incompatible, []string{"dirty", "corrupt", "external data file", "compression type", "extended L2 entries"}},
		{"compatible_features", h.compatible, []string{"lazy refcounts"}},
		{"autoclear_features", h.autoclear, []string{"bitmaps", "raw external data"}},
	} {
		for i := range 64 {
			if f.bits>>i&1 == 0 {
				continue
			}
			name := "unknown"
			if i < len(f.names) {
				name = f.names[i]
			}
			return fmt.Errorf("%s: got 0x%x: bit %d (%s), which is not supported", f.field, f.bits, i, name)
		}
	}
	return nil
}

// checkExtensions walks the extensions from off to the end of the cluster b.
// The only one there may be is for people.
func checkExtensions(b []byte, off int) error {
	names := false
	for {
		if len(b)-off < 8 {
			return fmt.Errorf("header extension at 0x%x: got %d bytes, want at least 8", off, len(b)-off)
		}
		kind, size := binary.BigEndian.Uint32(b[off:]), int64(binary.BigEndian.Uint32(b[off+4:]))
		if kind == extensionEnd {
			break
		}
		if kind != extensionFeatureNames {
			return fmt.Errorf("header extension at 0x%x: got type 0x%08x (%s), which is not supported", off, kind, extensionName(kind))
		}
		if names || size%featureNameSize != 0 || size > int64(len(b)-off-8) {
			return fmt.Errorf("header extension at 0x%x: feature name table of %d bytes: want one, of a multiple of %d, within %d",
				off, size, featureNameSize, len(b)-off-8)
		}
		names = true
		off += 8 + int(size)
	}
	if !sparse.Zero(b[off:]) {
		return fmt.Errorf("after the header extensions at 0x%x: got data, want zeros", off)
	}
	return nil
}

func extensionName(kind uint32) string {
	switch kind {
	case extensionBacking:
		return "backing file format"
	case extensionBitmaps:
		return "bitmaps"
	case extensionEncryption:
		return "encryption header"
	case extensionExternal:
		return "external data file"
	}
	return "unknown"
}
