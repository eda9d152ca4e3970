package tdx

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"safebox/measure/eventlog"
)

// BootEntry is a variable Boot#### with its EFI_LOAD_OPTION (UEFI 2.10, 3.1.3).
// Unlike other variables these are measured as their value alone, though the
// event's data is a whole UEFI_VARIABLE_DATA (edk2, OvmfPkg/Tcg/TdTcg2Dxe).
type BootEntry struct {
	Number uint16
	Data   []byte
}

// Attributes of an EFI_LOAD_OPTION (UEFI 2.10, 3.1.3).
const (
	optionActive      = 0x001
	optionHidden      = 0x008
	optionCategoryApp = 0x100
)

// GUIDs as they lie in memory, of edk2: OvmfPkg's DXEFV and the applications in
// it (MdeModulePkg/Application/UiApp and BootManagerMenuApp).
const (
	volumeDXEFV     = "\xc9\xbd\xb8\x7c\xeb\xf8\x34\x4f\xaa\xea\x3e\xe4\xaf\x65\x16\xa1" // 7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1
	fileUIApp       = "\x21\xaa\x2c\x46\x14\x76\x03\x45\x83\x6e\x8a\xb6\xf4\x66\x23\x31" // 462caa21-7614-4503-836e-8ab6f4662331
	fileBootManager = "\xdc\x5b\xc2\xee\xf2\x67\x95\x4d\xb1\xd5\xf8\x1b\x20\x39\xd1\x1d" // eec25bdc-67f2-4d95-b1d5-f81b2039d11d
)

// bootEntries are the boot entries of a firmware that looked for no other boot
// options, because a kernel came with the machine.
func (l Layout) bootEntries() []BootEntry {
	const app, hiddenApp = optionActive | optionCategoryApp, optionActive | optionCategoryApp | optionHidden
	switch l {
	case L0, L1, Intel:
		return []BootEntry{{0, loadOption(hiddenApp, "UiApp", fileUIApp)}}
	case L2:
		return []BootEntry{
			{0, loadOption(hiddenApp, "BootManagerMenuApp", fileBootManager)},
			{1, loadOption(app, "EFI Firmware Setup", fileUIApp)},
		}
	}
	return nil
}

// loadOption is the EFI_LOAD_OPTION of an application in the firmware volume
// (UEFI 2.10, 3.1.3): u32 attributes, u16 length of the device path, description
// in UTF-16 with its NUL, device path. The path is a media device path of type 4,
// subtype 7 (firmware volume) and 6 (firmware file) of UEFI PI 1.8, and the end
// node of UEFI 2.10, 10.3.1.
func loadOption(attributes uint32, description, file string) []byte {
	le := binary.LittleEndian
	path := append([]byte{4, 7, 20, 0}, volumeDXEFV...)
	path = append(append(path, 4, 6, 20, 0), file...)
	path = append(path, 0x7f, 0xff, 4, 0)
	b := le.AppendUint32(nil, attributes)
	b = le.AppendUint16(b, uint16(len(path)))
	b = append(b, wide(description)...)
	return append(b, path...)
}

// wide returns the text in UTF-16LE with a NUL.
func wide(s string) []byte {
	var b []byte
	for _, c := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// bootEntries stands for the events of entries that are not known.
const bootEntries = "BootOrder and boot entries"

// bootVariables appends BootOrder and then the entries in that order.
func (s *sequence) bootVariables(in *input) {
	entries, source := in.BootEntries, FromFile
	if entries == nil {
		if !in.direct() {
			s.unknown(eventlog.EFIVariableBoot, bootEntries,
				"boot entries: a firmware that boots from a disk makes them from the devices it finds: give them")
			return
		}
		entries, source = in.Layout.bootEntries(), Computed
	}
	var order []byte
	for _, e := range entries {
		order = binary.LittleEndian.AppendUint16(order, e.Number)
	}
	s.add(source, eventlog.EFIVariableBoot, "BootOrder", order)
	for _, e := range entries {
		s.add(source, eventlog.EFIVariableBoot, fmt.Sprintf("Boot%04X", e.Number), e.Data)
	}
}
