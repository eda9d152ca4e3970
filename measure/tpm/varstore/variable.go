package varstore

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"
)

// Layout of a record (edk2 VariableFormat.h, AUTHENTICATED_VARIABLE_HEADER and
// VARIABLE_DATA).
const (
	startID            = 0x55aa
	variableHeaderSize = 60
	variableAlign      = 4 // HEADER_ALIGNMENT
)

// State is the state of a record. Flash can clear bits only, so that every
// step clears one (edk2 VariableFormat.h: VAR_ADDED and so on).
type State uint8

// The states that a record has when no update was cut short.
const (
	Added        State = 0x3f // the variable exists
	Deleted      State = 0x3d // it was deleted
	Replaced     State = 0x3c // a later record took its place
	headerValid  State = 0x7f // its data was never written completely
	inTransition State = 0x3e // its successor was never written completely
)

// Attributes of a variable (UEFI 2.10, section 8.2.1).
const (
	NonVolatile       = 0x01
	BootServiceAccess = 0x02
	RuntimeAccess     = 0x04
	TimeAuthenticated = 0x20 // EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS
)

// Variable is one record.
type Variable struct {
	State          State
	Attributes     uint32
	MonotonicCount uint64
	TimeStamp      [16]byte // EFI_TIME
	PubKeyIndex    uint32
	Owner          GUID
	Name           string
	Data           []byte
}

// decodeVariable reads the record at off and returns where the next would begin:
//
//	StartId         u16
//	State           u8
//	Reserved        u8
//	Attributes      u32
//	MonotonicCount  u64
//	TimeStamp       16 bytes
//	PubKeyIndex     u32
//	NameSize        u32
//	DataSize        u32
//	VendorGuid      16 bytes
//	name            NameSize bytes, UTF-16LE with a NUL
//	data            DataSize bytes, then 0xff to a multiple of 4
func decodeVariable(store []byte, off int) (*Variable, int, error) {
	le := binary.LittleEndian
	if len(store)-off < variableHeaderSize {
		return nil, 0, fmt.Errorf("header: got %d bytes, want %d", len(store)-off, variableHeaderSize)
	}
	h := store[off : off+variableHeaderSize]
	v := &Variable{
		State:          State(h[2]),
		Attributes:     le.Uint32(h[4:]),
		MonotonicCount: le.Uint64(h[8:]),
		TimeStamp:      [16]byte(h[16:32]),
		PubKeyIndex:    le.Uint32(h[32:]),
		Owner:          GUID(h[44:60]),
	}
	if err := v.State.check(); err != nil {
		return nil, 0, err
	}
	if h[3] != 0 {
		return nil, 0, fmt.Errorf("reserved byte: got %#02x, want 0", h[3])
	}
	nameSize, dataSize := uint64(le.Uint32(h[36:])), uint64(le.Uint32(h[40:]))
	rest := store[off+variableHeaderSize:]
	if nameSize+dataSize > uint64(len(rest)) {
		return nil, 0, fmt.Errorf("name of %d and data of %d bytes: want at most %d in all", nameSize, dataSize, len(rest))
	}
	name, err := decodeName(rest[:nameSize])
	if err != nil {
		return nil, 0, fmt.Errorf("name: %w", err)
	}
	v.Name, v.Data = name, slices.Clone(rest[nameSize:nameSize+dataSize])
	end := off + variableHeaderSize + int(nameSize+dataSize)
	next := min((end+variableAlign-1)/variableAlign*variableAlign, len(store))
	if i := firstWritten(store[end:next]); i >= 0 {
		return nil, 0, fmt.Errorf("padding: got %#02x, want 0xff", store[end+i])
	}
	return v, next, nil
}

// Append writes the record at the end of b, which must end where a record may
// begin, and pads it with erased flash. The layout is that of decodeVariable.
func (v *Variable) Append(b []byte) []byte {
	le := binary.LittleEndian
	name := utf16.Encode([]rune(v.Name + "\x00"))
	size := len(b)
	b = le.AppendUint16(b, startID)
	b = append(b, byte(v.State), 0)
	b = le.AppendUint32(b, v.Attributes)
	b = le.AppendUint64(b, v.MonotonicCount)
	b = append(b, v.TimeStamp[:]...)
	b = le.AppendUint32(b, v.PubKeyIndex)
	b = le.AppendUint32(b, uint32(2*len(name)))
	b = le.AppendUint32(b, uint32(len(v.Data)))
	b = append(b, v.Owner[:]...)
	for _, unit := range name {
		b = le.AppendUint16(b, unit)
	}
	b = append(b, v.Data...)
	for (len(b)-size)%variableAlign != 0 {
		b = append(b, 0xff)
	}
	return b
}

// check refuses a record whose fate the firmware decides when it boots.
func (s State) check() error {
	switch s {
	case Added, Deleted, Replaced:
		return nil
	case headerValid, inTransition:
		return fmt.Errorf("state: got %#02x, the mark of an update that was cut short: boot the machine once to have it repaired", uint8(s))
	}
	return fmt.Errorf("state: got %#02x, want %#02x, %#02x or %#02x", uint8(s), uint8(Added), uint8(Deleted), uint8(Replaced))
}

func decodeName(b []byte) (string, error) {
	if len(b) < 4 || len(b)%2 != 0 {
		return "", fmt.Errorf("got %d bytes, want an even number, 4 or more", len(b))
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	last := len(units) - 1
	if slices.Index(units, 0) != last {
		return "", fmt.Errorf("got %x, want one NUL, at the end", b)
	}
	name := string(utf16.Decode(units[:last]))
	if !slices.Equal(utf16.Encode([]rune(name)), units[:last]) {
		return "", fmt.Errorf("got %x, want UTF-16", b)
	}
	return name, nil
}
