package acpi

import (
	"fmt"
	"strconv"
)

// Bounds of a machine's shape.
const (
	minMemory = 256 << 20
	maxMemory = 1 << 42
	maxVCPUs  = 512
)

// MachineArgs gives the arguments of QEMU for a machine of our shape on TDX: a
// q35 without the parts that no appliance uses, as safebox-host launches it,
// and without the interrupt controllers of old that TDX has no place for. The
// memory is in bytes, whole MiB. Extra are the devices: for a disk boot
//
//	-device virtio-blk-pci,drive=disk,disable-legacy=on,romfile=
//
// with its -blockdev, and -kernel FILE for a boot without a disk. A device that
// is left out, or stands in another order, changes the tables.
//
// The processor and the confidential guest object are not here: they change no
// table, and TCG, which Read uses, has none of them. So is the firmware.
func MachineArgs(vcpus int, memory uint64, extra ...string) ([]string, error) {
	switch {
	case vcpus < 1 || vcpus > maxVCPUs:
		return nil, fmt.Errorf("describing machine: vCPUs: got %d, want 1 to %d", vcpus, maxVCPUs)
	case memory < minMemory || memory > maxMemory:
		return nil, fmt.Errorf("describing machine: memory: got %d bytes, want %d to %d", memory, int64(minMemory), int64(maxMemory))
	case memory%(1<<20) != 0:
		return nil, fmt.Errorf("describing machine: memory: got %d bytes, want whole MiB", memory)
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35,smm=off,vmport=off,sata=off,usb=off,smbus=off,i8042=off,pic=off",
		"-smp", "cpus=" + strconv.Itoa(vcpus),
		"-m", fmt.Sprintf("size=%dM", memory>>20),
	}
	return append(args, extra...), nil
}
