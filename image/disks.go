package image

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"safebox/image/disk"
	"safebox/image/disk/gcp"
	"safebox/image/disk/qcow2"
	"safebox/image/disk/vhd"
)

// The containers of a disk that a build makes beside the raw one.
const (
	DiskQCOW2 = "qcow2" // QEMU
	DiskVHD   = "vhd"   // Azure: fixed VHD
	DiskGCP   = "gcp"   // Google Compute Engine: disk.raw in a tar.gz
)

// Disks lists them in the order in which they are named.
func Disks() []string { return []string{DiskQCOW2, DiskVHD, DiskGCP} }

// DiskName is the artifact of a container.
func DiskName(container string) string {
	if container == DiskGCP {
		return "safebox.gcp.tar.gz"
	}
	return "safebox." + container
}

// diskSeed fixes every GUID and serial number of the disk.
const diskSeed = "safebox/disk/v1"

// Disk gives the disk image whose one partition boots the UKI, with further
// files on it, none in a release.
func Disk(unified []byte, more ...disk.File) ([]byte, error) {
	return diskOf(unified, 0, func(w io.Writer, im *disk.Image) error {
		_, err := im.WriteTo(w)
		return err
	}, more...)
}

// diskOf assembles a disk of a size, 0 for the smallest, and writes it into its
// container.
func diskOf(unified []byte, size int64, write func(io.Writer, *disk.Image) error, more ...disk.File) ([]byte, error) {
	im, err := disk.AssembleSize(append([]disk.File{{Path: disk.Boot, Data: unified}}, more...), diskSeed, size)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if size == 0 {
		out.Grow(int(im.Size()))
	}
	if err := write(&out, im); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// addDisks adds the raw disk and the containers that are asked for. The raw
// disk has whole mebibytes, as Azure wants them; Google wants whole gibibytes,
// so its backup partition table lies elsewhere, and PCR 5 with it.
func (o *Options) addDisks(a *Artifacts) error {
	unified := a.File(UKI)
	raw, err := Disk(unified)
	if err != nil {
		return err
	}
	a.add(RawDisk, raw, UKI)
	for _, d := range []struct {
		container string
		size      int64
		write     func(io.Writer, *disk.Image) error
	}{
		{DiskQCOW2, 0, func(w io.Writer, im *disk.Image) error { return qcow2.Encode(w, im) }},
		{DiskVHD, 0, func(w io.Writer, im *disk.Image) error { return vhd.Encode(w, im, disk.UUID(diskSeed, "vhd")) }},
		{DiskGCP, gcp.GiB, func(w io.Writer, im *disk.Image) error { return gcp.Encode(w, im) }},
	} {
		if !slices.Contains(o.Disks, d.container) {
			continue
		}
		b, err := diskOf(unified, d.size, d.write)
		if err != nil {
			return fmt.Errorf("disk %s: %w", d.container, err)
		}
		a.add(DiskName(d.container), b, UKI)
	}
	return nil
}
