package eventlog

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

func TestReplayRefusesBanks(t *testing.T) {
	for _, a := range []Algorithm{SHA1, SHA512, SM3, 0} {
		if _, err := readForeign(t, "go-eventlog/cos-101-amd-sev.bin").Replay(a); err == nil {
			t.Errorf("%v: no error", a)
		}
	}
	_, err := readForeign(t, "go-eventlog/crypto_agile_eventlog").Replay(SHA384)
	if err == nil || !strings.Contains(err.Error(), "sha384 digest: got 0 bytes, want 48") {
		t.Errorf("bank that the log does not have: got error %v", err)
	}
}

func TestReplayRefusesPCR(t *testing.T) {
	for pcr, want := range map[uint32]string{
		15: "", 16: "", 23: "",
		17: "replaying event 40: PCR 17", 18: "PCR 18", 19: "PCR 19", 20: "PCR 20", 21: "PCR 21", 22: "PCR 22",
		24: "replaying event 40: PCR index: got 24, want below 24", ^uint32(0): "PCR index: got 4294967295",
	} {
		l := readLog(t, "uefi/esp/evlog.bin")
		l.Events[40].PCR = pcr
		_, err := l.Replay(SHA256)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("PCR %d: got error %v, want %q", pcr, err, want)
		}
	}
}

// TestAlgorithms compares with the TCG Algorithm Registry 1.34, table 3, and
// the sizes of FIPS 180-4 and GB/T 32905.
func TestAlgorithms(t *testing.T) {
	for id, want := range map[Algorithm]struct {
		name string
		size int
	}{
		0x0004: {"sha1", 20}, 0x000b: {"sha256", 32}, 0x000c: {"sha384", 48}, 0x000d: {"sha512", 64}, 0x0012: {"sm3", 32},
		0x0005: {"algorithm 0x0005", 0},
	} {
		if got := id.String(); got != want.name || id.Size() != want.size {
			t.Errorf("%#04x: got %s with %d bytes, want %s with %d", uint16(id), got, id.Size(), want.name, want.size)
		}
	}
}

func noAction(pcr uint32, data string) Event {
	return Event{PCR: pcr, Type: NoAction, Digests: []Digest{{SHA256, make([]byte, 32)}}, Data: []byte(data)}
}

// TestStartupLocality works the example of PFP 10.4.5.3 by hand: PCR 0 starts
// as the locality in its last byte.
func TestStartupLocality(t *testing.T) {
	digest := sha256.Sum256([]byte("x"))
	extend := Event{PCR: 0, Type: SCRTMVersion, Digests: []Digest{{SHA256, digest[:]}}}
	first := make([]byte, 32)
	first[31] = 3
	want := sha256.Sum256(append(first, digest[:]...))

	l := &Log{Events: []Event{noAction(0, "StartupLocality\x00\x03"), extend}}
	got, err := l.Replay(SHA256)
	if err != nil || !bytes.Equal(got[0], want[:]) {
		t.Errorf("locality 3: got %x, %v, want %x", got[0], err, want)
	}

	refused := []struct {
		name   string
		events []Event
		want   string
	}{
		{"value", []Event{noAction(0, "StartupLocality\x00\x01")}, "got 1, want 0, 3 or 4"},
		{"length", []Event{noAction(0, "StartupLocality\x00\x03\x00")}, "got 18 bytes, want 17"},
		{"register", []Event{noAction(1, "StartupLocality\x00\x03")}, "PCR index: got 1, want 0"},
		{"twice", []Event{noAction(0, "StartupLocality\x00\x03"), noAction(0, "StartupLocality\x00\x03")}, "told twice"},
		{"late", []Event{extend, noAction(0, "StartupLocality\x00\x03")}, "after an event that extends PCR 0"},
	}
	for _, tt := range refused {
		l := &Log{Events: tt.events}
		if _, err := l.Replay(SHA256); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}
