package image

import (
	"bytes"
	"fmt"
	"slices"

	"safebox/image/disk"
	"safebox/image/disk/container"
)

// Disks lists the names of the containers that a build makes beside the raw
// disk, which every release has.
func Disks() []string {
	var names []string
	for _, f := range container.Formats() {
		if f != container.Raw {
			names = append(names, f.String())
		}
	}
	return names
}

// DiskName is the artifact of a container.
func DiskName(name string) string {
	f, err := container.Parse(name)
	if err != nil {
		return ""
	}
	return "safebox" + f.Extension()
}

// diskSeed fixes every GUID and serial number of the disk.
const diskSeed = "safebox/disk/v1"

// Disk gives the disk image whose one partition boots the UKI, with further
// files on it, none in a release.
func Disk(unified []byte, more ...disk.File) ([]byte, error) {
	return diskAs(container.Raw, unified, more...)
}

func diskAs(f container.Format, unified []byte, more ...disk.File) ([]byte, error) {
	content, err := f.Content(append([]disk.File{{Path: disk.Boot, Data: unified}}, more...), diskSeed)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if f == container.Raw {
		out.Grow(int(content.Size()))
	}
	if err := f.Encode(&out, content, diskSeed); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// addDisks adds the raw disk and the containers that are asked for.
func (o *Options) addDisks(a *Artifacts) error {
	for _, f := range container.Formats() {
		if f != container.Raw && !slices.Contains(o.Disks, f.String()) {
			continue
		}
		b, err := diskAs(f, a.File(UKI))
		if err != nil {
			return fmt.Errorf("disk %v: %w", f, err)
		}
		a.add("safebox"+f.Extension(), b, UKI)
	}
	return nil
}
