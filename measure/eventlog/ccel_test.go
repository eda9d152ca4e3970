package eventlog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/vectortest"
)

// TestCCELTable compares with the bytes of the files as a hex dump shows them,
// and with upstream's reading of the first (LAML 0x10000, LASA 0x7d649000).
func TestCCELTable(t *testing.T) {
	want := map[string]CCELTable{
		"go-eventlog/CCEL.bin": {
			OEM: [6]byte([]byte("INTEL ")), OEMTable: [8]byte([]byte("EDK2    ")), OEMRevision: 2,
			Creator: [4]byte([]byte("    ")), CreatorRevision: 0x01000013, LogSize: 0x10000, LogAddress: 0x7d649000,
		},
		"go-eventlog/cos-113-intel-tdx.table.bin": {
			OEM: [6]byte([]byte("INTEL ")), OEMTable: [8]byte([]byte("EDK2    ")), OEMRevision: 2,
			Creator: [4]byte([]byte("    ")), CreatorRevision: 0x01000013, LogSize: 0x40000, LogAddress: 0xbedbf000,
		},
	}
	for name, w := range want {
		b := vectortest.File(t, vectors(), name)
		got, err := DecodeCCELTable(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(&w, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !bytes.Equal(got.Encode(), b) {
			t.Errorf("%s: encodes to other bytes", name)
		}
	}
}

func TestDecodeCCELTableRefuses(t *testing.T) {
	// put edits and puts the checksum right again.
	put := func(off int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte {
			copy(b[off:], v)
			b[9] = 0
			rest := byte(0)
			for _, x := range b {
				rest += x
			}
			b[9] = -rest
			return b
		}
	}
	tests := []struct {
		name string
		edit func([]byte) []byte
		want string
	}{
		{"empty", func([]byte) []byte { return nil }, "length: got 0, want 56"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "length: got 57, want 56"},
		{"signature", put(0, 'D'), `signature: got "DCEL", want "CCEL"`},
		{"length", put(4, 57), "length field at 0x4: got 57, want 56"},
		{"revision", put(8, 2), "revision at 0x8: got 2, want 1"},
		{"checksum", func(b []byte) []byte { b[9]++; return b }, "checksum: got a sum of 0x01, want 0"},
		{"flipped bit", func(b []byte) []byte { b[50] ^= 0x80; return b }, "checksum: got a sum of"},
		{"type SEV", put(36, 1), "type at 0x24: got 1, want 2 (TDX)"},
		{"subtype", put(37, 1), "subtype at 0x25: got 1, want 0"},
		{"reserved", put(39, 1), "reserved at 0x26: got 0x100, want 0"},
		{"no log", put(40, 0, 0, 0), "log size at 0x28: got 0"},
		{"large log", put(40, 1, 0, 0x10), "log size at 0x28: got 1048577, want 1 to 1048576"},
		{"no address", put(48, 0, 0, 0, 0), "log address at 0x30: got 0x0"},
		{"address wraps", put(48, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "log address at 0x30"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeCCELTable(tt.edit(vectortest.File(t, vectors(), "go-eventlog/CCEL.bin")))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestCCELTableLimits meets the limits of the log's place exactly.
func TestCCELTableLimits(t *testing.T) {
	table, err := DecodeCCELTable(vectortest.File(t, vectors(), "go-eventlog/CCEL.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		size, address uint64
		ok            bool
	}{
		{1, 1, true},
		{MaxSize, 1, true},
		{MaxSize + 1, 1, false},
		{0, 1, false},
		{1, 0, false},
		{2, 1<<64 - 3, true},
		{2, 1<<64 - 2, false},
	} {
		table.LogSize, table.LogAddress = tt.size, tt.address
		if _, err := DecodeCCELTable(table.Encode()); (err == nil) != tt.ok {
			t.Errorf("%#x bytes at %#x: got error %v", tt.size, tt.address, err)
		}
	}
}

func TestCheckLog(t *testing.T) {
	table, err := DecodeCCELTable(vectortest.File(t, vectors(), "go-eventlog/CCEL.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"go-eventlog/CCEL_unpadded.data.bin": "", // cut after its last event
		"dstack/ccel.bin":                    "", // a whole area of that size
		"go-eventlog/cos-113-intel-tdx.bin":  "size with filling: got 262144, want 65536",
	} {
		err := table.CheckLog(readGuest(t, name))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
	table.LogSize = 2025
	err = table.CheckLog(readGuest(t, "go-eventlog/CCEL_unpadded.data.bin"))
	if err == nil || !strings.Contains(err.Error(), "size: got 2026, want at most 2025") {
		t.Errorf("log larger than its area: got error %v", err)
	}
}

func FuzzDecodeCCELTable(f *testing.F) {
	f.Add(vectortest.File(f, vectors(), "go-eventlog/CCEL.bin"))
	f.Add(vectortest.File(f, vectors(), "go-eventlog/cos-113-intel-tdx.table.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := DecodeCCELTable(b)
		if err == nil && !bytes.Equal(table.Encode(), b) {
			t.Error("decoded table encodes to other bytes")
		}
	})
}
