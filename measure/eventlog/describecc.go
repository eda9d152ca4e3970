package eventlog

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// The structures here are those of the firmware of confidential guests.

// describeName quotes a name that may be ASCII or UTF-16LE and filled with
// zeros: "ACPI DATA" in EDK II, a whole field of fw_cfg's directory, or
// QEMU's name of the kernel, in Intel's TDVF.
func describeName(b []byte) string {
	text := strings.TrimRight(string(b), "\x00")
	if len(b)%2 == 0 && strings.ContainsRune(text, 0) {
		if s, ok := decodeUTF16(b); ok {
			s = strings.TrimRight(s, "\x00")
			if !strings.ContainsRune(s, 0) {
				return strconv.QuoteToASCII(s)
			}
		}
	}
	if text == "" {
		return describeHex(b)
	}
	return describeText([]byte(text))
}

// described splits off a description: u8 length, then as many bytes of text,
// with or without a NUL.
func described(b []byte) (text string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, false
	}
	n := int(b[0])
	return describeText(b[1 : 1+n]), b[1+n:], true
}

// describeBlob2 reads a UEFI_PLATFORM_FIRMWARE_BLOB2 (PFP 10.2): description,
// u64 base, u64 length.
func describeBlob2(b []byte) string {
	text, rest, ok := described(b)
	if !ok || len(rest) != 16 {
		return describeHex(b)
	}
	return text + " " + describeBlob(rest)
}

// describeTables2 reads a UEFI_HANDOFF_TABLE_POINTERS2 (PFP 10.2): description,
// u64 number of tables, then for each a GUID and a u64 address. EDK II's event
// of the TD HOB is one: the address is where the VMM put it.
func describeTables2(b []byte) string {
	const entry = 16 + 8
	text, rest, ok := described(b)
	if !ok || len(rest) < 8 {
		return describeHex(b)
	}
	count, tables := binary.LittleEndian.Uint64(rest), rest[8:]
	if count == 0 || count > maxDescribed || count*entry != uint64(len(tables)) {
		return describeHex(b)
	}
	for ; len(tables) > 0; tables = tables[entry:] {
		text += fmt.Sprintf(" %s at %#x", guid(tables), binary.LittleEndian.Uint64(tables[16:]))
	}
	return text
}
