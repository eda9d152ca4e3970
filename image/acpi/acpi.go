// Package acpi obtains the ACPI tables that QEMU hands to a guest's firmware,
// from an unmodified QEMU or from a folder, and checks their structure.
//
// A TDX guest's firmware measures them into RTMR0 before it uses them: the fw_cfg
// files etc/table-loader, etc/acpi/rsdp and etc/acpi/tables, as they are. They
// depend on QEMU's version, the machine type, the number of vCPUs, the memory,
// every device, and on what the firmware programmed into the PCI devices before
// it read them. So nobody writes them down; QEMU is asked.
//
// Documents: QEMU 10.0, docs/specs/fw_cfg.rst (fw_cfg by I/O ports), system/qtest.c
// (the test protocol) and hw/acpi/bios-linker-loader.c (the loader's commands);
// Intel 82G33 GMCH and ICH9 datasheets (the q35's registers); PCI Local Bus 3.0,
// section 6.2.5.1 (sizes of BARs); ACPI 6.5, section 5.2 (tables).
package acpi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"safebox/measure/tdx"
)

// The fw_cfg files that hold the tables.
const (
	loaderFile = "etc/table-loader"
	rsdpFile   = "etc/acpi/rsdp"
	tablesFile = "etc/acpi/tables"
)

// Sizes of the files (QEMU 10.0, hw/i386/acpi-build.c: ACPI_BUILD_ALIGN_SIZE,
// ACPI_BUILD_TABLE_SIZE, ACPI_BUILD_TABLE_MAX_SIZE; hw/acpi/bios-linker-loader.c).
const (
	loaderUnit = 0x1000
	loaderMax  = 0x10000
	rsdpSize   = 20 // ACPI 1.0 form, revision 0
	tablesUnit = 0x20000
	tablesMax  = 0x200000
)

// Table is one ACPI table within etc/acpi/tables.
type Table struct {
	Signature string
	Offset    int
	Size      int
}

// tableHeader is the size of a table's header, and checksumAt where the
// checksum lies in it (ACPI 6.5, table 5.4). FACS has neither, only a signature
// and a length (ACPI 6.5, table 5.12).
const (
	tableHeader = 36
	checksumAt  = 9
	facs        = "FACS"
	facsSize    = 64
)

// Decode lists the tables within etc/acpi/tables: one after the other, then
// zeros up to the end.
func Decode(b []byte) ([]Table, error) {
	if len(b) == 0 || len(b)%tablesUnit != 0 || len(b) > tablesMax {
		return nil, fmt.Errorf("parsing %s: length: got %d, want a multiple of %d up to %d", tablesFile, len(b), tablesUnit, tablesMax)
	}
	var list []Table
	off := 0
	for off < len(b) && b[off] != 0 {
		t, err := decodeTable(b, off)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: table %d at %#x: %w", tablesFile, len(list), off, err)
		}
		list = append(list, t)
		off += t.Size
	}
	if rest := bytes.TrimLeft(b[off:], "\x00"); len(rest) > 0 {
		return nil, fmt.Errorf("parsing %s: after the last table: got %#02x at %#x, want zeros", tablesFile, rest[0], len(b)-len(rest))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("parsing %s: no table", tablesFile)
	}
	return list, nil
}

func decodeTable(b []byte, off int) (Table, error) {
	rest := b[off:]
	if len(rest) < tableHeader {
		return Table{}, fmt.Errorf("header: got %d bytes, want %d", len(rest), tableHeader)
	}
	for _, c := range rest[:4] {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return Table{}, fmt.Errorf("signature: got %q, want four letters or digits", rest[:4])
		}
	}
	size := binary.LittleEndian.Uint32(rest[4:])
	if size < tableHeader || uint64(size) > uint64(len(rest)) {
		return Table{}, fmt.Errorf("length: got %d, want %d to %d", size, tableHeader, len(rest))
	}
	if string(rest[:4]) == facs && size != facsSize {
		return Table{}, fmt.Errorf("length of %s: got %d, want %d", facs, size, facsSize)
	}
	return Table{Signature: string(rest[:4]), Offset: off, Size: int(size)}, nil
}

// Check tells whether the three files belong together and are as QEMU hands
// them out: what a guest's kernel shows are the tables after the firmware put
// addresses and checksums in, which nothing measures.
func Check(a *tdx.ACPI) error {
	if err := checkRSDP(a.RSDP); err != nil {
		return err
	}
	tables, err := Decode(a.Tables)
	if err != nil {
		return err
	}
	commands, err := DecodeLoader(a.Loader)
	if err != nil {
		return err
	}
	l := linker{acpi: a, tables: tables, summed: map[int]bool{}}
	return l.check(commands)
}

// checkRSDP checks etc/acpi/rsdp (ACPI 1.0, section 5.2.4):
//
//	signature  8 bytes  "RSD PTR "
//	checksum   u8       0: the firmware puts it in
//	oemId      6 bytes
//	revision   u8       0
//	rsdt       u32      offset within etc/acpi/tables
func checkRSDP(b []byte) error {
	const signature = "RSD PTR "
	switch {
	case len(b) != rsdpSize:
		return fmt.Errorf("parsing %s: length: got %d, want %d", rsdpFile, len(b), rsdpSize)
	case !strings.HasPrefix(string(b), signature):
		return fmt.Errorf("parsing %s: signature: got %q, want %q", rsdpFile, b[:len(signature)], signature)
	case b[15] != 0:
		return fmt.Errorf("parsing %s: revision at 0xf: got %d, want 0", rsdpFile, b[15])
	}
	return nil
}
