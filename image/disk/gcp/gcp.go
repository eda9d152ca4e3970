// Package gcp writes and reads disks as Google Compute Engine imports them: a
// gzip of a tar with one file, disk.raw, whose size is a multiple of 1 GiB.
//
// It implements:
//   - Google, "Manually import boot disks" (Compute Engine documentation): the
//     name and size of the file, and the form that its command
//     `tar --format=oldgnu -Sczf` gives it: old GNU format, sparse.
//   - GNU tar manual 1.34, "Basic Tar Format" (the old GNU header) and
//     "Storing Sparse Files", "Old GNU Format".
//   - RFC 1952 (gzip) and RFC 1951, section 3.2.4 (stored blocks).
//
// The holes of the disk take no space in the tar. What is left, a kernel and
// an initrd that are compressed already, would shrink by 2 %, so the gzip
// stores it: no compressor's choices show in the bytes, and they cost no more
// than a checksum.
package gcp

import (
	"compress/gzip"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

const (
	// GiB is what the size of a disk is a multiple of.
	GiB = 1 << 30
	// maxSize is the most whole gibibytes that 11 octal digits can say.
	maxSize = 7 * GiB

	fileName = "disk.raw"

	// holeSize is the granularity of holes, that of a page and of most file
	// systems: with smaller ones the map grows more than the data shrinks.
	holeSize = 4096
)

// Encode writes the disk.
func Encode(w io.Writer, d sparse.Disk) error {
	if size := d.Size(); size <= 0 || size > maxSize || size%GiB != 0 {
		return fmt.Errorf("writing GCP disk: disk size: got %d, want a multiple of %d up to %d", size, GiB, int64(maxSize))
	}
	runs, err := sparse.Runs(d, holeSize)
	if err != nil {
		return fmt.Errorf("writing GCP disk: %w", err)
	}
	z, err := gzip.NewWriterLevel(w, gzip.NoCompression) // with no time and no name
	if err != nil {
		return fmt.Errorf("writing GCP disk: %w", err)
	}
	if err := writeTar(z, d, runs); err != nil {
		return fmt.Errorf("writing GCP disk: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing GCP disk: %w", err)
	}
	return nil
}

// writeTar writes the one file and the end of the archive.
func writeTar(w io.Writer, d sparse.Disk, runs []sparse.Extent) error {
	head := header(d.Size(), runs)
	if _, err := w.Write(head); err != nil {
		return err
	}
	written := int64(len(head))
	for _, r := range runs {
		if _, err := io.Copy(w, io.NewSectionReader(d, r.Offset, r.Size)); err != nil {
			return err
		}
		written += r.Size
	}
	// Two blocks of zeros end the archive, and it fills whole records.
	end := written + 2*blockSize
	end += (recordSize - end%recordSize) % recordSize
	_, err := w.Write(make([]byte, end-written))
	return err
}
