package tpm

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"safebox/measure/fat"
	"safebox/measure/gpt"
)

// BootPath is the file that firmware boots from an ESP without a boot entry
// (UEFI 2.10, 3.5.1.1, table 3-4).
const BootPath = "EFI/BOOT/BOOTX64.EFI"

// stubFolders are the places on the ESP where systemd-stub looks for more to
// measure and to hand to the kernel: add-ons, credentials, extensions
// (systemd-stub(7), "Companion Files").
func stubFolders() []string { return []string{BootPath + ".extra.d", "loader"} }

// source is what an Input holds, taken apart.
type source struct {
	uki []byte
	gpt []byte // event data of the partition table, nil if unknown
}

func (in *Input) open() (*source, error) {
	switch in.Boot {
	case ESP:
		if (in.UKI == nil) == (in.Disk == nil) {
			return nil, errors.New("boot from an ESP: want either a disk or a UKI")
		}
		if in.Disk != nil {
			return openDisk(in.Disk, in.DiskSize)
		}
	case Kernel:
		if in.UKI == nil || in.Disk != nil {
			return nil, errors.New("boot by -kernel: want a UKI and no disk")
		}
	default:
		return nil, fmt.Errorf("boot: got %v, want esp or kernel", in.Boot)
	}
	return &source{uki: in.UKI}, nil
}

// openDisk takes the UKI out of the disk's one ESP.
func openDisk(r io.ReaderAt, size int64) (*source, error) {
	table, err := gpt.Decode(r, size)
	if err != nil {
		return nil, fmt.Errorf("reading disk: %w", err)
	}
	var esp *gpt.Partition
	for i := range table.Partitions {
		if table.Partitions[i].Type != gpt.ESP() {
			continue
		}
		if esp != nil {
			return nil, errors.New("reading disk: more than one EFI system partition")
		}
		esp = &table.Partitions[i]
	}
	if esp == nil {
		return nil, errors.New("reading disk: no EFI system partition")
	}
	fs, err := fat.Open(esp.Section(r), esp.Size())
	if err != nil {
		return nil, fmt.Errorf("reading EFI system partition: %w", err)
	}
	if err := checkCompanions(fs.Files()); err != nil {
		return nil, fmt.Errorf("reading EFI system partition: %w", err)
	}
	uki, err := fs.ReadFile(BootPath)
	if err != nil {
		return nil, fmt.Errorf("reading EFI system partition: %w", err)
	}
	return &source{uki: uki, gpt: table.EventData()}, nil
}

// checkCompanions refuses files that the stub would measure too.
func checkCompanions(files []fat.File) error {
	for _, f := range files {
		for _, folder := range stubFolders() {
			if len(f.Path) >= len(folder) && strings.EqualFold(f.Path[:len(folder)], folder) &&
				(len(f.Path) == len(folder) || f.Path[len(folder)] == '/') {
				return fmt.Errorf("%q: systemd-stub may measure what lies there: not supported by this version", f.Path)
			}
		}
	}
	return nil
}
