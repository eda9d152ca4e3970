package tdx

import (
	"fmt"

	"safebox/measure/eventlog"
)

// FWCfg holds what a firmware of layout L2 measures of QEMU's fw_cfg before
// anything else reads it (edk2, OvmfPkg/Library/QemuFwCfgLib/QemuFwCfgCacheInit.c,
// mCacheFwCfgList), nil for a file that QEMU does not offer. BootMenu is an item
// that is always there.
type FWCfg struct {
	ExtraPCIRoots     []byte // etc/extra-pci-roots, 8 bytes
	BootMenu          []byte // item 0x0e, 2 bytes
	BootMenuWait      []byte // etc/boot-menu-wait, 2 bytes
	ReservedMemoryEnd []byte // etc/reserved-memory-end, 8 bytes
	PCIMMIO64Mb       []byte // opt/ovmf/X-PciMmio64Mb
	BootOrder         []byte // bootorder
}

// linuxBoot is the bootorder of QEMU 10 with -kernel and no device that has a
// boot index: the option ROM that starts the kernel, with its NUL.
const linuxBoot = "/rom@genroms/linuxboot_dma.bin\x00"

// directFWCfg is what QEMU offers with -kernel and no more options.
func directFWCfg() *FWCfg { return &FWCfg{BootMenu: []byte{0, 0}, BootOrder: []byte(linuxBoot)} }

// fwCfgFiles stands for the events of files that are not known.
const fwCfgFiles = "fw_cfg files"

// fwCfg appends the files in the order of edk2's list.
func (s *sequence) fwCfg(in *input) error {
	c, source := in.FWCfg, FromFile
	if c == nil {
		if !in.direct() {
			s.unknown(eventlog.PlatformConfigFlags, fwCfgFiles,
				"fw_cfg files: bootorder follows from the devices' boot indices: give them")
			return nil
		}
		c, source = directFWCfg(), Computed
	}
	if len(c.BootMenu) == 0 {
		return fmt.Errorf("fw_cfg item BootMenu: got none, want 2 bytes: it is always there")
	}
	for _, f := range []struct {
		name string
		data []byte
		size int // 0: any
	}{
		{"etc/extra-pci-roots", c.ExtraPCIRoots, 8},
		{"BootMenu", c.BootMenu, 2},
		{"etc/boot-menu-wait", c.BootMenuWait, 2},
		{"etc/reserved-memory-end", c.ReservedMemoryEnd, 8},
		{"opt/ovmf/X-PciMmio64Mb", c.PCIMMIO64Mb, 0},
		{"bootorder", c.BootOrder, 0},
	} {
		if len(f.data) == 0 {
			continue // the firmware passes over empty files
		}
		if f.size != 0 && len(f.data) != f.size {
			return fmt.Errorf("fw_cfg file %s: got %d bytes, want %d", f.name, len(f.data), f.size)
		}
		s.add(source, eventlog.PlatformConfigFlags, "fw_cfg "+f.name, f.data)
	}
	return nil
}
