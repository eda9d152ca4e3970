// Package container knows the forms in which a disk is delivered: as it is
// (raw), and in the files that QEMU, Azure and Google Compute Engine take.
//
// The content of all but Google's is the same. Google wants whole gibibytes,
// so its partition table says another size of disk, and with it PCR 5 is
// another (specs/image.md, section 2.4). The system partition is the same
// bytes in each.
package container

import (
	"fmt"
	"io"
	"strings"

	"safebox/image/disk"
	"safebox/image/disk/gcp"
	"safebox/image/disk/qcow2"
	"safebox/image/disk/vhd"
)

// Format is a form of a disk.
type Format int

// The formats, in the order in which they are listed.
const (
	Raw Format = iota
	QCOW2
	VHD // fixed, for Azure
	GCP // tar.gz, for Google Compute Engine
)

// Formats lists all.
func Formats() []Format { return []Format{Raw, QCOW2, VHD, GCP} }

// String is the name by which users choose the format.
func (f Format) String() string {
	switch f {
	case Raw:
		return "raw"
	case QCOW2:
		return "qcow2"
	case VHD:
		return "vhd"
	case GCP:
		return "gcp"
	}
	return fmt.Sprintf("format %d", int(f))
}

// Extension is how names of such files end.
func (f Format) Extension() string {
	if f == GCP {
		return ".gcp.tar.gz"
	}
	return "." + f.String()
}

// Parse reads a name.
func Parse(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.String() == name {
			return f, nil
		}
		names = append(names, f.String())
	}
	return 0, fmt.Errorf("disk format: got %q, want one of: %s", name, strings.Join(names, ", "))
}

// Content is the disk as a machine sees it when it is started from the format:
// what PCR 5 is to be predicted from. The seed is that of disk.Assemble.
func (f Format) Content(esp []disk.File, seed string) (*disk.Image, error) {
	if f == GCP {
		return disk.AssembleSize(esp, seed, gcp.GiB) // more than the largest partition takes
	}
	return disk.Assemble(esp, seed)
}

// Encode writes the content in the format. The seed gives the file what
// identity it needs.
func (f Format) Encode(w io.Writer, content *disk.Image, seed string) error {
	switch f {
	case Raw:
		_, err := content.WriteTo(w)
		return err
	case QCOW2:
		return qcow2.Encode(w, content)
	case VHD:
		return vhd.Encode(w, content, disk.UUID(seed, "vhd"))
	case GCP:
		return gcp.Encode(w, content)
	}
	return fmt.Errorf("writing disk: %v: unknown", f)
}
