package eventlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestCheckData expects every real log to be consistent and every flipped bit
// in a digest or in the data of a hashed event to be seen.
func TestCheckData(t *testing.T) {
	for _, name := range boots() {
		if err := readLog(t, "uefi/"+name+"/evlog.bin").CheckData(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	seen := map[Type]bool{}
	for name, l := range map[string]*Log{
		"esp": readLog(t, "uefi/esp/evlog.bin"),
		"cos": readForeign(t, "go-eventlog/cos-101-amd-sev.bin"),
	} {
		for i := range l.Events {
			e := &l.Events[i]
			if !e.Type.HashesData() {
				continue
			}
			seen[e.Type] = true
			flip(t, fmt.Sprintf("%s event %d", name, i), e, l.CheckData)
		}
	}
	guest := readGuest(t, "go-eventlog/cos-113-intel-tdx.bin")
	for i := range guest.Events {
		if e := &guest.Events[i]; e.Type.HashesData() {
			flip(t, fmt.Sprintf("guest event %d", i), e, guest.CheckData)
		}
	}
	for _, typ := range []Type{
		Separator, EFIAction, SCRTMVersion, EFIVariableDriverConfig, EFIVariableBoot, EFIVariableAuthority, EFIGPTEvent,
	} {
		if !seen[typ] {
			t.Errorf("%v: not in the logs", typ)
		}
	}
}

// flip expects check to see a flipped bit of each digest that something rests
// on, and of the last byte of the data.
func flip(t *testing.T, name string, e *Event, check func() error) {
	t.Helper()
	for _, d := range e.Digests {
		if d.Algorithm == SHA1 {
			continue
		}
		d.Value[7] ^= 1
		if err := check(); err == nil || !strings.Contains(err.Error(), d.Algorithm.String()) {
			t.Errorf("%s: flipped %v digest: got error %v", name, d.Algorithm, err)
		}
		d.Value[7] ^= 1
	}
	e.Data[len(e.Data)-1] ^= 1
	if err := check(); err == nil {
		t.Errorf("%s: flipped data: no error", name)
	}
	e.Data[len(e.Data)-1] ^= 1
}

// TestVariableBoot: EDK II hashes the value of a boot variable, the laptop of
// crypto_agile_eventlog the whole structure; nothing else is accepted, and of no
// other type the value alone.
func TestVariableBoot(t *testing.T) {
	of := func(l *Log) *Event {
		i := slices.IndexFunc(l.Events, func(e Event) bool { return e.Type == EFIVariableBoot })
		if i < 0 {
			t.Fatal("no boot variable in the log")
		}
		return &l.Events[i]
	}
	value, whole := of(readLog(t, "uefi/esp/evlog.bin")), of(readForeign(t, "go-eventlog/crypto_agile_eventlog"))
	for name, e := range map[string]*Event{"value": value, "whole": whole} {
		if err := e.CheckData(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The name is the first byte of "BootOrder": bound by the one, not by the other.
	const name = 16 + 8 + 8
	value.Data[name] ^= 1
	if err := value.CheckData(); err != nil {
		t.Errorf("name beside the value's hash: %v", err)
	}
	whole.Data[name] ^= 1
	if err := whole.CheckData(); err == nil {
		t.Error("name in the structure's hash: no error")
	}
	// A length that does not fit leaves only the hash of the whole.
	value.Data[16]++
	if err := value.CheckData(); err == nil {
		t.Error("wrong name length: no error")
	}
	// Lengths that only add up modulo 2^64.
	chars := uint64(len(value.Data)) // more than there are
	le := binary.LittleEndian
	le.PutUint64(value.Data[16:], chars)
	le.PutUint64(value.Data[24:], uint64(len(value.Data)-name)-2*chars)
	if err := value.CheckData(); err == nil {
		t.Error("lengths that wrap: no error")
	}
	for _, typ := range []Type{EFIVariableDriverConfig, EFIVariableBoot2, EFIVariableAuthority} {
		e := *of(readLog(t, "uefi/esp/evlog.bin"))
		e.Type = typ
		if err := e.CheckData(); err == nil {
			t.Errorf("%v with the value's hash: no error", typ)
		}
	}
}

// TestVariableBoot2 hashes the structure by hand; no log at hand has the type.
func TestVariableBoot2(t *testing.T) {
	data := []byte("0123456789abcdef\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00B\x00xy")
	whole := sha256.Sum256(data)
	e := Event{Type: EFIVariableBoot2, Digests: []Digest{{SHA256, whole[:]}}, Data: data}
	if err := e.CheckData(); err != nil {
		t.Error(err)
	}
}
