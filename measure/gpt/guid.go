package gpt

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"unicode/utf16"
)

// GUID is an EFI_GUID as it lies on the disk: the first three fields are
// little endian (UEFI 2.10, appendix A).
type GUID [16]byte

// ESP returns the partition type of an EFI system partition (UEFI 2.10,
// table 5-7).
func ESP() GUID {
	return GUID{
		0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
		0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
	}
}

// FromUUID turns the bytes of a UUID in RFC 9562 order into a GUID.
func FromUUID(u [16]byte) GUID {
	g := GUID(u)
	g[0], g[1], g[2], g[3] = u[3], u[2], u[1], u[0]
	g[4], g[5] = u[5], u[4]
	g[6], g[7] = u[7], u[6]
	return g
}

// String is the usual form, such as C12A7328-F81F-11D2-BA4B-00A0C93EC93B in
// lower case.
func (g GUID) String() string {
	return fmt.Sprintf("%08x-%04x-%04x-%s-%s",
		binary.LittleEndian.Uint32(g[0:]), binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]),
		hex.EncodeToString(g[8:10]), hex.EncodeToString(g[10:]))
}

// decodeName reads a partition name: UTF-16LE, padded with NULs.
func decodeName(b []byte) (string, error) {
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(b[i:]))
	}
	n := len(units)
	for n > 0 && units[n-1] == 0 {
		n--
	}
	runes := utf16.Decode(units[:n])
	for i, r := range runes {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return "", fmt.Errorf("name: character %d: got U+%04X, want printable UTF-16", i, r)
		}
	}
	return string(runes), nil
}
