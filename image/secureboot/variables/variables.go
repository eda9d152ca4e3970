// Package variables makes the variables that turn Secure Boot on: as signed
// updates that a real machine enrols, and within the flash file of a virtual one.
//
// It implements:
//   - UEFI Specification 2.10, section 32.4.1 (EFI_SIGNATURE_LIST), 8.2.2
//     (EFI_VARIABLE_AUTHENTICATION_2), 8.3 (EFI_TIME), 32.3 (who signs which key);
//   - the authenticated variable store of edk2 (MdeModulePkg/Include/Guid/
//     VariableFormat.h, edk2-stable202502), which package varstore reads.
//
// Everything depends on the certificates, the time that the caller names and the
// signatures alone: there is no clock here.
package variables

import (
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"safebox/measure/tpm/authority"
	"safebox/measure/tpm/varstore"
)

// Attributes of all variables that hold keys (UEFI 2.10, section 32.3).
const Attributes = varstore.NonVolatile | varstore.BootServiceAccess | varstore.RuntimeAccess | varstore.TimeAuthenticated

// Variable is one that holds keys, with the time that its update bears.
type Variable struct {
	Name  string // PK, KEK, db or dbx
	Owner varstore.GUID
	Time  Time
	Data  []byte // EFI_SIGNATURE_LISTs
}

// New names a variable that holds keys. Data must be lists that firmware reads.
func New(name string, at Time, data []byte) (*Variable, error) {
	v := &Variable{Name: name, Time: at, Data: data}
	switch name {
	case "PK", "KEK":
		v.Owner = varstore.GlobalVariable()
	case "db", "dbx":
		v.Owner = varstore.SecurityDatabase()
	default:
		return nil, fmt.Errorf("variable %q: want PK, KEK, db or dbx", name)
	}
	entries, err := authority.DecodeDatabase(data)
	if err != nil {
		return nil, fmt.Errorf("variable %s: %w", name, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("variable %s: no entries: firmware deletes such a variable", name)
	}
	if name == "PK" && len(entries) != 1 {
		return nil, fmt.Errorf("variable PK: got %d entries, want 1", len(entries)) // UEFI 2.10, section 32.3.1
	}
	for i := range entries {
		if kind := entries[i].Kind; kind == authority.Other || kind != authority.X509 && (name == "PK" || name == "KEK") {
			return nil, fmt.Errorf("variable %s: entry %d: signature type %x was not seen there", name, i, entries[i].Type)
		}
	}
	return v, nil
}

// Time is an EFI_TIME as an update bears it: in UTC, of whole seconds (UEFI
// 2.10, section 8.3).
type Time [16]byte

// NewTime writes a time: u16 year, u8 month, day, hour, minute and second, and
// nothing else, as section 8.2.2 wants of an update.
func NewTime(t time.Time) (Time, error) {
	t = t.UTC()
	if t.Nanosecond() != 0 {
		return Time{}, errors.New("time of the update: want whole seconds")
	}
	if y := t.Year(); y < 1900 || y > 9999 {
		return Time{}, fmt.Errorf("time of the update: year: got %d, want 1900 to 9999", y)
	}
	b := Time{2: byte(t.Month()), 3: byte(t.Day()), 4: byte(t.Hour()), 5: byte(t.Minute()), 6: byte(t.Second())}
	binary.LittleEndian.PutUint16(b[:], uint16(t.Year()))
	return b, nil
}

// Certificates gives a signature list for each certificate (UEFI 2.10, section
// 32.4.1): their sizes differ, and a list has entries of one size.
func Certificates(owner varstore.GUID, certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = appendList(b, authority.X509Type(), owner, c.Raw)
	}
	return b
}

// Digests gives one signature list of SHA-256 Authenticode digests.
func Digests(owner varstore.GUID, digests ...[32]byte) []byte {
	data := make([][]byte, len(digests))
	for i := range digests {
		data[i] = digests[i][:]
	}
	return appendList(nil, authority.SHA256Type(), owner, data...)
}

// appendList writes an EFI_SIGNATURE_LIST, whose layout stands at
// authority.DecodeDatabase. All data must have one size.
func appendList(b []byte, kind [16]byte, owner varstore.GUID, data ...[]byte) []byte {
	if len(data) == 0 {
		return b
	}
	const header = 16 + 3*4
	le := binary.LittleEndian
	each := len(owner) + len(data[0])
	b = append(b, kind[:]...)
	b = le.AppendUint32(b, uint32(header+len(data)*each))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(each))
	for _, d := range data {
		b = append(append(b, owner[:]...), d...)
	}
	return b
}
