// Package vmm turns the description of a guest into the command of the virtual
// machine monitor, and runs it with its software TPM.
//
// It implements the host's side of specs/protocol.md section 4 (platform vtpm,
// by disk and by -kernel) and of specs/image.md section 2.6: every PCI device
// comes without an option ROM, so that PCR 2 holds its separator alone. Options
// are those of QEMU 10.0, "QEMU User Documentation", invocation.
//
// Nothing here is trusted by anybody: a host that starts its guest in another
// way is caught by the guest's measurements, not by this package.
package vmm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"safebox/verifier/guestapi"
)

// Boot says where the firmware finds the appliance.
type Boot string

// The boot paths of specs/protocol.md section 4.
const (
	ESP    Boot = "esp"    // a disk with an EFI system partition
	Kernel Boot = "kernel" // QEMU serves the UKI itself, by fw_cfg
)

// ParseBoot reads a boot path's name.
func ParseBoot(s string) (Boot, error) {
	switch b := Boot(s); b {
	case ESP, Kernel:
		return b, nil
	}
	return "", fmt.Errorf("unknown boot path %q, want esp or kernel", s)
}

// Accel is the way in which guest instructions run.
type Accel string

// The accelerators.
const (
	KVM  Accel = "kvm"
	TCG  Accel = "tcg"  // plain emulation
	Auto Accel = "auto" // KVM where it really works, else TCG: see Choose
)

// ParseAccel reads an accelerator's name.
func ParseAccel(s string) (Accel, error) {
	switch a := Accel(s); a {
	case KVM, TCG, Auto:
		return a, nil
	}
	return "", fmt.Errorf("unknown accelerator %q, want kvm, tcg or auto", s)
}

// Bounds of a machine's shape. OVMF and the appliance need MinMemory to come
// up; the others bound what a typing error can ask for.
const (
	MinMemory = 256 << 20
	MaxMemory = 1 << 40
	MaxVCPUs  = 64
)

// Machine describes a guest.
type Machine struct {
	Name   string // for the host's process list; the guest does not see it
	Boot   Boot
	Disk   string // raw image, read only; for ESP
	UKI    string // for Kernel
	Code   string // OVMF_CODE, read only
	Vars   string // this machine's own copy of OVMF_VARS, written to
	VCPUs  int
	Memory int64 // bytes, whole MiB
	Accel  Accel // KVM or TCG
	Port   int   // loopback TCP port that leads to the guest's API
	TPM    int   // descriptor that the VMM inherits: its end of the TPM emulator's control channel

	// For tests: what a hostile host would do. No flag of a command leads here.
	NetROM string   // option ROM file on the network card
	Extra  []string // further arguments, last
}

// Args is the VMM's command line without the program's name.
func Args(m Machine) ([]string, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("describing machine: %w", err)
	}
	accel, err := accelArgs(m.Accel)
	if err != nil {
		return nil, fmt.Errorf("describing machine: %w", err)
	}
	args := []string{
		"-name", "guest=" + escape(m.Name),
		// Nothing that this list does not name: no default devices, no
		// configuration file of the machine's owner.
		"-nodefaults", "-no-user-config", "-display", "none",
	}
	args = append(args, sandboxArgs()...)
	args = append(args, accel...)
	args = append(args,
		"-machine", "q35,"+absentDevices+",pflash0=code,pflash1=vars",
		"-smp", "cpus="+strconv.Itoa(m.VCPUs),
		"-m", fmt.Sprintf("size=%dM", m.Memory>>20),
		// A guest that resets itself has failed; it is not started again.
		"-no-reboot",
		"-blockdev", fileNode("code", m.Code, true),
		"-blockdev", fileNode("vars", m.Vars, false),
	)
	args = append(args, consoleArgs()...)
	args = append(args, tpmArgs(m.TPM)...)
	args = append(args, netArgs(m.Port, m.NetROM)...)
	args = append(args, bootArgs(m)...)
	return append(args, m.Extra...), nil
}

// absentDevices are the parts of a q35 board that no appliance uses. Each one
// left out is host code that the guest can't reach. PCR 0, 2, 3, 6 and 7 are
// the same with and without them.
const absentDevices = "smm=off,vmport=off,sata=off,usb=off,smbus=off,i8042=off"

// sandboxArgs confines the VMM by seccomp. It needs no new privileges and no
// further processes once it runs.
func sandboxArgs() []string {
	return []string{"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"}
}

func accelArgs(a Accel) ([]string, error) {
	switch a {
	case KVM:
		return []string{"-accel", "kvm", "-cpu", "host"}, nil
	case TCG:
		return []string{"-accel", "tcg,thread=multi", "-cpu", "max"}, nil
	}
	return nil, fmt.Errorf("accelerator %q, want kvm or tcg", a)
}

// fileNode is a block node over a raw file.
func fileNode(name, path string, readOnly bool) string {
	access := "read-only=off"
	if readOnly {
		access = "read-only=on"
	}
	return "driver=raw,node-name=" + name + "," + access + ",file.driver=file,file.filename=" + escape(path)
}

// consoleArgs joins the first serial port with standard output. signal=off:
// the guest's console can't raise signals here.
func consoleArgs() []string {
	return []string{
		"-chardev", "stdio,id=console,signal=off",
		"-serial", "chardev:console",
	}
}

// tpmArgs joins the TPM device with the emulator through an inherited socket.
// There is no socket file: nothing to remove, nothing for others to connect
// to, and no limit of 108 bytes on where the state lies.
func tpmArgs(fd int) []string {
	return []string{
		"-chardev", "socket,id=tpm,fd=" + strconv.Itoa(fd),
		"-tpmdev", "emulator,id=tpm,chardev=tpm",
		"-device", "tpm-crb,tpmdev=tpm",
	}
}

// netArgs is a network that carries connections from this host to the guest's
// API and nothing else: restrict=on keeps the guest from reaching the host or
// the world.
func netArgs(port int, rom string) []string {
	return []string{
		"-netdev", fmt.Sprintf("user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:%d-:%d", port, guestapi.Port),
		"-device", pciDevice("virtio-net-pci,netdev=net", rom),
	}
}

func bootArgs(m Machine) []string {
	if m.Boot == Kernel {
		return []string{"-kernel", m.UKI} // the one path that QEMU takes as it is, commas too
	}
	return []string{
		"-blockdev", fileNode("disk", m.Disk, true),
		// bootindex: the firmware tries this disk alone, and no network boot.
		"-device", pciDevice("virtio-blk-pci,drive=disk,bootindex=0", ""),
	}
}

// pciDevice names the option ROM of every PCI device, none by default: QEMU
// would otherwise bring its own, and the firmware would measure it into PCR 2
// (specs/protocol.md section 4).
func pciDevice(device, rom string) string {
	return device + ",disable-legacy=on,romfile=" + escape(rom)
}

// escape doubles commas, QEMU's separator of options.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

func (m *Machine) check() error {
	switch {
	case m.VCPUs < 1 || m.VCPUs > MaxVCPUs:
		return fmt.Errorf("%d vCPUs, want 1 to %d", m.VCPUs, MaxVCPUs)
	case m.Memory < MinMemory || m.Memory > MaxMemory:
		return fmt.Errorf("%d MiB of memory, want %d to %d", m.Memory>>20, MinMemory>>20, MaxMemory>>20)
	case m.Memory%(1<<20) != 0:
		return fmt.Errorf("%d bytes of memory, want whole MiB", m.Memory)
	case m.Port < 1 || m.Port > 65535:
		return fmt.Errorf("port %d, want 1 to 65535", m.Port)
	case m.TPM < 3:
		return fmt.Errorf("TPM descriptor %d, want 3 or more", m.TPM)
	case m.Name == "":
		return errors.New("no name")
	case m.Boot == ESP && (m.Disk == "" || m.UKI != ""):
		return errors.New("boot path esp: want a disk and no UKI")
	case m.Boot == Kernel && (m.UKI == "" || m.Disk != ""):
		return errors.New("boot path kernel: want a UKI and no disk")
	case m.Boot != ESP && m.Boot != Kernel:
		return fmt.Errorf("boot path %q, want esp or kernel", m.Boot)
	case m.Code == "" || m.Vars == "":
		return errors.New("no firmware: want code and variables")
	}
	for _, s := range []string{m.Name, m.Disk, m.UKI, m.Code, m.Vars, m.NetROM} {
		if strings.ContainsAny(s, "\x00\n") {
			return fmt.Errorf("%q: want no NUL and no newline", s)
		}
	}
	return nil
}
