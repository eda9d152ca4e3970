package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// entrySize is the size of a directory entry (FATGEN, "FAT Directory
// Structure").
const entrySize = 32

// maxDirectory is the most a directory may hold (FATGEN: 65536 entries).
const maxDirectory = 65536 * entrySize

// First bytes of a name that are not characters (FATGEN, DIR_Name[0]).
const (
	nameFree  = 0xe5 // the entry is free
	nameEnd   = 0x00 // it is free and so are all after it
	nameKanji = 0x05 // stands for the character 0xe5
)

// place is a directory to be read.
type place struct {
	path   string // "" for the root
	first  uint32 // 0 for the root of FAT12 and FAT16
	parent uint32 // what ".." must say: 0 if that is the root
	depth  int
}

// walk reads all directories, breadth first.
func (f *FS) walk() error {
	queue := []place{{first: f.boot.rootCluster}}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		b, err := f.readDir(p)
		if err == nil {
			var subs []place
			subs, err = f.decodeDir(p, b)
			queue = append(queue, subs...)
		}
		if err != nil {
			return fmt.Errorf("directory %q: %w", "/"+p.path, err)
		}
	}
	return nil
}

// readDir returns the raw entries of a directory.
func (f *FS) readDir(p place) ([]byte, error) {
	if p.path == "" && f.Type != FAT32 {
		b := make([]byte, f.boot.rootEntries*entrySize)
		return b, readAt(f.r, b, f.boot.rootStart)
	}
	if err := f.table.claim(p.first, 1, maxDirectory/f.boot.clusterSize); err != nil {
		return nil, err
	}
	return f.readChain(p.first)
}

// decodeDir adds the entries in b to the list of files and returns the
// directories among them.
func (f *FS) decodeDir(p place, b []byte) ([]place, error) {
	if p.path != "" {
		rest, err := checkDots(p, b)
		if err != nil {
			return nil, err
		}
		b = rest
	}
	var (
		subs []place
		long longNameReader
		seen = map[string]bool{}
	)
	for i := 0; i < len(b); i += entrySize {
		e := b[i : i+entrySize]
		if e[0] == nameEnd {
			if err := long.checkNone(); err != nil {
				return nil, err
			}
			return subs, checkEnd(b[i:])
		}
		file, err := f.decodeEntry(p, e, &long, seen)
		if err != nil {
			return nil, fmt.Errorf("entry at 0x%x: %w", i, err)
		}
		if file == nil {
			continue
		}
		if len(f.files) == MaxFiles {
			return nil, fmt.Errorf("files: got more than %d", MaxFiles)
		}
		f.files = append(f.files, *file)
		if file.IsDir() {
			sub := place{path: file.Path, first: file.first, depth: p.depth + 1}
			if p.path != "" {
				sub.parent = p.first
			}
			subs = append(subs, sub)
		}
	}
	return subs, long.checkNone()
}

// decodeEntry reads one entry and returns a file if it completes one.
func (f *FS) decodeEntry(p place, e []byte, long *longNameReader, seen map[string]bool) (*File, error) {
	attr := Attributes(e[11])
	switch {
	case e[0] == nameFree:
		return nil, long.checkNone()
	case attr&longNameMask == longName:
		return nil, long.add(e)
	case attr&reservedBits != 0:
		return nil, fmt.Errorf("DIR_Attr: got 0x%02x, want no bits of 0x%02x", attr, reservedBits)
	case attr&VolumeID != 0:
		// The label of the volume, not a file.
		if p.path != "" || attr&Directory != 0 || firstCluster(e) != 0 {
			return nil, fmt.Errorf("volume label: got one outside the root or with clusters")
		}
		return nil, long.checkNone()
	}
	short, err := decodeShortName(e)
	if err != nil {
		return nil, err
	}
	name, err := long.take(e, short)
	if err != nil {
		return nil, err
	}
	if err := claimNames(seen, name, short); err != nil {
		return nil, err
	}
	file := &File{Path: join(p.path, name), Attributes: attr, first: firstCluster(e), Size: int64(binary.LittleEndian.Uint32(e[28:]))}
	if short != name {
		file.alias = join(p.path, short)
	}
	return file, f.checkFile(file, p.depth+1)
}

// claimNames notes the names of an entry. A second entry with one of them
// would be opened by some drivers and not by others.
func claimNames(seen map[string]bool, long, short string) error {
	a, b := fold(long), fold(short)
	if seen[a] || seen[b] {
		return fmt.Errorf("name %q (%q): got it twice", long, short)
	}
	seen[a], seen[b] = true, true
	return nil
}

// checkFile checks size and clusters of a new entry and claims the clusters
// of a file; those of a directory are claimed when it is read.
func (f *FS) checkFile(file *File, depth int) error {
	if file.IsDir() {
		if file.Size != 0 {
			return fmt.Errorf("directory %q: DIR_FileSize: got %d, want 0", file.Path, file.Size)
		}
		if depth > MaxDepth {
			return fmt.Errorf("directory %q: got depth %d, want at most %d", file.Path, depth, MaxDepth)
		}
		return nil
	}
	if file.Size == 0 {
		if file.first != 0 {
			return fmt.Errorf("file %q: first cluster: got %d, want 0 as it is empty", file.Path, file.first)
		}
		return nil
	}
	want := (file.Size + f.boot.clusterSize - 1) / f.boot.clusterSize
	if err := f.table.claim(file.first, want, want); err != nil {
		return fmt.Errorf("file %q of %d bytes: %w", file.Path, file.Size, err)
	}
	return nil
}

// checkDots checks the two entries that every directory but the root begins
// with: itself and its parent, or 0 if that is the root (FATGEN, "FAT
// Directory Structure").
func checkDots(p place, b []byte) ([]byte, error) {
	for i, want := range []struct {
		name    string
		cluster uint32
	}{{".          ", p.first}, {"..         ", p.parent}} {
		e := b[i*entrySize : (i+1)*entrySize]
		if string(e[:11]) != want.name || Attributes(e[11])&Directory == 0 || firstCluster(e) != want.cluster {
			return nil, fmt.Errorf("entry %d: got %q with attributes 0x%02x at cluster %d, want directory %q at %d",
				i, e[:11], e[11], firstCluster(e), want.name, want.cluster)
		}
	}
	return b[2*entrySize:], nil
}

// checkEnd checks that no entry is in use after the end mark.
func checkEnd(b []byte) error {
	for i := 0; i < len(b); i += entrySize {
		if b[i] != nameEnd && b[i] != nameFree {
			return fmt.Errorf("got an entry %q behind the end mark", bytes.TrimRight(b[i:i+11], " "))
		}
	}
	return nil
}

// firstCluster joins DIR_FstClusHI and DIR_FstClusLO.
func firstCluster(e []byte) uint32 {
	return uint32(binary.LittleEndian.Uint16(e[20:]))<<16 | uint32(binary.LittleEndian.Uint16(e[26:]))
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
