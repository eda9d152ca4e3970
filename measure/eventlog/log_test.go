package eventlog

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/vectortest"
)

func TestNoBootIsMissing(t *testing.T) {
	entries, err := os.ReadDir("testdata/uefi")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(boots(), got); diff != "" {
		t.Errorf("folders of testdata/uefi (-want +got):\n%s", diff)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, name := range boots() {
		path := "uefi/" + name + "/evlog.bin"
		if !bytes.Equal(readLog(t, path).Encode(), readFile(t, path)) {
			t.Errorf("%s: encodes to other bytes", path)
		}
	}
	for _, name := range foreign() {
		if !bytes.Equal(readForeign(t, name).Encode(), vectortest.File(t, vectors(), name)) {
			t.Errorf("%s: encodes to other bytes", name)
		}
	}
}

// TestHeader compares with the bytes of the log as a hex dump shows them.
func TestHeader(t *testing.T) {
	want := Header{
		VersionMajor: 2,
		UintnSize:    2,
		Algorithms:   []AlgorithmSize{{SHA256, 32}, {SHA384, 48}},
		VendorInfo:   []byte{},
	}
	l := readLog(t, "uefi/esp/evlog.bin")
	if diff := cmp.Diff(want, l.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if len(l.Events) != 42 { // counted by a separate Python reader
		t.Errorf("events: got %d, want 42", len(l.Events))
	}
}

// TestUnknownAlgorithm checks that digests of an algorithm that the package
// does not know are read by the size in the header.
func TestUnknownAlgorithm(t *testing.T) {
	want := readLog(t, "uefi/esp/evlog.bin")
	want.Header.Algorithms = append([]AlgorithmSize{{0x1234, 28}}, want.Header.Algorithms...)
	for i := range want.Events {
		e := &want.Events[i]
		e.Digests = append([]Digest{{0x1234, make([]byte, 28)}}, e.Digests...)
	}
	got, err := Decode(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if _, err := got.Replay(0x1234); err == nil {
		t.Error("replay of an unknown bank: no error")
	}
}

func TestDecodeRefuses(t *testing.T) {
	// Offsets of fields of the header event (PFP 10.2.1 and 10.4.5.1), then of
	// the first event after it, which starts at 0x45.
	put := func(off int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[off:], v); return b }
	}
	size := func(off int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
	}
	tests := []struct {
		name string
		edit func([]byte) []byte
		want string
	}{
		{"empty", func([]byte) []byte { return nil }, "PCR index at 0x0: got 0 bytes, want 4"},
		{"header PCR", put(0, 1), "PCR index: got 1, want 0"},
		{"header type", put(4, 4), "type: got EV_SEPARATOR, want EV_NO_ACTION"},
		{"header digest", put(8, 1), "digest: got 01"},
		{"header size over the end", size(28, 1<<31), "event data at 0x20"},
		{"header size short", size(28, 36), "vendor information size at 0x24: got 0 bytes, want 1"},
		{"header size long", size(28, 38), "bytes follow the vendor information"},
		{"signature", put(32+14, '2'), `signature: got "Spec ID Event02\x00"`},
		{"platform class", put(48, 2), "platform class: got 2"},
		{"version", put(52, 1), "version: got 2.1, want 2.0"},
		{"UINTN size", put(55, 3), "UINTN size: got 3"},
		{"no algorithms", size(56, 0), "algorithm count: got 0"},
		{"many algorithms", size(56, 9), "algorithm count: got 9"},
		{"algorithm twice", put(64, 0x0b, 0, 32, 0), "algorithm sha256: listed twice"},
		{"wrong digest size", put(62, 31), "algorithm sha256: digest size: got 31, want 32"},
		{"zero digest size", put(60, 0x77, 0, 0, 0), "digest size: got 0, want 1 to 64"},
		{"PCR index", put(0x45, 24), "parsing event 0 at 0x45: PCR index: got 24, want below 24"},
		{"digest count low", put(0x4d, 1), "digest count: got 1, want 2"},
		{"digest count high", put(0x4d, 3), "digest count: got 3, want 2"},
		{"digest order", put(0x51, 0x0c), "digest 0: algorithm: got sha384, want sha256"},
		{"event too large", size(0xa5, MaxEventSize+1), "event size: got 262145"},
		{"event over the end", size(0xa5, MaxEventSize), "event data at 0xa9"},
		{"truncated", func(b []byte) []byte { return b[:len(b)-1] }, "parsing event 41 at 0x1601: event data"},
		{"trailing byte", func(b []byte) []byte { return append(b, 0) }, "parsing event 42 at 0x168d: PCR index"},
		{"0xff filling", func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xff}, 512)...) }, "PCR index: got 4294967295"},
		{"too long", func(b []byte) []byte { return append(b, make([]byte, MaxSize)...) }, "want at most 1048576"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode(tt.edit(readFile(t, "uefi/esp/evlog.bin")))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestAlgorithmLimits meets the limits of the header exactly.
func TestAlgorithmLimits(t *testing.T) {
	for _, tt := range []struct {
		count int
		size  uint16
		ok    bool
	}{{1, 64, true}, {MaxAlgorithms, 64, true}, {MaxAlgorithms + 1, 1, false}, {1, 65, false}, {1, 0, false}} {
		l := &Log{Header: Header{VersionMajor: 2, UintnSize: 1}}
		for i := range tt.count {
			l.Header.Algorithms = append(l.Header.Algorithms, AlgorithmSize{Algorithm(0x2000 + i), tt.size})
		}
		if _, err := Decode(l.Encode()); (err == nil) != tt.ok {
			t.Errorf("%d algorithms of %d bytes: got error %v", tt.count, tt.size, err)
		}
	}
}

func TestTooManyEvents(t *testing.T) {
	l := readLog(t, "uefi/esp/evlog.bin")
	e := l.Events[8]
	l.Events = nil
	for range MaxEvents + 1 {
		l.Events = append(l.Events, e)
	}
	if _, err := Decode(l.Encode()); err == nil || !strings.Contains(err.Error(), "more than 4096 events") {
		t.Errorf("got error %v, want too many events", err)
	}
}

// TestDecodeRefusesGuestLog: a confidential guest's log is none of a TPM, whose
// registers mean something else.
func TestDecodeRefusesGuestLog(t *testing.T) {
	_, err := Decode(vectortest.File(t, vectors(), "go-eventlog/CCEL_unpadded.data.bin"))
	if err == nil || !strings.Contains(err.Error(), "PCR index: got 1, want 0 (a log of a TPM)") {
		t.Errorf("got error %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range boots() {
		f.Add(readFile(f, "uefi/"+name+"/evlog.bin"))
	}
	for _, name := range foreign() {
		f.Add(vectortest.File(f, vectors(), name))
	}
	f.Add(vectortest.File(f, vectors(), "go-eventlog/CCEL_unpadded.data.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Encode(), b) {
			t.Error("decoded log encodes to other bytes")
		}
		for i := range l.Events {
			s := l.Events[i].Describe() + l.Events[i].Type.String()
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("description %q is not printable ASCII", s)
			}
		}
		for _, a := range []Algorithm{SHA256, SHA384} {
			if _, err := l.Replay(a); err != nil {
				return
			}
		}
		if err := l.CheckData(); err != nil {
			return
		}
	})
}
