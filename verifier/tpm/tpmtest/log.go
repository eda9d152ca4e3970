package tpmtest

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"slices"
	"unicode/utf16"

	"safebox/measure/eventlog"
	"safebox/verifier/tpm"
)

// Hex of the GUIDs as they lie in memory (UEFI 2.10, sections 3.3 and 32.6.1).
const (
	globalVariable = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	imageSecurity  = "\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f"
)

// Event is an event of the log before it has digests.
type Event struct {
	PCR    uint32
	Type   eventlog.Type
	Data   []byte
	Hashed []byte // what the digests are of, if not of Data
}

// variable writes a UEFI_VARIABLE_DATA (PFP 10.2).
func variable(guid, name string, value []byte) []byte {
	wide := utf16.Encode([]rune(name))
	b := []byte(guid)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(wide)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	for _, c := range wide {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return append(b, value...)
}

// secureBoot are the five events of PCR 7.
func secureBoot(on, pk, kek, db []byte) []Event {
	var events []Event
	for _, v := range []struct {
		guid, name string
		value      []byte
	}{
		{globalVariable, "SecureBoot", on},
		{globalVariable, "PK", pk},
		{globalVariable, "KEK", kek},
		{imageSecurity, "db", db},
		{imageSecurity, "dbx", nil},
	} {
		events = append(events, Event{PCR: 7, Type: eventlog.EFIVariableDriverConfig, Data: variable(v.guid, v.name, v.value)})
	}
	return events
}

// appliance is a log of the closed list of events of an appliance, with Secure
// Boot off.
func appliance() []Event {
	events := []Event{
		{PCR: 0, Type: eventlog.SCRTMVersion, Data: []byte("1\x00\x00\x00")},
		{PCR: 0, Type: eventlog.EFIPlatformFirmwareBlob, Data: make([]byte, 16), Hashed: []byte("firmware")},
	}
	events = append(events, secureBoot(nil, nil, nil, nil)...)
	for pcr := range uint32(8) {
		events = append(events, Event{PCR: pcr, Type: eventlog.Separator, Data: make([]byte, 4)})
	}
	image := append(make([]byte, 32), 0x7f, 0xff, 4, 0) // an end of the device path
	image[24] = 4
	return append(events,
		Event{PCR: 4, Type: eventlog.EFIBootServicesApplication, Data: image, Hashed: []byte("image")},
		Event{PCR: 11, Type: eventlog.IPL, Data: wide(".linux"), Hashed: []byte("kernel")},
		Event{PCR: 11, Type: eventlog.IPL, Data: wide(".initrd"), Hashed: []byte("initrd")},
	)
}

// wide is a text in UTF-16LE with its NUL.
func wide(s string) []byte {
	var b []byte
	for _, c := range s + "\x00" {
		b = append(b, byte(c), 0)
	}
	return b
}

// encodeLog writes the log with digests of every bank.
func (m *Machine) encodeLog(events []Event) []byte {
	log := &eventlog.Log{Header: eventlog.Header{VersionMajor: 2, UintnSize: 2}}
	for _, bank := range m.LogBanks {
		a := eventlog.Algorithm(bank)
		log.Header.Algorithms = append(log.Header.Algorithms, eventlog.AlgorithmSize{Algorithm: a, Size: uint16(a.Size())})
	}
	for _, e := range events {
		out := eventlog.Event{PCR: e.PCR, Type: e.Type, Data: e.Data}
		for _, bank := range m.LogBanks {
			out.Digests = append(out.Digests, eventlog.Digest{Algorithm: eventlog.Algorithm(bank), Value: e.digest(bank)})
		}
		log.Events = append(log.Events, out)
	}
	return log.Encode()
}

func (e Event) digest(bank tpm.Algorithm) []byte {
	of := e.Data
	if e.Hashed != nil {
		of = e.Hashed
	}
	h := hashOf(bank).New()
	h.Write(of)
	return h.Sum(nil)
}

// registers are what the machine's TPM has after the boot.
func (m *Machine) registers(bank tpm.Algorithm) [][]byte {
	hash := hashOf(bank)
	values := make([][]byte, 24)
	for i := range values {
		values[i] = bytes.Repeat([]byte{map[bool]byte{true: 0xff}[i >= 17 && i <= 22]}, hash.Size())
	}
	for _, e := range slices.Concat(m.Events, m.Unlogged) {
		h := hash.New()
		h.Write(values[e.PCR])
		h.Write(e.digest(bank))
		values[e.PCR] = h.Sum(nil)
	}
	return values
}

func hashOf(bank tpm.Algorithm) crypto.Hash {
	if bank == tpm.AlgSHA1 {
		return crypto.SHA1
	}
	return bank.Hash()
}
