package igvm

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Structure is one entry of the variable headers (igvm_defs,
// IGVM_VHS_VARIABLE_HEADER): u32 type, u32 length of the body, the body, and
// zeros up to a multiple of 8.
type Structure struct {
	Type   Type
	Offset int // in the file
	Body   Body
}

// Body is what a structure says: Platform, GuestPolicy, ParameterArea,
// PageData, ParameterInsert, VPContext, RequiredMemory, Parameter, SNPIDBlock
// or Opaque.
type Body interface {
	// Append adds the body's bytes without those that it refers to elsewhere in
	// the file: their offsets are 0.
	Append(b []byte) []byte
}

// Opaque is a body that this package passes on: of an unknown optional type,
// or of one that measures nothing on SEV-SNP and TDX.
type Opaque struct {
	Mask uint32 // 0 where the type has none or is unknown
	Data []byte
}

// Append adds the body's bytes.
func (o Opaque) Append(b []byte) []byte { return append(b, o.Data...) }

// structureHeader is the length of type and length.
const structureHeader = 8

// reader collects a file's structures.
type reader struct {
	file      []byte
	dataStart int // behind the variable headers
	list      []Structure
	section   section
	platforms []Platform
	declared  uint32 // masks of platforms
	areas     map[uint32]*area
}

// area is a parameter area on the way to its insertion.
type area struct {
	size     uint64
	inserted uint32 // masks of platforms for which it was
}

// structure reads the one at an offset and tells where the next one starts.
func (r *reader) structure(at, end int) (next int, err error) {
	if end-at < structureHeader {
		return 0, fmt.Errorf("header: got %d bytes, want %d", end-at, structureHeader)
	}
	le := binary.LittleEndian
	t, length := Type(le.Uint32(r.file[at:])), le.Uint32(r.file[at+4:])
	body := r.file[at+structureHeader : end]
	if uint64(length) > uint64(len(body)) {
		return 0, fmt.Errorf("%v: length: got %#x, want at most %#x", t, length, len(body))
	}
	padded := (int(length) + align - 1) &^ (align - 1)
	if rest := bytes.TrimLeft(body[length:padded], "\x00"); len(rest) != 0 {
		return 0, fmt.Errorf("%v: padding: got %#02x, want zeros", t, rest[0])
	}
	s := Structure{Type: t, Offset: at}
	if s.Body, err = r.body(t, body[:length]); err != nil {
		return 0, fmt.Errorf("%v: %w", t, err)
	}
	r.list = append(r.list, s)
	return at + structureHeader + padded, nil
}

// body checks type, order and length, and decodes the body.
func (r *reader) body(t Type, b []byte) (Body, error) {
	in, err := t.section()
	if err != nil {
		return nil, err
	}
	if in < r.section {
		return nil, fmt.Errorf("order: got it behind a structure of a later section")
	}
	r.section = in
	_, length, known := t.describe()
	if !known {
		return unknown(t, b)
	}
	if len(b) != length {
		return nil, fmt.Errorf("length: got %d, want %d", len(b), length)
	}
	return r.known(t, b)
}

// unknown keeps the body of a type that may be passed over. A known type never
// may: who reads it and who passes over it would load two machines.
func unknown(t Type, b []byte) (Body, error) {
	if t&Optional == 0 {
		return nil, fmt.Errorf("got an unknown type, want a known one: without bit 31 no loader may pass over it")
	}
	if _, _, known := (t &^ Optional).describe(); known {
		return nil, fmt.Errorf("got a known type with bit 31, which marks unknown ones that may be passed over")
	}
	return Opaque{Data: b}, nil
}

func (r *reader) known(t Type, b []byte) (Body, error) {
	switch t {
	case SupportedPlatformType:
		return r.platform(b)
	case GuestPolicyType:
		return r.guestPolicy(b)
	case ParameterAreaType:
		return r.parameterArea(b)
	case PageDataType:
		return r.pageData(b)
	case ParameterInsertType:
		return r.parameterInsert(b)
	case VPContextType:
		return r.vpContext(b)
	case RequiredMemoryType:
		return r.requiredMemory(b)
	case SNPIDBlockType:
		return r.idBlock(b)
	case RelocatableRegionType, PageTableRelocationType, VBSMeasurementType:
		return r.opaque(b, 0)
	case ErrorRangeType:
		return r.opaque(b, 8)
	}
	return r.parameter(b)
}

func (r *reader) platform(b []byte) (Body, error) {
	p, err := decodePlatform(b)
	if err != nil {
		return nil, err
	}
	if r.declared&p.Mask != 0 {
		return nil, fmt.Errorf("compatibility mask: got %#x, want one that no platform before has", p.Mask)
	}
	for _, other := range r.platforms {
		if other.Type == p.Type {
			return nil, fmt.Errorf("platform: got %v a second time", p.Type)
		}
	}
	r.declared |= p.Mask
	r.platforms = append(r.platforms, p)
	return p, nil
}

// opaque keeps a body whose compatibility mask is at an offset.
func (r *reader) opaque(b []byte, maskAt int) (Body, error) {
	mask, err := r.mask(b[maskAt:])
	return Opaque{Mask: mask, Data: b}, err
}

// mask reads a compatibility mask, whose platforms must have been declared.
func (r *reader) mask(b []byte) (uint32, error) {
	mask := binary.LittleEndian.Uint32(b)
	if mask == 0 || mask&^r.declared != 0 {
		return 0, fmt.Errorf("compatibility mask: got %#x, want bits out of %#x, those of the platforms", mask, r.declared)
	}
	return mask, nil
}

// data gives length bytes at an offset of the file, nil at offset 0.
func (r *reader) data(offset uint32, length uint64) ([]byte, error) {
	if offset == 0 {
		return nil, nil
	}
	if start := uint64(offset); start < uint64(r.dataStart) || start+length > uint64(len(r.file)) {
		return nil, fmt.Errorf("file offset: got %#x with %#x bytes, want it between the headers' end %#x and the file's %#x",
			offset, length, r.dataStart, len(r.file))
	}
	return r.file[offset : uint64(offset)+length : uint64(offset)+length], nil
}

// address reads a guest physical address of a range.
func address(b []byte, size, unit uint64) (uint64, error) {
	gpa := binary.LittleEndian.Uint64(b)
	if gpa%unit != 0 || gpa > addressEnd-size {
		return 0, fmt.Errorf("address: got %#x, want a multiple of %#x whose %#x bytes end at %#x or below", gpa, unit, size, uint64(addressEnd))
	}
	return gpa, nil
}

// zero wants reserved bytes to be zero.
func zero(b []byte) error {
	if rest := bytes.TrimLeft(b, "\x00"); len(rest) != 0 {
		return fmt.Errorf("reserved bytes: got %x, want zeros", b)
	}
	return nil
}
