// Package golden knows the PCR values that do not depend on what is booted:
// those of firmware that was seen to boot, of a register with nothing but its
// separator, and of Secure Boot turned off.
//
// The guest links it to look at its own registers, so it imports no reader of
// any format. Package tpm computes the same values from the files themselves.
//
// It implements the use of PCR 0, 2, 3, 6 and 7 of the TCG PC Client Platform
// Firmware Profile (PFP), Family 2.0, Level 00, Version 1.06 Revision 52,
// section 3.3.4.
package golden

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"unicode/utf16"
)

// SeparatorData is the data of a separator that tells of no error (PFP 10.4.1,
// EV_SEPARATOR).
const SeparatorData = "\x00\x00\x00\x00"

// Separator is the value of a register that firmware extended with its
// separator and nothing else: PCR 2, 3 and 6 of a machine without option ROMs.
func Separator(b Bank) Digest {
	return b.Extend(b.Zero(), b.Sum([]byte(SeparatorData)))
}

// SecureBootOff is the value of PCR 7 when Secure Boot is off and no keys are
// enrolled.
func SecureBootOff(b Bank) Digest {
	value := b.Zero()
	for _, v := range SecureBootVariables() {
		value = b.Extend(value, b.Sum(v.Data()))
	}
	return b.Extend(value, b.Sum([]byte(SeparatorData)))
}

// Vendor GUIDs of the variables (UEFI 2.10, 3.3 EFI_GLOBAL_VARIABLE and 32.6.1
// EFI_IMAGE_SECURITY_DATABASE_GUID), as they lie in memory.
const (
	globalVariable   = "61dfe48bca93d211aa0d00e098032b8c"
	securityDatabase = "cbb219d73a3d9645a3bcdad00e67656f"
)

// Variable is a UEFI variable as EV_EFI_VARIABLE_DRIVER_CONFIG measures it.
type Variable struct {
	Name  string
	guid  string
	Value []byte
}

// SecureBootVariables lists the variables that go into PCR 7 in their order
// (PFP 3.3.4, PCR 7), all empty: Secure Boot is off and no keys are enrolled. dbt
// and dbr are measured only where they exist.
func SecureBootVariables() []Variable {
	return []Variable{
		{Name: "SecureBoot", guid: globalVariable},
		{Name: "PK", guid: globalVariable},
		{Name: "KEK", guid: globalVariable},
		{Name: "db", guid: securityDatabase},
		{Name: "dbx", guid: securityDatabase},
	}
}

// Data returns UEFI_VARIABLE_DATA (PFP 10.2): GUID, u64 name length in
// characters, u64 value length, UTF-16LE name without a NUL, value.
func (v Variable) Data() []byte {
	name := utf16.Encode([]rune(v.Name))
	b := unhex(v.guid)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(name)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(v.Value)))
	for _, c := range name {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return append(b, v.Value...)
}

// unhex reads a constant of this package.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(fmt.Sprintf("golden: constant %q: %v", s, err))
	}
	return b
}
