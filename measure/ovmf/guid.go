package ovmf

import (
	"encoding/binary"
	"fmt"
)

// GUID is an EFI_GUID as it is stored: the first three fields little endian,
// the last eight bytes as written (UEFI 2.10, appendix A).
type GUID [16]byte

// String writes g as UEFI 2.10, appendix A does.
func (g GUID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g[:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

// guid writes the EFI_GUID at the start of b.
func guid(b []byte) string { return GUID(b[:16]).String() }

// GUIDs of the footer table (edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm)
// and of the TDX descriptor (OvmfPkg/ResetVector/X64/IntelTdxMetadata.asm). The
// entries for an SVSM and for IGVM are those of COCONUT-SVSM,
// bootlib/src/firmware.rs; nothing is measured by IGVM metadata, so it is not
// read.
const (
	guidFooter        = "96b582de-1fb2-45f7-baea-a366c55a082d"
	guidResetBlock    = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
	guidHashTable     = "7255371f-3a3b-4b04-927b-1da6efa8d454"
	guidSecret        = "4c2eb361-7d9b-4cc3-8081-127c90d3d294"
	guidSEVMetadata   = "dc886566-984a-4798-a75e-5585a7bf67cc"
	guidTDXMetadata   = "e47a6535-984a-4798-865e-4685a7bf8ec2"
	guidSVSMInfo      = "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd"
	guidIGVMMetadata  = "784fa70e-3176-4677-8a20-04b68699e374"
	guidTDXDescriptor = "e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae"
)

// entryKind is what is known of an entry of the footer table.
type entryKind struct {
	name string
	size int // bytes of data
}

// kindOf looks an entry up. The zero value stands for one that is unknown: its
// data may have any length.
func kindOf(guid string) entryKind {
	switch guid {
	case guidResetBlock:
		return entryKind{"SEV-ES reset block", 4}
	case guidHashTable:
		return entryKind{"SEV hash table", 8}
	case guidSecret:
		return entryKind{"SEV launch secret", 8}
	case guidSEVMetadata:
		return entryKind{"SEV metadata", 4}
	case guidTDXMetadata:
		return entryKind{"TDX metadata", 4}
	case guidSVSMInfo:
		return entryKind{"SVSM info", 4}
	case guidIGVMMetadata:
		return entryKind{"IGVM metadata", 4}
	}
	return entryKind{}
}
