package e2e

import (
	"encoding/binary"
)

// optionROM is a PCI option ROM with one EFI driver that does nothing: the
// least that a host can add to a network card (UEFI Specification 2.10,
// section 14.4.2, tables 14.1 and 14.2). Firmware loads and measures it.
func optionROM() []byte {
	const (
		imageOffset = 0x40
		pcirOffset  = 0x1c
		unit        = 512
		virtioNet   = 0x1041 // PCI device ID of a virtio 1.x network card
		redHat      = 0x1af4
		driver      = 11 // EFI_IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER
	)
	image := efiDriver()
	size := (imageOffset + len(image) + unit - 1) / unit * unit
	// OVMF 2025.02 passes over a ROM of 2 KiB; padded to 64 KiB it is loaded.
	b := make([]byte, 64<<10)
	le := binary.LittleEndian
	le.PutUint16(b[0x00:], 0xaa55)
	le.PutUint16(b[0x02:], uint16(size/unit)) // InitializationSize
	le.PutUint32(b[0x04:], 0x0ef1)            // EfiSignature
	le.PutUint16(b[0x08:], driver)            // EfiSubsystem
	le.PutUint16(b[0x0a:], 0x8664)            // EfiMachineType
	le.PutUint16(b[0x0c:], 0)                 // CompressionType: none
	le.PutUint16(b[0x16:], imageOffset)       // EfiImageHeaderOffset
	le.PutUint16(b[0x18:], pcirOffset)
	// PCI Data Structure, PCI Firmware Specification 3.0, section 5.1.2.
	p := b[pcirOffset:]
	copy(p, "PCIR")
	le.PutUint16(p[0x04:], redHat)
	le.PutUint16(p[0x06:], virtioNet)
	le.PutUint16(p[0x0a:], 0x18)              // length of this structure
	p[0x0f] = 0x02                            // class code: network controller
	le.PutUint16(p[0x10:], uint16(size/unit)) // image length
	p[0x14] = 3                               // code type: EFI image
	p[0x15] = 0x80                            // indicator: last image
	copy(b[imageOffset:], image)
	return b
}

// efiDriver is a PE32+ boot service driver whose entry point returns
// EFI_SUCCESS.
func efiDriver() []byte {
	const (
		align   = 0x200
		memory  = 0x1000
		dos     = 0x40
		coff    = dos + 4
		opt     = coff + 20
		optSize = 112 + 16*8
		table   = opt + optSize
	)
	code := []byte{0x31, 0xc0, 0xc3} // xor eax, eax; ret
	b := make([]byte, 2*align)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], dos)
	copy(b[dos:], "PE\x00\x00")
	le.PutUint16(b[coff:], 0x8664)
	le.PutUint16(b[coff+2:], 1) // sections
	le.PutUint16(b[coff+16:], optSize)
	le.PutUint16(b[coff+18:], 0x0022) // executable, large addresses
	le.PutUint16(b[opt:], 0x20b)
	le.PutUint32(b[opt+4:], align)   // SizeOfCode
	le.PutUint32(b[opt+16:], memory) // AddressOfEntryPoint
	le.PutUint32(b[opt+20:], memory) // BaseOfCode
	le.PutUint32(b[opt+32:], memory) // SectionAlignment
	le.PutUint32(b[opt+36:], align)  // FileAlignment
	le.PutUint32(b[opt+56:], 2*memory)
	le.PutUint32(b[opt+60:], align) // SizeOfHeaders
	le.PutUint16(b[opt+68:], 11)    // subsystem: boot service driver
	le.PutUint32(b[opt+108:], 16)   // NumberOfRvaAndSizes
	copy(b[table:], ".text")
	le.PutUint32(b[table+8:], uint32(len(code)))
	le.PutUint32(b[table+12:], memory)
	le.PutUint32(b[table+16:], align)
	le.PutUint32(b[table+20:], align)
	le.PutUint32(b[table+36:], 0x60000020)
	copy(b[align:], code)
	return b
}
