package fat

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// patcher changes an image; places are found by what is there, so that the
// tests say what they break.
type patcher struct {
	t *testing.T
	b []byte
}

func (p patcher) u16(off int, v uint16) { binary.LittleEndian.PutUint16(p.b[off:], v) }

// entry finds the directory entry with this 11-byte name.
func (p patcher) entry(name string) int {
	p.t.Helper()
	i := bytes.Index(p.b, []byte(name))
	if i < 0 || i%entrySize != 0 {
		p.t.Fatalf("no entry %q", name)
	}
	return i
}

// fat sets a FAT16 entry in both copies. The images have 1 reserved sector
// rounded up to the cluster size by mkfs.vfat; the boot sector says how many.
func (p patcher) fat(n int, v uint16) {
	start := int(binary.LittleEndian.Uint16(p.b[14:])) * sectorSize
	size := int(binary.LittleEndian.Uint16(p.b[22:])) * sectorSize
	p.u16(start+2*n, v)
	p.u16(start+size+2*n, v)
}

// cluster is the first cluster of the entry at off.
func (p patcher) cluster(off int) int { return int(binary.LittleEndian.Uint16(p.b[off+26:])) }

const (
	frag   = "FRAG    BIN"
	empty  = "EMPTY      "
	efi    = "EFI        "
	bootx  = "BOOTX64 EFI"
	lower  = "LOWER   EFI"
	arathe = "ARATHE~1EFI"
)

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(p patcher)
		want   string
	}{
		{"signature", func(p patcher) { p.b[510] = 0 }, "signature"},
		{"sector size", func(p patcher) { p.u16(11, 4096) }, "BPB_BytsPerSec: got 4096, want 512"},
		{"cluster size", func(p patcher) { p.b[13] = 3 }, "BPB_SecPerClus"},
		{"no reserved sectors", func(p patcher) { p.u16(14, 0) }, "BPB_RsvdSecCnt"},
		{"one FAT", func(p patcher) { p.b[16] = 1 }, "BPB_NumFATs"},
		{"root entries", func(p patcher) { p.u16(17, 511) }, "BPB_RootEntCnt"},
		{"two sizes", func(p patcher) { p.u16(32, 8400) }, "BPB_TotSec16"},
		{"beyond the partition", func(p patcher) { p.u16(19, 8401) }, "total sectors"},
		{"media", func(p patcher) { p.b[21] = 1 }, "BPB_Media"},
		{"FAT too small", func(p patcher) { p.u16(22, 5) }, "size of a FAT"},
		{"no data", func(p patcher) { p.u16(22, 60000) }, "data area"},
		{"FAT12 by count", func(p patcher) { p.u16(19, 4000) }, "BS_FilSysType"},
		{"boot signature", func(p patcher) { p.b[38] = 0 }, "BS_BootSig"},
		{"copies differ", func(p patcher) { p.b[int(binary.LittleEndian.Uint16(p.b[14:]))*sectorSize+100] ^= 1 }, "differs from FAT 0"},
		{"FAT entry 0", func(p patcher) { p.fat(0, 0xfff0) }, "FAT entry 0"},
		{"loop", func(p patcher) { c := p.cluster(p.entry(frag)); p.fat(c, uint16(c)) }, "has an owner already"},
		{"cross-link", func(p patcher) { p.u16(p.entry(bootx)+26, uint16(p.cluster(p.entry(frag)))) }, "has an owner already"},
		{"chain too short", func(p patcher) { p.fat(p.cluster(p.entry(frag)), 0xffff) }, "got 1 clusters, want 40"},
		{"chain too long", func(p patcher) { p.b[p.entry(frag)+28+1] = 1 }, "got more than"},
		{"chain into free space", func(p patcher) { p.fat(p.cluster(p.entry(frag)), 0) }, "got cluster 0"},
		{"bad cluster", func(p patcher) { p.fat(p.cluster(p.entry(frag)), 0xfff7) }, "got cluster 65527"},
		{"lost cluster", func(p patcher) { p.fat(8000, 0xffff) }, "no file holds the cluster"},
		{"empty file with cluster", func(p patcher) { p.u16(p.entry(empty)+26, 9) }, "want 0 as it is empty"},
		{"file without cluster", func(p patcher) { p.u16(p.entry(bootx)+26, 0) }, "got cluster 0"},
		{"directory with size", func(p patcher) { p.b[p.entry(efi)+28] = 1 }, "DIR_FileSize"},
		{"directory in itself", func(p patcher) { p.u16(p.entry("BOOT       ")+26, uint16(p.cluster(p.entry(efi)))) }, "has an owner already"},
		{"dot", func(p patcher) { p.u16(p.entry(".          ")+26, 7) }, "entry 0"},
		{"dot dot", func(p patcher) { p.u16(p.entry("..         ")+26, 7) }, "entry 1"},
		{"attribute", func(p patcher) { p.b[p.entry(bootx)+11] |= 0x40 }, "DIR_Attr"},
		{"label below the root", func(p patcher) { p.b[p.entry(bootx)+11] = 0x08 }, "volume label"},
		{"same name", func(p patcher) { copy(p.b[p.entry(empty):], frag) }, "got it twice"},
		{"lower case", func(p patcher) { p.b[p.entry(bootx)] = 'b' }, "want capital ASCII"},
		{"slash", func(p patcher) { p.b[p.entry(bootx)] = '/' }, "short name"},
		{"space first", func(p patcher) { p.b[p.entry(bootx)] = ' ' }, "short name"},
		{"kanji", func(p patcher) { p.b[p.entry(bootx)] = 5 }, "short name"},
		{"case flags", func(p patcher) { p.b[p.entry(lower)+12] = 0x19 }, "DIR_NTRes"},
		{"long name checksum", func(p patcher) { p.b[p.entry(arathe)] = 'X' }, "checksum"},
		{"long name order", func(p patcher) { p.b[p.entry(arathe)-entrySize]++ }, "LDIR_Ord"},
		{"long name unfinished", func(p patcher) { o := p.entry(arathe); copy(p.b[o-entrySize:o], p.b[o:o+entrySize]) }, "1 entries more"},
		{"long name without a file", func(p patcher) { p.b[p.entry(arathe)] = nameFree }, "no short entry"},
		{"long name at the end", func(p patcher) { p.b[p.entry(arathe)] = nameEnd }, "no short entry"},
		{"long name character", func(p patcher) { p.b[p.entry(arathe)-entrySize+1] = '/' }, "U+002F"},
		{"long name cut", func(p patcher) { p.u16(p.entry(arathe)-entrySize+1, 0) }, "long name"},
		{"long name cluster", func(p patcher) { p.b[p.entry(arathe)-entrySize+26] = 1 }, "first cluster"},
		{"behind the end", func(p patcher) { copy(p.b[p.entry(bootx)+4*entrySize:], bootx) }, "behind the end mark"},
	}
	original := image(t, "fat16")
	for _, tt := range tests {
		b := append([]byte(nil), original...)
		tt.change(patcher{t, b})
		_, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestOpenRefuses32(t *testing.T) {
	tests := []struct {
		name   string
		change func(p patcher)
		want   string
	}{
		{"mirroring off", func(p patcher) { p.u16(40, 0x80) }, "BPB_ExtFlags"},
		{"version", func(p patcher) { p.u16(42, 1) }, "BPB_FSVer"},
		{"no FSInfo", func(p patcher) { p.u16(48, 0) }, "BPB_FSInfo"},
		{"no backup", func(p patcher) { p.u16(50, 0xffff) }, "BPB_BkBootSec"},
		{"backup differs", func(p patcher) { p.b[6*512+3] ^= 1 }, "backup boot sector 6"},
		{"FSInfo signature", func(p patcher) { p.b[512] ^= 1 }, "FSInfo"},
		{"root cluster", func(p patcher) { p.u16(44, 1); p.u16(6*512+44, 1) }, "got cluster 1"},
		{"form of FAT16", func(p patcher) { p.u16(22, 520) }, "type"},
	}
	original := image(t, "fat32")
	for _, tt := range tests {
		b := append([]byte(nil), original...)
		tt.change(patcher{t, b})
		_, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// FuzzOpen changes one piece of a real image: mutating 1 MiB as a whole would
// hardly ever hit a structure.
func FuzzOpen(f *testing.F) {
	images := [][]byte{image(f, "fat12"), image(f, "fat16")}
	for i, b := range images {
		f.Add(i == 1, uint32(0), b[:512])
		f.Add(i == 1, uint32(512), b[512:1536])
		for _, name := range []string{frag, efi, bootx, arathe} {
			at := bytes.Index(b, []byte(name)) &^ 511
			f.Add(i == 1, uint32(at), b[at:at+512])
		}
	}
	scratch := [][]byte{bytes.Clone(images[0]), bytes.Clone(images[1])}
	f.Fuzz(func(t *testing.T, fat16 bool, off uint32, piece []byte) {
		which := 0
		if fat16 {
			which = 1
		}
		b, original := scratch[which], images[which]
		if int64(off)+int64(len(piece)) > int64(len(b)) {
			return
		}
		copy(b[off:], piece)
		defer copy(b[off:int(off)+len(piece)], original[off:])
		fsys, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, file := range fsys.Files() {
			if file.IsDir() {
				continue
			}
			got, err := fsys.ReadFile(file.Path)
			if err != nil || int64(len(got)) != file.Size {
				t.Errorf("reading %q: got %d bytes, %v, want %d", file.Path, len(got), err, file.Size)
			}
		}
	})
}
