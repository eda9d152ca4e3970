package eventlog

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxDescribed bounds the hex of event data in a description.
const maxDescribed = 64

// Describe says in one line of printable ASCII what the event's data holds.
// The data comes from an untrusted machine: text is quoted, anything that does
// not parse is shown in hex, and device paths are left in hex.
func (e *Event) Describe() string {
	switch e.Type {
	case Action, EFIAction, OmitBootDeviceEvent:
		return describeText(e.Data)
	case PlatformConfigFlags, PostCode:
		return describeName(e.Data)
	case IPL, SCRTMVersion:
		return describeWide(e.Data)
	case EFIVariableDriverConfig, EFIVariableBoot, EFIVariableBoot2, EFIVariableAuthority:
		return describeVariable(e.Data)
	case EventTag:
		return describeTag(e.Data)
	case EFIPlatformFirmwareBlob:
		return describeBlob(e.Data)
	case EFIPlatformFirmwareBlob2:
		return describeBlob2(e.Data)
	case EFIHandoffTables2:
		return describeTables2(e.Data)
	case EFIBootServicesApplication, EFIBootServicesDriver, EFIRuntimeServicesDriver:
		return describeImage(e.Data)
	case EFIGPTEvent:
		return describeGPT(e.Data)
	case NoAction:
		return describeNoAction(e.Data)
	}
	return describeHex(e.Data)
}

func describeHex(b []byte) string {
	if len(b) > maxDescribed {
		return fmt.Sprintf("%x... (%d bytes)", b[:maxDescribed], len(b))
	}
	return fmt.Sprintf("%x", b)
}

// describeText quotes ASCII, with or without a final NUL.
func describeText(b []byte) string {
	s := strings.TrimSuffix(string(b), "\x00")
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return describeHex(b)
		}
	}
	if s == "" {
		return describeHex(b)
	}
	return strconv.Quote(s)
}

// describeWide quotes UTF-16LE with its final NUL, else tries ASCII: boot
// loaders use both in EV_IPL.
func describeWide(b []byte) string {
	s, ok := decodeUTF16(b)
	if !ok || len(s) < 2 || !strings.HasSuffix(s, "\x00") || strings.Count(s, "\x00") != 1 {
		return describeText(b)
	}
	return strconv.QuoteToASCII(strings.TrimSuffix(s, "\x00"))
}

func decodeUTF16(b []byte) (string, bool) {
	if len(b)%2 != 0 || len(b) > maxDescribed*64 {
		return "", false
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u)), true
}

// describeVariable reads a UEFI_VARIABLE_DATA (PFP 10.2).
func describeVariable(b []byte) string {
	text, value, ok := variableParts(b)
	if !ok {
		return describeHex(b)
	}
	name, ok := decodeUTF16(text)
	if !ok {
		return describeHex(b)
	}
	return fmt.Sprintf("%s-%s: %d bytes", strconv.QuoteToASCII(name), guid(b), len(value))
}

// guid writes an EFI_GUID as UEFI 2.10, appendix A does.
func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

// describeTag reads a TCG_PCClientTaggedEvent (PFP 10.2): u32 tag, u32 size,
// data. The EFI stub of an early Linux with TDX logged the name alone
// (go-eventlog, CCEL_unpadded.data.bin).
func describeTag(b []byte) string {
	if len(b) < 8 || uint64(binary.LittleEndian.Uint32(b[4:])) != uint64(len(b)-8) {
		return describeText(b)
	}
	return fmt.Sprintf("tag %#08x %s", binary.LittleEndian.Uint32(b), describeText(b[8:]))
}

// describeBlob reads a UEFI_PLATFORM_FIRMWARE_BLOB (PFP 10.2): u64 base, u64
// length.
func describeBlob(b []byte) string {
	if len(b) != 16 {
		return describeHex(b)
	}
	return fmt.Sprintf("base %#x size %#x", binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
}

// describeImage reads a UEFI_IMAGE_LOAD_EVENT (PFP 10.2): u64 location, u64
// length, u64 link-time address, u64 length of the device path, device path.
func describeImage(b []byte) string {
	const fixed = 4 * 8
	if len(b) < fixed || binary.LittleEndian.Uint64(b[24:]) != uint64(len(b)-fixed) {
		return describeHex(b)
	}
	return fmt.Sprintf("image of %d bytes, device path %s", binary.LittleEndian.Uint64(b[8:]), describeHex(b[fixed:]))
}

// describeGPT reads a UEFI_GPT_DATA (PFP 10.2): the 92 bytes of the GPT
// header (disk GUID at 56), u64 number of partitions, their entries.
func describeGPT(b []byte) string {
	const header, entry = 92, 128
	if len(b) < header+8 || binary.LittleEndian.Uint64(b[header:]) != uint64((len(b)-header-8)/entry) {
		return describeHex(b)
	}
	return fmt.Sprintf("disk %s, %d partitions", guid(b[56:]), binary.LittleEndian.Uint64(b[header:]))
}

func describeNoAction(b []byte) string {
	if n := len(startupLocality); len(b) == n+1 && string(b[:n]) == startupLocality {
		return fmt.Sprintf("startup locality %d", b[n])
	}
	return describeHex(b)
}
