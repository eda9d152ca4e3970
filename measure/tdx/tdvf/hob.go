package tdvf

import (
	"encoding/binary"
	"fmt"

	"safebox/measure/ovmf"
)

// Range is a range of guest-physical memory.
type Range struct{ Start, Length uint64 }

// End is the first address behind the range.
func (r Range) End() uint64 { return r.Start + r.Length }

// String is the range as its first address and the one behind it.
func (r Range) String() string { return fmt.Sprintf("%#x..%#x", r.Start, r.End()) }

// A HOB list (UEFI PI 1.8, Volume 3, 5) starts with
// EFI_HOB_HANDOFF_INFO_TABLE (5.3):
//
//	 0  HobType u16 = 1, HobLength u16 = 56, Reserved u32
//	 8  Version              u32 = 9
//	12  BootMode             u32, 0 = BOOT_WITH_FULL_CONFIGURATION
//	16  EfiMemoryTop, EfiMemoryBottom, EfiFreeMemoryTop, EfiFreeMemoryBottom:
//	    u64 each, zero: the monitors leave them to the firmware
//	48  EfiEndOfHobList      u64, an address
//
// then has an EFI_HOB_RESOURCE_DESCRIPTOR (5.5) for each range:
//
//	 0  HobType u16 = 3, HobLength u16 = 48, Reserved u32
//	 8  Owner                16 bytes, zero
//	24  ResourceType         u32
//	28  ResourceAttribute    u32
//	32  PhysicalStart, ResourceLength: u64 each
//
// and ends with a bare header (5.2) of type 0xffff.
const (
	hobHandoff      = 1
	hobHandoffSize  = 56
	hobVersion      = 9
	hobResource     = 3
	hobResourceSize = 48
	hobEnd          = 0xffff
	hobEndSize      = 8
)

// Resource types and attributes of a descriptor (PI 1.8, Volume 3, 5.5, and
// EFI_RESOURCE_MEMORY_UNACCEPTED of 1.8 Errata A).
const (
	resourceSystemMemory = 0 // accepted: added at launch
	resourceUnaccepted   = 7

	attributePresent     = 1
	attributeInitialized = 2
	attributeTested      = 4
	attributesTDVF       = attributePresent | attributeInitialized | attributeTested

	// attributeEarlyAccept asks the firmware to accept the range before it
	// boots an operating system. It is not in PI (gce-tcb-verifier,
	// ovmf/abi/pihob.go, EFIResourceAttributeNeedsEarlyAccept).
	attributeEarlyAccept = 0x10000000
)

// maxHOBSize bounds a HOB list. That of a TD with 4 NUMA nodes has 0.6 kB.
const maxHOBSize = 1 << 20

// resource is one descriptor.
type resource struct {
	Range
	typ, attributes uint32
}

// encodeHOB writes a list without its end; end is what EfiEndOfHobList says.
func encodeHOB(list []resource, end uint64) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, hobHandoffSize+hobResourceSize*len(list)+hobEndSize)
	b = appendHeader(b, hobHandoff, hobHandoffSize)
	b = le.AppendUint32(b, hobVersion)
	b = le.AppendUint32(b, 0)
	b = append(b, make([]byte, 4*8)...)
	b = le.AppendUint64(b, end)
	for _, r := range list {
		b = appendHeader(b, hobResource, hobResourceSize)
		b = append(b, make([]byte, 16)...)
		b = le.AppendUint32(b, r.typ)
		b = le.AppendUint32(b, r.attributes)
		b = le.AppendUint64(b, r.Start)
		b = le.AppendUint64(b, r.Length)
	}
	return b
}

func appendEnd(b []byte) []byte { return appendHeader(b, hobEnd, hobEndSize) }

func appendHeader(b []byte, typ, size uint16) []byte {
	b = binary.LittleEndian.AppendUint16(b, typ)
	b = binary.LittleEndian.AppendUint16(b, size)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// HOB builds the list that QEMU puts at hobGPA: ram in pieces, sorted, each of
// the accepted ranges a piece of its own. The accepted ranges are those of the
// TD_HOB section, which starts at hobGPA, and of every TEMP_MEM section.
//
// The result is without the list's end: so it is measured into RTMR0, as its
// first event, by edk2's TdxHelperMeasureTdHob (OvmfPkg SecTdxHelper.c).
func HOB(ram []Range, hobGPA uint64, accepted []Range) ([]byte, error) {
	ram, accepted = sorted(ram), sorted(accepted)
	if err := checkRanges("RAM", ram); err != nil {
		return nil, err
	}
	if err := checkRanges("accepted memory", accepted); err != nil {
		return nil, err
	}
	room := uint64(0)
	for _, r := range accepted {
		if err := checkInside(r, ram); err != nil {
			return nil, err
		}
		if r.Start == hobGPA {
			room = r.Length
		}
	}
	if room == 0 {
		return nil, fmt.Errorf("TD HOB: no accepted range starts at its address %#x", hobGPA)
	}
	var list []resource
	for _, bank := range ram {
		for _, piece := range split(bank, accepted) {
			typ := uint32(resourceUnaccepted)
			if piece.accepted {
				typ = resourceSystemMemory
			}
			list = append(list, resource{piece.Range, typ, attributesTDVF})
		}
	}
	size := uint64(hobHandoffSize + hobResourceSize*len(list) + hobEndSize)
	if size > min(room, maxHOBSize) {
		return nil, fmt.Errorf("TD HOB: %d ranges: got %d bytes, want at most %d", len(list), size, min(room, maxHOBSize))
	}
	return encodeHOB(list, hobGPA+size), nil
}

// TDHOB builds the list for a TD with so many bytes of memory on QEMU's machine
// q35, see HOB.
func TDHOB(im *ovmf.Image, memory uint64) ([]byte, error) {
	list, err := readSections(im)
	if err != nil {
		return nil, err
	}
	ram, err := Q35RAM(memory)
	if err != nil {
		return nil, err
	}
	hob, err := find(list, ovmf.TDHOB)
	if err != nil {
		return nil, err
	}
	var accepted []Range
	for _, s := range list {
		switch s.Type {
		case ovmf.BFV, ovmf.CFV: // in flash, not in RAM
		case ovmf.TDHOB, ovmf.TempMem:
			if !s.added() {
				return nil, fmt.Errorf("TDX metadata: %v: attributes: got PAGE_AUG, which QEMU does not know", s)
			}
			if s.end() > ram[0].End() {
				return nil, fmt.Errorf("memory below 4 GiB: got %#x bytes, want at least %#x: TDX metadata %v lies there",
					ram[0].Length, s.end(), s)
			}
			accepted = append(accepted, Range{s.GPA, s.MemSize})
		default:
			return nil, fmt.Errorf("TDX metadata: %v: QEMU refuses this type", s)
		}
	}
	return HOB(ram, hob.GPA, accepted)
}
