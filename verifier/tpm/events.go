package tpm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// The closed list of events. It was learned from real boots of OVMF 2025.02
// with systemd-stub 257 and Linux 6.12 (measure/eventlog/testdata/uefi: esp, uki,
// kuki, osrel) and says what each register may hold. The type of an event is
// in no digest, so an event of a known type in a strange place would be a way
// to explain a register with a story: whatever is not listed is refused.
//
//	PCR  type                              data
//	0    EV_S_CRTM_VERSION                 any: bound by its digest
//	0    EV_EFI_PLATFORM_FIRMWARE_BLOB     base and length
//	1    EV_PLATFORM_CONFIG_FLAGS          "ACPI DATA"
//	1    EV_EFI_VARIABLE_BOOT              EFI_GLOBAL_VARIABLE BootOrder, Boot####
//	4    EV_EFI_ACTION                     "Calling EFI Application from Boot Option"
//	4    EV_EFI_BOOT_SERVICES_APPLICATION  an image's place, length and device path
//	5    EV_EFI_GPT_EVENT                  any: bound by its digest
//	5    EV_EFI_ACTION                     "Exit Boot Services Invocation", "... Returned with Success"
//	7    EV_EFI_VARIABLE_DRIVER_CONFIG     SecureBoot, PK, KEK (EFI_GLOBAL_VARIABLE), db, dbx
//	                                       (EFI_IMAGE_SECURITY_DATABASE)
//	9    EV_EVENT_TAG                      the kernel's two tags: load options, initrd
//	11   EV_IPL                            name of a section of a UKI
//	0-7  EV_SEPARATOR                      00000000, once each
//
// Not listed, though seen: what attacks left in PCR 12 (command line and
// credentials from the host), and the SMBIOS tag of systemd-stub 262 in PCR 1.

// rule allows events of one type in one register.
type rule struct {
	pcr  uint32
	typ  eventlog.Type
	data func([]byte) bool // whether the data is of the listed kind
}

func rules() []rule {
	known := secureBootVariables()
	return []rule{
		{0, eventlog.SCRTMVersion, anyData},
		{0, eventlog.EFIPlatformFirmwareBlob, func(b []byte) bool { return len(b) == 16 }}, // PFP 10.2, UEFI_PLATFORM_FIRMWARE_BLOB
		{1, eventlog.PlatformConfigFlags, oneOf("ACPI DATA")},
		{1, eventlog.EFIVariableBoot, bootVariable(known[0].guid)},
		{4, eventlog.EFIAction, oneOf("Calling EFI Application from Boot Option")},
		{4, eventlog.EFIBootServicesApplication, imageLoad},
		{5, eventlog.EFIGPTEvent, anyData},
		{5, eventlog.EFIAction, oneOf("Exit Boot Services Invocation", "Exit Boot Services Returned with Success")},
		{7, eventlog.EFIVariableDriverConfig, oneOfVariables(known)},
		{9, eventlog.EventTag, kernelTag},
		{11, eventlog.IPL, sectionName},
	}
}

// lastSeparated is the last register that gets a separator (PFP 10.4.1,
// EV_SEPARATOR: PCR 0 to 7).
const lastSeparated = 7

// CheckEvents refuses a log with an event that is not listed, or without
// exactly one separator in each of PCR 0 to 7, or with anything in PCR 0, 1, 2,
// 3, 6 or 7 after its separator: from then on those registers are closed (PFP
// 3.3.4).
func CheckEvents(log *eventlog.Log) error {
	var separated [lastSeparated + 1]bool
	allowed := rules()
	for i := range log.Events {
		e := &log.Events[i]
		if err := checkEvent(e, allowed); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		if e.PCR > lastSeparated {
			continue
		}
		if separated[e.PCR] && (e.Type == eventlog.Separator || e.PCR != 4 && e.PCR != 5) {
			return fmt.Errorf("event %d: %v in PCR %d after its separator", i, e.Type, e.PCR)
		}
		separated[e.PCR] = separated[e.PCR] || e.Type == eventlog.Separator
	}
	if pcr := slices.Index(separated[:], false); pcr >= 0 {
		return fmt.Errorf("PCR %d: got no separator, want one", pcr)
	}
	return nil
}

func checkEvent(e *eventlog.Event, allowed []rule) error {
	if e.Type == eventlog.Separator && e.PCR <= lastSeparated {
		if string(e.Data) != golden.SeparatorData {
			return fmt.Errorf("separator in PCR %d: got %x, want 00000000", e.PCR, e.Data[:min(len(e.Data), 16)])
		}
		return nil
	}
	for _, r := range allowed {
		if r.pcr == e.PCR && r.typ == e.Type && r.data(e.Data) {
			return nil
		}
	}
	return fmt.Errorf("%v in PCR %d is not on the list: %.200s", e.Type, e.PCR, e.Describe())
}

// CheckDigests refuses a log in which the digest of an event is not the hash
// of its data although its type says so (PFP 10.4.1): eventlog.Log.CheckData,
// and for EV_EFI_VARIABLE_BOOT the hash of the variable's value alone.
func CheckDigests(log *eventlog.Log) error {
	if err := log.CheckData(); err != nil {
		return err
	}
	for i := range log.Events {
		e := &log.Events[i]
		if e.Type != eventlog.EFIVariableBoot {
			continue
		}
		v, err := decodeVariable(e.Data)
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		for _, bank := range golden.Banks() {
			a := algorithm(bank)
			got := e.Digest(a)
			if got != nil && !bank.Sum(v.value).Equal(got) {
				return fmt.Errorf("event %d: %v in PCR %d: %v digest: got %x, want the hash of the variable's value", i, e.Type, e.PCR, a, got)
			}
		}
	}
	return nil
}

// algorithm is the bank's name in an event log.
func algorithm(b golden.Bank) eventlog.Algorithm {
	if b == golden.SHA384 {
		return eventlog.SHA384
	}
	return eventlog.SHA256
}

// CheckSecureBoot compares PCR 7's variables with the one state that releases
// know: Secure Boot off and no keys enrolled, every variable once and in order
// (golden.SecureBootVariables).
func CheckSecureBoot(log *eventlog.Log) error {
	want := golden.SecureBootVariables()
	n := 0
	for i := range log.Events {
		e := &log.Events[i]
		if e.PCR != 7 || e.Type != eventlog.EFIVariableDriverConfig {
			continue
		}
		if n == len(want) {
			return fmt.Errorf("event %d: got a variable more, want %d", i, len(want))
		}
		if !bytes.Equal(e.Data, want[n].Data()) {
			return fmt.Errorf("event %d: got %.200s, want %s without a value", i, e.Describe(), want[n].Name)
		}
		n++
	}
	if n != len(want) {
		return fmt.Errorf("got %d variables, want %d", n, len(want))
	}
	return nil
}

func anyData([]byte) bool { return true }

// oneOf allows ASCII texts.
func oneOf(texts ...string) func([]byte) bool {
	return func(b []byte) bool { return slices.Contains(texts, string(b)) }
}

// variable is a UEFI_VARIABLE_DATA (PFP 10.2).
type variable struct {
	guid  []byte
	name  string
	value []byte
}

// decodeVariable parses it: GUID, u64 length of the name in characters, u64
// length of the value, UTF-16LE name without a NUL, value.
func decodeVariable(b []byte) (*variable, error) {
	const fixed = 16 + 8 + 8
	if len(b) < fixed {
		return nil, fmt.Errorf("variable: got %d bytes, want at least %d", len(b), fixed)
	}
	names, size := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	rest := uint64(len(b) - fixed)
	if names > rest/2 || size != rest-2*names {
		return nil, fmt.Errorf("variable: name of %d characters, value of %d bytes: got %d bytes for both", names, size, rest)
	}
	name := make([]uint16, names)
	for i := range name {
		name[i] = binary.LittleEndian.Uint16(b[fixed+2*i:])
	}
	return &variable{guid: b[:16], name: string(utf16.Decode(name)), value: b[fixed+2*names:]}, nil
}

// bootVariable allows the global variables BootOrder and Boot####, four
// upper-case hex digits
// (UEFI 2.10, section 3.3).
func bootVariable(global []byte) func([]byte) bool {
	return func(b []byte) bool {
		v, err := decodeVariable(b)
		if err != nil || !bytes.Equal(v.guid, global) {
			return false
		}
		digits, ok := strings.CutPrefix(v.name, "Boot")
		return v.name == "BootOrder" || ok && len(digits) == 4 && strings.Trim(digits, "0123456789ABCDEF") == ""
	}
}

// oneOfVariables allows variables by GUID and name, with any value: CheckSecureBoot
// looks at that.
func oneOfVariables(known []variable) func([]byte) bool {
	return func(b []byte) bool {
		v, err := decodeVariable(b)
		return err == nil && slices.ContainsFunc(known, func(want variable) bool {
			return want.name == v.name && bytes.Equal(want.guid, v.guid)
		})
	}
}

// secureBootVariables names the variables of PCR 7. The first, SecureBoot, is
// one of EFI_GLOBAL_VARIABLE.
func secureBootVariables() []variable {
	var list []variable
	for _, v := range golden.SecureBootVariables() {
		list = append(list, variable{guid: v.Data()[:16], name: v.Name})
	}
	return list
}

// imageLoad allows a UEFI_IMAGE_LOAD_EVENT (PFP 10.2): three u64, u64 length of
// the device path, device path. What the image is says its digest alone.
func imageLoad(b []byte) bool {
	const fixed = 4 * 8
	return len(b) >= fixed && binary.LittleEndian.Uint64(b[24:]) == uint64(len(b)-fixed)
}

// kernelTag allows the two tagged events of the kernel's EFI stub (Linux 6.12,
// drivers/firmware/efi/libstub: efistub.h, events in efi-stub-helper.c): u32 tag,
// u32 size, text with its NUL.
func kernelTag(b []byte) bool {
	if len(b) < 8 || uint64(binary.LittleEndian.Uint32(b[4:])) != uint64(len(b)-8) {
		return false
	}
	switch text := string(b[8:]); binary.LittleEndian.Uint32(b) {
	case 0x8f3b22ec:
		return text == "Linux initrd\x00"
	case 0x8f3b22ed:
		return text == "LOADED_IMAGE::LoadOptions\x00"
	}
	return false
}

// sectionName allows the names of sections that appliances have, as
// systemd-stub writes them: UTF-16LE with a NUL.
func sectionName(b []byte) bool {
	for _, name := range []string{".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"} {
		wide := make([]byte, 0, 2*len(name)+2)
		for _, c := range []byte(name + "\x00") {
			wide = append(wide, c, 0)
		}
		if bytes.Equal(b, wide) {
			return true
		}
	}
	return false
}
