package tdx

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"safebox/measure/tpm/golden"
)

// Variables are the contents of the Secure Boot variables (UEFI 2.10, table 3-1
// and section 32.4.1), nil for one that does not exist. They are measured at
// their size, so that SecureBoot without content and SecureBoot with one zero
// byte differ though both mean that it is off.
type Variables struct {
	SecureBoot, PK, KEK, DB, DBX []byte
	DBT                          []byte // measured only if it exists
}

// secureBoot is the content of SecureBoot that a layout's firmware measures when
// no keys are enrolled.
func (l Layout) secureBoot() []byte {
	if l == L0 || l == Intel {
		return []byte{0}
	}
	return nil
}

// encode returns the UEFI_VARIABLE_DATA of each, in the order of measurement.
func (v *Variables) encode() []golden.Variable {
	list := golden.SecureBootVariables()
	for i, value := range [][]byte{v.SecureBoot, v.PK, v.KEK, v.DB, v.DBX} {
		list[i].Value = value
	}
	if v.DBT != nil {
		dbt := list[len(list)-1] // dbt has dbx's GUID
		dbt.Name, dbt.Value = "dbt", v.DBT
		list = append(list, dbt)
	}
	return list
}

// Variable store at the start of a configuration volume.
const (
	// EFI_FIRMWARE_VOLUME_HEADER (UEFI PI 1.8, Volume 3, 3.2.1).
	volumeGUIDOffset   = 16
	volumeSignOffset   = 40 // "_FVH"
	volumeLengthOffset = 48 // HeaderLength, u16

	// VARIABLE_STORE_HEADER (edk2, MdeModulePkg/Include/Guid/VariableFormat.h):
	// GUID, u32 size with this header, u8 format, u8 state, 6 bytes.
	storeHeaderSize = 28
	storeFormatted  = 0x5a
	storeHealthy    = 0xfe

	nvDataGUID = "8d2bf1ff96768b4ca9852747075b4f50" // gEfiSystemNvDataFvGuid fff12b8d-7696-4c8b-a985-2747075b4f50
	storeGUID  = "782cf3aa7b949a43a1802e144ec37792" // gEfiAuthenticatedVariableGuid aaf32c78-947b-439a-a180-2e144ec37792
)

// checkEmptyStore says what is wrong with a configuration volume for which it
// is said that no variable is set, nil if nothing is.
func checkEmptyStore(cfv []byte) error {
	le := binary.LittleEndian
	if len(cfv) < 64 || string(cfv[volumeSignOffset:volumeSignOffset+4]) != "_FVH" ||
		hex.EncodeToString(cfv[volumeGUIDOffset:volumeGUIDOffset+16]) != nvDataGUID {
		return fmt.Errorf("at 0x0: want a firmware volume of variables")
	}
	off := int(le.Uint16(cfv[volumeLengthOffset:]))
	if off > len(cfv)-storeHeaderSize {
		return fmt.Errorf("header length at %#x: got %d, want at most %d", volumeLengthOffset, off, len(cfv)-storeHeaderSize)
	}
	store := cfv[off:]
	if hex.EncodeToString(store[:16]) != storeGUID || store[20] != storeFormatted || store[21] != storeHealthy {
		return fmt.Errorf("at %#x: want a formatted store of authenticated variables", off)
	}
	size := le.Uint32(store[16:])
	if size < storeHeaderSize || uint64(size) > uint64(len(store)) {
		return fmt.Errorf("store size at %#x: got %d, want %d to %d", off+16, size, storeHeaderSize, len(store))
	}
	if at := firstNot(store[storeHeaderSize:size], 0xff); at >= 0 {
		return fmt.Errorf("variable store at %#x: got a variable at %#x, want none", off, off+storeHeaderSize+at)
	}
	return nil
}

// firstNot returns the index of the first byte that is not c, -1 if there is none.
func firstNot(b []byte, c byte) int {
	for i, v := range b {
		if v != c {
			return i
		}
	}
	return -1
}
