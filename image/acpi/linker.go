package acpi

import (
	"encoding/binary"
	"fmt"

	"safebox/measure/tdx"
)

// linker checks the commands of etc/table-loader against the files that they
// are about.
type linker struct {
	acpi      *tdx.ACPI
	tables    []Table
	allocated []Allocate
	summed    map[int]bool // by the table's offset
	rsdt      bool         // the RSDP points to a table
	rsdpSum   bool
}

// check goes over the commands in their order. Two files and no other may be
// allocated: the firmware measures every one, and with a further file (a TPM's
// log, a generation ID) RTMR0 would hold an event that nothing here tells of.
func (l *linker) check(commands []Command) error {
	for i, c := range commands {
		var err error
		switch c := c.(type) {
		case Allocate:
			err = l.allocate(c)
		case AddPointer:
			err = l.addPointer(c)
		case AddChecksum:
			err = l.addChecksum(c)
		default:
			err = fmt.Errorf("unknown command %T", c)
		}
		if err != nil {
			return fmt.Errorf("checking %s: command %d at %#x: %w", loaderFile, i, i*commandSize, err)
		}
	}
	if len(l.allocated) != 2 {
		return fmt.Errorf("checking %s: got %d files allocated, want %s and %s", loaderFile, len(l.allocated), rsdpFile, tablesFile)
	}
	for _, t := range l.tables {
		if t.Signature != facs && !l.summed[t.Offset] {
			return fmt.Errorf("checking %s: no checksum for table %s at %#x", loaderFile, t.Signature, t.Offset)
		}
	}
	if !l.rsdt || !l.rsdpSum {
		return fmt.Errorf("checking %s: %s: got no pointer or no checksum, want both", loaderFile, rsdpFile)
	}
	return nil
}

// allocate: etc/acpi/rsdp in the F segment, then etc/acpi/tables in high
// memory (QEMU 10.0, hw/i386/acpi-build.c).
func (l *linker) allocate(c Allocate) error {
	want := []Allocate{{File: rsdpFile, Align: 16, Zone: 2}, {File: tablesFile, Align: 64, Zone: 1}}
	n := len(l.allocated)
	if n == len(want) {
		return fmt.Errorf("file %q: want none beside %s and %s: the firmware measures every file", c.File, rsdpFile, tablesFile)
	}
	if c != want[n] {
		return fmt.Errorf("allocation: got %+v, want %+v", c, want[n])
	}
	l.allocated = append(l.allocated, c)
	return nil
}

// addPointer: a pointer lies within a table, or at the place of the RSDP's, and
// holds the offset of a table.
func (l *linker) addPointer(c AddPointer) error {
	const rsdtAt = 16 // within the RSDP
	if c.To != tablesFile {
		return fmt.Errorf("pointer into %q, want %q", c.To, tablesFile)
	}
	file, err := l.file(c.File)
	if err != nil {
		return err
	}
	if c.Size != 4 && c.Size != 8 {
		return fmt.Errorf("pointer size: got %d, want 4 or 8", c.Size)
	}
	if uint64(c.Offset)+uint64(c.Size) > uint64(len(file)) {
		return fmt.Errorf("pointer at %#x of %s: want it below %#x", c.Offset, c.File, len(file))
	}
	var wide [8]byte
	copy(wide[:c.Size], file[c.Offset:])
	value := binary.LittleEndian.Uint64(wide[:])
	target := ""
	for _, t := range l.tables {
		if uint64(t.Offset) == value {
			target = t.Signature
		}
	}
	if target == "" {
		return fmt.Errorf("pointer at %#x of %s: got %#x, want the offset of a table (tables as a guest sees them have addresses there)", c.Offset, c.File, value)
	}
	if c.File == tablesFile {
		return l.within(c)
	}
	if c.Offset != rsdtAt || c.Size != 4 || target != "RSDT" || l.rsdt {
		return fmt.Errorf("pointer of the RSDP: got one to %s at %d, want one, to RSDT at %d", target, c.Offset, rsdtAt)
	}
	l.rsdt = true
	return nil
}

func (l *linker) within(c AddPointer) error {
	for _, t := range l.tables {
		if int64(c.Offset) >= int64(t.Offset)+tableHeader && int64(c.Offset)+int64(c.Size) <= int64(t.Offset)+int64(t.Size) {
			return nil
		}
	}
	return fmt.Errorf("pointer at %#x of %s: want it within one table", c.Offset, c.File)
}

// addChecksum: once for each table and the RSDP, over the whole of it, and not
// yet there.
func (l *linker) addChecksum(c AddChecksum) error {
	const rsdpSumAt = 8
	file, err := l.file(c.File)
	if err != nil {
		return err
	}
	if uint64(c.Offset) >= uint64(len(file)) {
		return fmt.Errorf("checksum at %#x of %s: want it below %#x", c.Offset, c.File, len(file))
	}
	if file[c.Offset] != 0 {
		return fmt.Errorf("checksum at %#x of %s: got %#02x, want 0 (tables as a guest sees them have checksums there)", c.Offset, c.File, file[c.Offset])
	}
	if c.File == rsdpFile {
		if l.rsdpSum || c.Offset != rsdpSumAt || c.Start != 0 || c.Length != rsdpSize {
			return fmt.Errorf("checksum of %s: got %+v, want one, at %d over %d bytes", c.File, c, rsdpSumAt, rsdpSize)
		}
		l.rsdpSum = true
		return nil
	}
	for _, t := range l.tables {
		if t.Signature == facs || int64(c.Start) != int64(t.Offset) {
			continue
		}
		if int64(c.Length) != int64(t.Size) || int64(c.Offset) != int64(t.Offset)+checksumAt || l.summed[t.Offset] {
			return fmt.Errorf("checksum of %s at %#x: got %+v, want one, at %#x over %d bytes", t.Signature, t.Offset, c, t.Offset+checksumAt, t.Size)
		}
		l.summed[t.Offset] = true
		return nil
	}
	return fmt.Errorf("checksum over %#x of %s: want the start of a table", c.Start, c.File)
}

// file gives the content of an allocated file.
func (l *linker) file(name string) ([]byte, error) {
	for _, a := range l.allocated {
		if a.File != name {
			continue
		}
		if name == rsdpFile {
			return l.acpi.RSDP, nil
		}
		return l.acpi.Tables, nil
	}
	return nil, fmt.Errorf("file %q: not allocated before", name)
}
