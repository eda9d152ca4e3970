package tpm

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"safebox/measure/eventlog"
)

const boots = "../../measure/eventlog/testdata/uefi/"

func readLog(t testing.TB, boot string) *eventlog.Log {
	t.Helper()
	b, err := os.ReadFile(boots + boot + "/evlog.bin")
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestRealBoots: the ten real boots, of which three are attacks that leave an
// event in PCR 12 and one has another stub. The expectations are read off the
// README of the logs.
func TestRealBoots(t *testing.T) {
	for boot, want := range map[string]bool{
		"esp": true, "uki": true, "kuki": true, "kraw": true, "osrel": true, "mkosiesp": true,
		"kappend": false, "smbios": false, "cred": false, "uki262": false,
	} {
		l := readLog(t, boot)
		if err := CheckEvents(l); (err == nil) != want {
			t.Errorf("%s: events: got %v, want accepted %t", boot, err, want)
		}
		if err := CheckDigests(l); err != nil {
			t.Errorf("%s: digests: %v", boot, err)
		}
		if err := CheckSecureBoot(l); err != nil {
			t.Errorf("%s: Secure Boot: %v", boot, err)
		}
	}
}

// TestEveryPlace puts each event of a real log into every other register and
// under every other type: only the places in which real logs have it pass.
func TestEveryPlace(t *testing.T) {
	seen := map[[2]uint32]bool{}
	for _, boot := range []string{"esp", "kuki", "osrel"} {
		for _, e := range readLog(t, boot).Events {
			seen[[2]uint32{e.PCR, uint32(e.Type)}] = true
		}
	}
	if len(seen) != 19 { // counted in the dump of these logs
		t.Errorf("got %d pairs of register and type, want 19", len(seen))
	}
	types := []eventlog.Type{0x8000000a, 0x8000000c, 0x800000e0, 0x7fffffff, 0x80000000}
	for typ := range eventlog.Type(0x20) {
		types = append(types, typ, 0x80000000|typ)
	}
	allowed := rules()
	for _, e := range readLog(t, "esp").Events {
		for pcr := range uint32(eventlog.PCRs) {
			for _, typ := range types {
				moved := e
				moved.PCR, moved.Type = pcr, typ
				if err := checkEvent(&moved, allowed); err == nil && !seen[[2]uint32{pcr, uint32(typ)}] {
					t.Errorf("%v in PCR %d: accepted", typ, pcr)
				}
			}
		}
	}
}

// TestSeparators: one in each of PCR 0 to 7, of four zeros, and nothing after
// it but in PCR 4 and 5.
func TestSeparators(t *testing.T) {
	find := func(l *eventlog.Log, pcr uint32, typ eventlog.Type) int {
		for i, e := range l.Events {
			if e.PCR == pcr && e.Type == typ {
				return i
			}
		}
		t.Fatalf("no %v in PCR %d", typ, pcr)
		return 0
	}
	for pcr := range uint32(8) {
		for name, change := range map[string]func(l *eventlog.Log, i int){
			"dropped": func(l *eventlog.Log, i int) { l.Events = append(l.Events[:i:i], l.Events[i+1:]...) },
			"twice":   func(l *eventlog.Log, i int) { l.Events = append(l.Events, l.Events[i]) },
			"error":   func(l *eventlog.Log, i int) { l.Events[i].Data = []byte{1, 0, 0, 0} },
			"ones":    func(l *eventlog.Log, i int) { l.Events[i].Data = []byte{0xff, 0xff, 0xff, 0xff} },
			"short":   func(l *eventlog.Log, i int) { l.Events[i].Data = nil },
		} {
			l := readLog(t, "esp")
			change(l, find(l, pcr, eventlog.Separator))
			if CheckEvents(l) == nil {
				t.Errorf("separator of PCR %d %s: accepted", pcr, name)
			}
		}
	}
	for pcr, typ := range map[uint32]eventlog.Type{
		0: eventlog.SCRTMVersion, 1: eventlog.PlatformConfigFlags, 7: eventlog.EFIVariableDriverConfig,
	} {
		l := readLog(t, "esp")
		l.Events = append(l.Events, l.Events[find(l, pcr, typ)])
		if CheckEvents(l) == nil {
			t.Errorf("%v in PCR %d after its separator: accepted", typ, pcr)
		}
	}
	if CheckEvents(&eventlog.Log{}) == nil {
		t.Error("empty log: accepted")
	}
}

// TestEventData: a listed type with other data than was seen.
func TestEventData(t *testing.T) {
	for name, e := range map[string]eventlog.Event{
		"blob":             {PCR: 0, Type: eventlog.EFIPlatformFirmwareBlob, Data: make([]byte, 17)},
		"other flags":      {PCR: 1, Type: eventlog.PlatformConfigFlags, Data: []byte("ACPI DATA\x00")},
		"other variable":   {PCR: 1, Type: eventlog.EFIVariableBoot, Data: variableData(t, 3, "Timeout")},
		"Boot#### by name": {PCR: 1, Type: eventlog.EFIVariableBoot, Data: variableData(t, 3, "Boot00a0")},
		"long Boot####":    {PCR: 1, Type: eventlog.EFIVariableBoot, Data: variableData(t, 3, "Boot00000")},
		"foreign BootOrder": {PCR: 1, Type: eventlog.EFIVariableBoot, Data: func() []byte {
			b := variableData(t, 3, "BootOrder")
			b[0] ^= 1
			return b
		}()},
		"short variable":  {PCR: 1, Type: eventlog.EFIVariableBoot, Data: make([]byte, 31)},
		"huge name":       {PCR: 1, Type: eventlog.EFIVariableBoot, Data: append(make([]byte, 16), bytesOf(0xff, 16)...)},
		"return":          {PCR: 4, Type: eventlog.EFIAction, Data: []byte("Returning from EFI Application from Boot Option")},
		"image":           {PCR: 4, Type: eventlog.EFIBootServicesApplication, Data: make([]byte, 33)},
		"action in 5":     {PCR: 5, Type: eventlog.EFIAction, Data: []byte("Exit Boot Services Returned with Failure")},
		"dbt":             {PCR: 7, Type: eventlog.EFIVariableDriverConfig, Data: variableData(t, 3, "dbt")},
		"PK of db's GUID": {PCR: 7, Type: eventlog.EFIVariableDriverConfig, Data: variableData(t, 6, "PK")},
		"unknown tag":     {PCR: 9, Type: eventlog.EventTag, Data: []byte("\x00\x00\x00\x00\x0d\x00\x00\x00Linux initrd\x00")},
		"tag's text":      {PCR: 9, Type: eventlog.EventTag, Data: []byte("\xec\x22\x3b\x8f\x0d\x00\x00\x00Linux initrD\x00")},
		"tag's length":    {PCR: 9, Type: eventlog.EventTag, Data: []byte("\xec\x22\x3b\x8f\x0c\x00\x00\x00Linux initrd\x00")},
		"short tag":       {PCR: 9, Type: eventlog.EventTag, Data: []byte("\xec\x22\x3b\x8f")},
		"other section":   {PCR: 11, Type: eventlog.IPL, Data: []byte(".\x00p\x00c\x00r\x00s\x00i\x00g\x00\x00\x00")},
		"ASCII section":   {PCR: 11, Type: eventlog.IPL, Data: []byte(".linux\x00")},
	} {
		if err := checkEvent(&e, rules()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestVariable: lengths that don't add up, and some that only do when they
// overflow.
func TestVariable(t *testing.T) {
	// Of 8 bytes after the lengths: a name of 2 characters and 4 bytes of value.
	variable := func(names, size uint64) []byte {
		b := binary.LittleEndian.AppendUint64(make([]byte, 16), names)
		return append(binary.LittleEndian.AppendUint64(b, size), "A\x00B\x00abcd"...)
	}
	v, err := decodeVariable(variable(2, 4))
	if err != nil || v.name != "AB" || string(v.value) != "abcd" {
		t.Errorf("got %+v, %v", v, err)
	}
	for name, b := range map[string][]byte{
		"longer value":        variable(2, 5),
		"shorter value":       variable(2, 3),
		"longer name":         variable(5, 0),
		"name of 2^63":        variable(1<<63, 8),
		"name and value wrap": variable(1<<62, 1<<63+8),
		"name goes back":      variable(1<<64-1, 10),
	} {
		if v, err := decodeVariable(b); err == nil {
			t.Errorf("%s: got %+v", name, v)
		}
	}
}

// TestSecureBootVariables: one left out anywhere, one more, two in another
// order, one that is set.
func TestSecureBootVariables(t *testing.T) {
	const first, last = 3, 7 // in the esp log
	for name, change := range map[string]func(all []eventlog.Event) []eventlog.Event{
		"first left out": func(all []eventlog.Event) []eventlog.Event { return slices.Delete(all, first, first+1) },
		"last left out":  func(all []eventlog.Event) []eventlog.Event { return slices.Delete(all, last, last+1) },
		"last twice":     func(all []eventlog.Event) []eventlog.Event { return slices.Insert(all, last, all[last]) },
		"none":           func(all []eventlog.Event) []eventlog.Event { return slices.Delete(all, first, last+1) },
		"order":          func(all []eventlog.Event) []eventlog.Event { all[4], all[5] = all[5], all[4]; return all },
		"Secure Boot on": func(all []eventlog.Event) []eventlog.Event {
			all[first].Data = append(bytes.Clone(all[first].Data), 1)
			all[first].Data[24] = 1 // u64 length of the value
			return all
		},
	} {
		l := readLog(t, "esp")
		l.Events = change(l.Events)
		if err := CheckSecureBoot(l); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func bytesOf(b byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

// variableData takes the GUID from a real event and puts another name to it.
// Event 3 has EFI_GLOBAL_VARIABLE, event 6 EFI_IMAGE_SECURITY_DATABASE.
func variableData(t *testing.T, event int, name string) []byte {
	t.Helper()
	b := append([]byte(nil), readLog(t, "esp").Events[event].Data[:16]...)
	b = append(b, byte(len(name)), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, c := range []byte(name) {
		b = append(b, c, 0)
	}
	return b
}

func FuzzCheckEvents(f *testing.F) {
	for _, boot := range []string{"esp", "kuki", "cred"} {
		f.Add(readLog(f, boot).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := eventlog.Decode(b)
		if err != nil || CheckEvents(l) != nil {
			return
		}
		if len(l.Events) < 8 {
			t.Errorf("accepted a log of %d events", len(l.Events))
		}
		if CheckDigests(l) == nil && CheckSecureBoot(l) == nil && len(l.Events) < 13 {
			t.Errorf("accepted a log without Secure Boot's variables: %d events", len(l.Events))
		}
	})
}
