package ovmf

import (
	"encoding/binary"
	"fmt"
)

// The TDX metadata of the Intel TDX Virtual Firmware Design Guide (document
// 344991), as edk2 OvmfPkg/ResetVector/X64/IntelTdxMetadata.asm writes it: a
// GUID, the descriptor, the sections. Fields of a section:
//
//	 0  data offset in the image  u32
//	 4  raw data size             u32
//	 8  memory address            u64
//	16  memory size               u64
//	24  type                      u32
//	28  attributes                u32
const (
	tdxSectionSize        = 32
	tdxSignature          = "TDVF"
	tdxDescriptorGUIDSize = 16
)

// TDXSection is a range of guest memory that TDX prepares at launch, with the
// part of the image that fills it.
type TDXSection struct {
	Offset, RawSize uint32
	GPA, MemSize    uint64
	Type            TDXType
	Attributes      uint32
}

// Attributes of a section.
const (
	MRExtend = 1 << 0 // its contents are measured into MRTD
	PageAug  = 1 << 1 // its memory is added after the launch, not measured
)

// TDXType says what a section is for.
type TDXType uint32

// The section types of IntelTdxMetadata.asm and, from PermMem on, of td-shim
// (td-shim-interface/src/metadata.rs).
const (
	BFV          TDXType = 0 // boot firmware volume: the code
	CFV          TDXType = 1 // configuration firmware volume: the variables
	TDHOB        TDXType = 2 // where the VMM puts the list of memory
	TempMem      TDXType = 3
	PermMem      TDXType = 4
	Payload      TDXType = 5
	PayloadParam TDXType = 6
	TDInfo       TDXType = 7 // data for whoever holds the file: no memory
)

// String returns the name of IntelTdxMetadata.asm or td-shim.
func (t TDXType) String() string {
	switch t {
	case BFV:
		return "BFV"
	case CFV:
		return "CFV"
	case TDHOB:
		return "TD_HOB"
	case TempMem:
		return "TEMP_MEM"
	case PermMem:
		return "PERM_MEM"
	case Payload:
		return "PAYLOAD"
	case PayloadParam:
		return "PAYLOAD_PARAM"
	case TDInfo:
		return "TD_INFO"
	}
	return fmt.Sprintf("TDX section type %d", uint32(t))
}

// hasData reports whether sections of this type hold a part of the image.
func (t TDXType) hasData() bool {
	switch t {
	case TDHOB, TempMem, PermMem:
		return false
	case BFV, CFV, Payload, PayloadParam, TDInfo:
	}
	return true
}

// decodeTDX parses TDX metadata at a distance from the image's end.
func (im *Image) decodeTDX(distance uint32) (offset int, sections []TDXSection, err error) {
	at, b, err := im.metadata(distance, tdxSignature, tdxSectionSize)
	if err != nil {
		return 0, nil, err
	}
	if at < tdxDescriptorGUIDSize {
		return 0, nil, fmt.Errorf("descriptor at %#x: got %d bytes before it, want a GUID of %d", at, at, tdxDescriptorGUIDSize)
	}
	if got := guid(im.Bytes[at-tdxDescriptorGUIDSize:]); got != guidTDXDescriptor {
		return 0, nil, fmt.Errorf("GUID at %#x: got %s, want %s", at-tdxDescriptorGUIDSize, got, guidTDXDescriptor)
	}
	le := binary.LittleEndian
	sections = make([]TDXSection, 0, len(b)/tdxSectionSize)
	for i := 0; i < len(b); i += tdxSectionSize {
		s := TDXSection{
			Offset: le.Uint32(b[i:]), RawSize: le.Uint32(b[i+4:]),
			GPA: le.Uint64(b[i+8:]), MemSize: le.Uint64(b[i+16:]),
			Type: TDXType(le.Uint32(b[i+24:])), Attributes: le.Uint32(b[i+28:]),
		}
		if err := s.check(sections); err != nil {
			return 0, nil, fmt.Errorf("section %d at %#x: %v: %w", len(sections), at+metadataHeaderSize+i, s.Type, err)
		}
		sections = append(sections, s)
	}
	return at, sections, nil
}

// maxGuestMemory is the end of what a guest can address: 52 bits (Intel TDX
// Module Base Architecture Specification, GPA width).
const maxGuestMemory = 1 << 52

// check compares a section with itself and those before it.
func (s TDXSection) check(before []TDXSection) error {
	if s.Type > TDInfo {
		return fmt.Errorf("type: got %d, want 0 to %d", uint32(s.Type), uint32(TDInfo))
	}
	if s.Attributes&^(MRExtend|PageAug) != 0 || s.Attributes == MRExtend|PageAug {
		return fmt.Errorf("attributes: got %#x, want 0, %d (MR_EXTEND) or %d (PAGE_AUG)", s.Attributes, MRExtend, PageAug)
	}
	r := memory{s.GPA, s.MemSize}
	if err := r.checkPages(); err != nil {
		return err
	}
	if s.GPA > maxGuestMemory || s.MemSize > maxGuestMemory-s.GPA {
		return fmt.Errorf("memory: got %#x bytes at %#x, want its end at %#x or below", s.MemSize, s.GPA, uint64(maxGuestMemory))
	}
	if s.Type == TDInfo {
		if s.GPA != 0 || s.MemSize != 0 {
			return fmt.Errorf("memory: got %#x bytes at %#x, want none", s.MemSize, s.GPA)
		}
	} else if uint64(s.RawSize) > s.MemSize {
		return fmt.Errorf("raw data size: got %#x, want at most the memory size %#x", s.RawSize, s.MemSize)
	}
	if !s.Type.hasData() && (s.RawSize != 0 || s.Offset != 0) {
		return fmt.Errorf("raw data: got %#x bytes at %#x, want none", s.RawSize, s.Offset)
	}
	return s.checkOverlap(before)
}

// checkOverlap compares a section's memory and raw data with those of others.
func (s TDXSection) checkOverlap(before []TDXSection) error {
	r, raw := memory{s.GPA, s.MemSize}, memory{uint64(s.Offset), uint64(s.RawSize)}
	for i, o := range before {
		if other := (memory{o.GPA, o.MemSize}); r.overlaps(other) {
			return fmt.Errorf("memory: got %#x to %#x, want no overlap with section %d, %#x to %#x", r.gpa, r.end(), i, other.gpa, other.end())
		}
		if other := (memory{uint64(o.Offset), uint64(o.RawSize)}); raw.overlaps(other) {
			return fmt.Errorf("raw data: got %#x to %#x, want no overlap with section %d, %#x to %#x", raw.gpa, raw.end(), i, other.gpa, other.end())
		}
	}
	return nil
}
