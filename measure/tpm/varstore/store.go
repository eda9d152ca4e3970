// Package varstore reads the variables out of the file in which QEMU keeps the
// flash of an OVMF firmware, such as OVMF_VARS_4M.fd.
//
// It implements the firmware volume header of the UEFI Platform Initialization
// Specification 1.8, Volume 3, section 3.2.1, and the authenticated variable
// store of edk2 (MdeModulePkg/Include/Guid/VariableFormat.h, edk2-stable202502),
// which is documented nowhere else. All numbers are little endian.
//
// The reader is strict: what a firmware would repair when it boots is refused
// and not guessed at. That is a variable whose update was cut short, and all that
// edk2's driver for fault tolerant writes may have left behind the store: a boot
// would put its copy in the store's place.
package varstore

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// Limits. The largest volume that OVMF is built with has 0x84000 bytes.
const (
	MaxSize      = 16 << 20
	MaxVariables = 4096
)

// GUID is an EFI_GUID as it lies in memory.
type GUID [16]byte

// String writes the GUID as UEFI 2.10, appendix A does.
func (g GUID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g[0:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:16])
}

// ParseGUID reads a GUID as String writes it, in either case.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return g, fmt.Errorf("parsing GUID: got %q, want one such as %v", s, GlobalVariable())
	}
	b, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	if err != nil {
		return g, fmt.Errorf("parsing GUID %q: %w", s, err)
	}
	copy(g[:], b)
	slices.Reverse(g[0:4])
	slices.Reverse(g[4:6])
	slices.Reverse(g[6:8])
	return g, nil
}

// GlobalVariable is EFI_GLOBAL_VARIABLE (UEFI 2.10, section 3.3).
func GlobalVariable() GUID {
	return GUID{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
}

// SecurityDatabase is EFI_IMAGE_SECURITY_DATABASE_GUID (UEFI 2.10, section
// 32.6.1).
func SecurityDatabase() GUID {
	return GUID{0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f}
}

// SecureBootEnableDisable is gEfiSecureBootEnableDisableGuid (edk2,
// SecurityPkg/Include/Guid/AuthenticatedVariableFormat.h), the owner of
// variable SecureBootEnable.
func SecureBootEnableDisable() GUID {
	return GUID{0xc7, 0x0b, 0xa3, 0xf0, 0x08, 0xaf, 0x56, 0x45, 0x99, 0xc4, 0x00, 0x10, 0x09, 0xc9, 0x3a, 0x44}
}

// Store is a decoded variable store.
type Store struct {
	// Variables are all records in the order of the store, the deleted ones
	// too.
	Variables []Variable

	// Where the next record would begin, and where the store ends: offsets in
	// the file.
	End, Limit int
}

// Variable returns the content of a variable that exists.
func (s *Store) Variable(owner GUID, name string) (*Variable, bool) {
	for i := range s.Variables {
		v := &s.Variables[i]
		if v.State == Added && v.Owner == owner && v.Name == name {
			return v, true
		}
	}
	return nil, false
}

// Decode reads the whole file of a flash with variables.
func Decode(b []byte) (*Store, error) {
	store, err := openVolume(b)
	if err != nil {
		return nil, fmt.Errorf("parsing variable flash: %w", err)
	}
	s := &Store{}
	live := map[string]bool{}
	off := storeHeaderSize
	for off+2 <= len(store) && binary.LittleEndian.Uint16(store[off:]) == startID {
		if len(s.Variables) == MaxVariables {
			return nil, fmt.Errorf("parsing variable store at %#x: more than %d variables", volumeHeaderSize+off, MaxVariables)
		}
		v, end, err := decodeVariable(store, off)
		if err != nil {
			return nil, fmt.Errorf("parsing variable %d at %#x: %w", len(s.Variables), volumeHeaderSize+off, err)
		}
		if key := v.Owner.String() + v.Name; v.State == Added {
			if live[key] {
				return nil, fmt.Errorf("parsing variable %d at %#x: %q of %v: exists twice", len(s.Variables), volumeHeaderSize+off, v.Name, v.Owner)
			}
			live[key] = true
		}
		s.Variables = append(s.Variables, *v)
		off = end
	}
	if i := firstWritten(store[off:]); i >= 0 {
		return nil, fmt.Errorf("parsing variable store at %#x: got %#02x behind the last variable, want 0xff to the end", volumeHeaderSize+off+i, store[off+i])
	}
	s.End, s.Limit = volumeHeaderSize+off, volumeHeaderSize+len(store)
	return s, nil
}

// firstWritten finds the first byte that flash does not have once erased.
func firstWritten(b []byte) int {
	for i, c := range b {
		if c != 0xff {
			return i
		}
	}
	return -1
}
