package acpi

import (
	"cmp"
	"fmt"
	"slices"
)

// PCI configuration by I/O ports (PCI Local Bus 3.0, section 3.2.2.3.2).
const (
	addressPort = 0xcf8
	configPort  = 0xcfc
)

// Registers of a device's configuration space (PCI Local Bus 3.0, section 6.1
// and 6.2.5.1).
const (
	idRegister      = 0x00 // u16 vendor, u16 device
	commandRegister = 0x04 // u16 command, u16 status
	headerRegister  = 0x0c // header type in the third byte
	barRegister     = 0x10 // of six
	bars            = 6

	commandMemory = 0x2    // answers to memory accesses
	multiFunction = 0x80   // in the header type
	barIO         = 0x1    // in a BAR: I/O space
	barType       = 0x6    // in a BAR: 0 is 32 bits wide, 4 is 64
	bar64         = 0x4    //
	barFlags      = 0xf    // of a memory BAR
	absent        = 0xffff // vendor of an empty slot
)

// function is a device's function on bus 0.
type function struct{ device, number int }

func (f function) String() string { return fmt.Sprintf("00:%02x.%d", f.device, f.number) }

func (f function) address(register int) uint32 {
	return 1<<31 | uint32(f.device)<<11 | uint32(f.number)<<8 | uint32(register)
}

// pci reads and writes configuration space.
type pci struct{ q *qtest }

func (p pci) read(f function, register int) (uint32, error) {
	if err := p.q.out("l", addressPort, f.address(register)); err != nil {
		return 0, err
	}
	return p.q.in(configPort)
}

func (p pci) write(f function, register int, value uint32) error {
	if err := p.q.out("l", addressPort, f.address(register)); err != nil {
		return err
	}
	return p.q.out("l", configPort, value)
}

// chipset does what OVMF does to a q35 before it reads the tables
// (OvmfPkg/Library/PlatformInitLib): it puts the extended configuration space at
// 0xe0000000 (82G33 GMCH, register PCIEXBAR: 256 MiB, enabled) and the power
// management registers at 0x600 (ICH9, registers PMBASE and ACPI_CNTL: enabled).
func (p pci) chipset() error {
	host, lpc := function{0, 0}, function{0x1f, 0}
	for _, c := range []struct {
		at   function
		id   uint32
		name string
	}{{host, 0x29c08086, "82G33 host bridge"}, {lpc, 0x29188086, "ICH9 LPC bridge"}} {
		id, err := p.read(c.at, idRegister)
		if err != nil {
			return err
		}
		if id != c.id {
			return fmt.Errorf("PCI device %v: got %#08x, want %#08x (the q35's %s)", c.at, id, c.id, c.name)
		}
	}
	if err := p.write(host, 0x64, 0); err != nil {
		return err
	}
	if err := p.write(host, 0x60, 0xe0000001); err != nil {
		return err
	}
	if err := p.write(lpc, 0x40, 0x600); err != nil {
		return err
	}
	if err := p.q.out("l", addressPort, lpc.address(0x44)); err != nil {
		return err
	}
	return p.q.out("b", configPort, 0x80)
}

// bar is a 64-bit memory BAR.
type bar struct {
	at       function
	register int
	size     uint64
}

// functions lists what is on bus 0. A bridge is refused: the firmware gives the
// buses behind it numbers and windows, which is not done here.
func (p pci) functions() ([]function, error) {
	var list []function
	for device := range 32 {
		for number := range 8 {
			f := function{device, number}
			id, err := p.read(f, idRegister)
			if err != nil {
				return nil, err
			}
			if id&0xffff == absent {
				if number == 0 {
					break // no device without its first function
				}
				continue
			}
			header, err := p.read(f, headerRegister)
			if err != nil {
				return nil, err
			}
			if typ := header >> 16 & 0x7f; typ != 0 {
				return nil, fmt.Errorf("PCI device %v: header type: got %d, want 0: devices behind a bridge are not supported", f, typ)
			}
			list = append(list, f)
			if number == 0 && header>>16&multiFunction == 0 {
				break
			}
		}
	}
	return list, nil
}

// bars64 lists the 64-bit memory BARs of a function.
func (p pci) bars64(f function) ([]bar, error) {
	var list []bar
	for i := 0; i < bars; i++ {
		register := barRegister + 4*i
		low, err := p.probe(f, register)
		if err != nil {
			return nil, err
		}
		if low == 0 || low&barIO != 0 || low&barType != bar64 {
			continue
		}
		i++ // its upper half
		if i == bars {
			return nil, fmt.Errorf("PCI device %v: BAR at %#x: 64 bits wide, and the last one", f, register)
		}
		high, err := p.probe(f, register+4)
		if err != nil {
			return nil, err
		}
		mask := uint64(high)<<32 | uint64(low&^barFlags)
		size := -mask
		if size == 0 || size&(size-1) != 0 {
			return nil, fmt.Errorf("PCI device %v: BAR at %#x: got size %#x, want a power of two", f, register, size)
		}
		list = append(list, bar{at: f, register: register, size: size})
	}
	return list, nil
}

// probe writes ones and returns what stays, then writes back what was there.
func (p pci) probe(f function, register int) (uint32, error) {
	before, err := p.read(f, register)
	if err != nil {
		return 0, err
	}
	if err := p.write(f, register, 0xffffffff); err != nil {
		return 0, err
	}
	mask, err := p.read(f, register)
	if err != nil {
		return 0, err
	}
	return mask, p.write(f, register, before)
}

// program gives every 64-bit memory BAR an address in the firmware's aperture,
// the largest first, and makes the devices answer there. The 64-bit window that
// the DSDT tells of starts at the lowest of them.
func (p pci) program(aperture uint64) error {
	functions, err := p.functions()
	if err != nil {
		return err
	}
	var all []bar
	for _, f := range functions {
		list, err := p.bars64(f)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	if len(all) > 0 && aperture == 0 {
		return fmt.Errorf("PCI device %v: has a 64-bit memory BAR, so the tables depend on where the firmware puts those: got no aperture, want its start", all[0].at)
	}
	slices.SortStableFunc(all, func(a, b bar) int { return cmp.Compare(b.size, a.size) })
	next := aperture
	for _, b := range all {
		aligned := (next + b.size - 1) &^ (b.size - 1)
		if aligned < next || aligned > maxAddress-b.size {
			return fmt.Errorf("PCI device %v: BAR of %#x bytes from %#x: want it below %#x", b.at, b.size, next, uint64(maxAddress))
		}
		if err := p.place(b, aligned); err != nil {
			return err
		}
		next = aligned + b.size
	}
	return nil
}

func (p pci) place(b bar, address uint64) error {
	if err := p.write(b.at, b.register, uint32(address)); err != nil {
		return err
	}
	if err := p.write(b.at, b.register+4, uint32(address>>32)); err != nil {
		return err
	}
	command, err := p.read(b.at, commandRegister)
	if err != nil {
		return err
	}
	// The status half is cleared by ones: zeros leave it.
	return p.write(b.at, commandRegister, command&0xffff|commandMemory)
}
