package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"safebox/measure/fat"
	"safebox/measure/gpt"

	"github.com/google/go-cmp/cmp"
)

const seed = "safebox test"

// GUIDs of that seed, by Python 3.11: uuid.uuid5(uuid.uuid5(namespace, seed),
// name) for the names disk, esp and volume.
const (
	diskGUID = "77c33e31-fb25-5518-8c1e-b4cfe71aa00c"
	espGUID  = "e4a8ab51-c759-56e8-a38b-a9f87cf2a7f1"
	serial   = 0x8f40c498
)

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13)
	}
	return b
}

// simple is what an appliance has, rich what else the writer can do.
func simple() []File { return []File{{Boot, pattern(100_000)}} }

func rich() []File {
	return []File{
		{Boot, pattern(300_001)},
		{"loader/loader.conf", []byte("timeout 0\n")},
		{"EFI/Linux/a rather long name, more than one entry holds.efi", pattern(512)},
		{"EFI/Linux/a rather long name, another one.efi", pattern(513)},
		{"EFI/Linux/ARATHE~1.EFI", pattern(1)},
		{"EFI/Linux/exactly26characters-in.all", pattern(3)},
		{"EFI/Linux/twenty-six.characters.here", pattern(5)},
		{"EMPTY", nil},
		{"lower.txt", pattern(2)},
		{"many/0", nil},
		{"many/1", nil},
		{"many/2", nil},
		{"many/3", nil},
		{"many/4", nil},
		{"many/5", nil},
		{"many/6", nil},
		{"many/7", nil},
		{"many/8", nil},
		{"many/9", nil},
		{"many/a", nil},
		{"many/b", nil},
		{"many/c", nil},
		{"many/d", nil},
		{"many/e", nil},
		{"many/f", pattern(9)},
	}
}

// build returns the bytes of the disk.
func build(t testing.TB, files []File, size int64) []byte {
	t.Helper()
	im, err := AssembleSize(files, seed, size)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := im.WriteTo(&b); err != nil || n != im.Size() || n != int64(b.Len()) {
		t.Fatalf("writing: got %d, %v, want %d", n, err, im.Size())
	}
	return b.Bytes()
}

// esp finds the system partition with our reader.
func esp(t testing.TB, disk []byte) []byte {
	t.Helper()
	table, err := gpt.Decode(bytes.NewReader(disk), int64(len(disk)))
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Partitions) != 1 || table.Partitions[0].Type != gpt.ESP() || table.Partitions[0].Offset() != 1<<20 {
		t.Fatalf("partitions: got %+v, want one ESP at 1 MiB", table.Partitions)
	}
	p := table.Partitions[0]
	return disk[p.Offset() : p.Offset()+p.Size()]
}

// run calls a tool; many live where only root's PATH looks.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	path := name
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := exec.LookPath(path); err != nil {
			path = filepath.Join(dir, name)
		}
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("%s: not found; run ci/setup", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func save(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadBack(t *testing.T) {
	for name, files := range map[string][]File{"simple": simple(), "rich": rich()} {
		part := esp(t, build(t, files, 0))
		fs, err := fat.Open(bytes.NewReader(part), int64(len(part)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if fs.Type != fat.FAT32 || fs.VolumeID != serial {
			t.Errorf("%s: got %v, serial %08x, want FAT32, %08x", name, fs.Type, fs.VolumeID, serial)
		}
		var got, want []string
		for _, f := range fs.Files() {
			if !f.IsDir() {
				got = append(got, f.Path)
			}
		}
		for _, f := range files {
			want = append(want, f.Path)
			if b, err := fs.ReadFile(f.Path); err != nil || !bytes.Equal(b, f.Data) {
				t.Errorf("%s: %s: got %d bytes, %v, want %d", name, f.Path, len(b), err, len(f.Data))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", name, diff)
		}
	}
}

// TestFsck asks dosfstools; it must have nothing to say but its summary.
func TestFsck(t *testing.T) {
	for name, files := range map[string][]File{"simple": simple(), "rich": rich()} {
		path := save(t, esp(t, build(t, files, 0)))
		out := string(run(t, "fsck.vfat", "-n", path))
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 2 || !strings.Contains(lines[1], " files, ") {
			t.Errorf("%s: fsck.vfat: got\n%s\nwant its version and its summary only", name, out)
		}
		verbose := string(run(t, "fsck.vfat", "-n", "-v", path))
		for _, want := range []string{"2 FATs, 32 bit entries", "512 bytes per logical sector", "512 bytes per cluster", "2048 hidden sectors"} {
			if !strings.Contains(strings.Join(strings.Fields(verbose), " "), want) && !strings.Contains(verbose, want) {
				t.Errorf("%s: fsck.vfat -v: got\n%s\nwant %q", name, verbose, want)
			}
		}
	}
}

func TestSfdisk(t *testing.T) {
	for _, size := range []int64{0, 64 << 20} {
		b := build(t, simple(), size)
		path := save(t, b)
		if out := string(run(t, "sfdisk", "--verify", path)); !strings.Contains(out, "No errors detected") {
			t.Errorf("sfdisk --verify: got\n%s", out)
		}
		type partition struct {
			Start, Size      uint64
			Type, UUID, Name string
		}
		var got struct {
			Table struct {
				Label, ID  string
				FirstLBA   uint64
				LastLBA    uint64
				SectorSize int
				Partitions []partition
			} `json:"partitiontable"`
		}
		if err := json.Unmarshal(run(t, "sfdisk", "--json", path), &got); err != nil {
			t.Fatal(err)
		}
		g := got.Table
		if g.Label != "gpt" || !strings.EqualFold(g.ID, diskGUID) || g.FirstLBA != 34 || g.LastLBA != uint64(len(b)/512-34) || g.SectorSize != 512 || len(g.Partitions) != 1 {
			t.Fatalf("sfdisk --json: got %+v", g)
		}
		want := partition{Start: 2048, Size: 33 * 2048, Type: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", UUID: strings.ToUpper(espGUID), Name: "esp"}
		if diff := cmp.Diff(want, g.Partitions[0]); diff != "" {
			t.Errorf("partition (-want +got):\n%s", diff)
		}
	}
}

func TestQEMUImg(t *testing.T) {
	for _, size := range []int64{0, 64 << 20} {
		b := build(t, simple(), size)
		var info struct {
			Format string `json:"format"`
			Size   int64  `json:"virtual-size"`
		}
		if err := json.Unmarshal(run(t, "qemu-img", "info", "-f", "raw", "--output=json", save(t, b)), &info); err != nil {
			t.Fatal(err)
		}
		if info.Format != "raw" || info.Size != int64(len(b)) {
			t.Errorf("qemu-img info: got %+v, want raw, %d", info, len(b))
		}
	}
}

func TestDeterministic(t *testing.T) {
	a := build(t, rich(), 0)
	shuffled := rich()
	slices.Reverse(shuffled)
	if !bytes.Equal(a, build(t, shuffled, 0)) {
		t.Error("other order of files: got another image")
	}
	im, err := Assemble(rich(), "another seed")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := im.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a[512:1024], b.Bytes()[512:1024]) {
		t.Error("another seed: got the same GPT header")
	}
}

func TestSizes(t *testing.T) {
	tests := []struct {
		data int
		size int64
		want int64
	}{
		// 33 MiB are 67584 sectors: 32 reserved, two FATs of 536, and 66480
		// clusters, which is enough for FAT32; 32 MiB are not.
		{1, 0, 35 << 20},
		{20 << 20, 0, 35 << 20},
		{50 << 20, 0, 53 << 20},
		{1, 35 << 20, 35 << 20},
		{1, 1 << 30, 1 << 30},
	}
	for _, tt := range tests {
		im, err := AssembleSize([]File{{Boot, make([]byte, tt.data)}}, seed, tt.size)
		if err != nil {
			t.Errorf("%d bytes, size %d: %v", tt.data, tt.size, err)
		} else if im.Size() != tt.want {
			t.Errorf("%d bytes, size %d: got a disk of %d, want %d", tt.data, tt.size, im.Size(), tt.want)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	file := func(paths ...string) (list []File) {
		for _, p := range paths {
			list = append(list, File{p, []byte("x")})
		}
		return list
	}
	tests := []struct {
		name  string
		files []File
		seed  string
		size  int64
		want  string
	}{
		{"no files", nil, seed, 0, "files: got none"},
		{"no seed", simple(), "", 0, "seed"},
		{"absolute", file("/EFI"), seed, 0, `name ""`},
		{"backslash", file(`EFI\BOOT`), seed, 0, "character 0x5c"},
		{"control", file("a\n"), seed, 0, "character 0x0a"},
		{"not ASCII", file("ü"), seed, 0, "character 0xc3"},
		{"dots", file("EFI/../x"), seed, 0, `name ".."`},
		{"period last", file("x."), seed, 0, "period last"},
		{"space last", file("x "), seed, 0, "space"},
		{"long", file(strings.Repeat("x", 256)), seed, 0, "255 characters"},
		{"deep", file(strings.Repeat("x/", 16) + "x"), seed, 0, "depth"},
		{"twice", file("a", "a"), seed, 0, "got it twice"},
		{"file and directory", file("a", "a/b"), seed, 0, "got it twice"},
		{"directory and file", file("a/b", "a"), seed, 0, "got it twice"},
		{"case", file("EFI/a", "efi/b"), seed, 0, "in case only"},
		{"size too small", simple(), seed, 34 << 20, "disk size"},
		{"size not whole", simple(), seed, 64<<20 + 512, "disk size"},
		{"size too large", simple(), seed, math.MaxInt64 &^ (1<<20 - 1), "disk size"},
		{"too much", []File{{Boot, make([]byte, 260<<20)}}, seed, 0, "which is the most"},
	}
	for _, tt := range tests {
		_, err := AssembleSize(tt.files, tt.seed, tt.size)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// failing is a writer that takes n bytes.
type failing struct{ n int }

func (f *failing) Write(b []byte) (int, error) {
	if f.n < len(b) {
		return f.n, errors.New("full")
	}
	f.n -= len(b)
	return len(b), nil
}

func TestWriteToFails(t *testing.T) {
	im, err := Assemble(simple(), seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 100, 1 << 20, 1<<20 + 50_000, 30 << 20} {
		if got, err := im.WriteTo(&failing{n}); err == nil || got > int64(n) {
			t.Errorf("writer with room for %d: got %d, %v", n, got, err)
		}
	}
}

func TestUUID5(t *testing.T) {
	dns := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	// RFC 9562, appendix A.4.
	want := [16]byte{0x2e, 0xd6, 0x65, 0x7d, 0xe9, 0x27, 0x56, 0x8b, 0x95, 0xe1, 0x26, 0x65, 0xa8, 0xae, 0xa6, 0xa2}
	if got := uuid5(dns, "www.example.com"); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	if got := volumeID(seed); got != serial {
		t.Errorf("serial: got %08x, want %08x", got, serial)
	}
}

// TestShortNames: a long name's alias may not be what another file is called.
func TestShortNames(t *testing.T) {
	names := map[string]string{ // by FATGEN's rules
		"BOOTX64.EFI":      "BOOTX64 EFI",
		"lower.txt":        "LOWER   TXT",
		"longfilename.efi": "LONGFI~2EFI", // ~1 is the next one's
		"longfi~1.efi":     "LONGFI~1EFI",
		"two.dots.conf":    "TWODOT~1CON",
		".hidden":          "HIDDEN~1   ",
		"a b+c":            "ABC~1      ",
		"[]":               "~1         ",
	}
	root := &node{dir: true}
	for name := range names {
		if err := root.add(File{Path: name}); err != nil {
			t.Fatal(err)
		}
	}
	root.sort()
	for n, short := range shortNames(root.children) {
		if string(short[:]) != names[n.name] {
			t.Errorf("%s: got %q, want %q", n.name, short[:], names[n.name])
		}
	}
}

// FuzzAssemble: whatever is accepted, our readers find whole.
func FuzzAssemble(f *testing.F) {
	f.Add(Boot, "loader/loader.conf", []byte("content"), "seed")
	f.Add("EFI/Linux/a rather long name.efi", "EFI/Linux/a rather long one.efi", []byte{}, "s")
	f.Fuzz(func(t *testing.T, a, b string, data []byte, seed string) {
		im, err := Assemble([]File{{a, data}, {b, data}}, seed)
		if err != nil {
			return
		}
		disk := im // read without writing it
		table, err := gpt.Decode(disk, im.Size())
		if err != nil {
			t.Fatal(err)
		}
		part := table.Partitions[0]
		fs, err := fat.Open(part.Section(disk), part.Size())
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{a, b} {
			if got, err := fs.ReadFile(path); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%q: got %d bytes, %v, want %d", path, len(got), err, len(data))
			}
		}
	})
}

// TestFirstBytes checks the boot sector against the offsets of FATGEN, which
// no other reader here looks at.
func TestFirstBytes(t *testing.T) {
	part := esp(t, build(t, simple(), 0))
	if got := binary.LittleEndian.Uint32(part[28:]); got != 2048 {
		t.Errorf("BPB_HiddSec: got %d, want 2048", got)
	}
	free, next := binary.LittleEndian.Uint32(part[512+488:]), binary.LittleEndian.Uint32(part[512+492:])
	// root, EFI, BOOT and 196 clusters of file, from cluster 2 on
	if want := 33*2048 - 32 - 2*binary.LittleEndian.Uint32(part[36:]) - 199; free != want || next != 201 {
		t.Errorf("FSInfo: got %d free, next %d, want %d, 201", free, next, want)
	}
}
