package igvm

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// PageType is what a page holds.
type PageType uint16

// The types of igvm_defs, IgvmPageDataType.
const (
	Normal  PageType = 0
	Secrets PageType = 1
	CPUID   PageType = 2
	CPUIDXF PageType = 3 // CPUID with XFEM and XSS
)

// String is the type's name.
func (t PageType) String() string {
	names := []string{"normal", "secrets", "cpuid", "cpuid-xf"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("page type %d", uint16(t))
}

// PageFlags say how a page is loaded.
type PageFlags uint32

// The flags of igvm_defs, IgvmPageDataFlags.
const (
	Large      PageFlags = 1 << 0 // 2 MiB
	Unmeasured PageFlags = 1 << 1
	Shared     PageFlags = 1 << 2 // with the host; not in the launch measurement
)

// PageData is a page of the guest's memory (igvm_defs, IGVM_VHS_PAGE_DATA):
//
//	0x00  u64  gpa
//	0x08  u32  compatibility_mask
//	0x0c  u32  file_offset
//	0x10  u32  flags
//	0x14  u16  data_type
//	0x16  u16  reserved
type PageData struct {
	GPA   uint64
	Mask  uint32
	Flags PageFlags
	Type  PageType
	Data  []byte // the whole page; nil if the file has none: zeros
}

// Size is the page's length in bytes.
func (p PageData) Size() uint64 {
	if p.Flags&Large != 0 {
		return largeSize
	}
	return pageSize
}

func (r *reader) pageData(b []byte) (Body, error) {
	mask, err := r.mask(b[8:])
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	p := PageData{Mask: mask, Flags: PageFlags(le.Uint32(b[16:])), Type: PageType(le.Uint16(b[20:]))}
	if p.Flags > Large|Unmeasured|Shared {
		return nil, fmt.Errorf("flags: got %#x, want bits 0 to 2 alone", uint32(p.Flags))
	}
	if p.Type > CPUIDXF {
		return nil, fmt.Errorf("data type: got %d, want 0 to %d", uint16(p.Type), uint16(CPUIDXF))
	}
	if p.Type != Normal && p.Flags != 0 {
		return nil, fmt.Errorf("flags of a page of type %v: got %#x, want 0", p.Type, uint32(p.Flags))
	}
	if p.GPA, err = address(b, p.Size(), p.Size()); err != nil {
		return nil, err
	}
	if p.Data, err = r.data(le.Uint32(b[12:]), p.Size()); err != nil {
		return nil, err
	}
	return p, zero(b[22:])
}

// Append adds the body's bytes.
func (p PageData) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, p.GPA)
	b = le.AppendUint32(b, p.Mask)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(p.Flags))
	b = le.AppendUint16(b, uint16(p.Type))
	return append(b, 0, 0)
}

// vmsaSize is how much of a save area a file must have: to the end of the YMM
// registers (igvm/src/snp_defs.rs, SevVmsa). The rest of its page is zero.
const vmsaSize = 0x670

// VPContext is the initial state of a virtual processor (igvm_defs,
// IGVM_VHS_VP_CONTEXT):
//
//	0x00  u64  gpa
//	0x08  u32  compatibility_mask
//	0x0c  u32  file_offset
//	0x10  u16  vp_index
//	0x12  u16  reserved
type VPContext struct {
	GPA   uint64
	Mask  uint32
	Index uint16
	// VMSA is the save area of SEV-SNP and SEV-ES. Other platforms have other
	// contexts, which this package doesn't read: then it is nil.
	VMSA []byte
}

func (r *reader) vpContext(b []byte) (Body, error) {
	mask, err := r.mask(b[8:])
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	v := VPContext{Mask: mask, Index: le.Uint16(b[16:])}
	if v.GPA, err = address(b, pageSize, pageSize); err != nil {
		return nil, err
	}
	saved, other := false, false
	for _, p := range r.platforms {
		if p.Mask&mask != 0 {
			save := p.Type == SNP || p.Type == SEVES
			saved, other = saved || save, other || !save
		}
	}
	if saved && other {
		return nil, fmt.Errorf("compatibility mask: got %#x, want platforms whose contexts have one form", mask)
	}
	if saved {
		offset := le.Uint32(b[12:])
		if offset == 0 {
			return nil, errors.New("file offset: got 0, want that of a save area")
		}
		if v.VMSA, err = r.data(offset, vmsaSize); err != nil {
			return nil, err
		}
	}
	return v, zero(b[18:])
}

// Page is the save area as it is loaded and measured: a whole page.
func (v VPContext) Page() *[pageSize]byte {
	page := new([pageSize]byte)
	copy(page[:], v.VMSA)
	return page
}

// Append adds the body's bytes.
func (v VPContext) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, v.GPA)
	b = le.AppendUint32(b, v.Mask)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, v.Index)
	return append(b, 0, 0)
}
