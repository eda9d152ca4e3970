package varstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// flash reads one of the files that were booted (../testdata/README.md) or
// that a boot left behind (testdata/README.md).
func flash(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := xz.NewReader(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flashes() []string {
	return []string{
		"../testdata/boots/inputs/ca.fd.xz", "../testdata/boots/inputs/leaf.fd.xz",
		"../testdata/boots/inputs/hash.fd.xz", "../testdata/boots/inputs/disabled.fd.xz", "testdata/booted.fd.xz",
	}
}

// TestBooted reads what firmware itself wrote: Debian's snakeoil variables
// after one boot. The hashes are those of the data that firmware measured in
// that boot: testdata/README.md.
func TestBooted(t *testing.T) {
	s, err := Decode(flash(t, "testdata/booted.fd.xz"))
	if err != nil {
		t.Fatal(err)
	}
	if want := 62; len(s.Variables) != want {
		t.Errorf("got %d records, want %d", len(s.Variables), want)
	}
	tests := []struct {
		owner GUID
		name  string
		size  int
		sum   string
	}{
		{GlobalVariable(), "PK", 1031, "6057fff6d9f9ea13247dcd50285b0d840c230f79110bc66ee3901f57e416f6f1"},
		{GlobalVariable(), "KEK", 1031, "e7f332a0f996573f737e61057dd7b7314c173f503200559a8e09736c08b4ce47"},
		{SecurityDatabase(), "db", 1031, "e7f332a0f996573f737e61057dd7b7314c173f503200559a8e09736c08b4ce47"},
		{SecurityDatabase(), "dbx", 76, "6cc1e93b2b3f263e5442e1717348ab721230c33d9f69a7265e8480fd7f087ff9"},
	}
	for _, tt := range tests {
		v, ok := s.Variable(tt.owner, tt.name)
		if !ok {
			t.Errorf("%s: not found", tt.name)
			continue
		}
		if got := sha256.Sum256(v.Data); len(v.Data) != tt.size || hex.EncodeToString(got[:]) != tt.sum {
			t.Errorf("%s: got %d bytes with SHA-256 %x, want %d with %s", tt.name, len(v.Data), got, tt.size, tt.sum)
		}
	}
	for _, name := range []string{"", "pk", "PK\x00", "dbt", "CustomMode "} {
		if _, ok := s.Variable(GlobalVariable(), name); ok {
			t.Errorf("%q: found", name)
		}
	}
	if _, ok := s.Variable(SecurityDatabase(), "PK"); ok {
		t.Error("PK of another owner: found")
	}
}

// checkRoundTrip writes a decoded store again and compares byte for byte up to
// the end of the store.
func checkRoundTrip(t *testing.T, b []byte, s *Store) {
	t.Helper()
	end := volumeHeaderSize + int(binary.LittleEndian.Uint32(b[volumeHeaderSize+16:]))
	out := bytes.Clone(b[:volumeHeaderSize+storeHeaderSize])
	for i := range s.Variables {
		out = s.Variables[i].Append(out)
	}
	if s.End != min(len(out), end) || s.Limit != end {
		t.Errorf("store: got %#x to %#x, want %#x to %#x", s.End, s.Limit, min(len(out), end), end)
	}
	for len(out) < end {
		out = append(out, 0xff)
	}
	if !bytes.Equal(out[:end], b[:end]) {
		t.Error("a decoded store does not encode to the same bytes")
	}
}

func TestRoundTrip(t *testing.T) {
	for _, path := range flashes() {
		b := flash(t, path)
		s, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		checkRoundTrip(t, b, s)
		b = shrink(b) // to where the store fills the volume
		if s, err = Decode(b); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		checkRoundTrip(t, b, s)
	}
}

// TestLastVariable: a record may end where the store does, and not behind it.
func TestLastVariable(t *testing.T) {
	b := shrink(flash(t, flashes()[0]))[:volumeHeaderSize+storeHeaderSize]
	b = (&Variable{State: Added, Name: "A", Data: []byte("four")}).Append(bytes.Clone(b))
	s, err := Decode(resize(b))
	if err != nil || len(s.Variables) != 1 || string(s.Variables[0].Data) != "four" {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := Decode(resize(b[:len(b)-1])); err == nil || !strings.Contains(err.Error(), "want at most 7 in all") {
		t.Errorf("cut: got error %v", err)
	}
}

// TestVariables meets the bound of variables exactly, and passes it.
func TestVariables(t *testing.T) {
	for n, ok := range map[int]bool{MaxVariables: true, MaxVariables + 1: false} {
		head := shrink(flash(t, flashes()[0]))[:volumeHeaderSize+storeHeaderSize]
		b := slices.Clone(head)
		for range n {
			b = (&Variable{State: Deleted, Name: "A"}).Append(b)
		}
		b = resize(append(b, 0xff))
		_, err := Decode(b)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "more than 4096 variables") {
			t.Errorf("%d variables: got error %v", n, err)
		}
	}
}

// refusal is a change to a flash and a part of the error that it gives.
type refusal struct {
	name   string
	change func(b []byte) []byte
	want   string
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range slices.Concat(headerRefusals(), recordRefusals(), restRefusals()) {
		_, err := Decode(tt.change(flash(t, flashes()[0])))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func headerRefusals() []refusal {
	le := binary.LittleEndian
	return []refusal{
		{"empty", func([]byte) []byte { return nil }, "size: got 0"},
		{"too large", func([]byte) []byte { return make([]byte, MaxSize+1) }, "size: got 16777217"},
		{"not a volume", func(b []byte) []byte { b[0x28] = 'x'; return b }, `volume header at 0x28: signature: got "xFVH"`},
		{"other file system", func(b []byte) []byte { b[0x10]++; return b }, "volume header at 0x10: file system: got fff12b8e-"},
		{"truncated", func(b []byte) []byte { return b[:len(b)-1] }, "volume header at 0x20: length: got 0x84000, want 0x83fff"},
		{"trailing bytes", func(b []byte) []byte { return append(b, 0xff) }, "volume header at 0x20: length"},
		{"header length", func(b []byte) []byte { b[0x30] = 0x50; return b }, "volume header at 0x30: header length: got 0x50"},
		{"checksum", func(b []byte) []byte { b[0x32]++; return b }, "volume header at 0x32: checksum"},
		{"plain variables", func(b []byte) []byte { b[0x48]++; return b }, "store header at 0x48: signature"},
		{"store too large", func(b []byte) []byte { le.PutUint32(b[0x58:], 0x84000); return b }, "store header at 0x58: size: got 0x84000"},
		{"store too small", func(b []byte) []byte { le.PutUint32(b[0x58:], 27); return b }, "store header at 0x58: size: got 0x1b"},
		{"store unhealthy", func(b []byte) []byte { b[0x5d] = 0xff; return b }, "store header at 0x5c: format and state"},
	}
}

// recordRefusals: the first record of ca.fd is PK, with its header at 0x64, its
// name at 0xa0 and its data at 0xa6.
func recordRefusals() []refusal {
	le := binary.LittleEndian
	return []refusal{
		{"cut short", func(b []byte) []byte { b[0x66] = 0x7f; return b }, "parsing variable 0 at 0x64: state: got 0x7f, the mark of an update"},
		{"in transition", func(b []byte) []byte { b[0x66] = 0x3e; return b }, "state: got 0x3e, the mark of an update"},
		{"unknown state", func(b []byte) []byte { b[0x66] = 0x00; return b }, "state: got 0x00, want 0x3f"},
		{"reserved", func(b []byte) []byte { b[0x67] = 1; return b }, "reserved byte: got 0x01"},
		{"long name", func(b []byte) []byte { le.PutUint32(b[0x64+36:], 0xfffffffe); return b }, "want at most"},
		{"odd name", func(b []byte) []byte { le.PutUint32(b[0x64+36:], 5); return b }, "name: got 5 bytes"},
		{"no name", func(b []byte) []byte { le.PutUint32(b[0x64+36:], 2); return b }, "name: got 2 bytes"},
		{"long data", func(b []byte) []byte { le.PutUint32(b[0x64+40:], 0x40000); return b }, "want at most"},
		{"NUL in name", func(b []byte) []byte { b[0xa0] = 0; return b }, "want one NUL, at the end"},
		{"no NUL", func(b []byte) []byte { b[0xa4] = 'x'; return b }, "want one NUL, at the end"},
		{"lone surrogate", func(b []byte) []byte { b[0xa1] = 0xd8; return b }, "want UTF-16"},
		{"twice", func(b []byte) []byte {
			first := bytes.Clone(b[0x64 : 0x64+recordSize(b[0x64:])])
			copy(b[endOfRecords(b):], first)
			return b
		}, `"PK" of 8be4df61-93ca-11d2-aa0d-00e098032b8c: exists twice`},
		{"cut off", func(b []byte) []byte {
			// The store ends within a record; the volume goes on.
			end := endOfRecords(b)
			le.PutUint16(b[end:], 0x55aa)
			b[end+2] = byte(Deleted)
			le.PutUint32(b[0x58:], uint32(end+10-volumeHeaderSize))
			return b
		}, "header: got 10 bytes, want 60"},
		{"padding", func(b []byte) []byte {
			b[0x64+recordSize(b[0x64:])-1] = 0
			return b
		}, "padding: got 0x00"},
	}
}

// restRefusals: the store ends at 0x40000.
func restRefusals() []refusal {
	le := binary.LittleEndian
	return []refusal{
		// OvmfPkg/VarStore.fdf.inc: the working block lies at 0x41000, the spare
		// blocks from 0x42000 on.
		{"event log", func(b []byte) []byte { b[0x40000] = 0; return b }, "behind the store at 0x40000: got 0x00"},
		{"working block of another kind", func(b []byte) []byte { b[0x41000]++; return b }, "behind the store at 0x41000: got 0x2c"},
		{"working block invalid", func(b []byte) []byte { b[0x41014] = 0xfc; return b }, "behind the store at 0x41000"},
		{"a queued write", func(b []byte) []byte { b[0x41020] = 0xfe; return b }, "behind the store at 0x41020: got 0xfe"},
		{"two working blocks", func(b []byte) []byte {
			copy(b[0x42000:], b[0x41000:0x41020])
			return b
		}, "behind the store at 0x42000: got 0x2b"},
		{"working block elsewhere", func(b []byte) []byte {
			copy(b[0x40008:], b[0x41000:0x41020])
			return b
		}, "behind the store at 0x40008: got 0x2b"},
		{"spare", func(b []byte) []byte { b[0x83fff] = 0; return b }, "behind the store at 0x83fff: got 0x00"},
		{"working block cut", func(b []byte) []byte {
			size := le.Uint32(b[0x58:])
			b = resize(b[:0x4101f])
			le.PutUint32(b[0x58:], size)
			return b
		}, "behind the store at 0x41000: got 0x2b"},
		{"rubbish behind", func(b []byte) []byte { b[0x3ffff] = 0; return b }, "0x3ffff: got 0x00 behind the last variable"},
	}
}

// recordSize is the size of a record with its padding.
func recordSize(h []byte) int {
	le := binary.LittleEndian
	return (variableHeaderSize + int(le.Uint32(h[36:])+le.Uint32(h[40:])) + 3) / 4 * 4
}

func endOfRecords(b []byte) int {
	off := 0x64
	for binary.LittleEndian.Uint16(b[off:]) == startID {
		off += recordSize(b[off:])
	}
	return off
}

// TestDeletedIsNotThere checks that a record that was deleted or replaced does
// not count.
func TestDeletedIsNotThere(t *testing.T) {
	for _, state := range []State{Deleted, Replaced} {
		b := flash(t, flashes()[0])
		b[0x66] = byte(state)
		s, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Variable(GlobalVariable(), "PK"); ok {
			t.Errorf("state %#x: PK is there", state)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, path := range flashes() {
		f.Add(shrink(flash(f, path)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := Decode(b); err == nil {
			checkRoundTrip(t, b, s)
		}
	})
}

// shrink cuts a flash to 32 kB, so that the fuzzer gets on.
func shrink(b []byte) []byte {
	const size = 0x8000
	return resize(b[:size:size])
}

// resize makes the sizes in the headers and the checksum fit.
func resize(b []byte) []byte {
	le := binary.LittleEndian
	le.PutUint64(b[0x20:], uint64(len(b)))
	le.PutUint32(b[0x58:], uint32(len(b)-volumeHeaderSize))
	le.PutUint16(b[0x32:], 0)
	sum := uint16(0)
	for i := 0; i < volumeHeaderSize; i += 2 {
		sum += le.Uint16(b[i:])
	}
	le.PutUint16(b[0x32:], -sum)
	return b
}

// TestGUID: UEFI 2.10, sections 3.3 and 32.6.1 write them so.
func TestGUID(t *testing.T) {
	for text, want := range map[string]GUID{
		"8be4df61-93ca-11d2-aa0d-00e098032b8c": GlobalVariable(),
		"D719B2CB-3D3A-4596-A3BC-DAD00E67656F": SecurityDatabase(),
	} {
		if got, err := ParseGUID(text); err != nil || got != want || got.String() != strings.ToLower(text) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"", "8be4df61-93ca-11d2-aa0d-00e098032b8", "8be4df61-93ca-11d2-aa0d-00e098032b8c0", "8be4df61 93ca-11d2-aa0d-00e098032b8c",
		"8be4df6193ca--11d2-aa0d-00e098032b8c", "8be4df61-93ca-11d2-aa0d-00e098032b8g", "{be4df61-93ca-11d2-aa0d-00e098032b8}",
	} {
		if got, err := ParseGUID(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}
