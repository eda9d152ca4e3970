package igvm

import (
	"encoding/binary"
	"fmt"
)

// Lengths of bodies.
const (
	policySize      = 16
	relocatableSize = 48
	pageTableSize   = 32
	areaSize        = 16
	pageDataSize    = 24
	insertSize      = 16
	contextSize     = 20
	requiredSize    = 24
	parameterSize   = 8
	errorRangeSize  = 16
	vbsSize         = 864
)

// MaxParameterArea bounds a parameter area. The bound is ours; those of
// COCONUT-SVSM have a few pages.
const MaxParameterArea = 64 << 20

// GuestPolicy is what the guest's owner demands of the platform (igvm_defs,
// IGVM_VHS_GUEST_POLICY):
//
//	0x0  u64  policy: that of AMD 56860, section 4.3, for SEV-SNP
//	0x8  u32  compatibility_mask
//	0xc  u32  reserved
type GuestPolicy struct {
	Policy uint64
	Mask   uint32
}

func (r *reader) guestPolicy(b []byte) (Body, error) {
	mask, err := r.mask(b[8:])
	if err != nil {
		return nil, err
	}
	return GuestPolicy{Policy: binary.LittleEndian.Uint64(b), Mask: mask}, zero(b[12:])
}

// Append adds the body's bytes.
func (g GuestPolicy) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, g.Policy)
	b = binary.LittleEndian.AppendUint32(b, g.Mask)
	return append(b, 0, 0, 0, 0)
}

// ParameterArea is memory that the loader fills with facts about the machine
// and then inserts (igvm_defs, IGVM_VHS_PARAMETER_AREA):
//
//	0x0  u64  number_of_bytes
//	0x8  u32  parameter_area_index
//	0xc  u32  file_offset
type ParameterArea struct {
	Size  uint64
	Index uint32
	Data  []byte // what is in it before; nil: zeros
}

func (r *reader) parameterArea(b []byte) (Body, error) {
	le := binary.LittleEndian
	a := ParameterArea{Size: le.Uint64(b), Index: le.Uint32(b[8:])}
	if a.Size == 0 || a.Size%pageSize != 0 || a.Size > MaxParameterArea {
		return nil, fmt.Errorf("number of bytes: got %#x, want a multiple of %#x from there to %#x", a.Size, pageSize, MaxParameterArea)
	}
	if r.areas[a.Index] != nil {
		return nil, fmt.Errorf("parameter area: got index %d a second time", a.Index)
	}
	if r.areas == nil {
		r.areas = make(map[uint32]*area)
	}
	r.areas[a.Index] = &area{size: a.Size}
	var err error
	a.Data, err = r.data(le.Uint32(b[12:]), a.Size)
	return a, err
}

// Append adds the body's bytes.
func (a ParameterArea) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, a.Size)
	b = binary.LittleEndian.AppendUint32(b, a.Index)
	return append(b, 0, 0, 0, 0)
}

// ParameterInsert puts a parameter area into the guest's memory, unmeasured
// (igvm_defs, IGVM_VHS_PARAMETER_INSERT):
//
//	0x0  u64  gpa
//	0x8  u32  compatibility_mask
//	0xc  u32  parameter_area_index
type ParameterInsert struct {
	GPA         uint64
	Mask, Index uint32
}

func (r *reader) parameterInsert(b []byte) (Body, error) {
	mask, err := r.mask(b[8:])
	if err != nil {
		return nil, err
	}
	p := ParameterInsert{Mask: mask, Index: binary.LittleEndian.Uint32(b[12:])}
	a := r.areas[p.Index]
	if a == nil || a.inserted&mask != 0 {
		return nil, fmt.Errorf("parameter area: got index %d, want one that was declared before and not inserted yet", p.Index)
	}
	a.inserted |= mask
	p.GPA, err = address(b, a.size, pageSize)
	return p, err
}

// Append adds the body's bytes.
func (p ParameterInsert) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, p.GPA)
	b = binary.LittleEndian.AppendUint32(b, p.Mask)
	return binary.LittleEndian.AppendUint32(b, p.Index)
}

// Parameter says which fact the loader puts where into a parameter area
// (igvm_defs, IGVM_VHS_PARAMETER): u32 parameter_area_index, u32 byte_offset.
type Parameter struct{ Index, ByteOffset uint32 }

func (r *reader) parameter(b []byte) (Body, error) {
	p := Parameter{Index: binary.LittleEndian.Uint32(b), ByteOffset: binary.LittleEndian.Uint32(b[4:])}
	a := r.areas[p.Index]
	if a == nil {
		return nil, fmt.Errorf("parameter area: got index %d, want one that was declared before", p.Index)
	}
	if uint64(p.ByteOffset) >= a.size {
		return nil, fmt.Errorf("byte offset: got %#x, want it within the parameter area of %#x bytes", p.ByteOffset, a.size)
	}
	return p, nil
}

// Append adds the body's bytes.
func (p Parameter) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, p.Index), p.ByteOffset)
}

// RequiredMemory asks for RAM at an address; it measures nothing (igvm_defs,
// IGVM_VHS_REQUIRED_MEMORY):
//
//	0x00  u64  gpa
//	0x08  u32  compatibility_mask
//	0x0c  u32  number_of_bytes
//	0x10  u32  flags, bit 0: VTL2 can be protected in it
//	0x14  u32  reserved
type RequiredMemory struct {
	GPA               uint64
	Mask, Size, Flags uint32
}

func (r *reader) requiredMemory(b []byte) (Body, error) {
	mask, err := r.mask(b[8:])
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	m := RequiredMemory{Mask: mask, Size: le.Uint32(b[12:]), Flags: le.Uint32(b[16:])}
	if m.Size == 0 || m.Size%pageSize != 0 || m.Flags > 1 {
		return nil, fmt.Errorf("size and flags: got %#x and %#x, want a multiple of %#x and 0 or 1", m.Size, m.Flags, pageSize)
	}
	if m.GPA, err = address(b, uint64(m.Size), pageSize); err != nil {
		return nil, err
	}
	return m, zero(b[20:])
}

// Append adds the body's bytes.
func (m RequiredMemory) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, m.GPA)
	for _, v := range []uint32{m.Mask, m.Size, m.Flags, 0} {
		b = le.AppendUint32(b, v)
	}
	return b
}
