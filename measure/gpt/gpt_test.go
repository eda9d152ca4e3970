package gpt

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// disk is a sparse disk: what is not in the map reads as zeros.
type disk struct {
	size   int64
	pieces map[int64][]byte // by byte offset
}

func (d *disk) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	for at, p := range d.pieces {
		for i, c := range p {
			if j := at + int64(i) - off; j >= 0 && j < int64(len(b)) {
				b[j] = c
			}
		}
	}
	if off+int64(len(b)) > d.size {
		return int(max(0, d.size-off)), io.EOF
	}
	return len(b), nil
}

// seal writes the header CRC.
func seal(h []byte) []byte {
	clear(h[16:20])
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
	return h
}

// rebuild makes the disk that firmware measured as event: the primary header
// is taken as it is, the rest follows from it.
func rebuild(event []byte) *disk {
	primary := append([]byte(nil), event[:92]...)
	entries := make([]byte, 128*128)
	copy(entries, event[100:])
	last := binary.LittleEndian.Uint64(primary[32:])

	mbr := make([]byte, 512)
	mbr[446+4] = 0xee
	binary.LittleEndian.PutUint32(mbr[446+8:], 1)
	binary.LittleEndian.PutUint32(mbr[446+12:], uint32(last))
	binary.LittleEndian.PutUint16(mbr[510:], 0xaa55)

	backup := append([]byte(nil), primary...)
	copy(backup[24:32], primary[32:40])
	copy(backup[32:40], primary[24:32])
	binary.LittleEndian.PutUint64(backup[72:], last-32)
	return &disk{size: int64(last+1) * 512, pieces: map[int64][]byte{
		0: mbr, 512: primary, 1024: entries,
		int64(last) * 512: seal(backup), int64(last-32) * 512: append([]byte(nil), entries...),
	}}
}

func event(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEventData(t *testing.T) {
	tests := []struct{ file, sha256, sha384 string }{ // as the firmware logged them
		{
			"esp.bin", "e288529dc8c4023d065ed768c87ca6fd99810b6a639047c9a70a333e20949bf7",
			"890fef0b0f27c94e96b5d1ca215336fa0f36d5bf838721e98592e0cc73e94ba6b04cb4897bf9f2ef902c8e881b3365c9",
		},
		{
			"mkosiesp.bin", "d2a6ecb8f7a54a6d1529cb2151e8c14024e52a97d30ce547d01263f18da26604",
			"d61139244d48b99b0489b6f27db937ffdf66a6a3c565ea62acdf3ca8269d7a589078ced1a0e1c886adf420e18c479487",
		},
	}
	for _, tt := range tests {
		want := event(t, tt.file)
		d := rebuild(want)
		table, err := Decode(d, d.size)
		if err != nil {
			t.Fatalf("%s: %v", tt.file, err)
		}
		got := table.EventData()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: event data (-want +got):\n%s", tt.file, diff)
		}
		s256, s384 := sha256.Sum256(got), sha512.Sum384(got)
		if hex.EncodeToString(s256[:]) != tt.sha256 || hex.EncodeToString(s384[:]) != tt.sha384 {
			t.Errorf("%s: digests: got %x, %x, want %s, %s", tt.file, s256, s384, tt.sha256, tt.sha384)
		}
	}
}

func TestDecodeFields(t *testing.T) {
	d := rebuild(event(t, "esp.bin"))
	table, err := Decode(d, d.size)
	if err != nil {
		t.Fatal(err)
	}
	// Read by eye from the event; the type is that of UEFI 2.10, table 5-7.
	if table.Sectors != 0x20000 || table.FirstUsable != 0x800 || table.LastUsable != 0x1ffde {
		t.Errorf("sectors: got %d, usable %d to %d", table.Sectors, table.FirstUsable, table.LastUsable)
	}
	if got, want := table.DiskGUID.String(), "5afeb0c5-0000-4000-8000-000000000001"; got != want {
		t.Errorf("disk GUID: got %s, want %s", got, want)
	}
	if len(table.Partitions) != 1 {
		t.Fatalf("partitions: got %d, want 1", len(table.Partitions))
	}
	p := table.Partitions[0]
	if p.Type.String() != "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" || p.Type != ESP() {
		t.Errorf("type: got %v", p.Type)
	}
	if p.GUID.String() != "5afeb0c5-0000-4000-8000-000000000002" || p.Name != "esp" || p.Attributes != 0 {
		t.Errorf("partition: got %+v", p)
	}
	if p.Offset() != 0x100000 || p.Size() != (0x1f7ff-0x800+1)*512 {
		t.Errorf("place: got %d bytes at 0x%x", p.Size(), p.Offset())
	}
}

func TestFromUUID(t *testing.T) {
	u := [16]byte{0xc1, 0x2a, 0x73, 0x28, 0xf8, 0x1f, 0x11, 0xd2, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}
	if FromUUID(u) != ESP() {
		t.Errorf("got %v, want %v", FromUUID(u), ESP())
	}
}

func TestDecodeRefuses(t *testing.T) {
	const primary, entries = 512, 1024
	const backup, backupEntries = 0x1ffff * 512, (0x1ffff - 32) * 512
	put := func(at int64, off int, v uint32) func(*disk) {
		return func(d *disk) { binary.LittleEndian.PutUint32(d.pieces[at][off:], v) }
	}
	sealed := func(at int64, off int, v uint32) func(*disk) {
		return func(d *disk) { put(at, off, v)(d); seal(d.pieces[at]) }
	}
	// table changes the entries in both places and makes all CRCs right again.
	table := func(change func(e []byte)) func(*disk) {
		return func(d *disk) {
			for h, e := range map[int64]int64{primary: entries, backup: backupEntries} {
				change(d.pieces[e])
				binary.LittleEndian.PutUint32(d.pieces[h][88:], crc32.ChecksumIEEE(d.pieces[e]))
				seal(d.pieces[h])
			}
		}
	}
	tests := []struct {
		name   string
		change func(*disk)
		want   string
	}{
		{"cut disk", func(d *disk) { d.size -= 512 }, "sector"},
		{"grown disk", func(d *disk) { d.size += 512 }, "sector"},
		{"odd size", func(d *disk) { d.size++ }, "disk size"},
		{"tiny", func(d *disk) { d.size = 512 }, "disk size"},
		{"MBR signature", put(0, 508, 0), "MBR: signature"},
		{"MBR bootable", put(0, 446, 0x80), "boot indicator"},
		{"MBR type", put(0, 450, 0x0c), "type 0x0c"},
		{"MBR start", put(0, 454, 2), "starting sector"},
		{"MBR size", put(0, 458, 5), "record 0: sectors"},
		{"MBR hybrid", put(0, 470, 1), "records 1 to 3"},
		{"no signature", put(primary, 0, 0), "primary header: at sector 1: signature"},
		{"header CRC", put(primary, 60, 9), "header CRC32"},
		{"revision", sealed(primary, 8, 0x20000), "revision"},
		{"header size", sealed(primary, 12, 96), "header size"},
		{"reserved", sealed(primary, 20, 1), "reserved"},
		{"own sector", sealed(primary, 24, 2), "own sector"},
		{"other sector", sealed(primary, 32, 0x1fffe), "other header"},
		{"first usable", sealed(primary, 40, 1), "usable"},
		{"last usable", sealed(primary, 48, 0x1ffff), "usable"},
		{"no disk GUID", func(d *disk) { clear(d.pieces[primary][56:72]); seal(d.pieces[primary]) }, "disk GUID"},
		{"entries on header", sealed(primary, 72, 1), "sector of the entries"},
		{"entries in usable space", sealed(primary, 72, 0x7f0), "sector of the entries"},
		{"too many entries", sealed(primary, 80, 129), "number of entries"},
		{"no entries", sealed(primary, 80, 0), "number of entries"},
		{"entry size", sealed(primary, 84, 256), "entry size"},
		{"entries CRC", put(entries, 56, 0x41), "primary entries"},
		{"backup entries CRC", put(backupEntries, 56, 0x41), "backup entries"},
		{"backup signature", put(backup, 0, 0), "backup header"},
		{"backup usable", sealed(backup, 40, 0x700), "as in the primary"},
		{"backup GUID", sealed(backup, 56, 1), "as in the primary"},
		{"backup CRC", sealed(backup, 88, 1), "as in the primary"},
		{"unused entry with bytes", table(func(e []byte) { e[128+40] = 1 }), "entry 1: unused"},
		{"unique GUID", table(func(e []byte) { clear(e[16:32]) }), "unique GUID"},
		{"same GUID", table(func(e []byte) { copy(e[128:], e[:128]) }), "which partition 0 has too"},
		{"overlap", table(func(e []byte) { copy(e[128:], e[:128]); e[128+16]++ }), "overlap"},
		{"before usable", table(func(e []byte) { binary.LittleEndian.PutUint64(e[32:], 34) }), "sectors: got 34"},
		{"end before start", table(func(e []byte) { binary.LittleEndian.PutUint64(e[40:], 0x7ff) }), "sectors: got"},
		{"name", table(func(e []byte) { e[56] = 1 }), "name"},
	}
	for _, tt := range tests {
		d := rebuild(event(t, "esp.bin"))
		tt.change(d)
		_, err := Decode(d, d.size)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestDecodeSfdisk reads what sfdisk (util-linux, libfdisk) writes and
// compares with what sfdisk says about it.
func TestDecodeSfdisk(t *testing.T) {
	sfdisk := tool(t, "sfdisk")
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sfdisk, "--quiet", path)
	cmd.Stdin = strings.NewReader("label: gpt\nsize=1MiB, type=U, name=one\ntype=L, name=\"zwei \u00e4\"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	out, err := exec.Command(sfdisk, "--json", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Table struct {
			ID         string
			First      uint64 `json:"firstlba"`
			Last       uint64 `json:"lastlba"`
			Partitions []struct {
				Start, Size      uint64
				Type, UUID, Name string
			}
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	got, err := Decode(f, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if w := want.Table; !strings.EqualFold(got.DiskGUID.String(), w.ID) || got.FirstUsable != w.First || got.LastUsable != w.Last || len(got.Partitions) != len(w.Partitions) {
		t.Fatalf("table: got %+v, want %+v", got, w)
	}
	for i, w := range want.Table.Partitions {
		p := got.Partitions[i]
		if p.First != w.Start || p.Last != w.Start+w.Size-1 || p.Name != w.Name || !strings.EqualFold(p.GUID.String(), w.UUID) || !strings.EqualFold(p.Type.String(), w.Type) {
			t.Errorf("partition %d: got %+v, want %+v", i, p, w)
		}
	}
}

// tool finds a program, also where only root's PATH looks.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, p := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	t.Fatalf("%s: not found; run ci/setup", name)
	return ""
}

// FuzzDecode varies the measured bytes and the places around them; the disk is
// put together from its pieces, so that the CRCs can be right.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"esp.bin", "mkosiesp.bin"} {
		f.Add(event(f, name)[:92], event(f, name)[100:], false)
		f.Add(event(f, name)[:92], event(f, name)[100:], true)
	}
	f.Fuzz(func(t *testing.T, header, entries []byte, reseal bool) {
		if len(header) != 92 || len(entries) > 128*128 {
			return
		}
		if last := binary.LittleEndian.Uint64(header[32:]); last < 40 || last > 1<<32 {
			return
		}
		d := rebuild(append(append(append([]byte(nil), header...), make([]byte, 8)...), entries...))
		if reseal {
			array := make([]byte, 128*128)
			copy(array, entries)
			sum := crc32.ChecksumIEEE(array)
			for at, p := range d.pieces {
				if at == 512 || at == d.size-512 {
					binary.LittleEndian.PutUint32(p[88:], sum)
					seal(p)
				}
			}
		}
		table, err := Decode(d, d.size)
		if err != nil {
			return
		}
		if got, want := len(table.EventData()), 100+128*len(table.Partitions); got != want {
			t.Errorf("event data: got %d bytes, want %d", got, want)
		}
	})
}
