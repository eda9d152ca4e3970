package authority

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// maxDatabase bounds a signature database. Microsoft's own dbx has 24 kB.
const maxDatabase = 1 << 20

// Kind says what an entry of a signature database holds.
type Kind uint8

// The kinds of entries that Find understands.
const (
	Other  Kind = iota // anything else
	X509               // EFI_CERT_X509_GUID: a certificate, DER
	SHA256             // EFI_CERT_SHA256_GUID: the Authenticode digest of an image
)

// Entry is one signature of a database.
type Entry struct {
	Kind Kind
	Type [16]byte // SignatureType of its list

	// Raw is the EFI_SIGNATURE_DATA as the authority event holds it: the
	// GUID of the entry's owner, then Data.
	Raw []byte
}

// Data is the entry without its owner.
func (e *Entry) Data() []byte { return e.Raw[ownerSize:] }

// Sizes of the structures (UEFI 2.10, section 32.4.1).
const (
	listHeaderSize = 16 + 3*4 // EFI_SIGNATURE_LIST
	ownerSize      = 16       // EFI_SIGNATURE_DATA, SignatureOwner
)

// X509Type is EFI_CERT_X509_GUID (UEFI 2.10, section 32.4.1).
func X509Type() [16]byte {
	return [16]byte{0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72}
}

// SHA256Type is EFI_CERT_SHA256_GUID (UEFI 2.10, section 32.4.1).
func SHA256Type() [16]byte {
	return [16]byte{0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28}
}

func kindOf(t [16]byte) Kind {
	switch t {
	case X509Type():
		return X509
	case SHA256Type():
		return SHA256
	}
	return Other
}

// DecodeDatabase reads the content of PK, KEK, db or dbx: EFI_SIGNATURE_LISTs
// one after the other (UEFI 2.10, section 32.4.1):
//
//	SignatureType        16 bytes
//	SignatureListSize    u32, with this header
//	SignatureHeaderSize  u32, 0 for every type that is defined
//	SignatureSize        u32
//	signatures           of SignatureSize bytes each
func DecodeDatabase(b []byte) ([]Entry, error) {
	if len(b) > maxDatabase {
		return nil, fmt.Errorf("parsing signature database: size: got %d, want at most %d", len(b), maxDatabase)
	}
	var list []Entry
	for off := 0; off < len(b); {
		entries, size, err := decodeList(b[off:])
		if err != nil {
			return nil, fmt.Errorf("parsing signature list at %#x: %w", off, err)
		}
		list = append(list, entries...)
		off += size
	}
	return list, nil
}

func decodeList(b []byte) ([]Entry, int, error) {
	le := binary.LittleEndian
	if len(b) < listHeaderSize {
		return nil, 0, fmt.Errorf("header: got %d bytes, want %d", len(b), listHeaderSize)
	}
	size, header, each := le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:])
	if size < listHeaderSize || uint64(size) > uint64(len(b)) {
		return nil, 0, fmt.Errorf("size: got %d, want %d to %d", size, listHeaderSize, len(b))
	}
	if header != 0 {
		return nil, 0, fmt.Errorf("signature header size: got %d, want 0", header)
	}
	content := b[listHeaderSize:size]
	if each <= ownerSize || len(content) == 0 || uint64(len(content))%uint64(each) != 0 {
		return nil, 0, fmt.Errorf("signature size: got %d, want above %d, to divide the %d bytes of the list", each, ownerSize, len(content))
	}
	t := [16]byte(b[:16])
	kind := kindOf(t)
	if want := uint32(ownerSize + 32); kind == SHA256 && each != want {
		return nil, 0, fmt.Errorf("signature size: got %d, want %d for SHA-256", each, want)
	}
	if kind == X509 && len(content) != int(each) {
		return nil, 0, fmt.Errorf("certificates: got %d, want 1 in a list", len(content)/int(each))
	}
	var list []Entry
	for raw := range slices.Chunk(content, int(each)) {
		list = append(list, Entry{Kind: kind, Type: t, Raw: raw})
	}
	return list, int(size), nil
}
