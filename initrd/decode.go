package initrd

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Bounds of Decode.
const (
	// MaxSize bounds an initrd, as given and after decompression.
	MaxSize = 256 << 20
	// maxEntries bounds the entries of all archives.
	maxEntries = 1 << 18
	// maxName is the kernel's PATH_MAX, NUL included. init/initramfs.c drops
	// an entry with a longer name without a word.
	maxName = 4096
)

// File types in Entry.Mode (POSIX sys/stat.h; Linux include/uapi/linux/stat.h).
const (
	TypeMask    = 0o170000
	TypeSocket  = 0o140000
	TypeSymlink = 0o120000
	TypeRegular = 0o100000
	TypeBlock   = 0o060000
	TypeDir     = 0o040000
	TypeChar    = 0o020000
	TypeFIFO    = 0o010000
)

// Entry is one file of an initrd: the fields of its newc header in their order
// there, less what Decode requires (magic, sizes, a zero checksum).
type Entry struct {
	Archive int // which of the concatenated archives, from 0
	Name    string

	Ino       uint32
	Mode      uint32
	UID       uint32
	GID       uint32
	NLink     uint32
	MTime     uint32
	DevMajor  uint32
	DevMinor  uint32
	RdevMajor uint32
	RdevMinor uint32

	// Data is the content, or the target of a symbolic link. It may be
	// shared with the bytes that were decoded: do not write to it.
	Data []byte
}

// Decode reads an initrd as the kernel would get it: one or more newc archives,
// each plain or in a Zstandard frame, with zeros between them. It refuses what
// the kernel would skip or repair in silence, so two readers can't disagree on
// what an accepted initrd holds.
func Decode(b []byte) ([]Entry, error) {
	if len(b) == 0 || len(b) > MaxSize {
		return nil, fmt.Errorf("parsing initrd: size: got %d, want 1 to %d", len(b), MaxSize)
	}
	d := decoder{seen: make(map[string]bool), budget: MaxSize}
	if err := d.segments(b); err != nil {
		return nil, fmt.Errorf("parsing initrd: %w", err)
	}
	if d.archives == 0 {
		return nil, fmt.Errorf("parsing initrd: got only zeros, want an archive")
	}
	return d.entries, nil
}

type decoder struct {
	entries  []Entry
	archives int             // complete ones so far
	seen     map[string]bool // names so far; true for directories
	budget   int             // bytes that frames may still expand to
}

// segments reads archives and frames up to the end of b (buffer-format.rst:
// initramfs := ("\0" | cpio_archive | cpio_archive compressed)*).
func (d *decoder) segments(b []byte) error {
	for pos := skipZeros(b, 0); pos < len(b); pos = skipZeros(b, pos) {
		if !bytes.HasPrefix(b[pos:], []byte(zstdMagic)) {
			end, err := d.archive(b, pos)
			if err != nil {
				return err
			}
			pos = end
			continue
		}
		content, size, err := decompress(b[pos:], d.budget)
		if err != nil {
			return fmt.Errorf("at 0x%x: %w", pos, err)
		}
		d.budget -= len(content)
		if err := d.plain(content); err != nil {
			return fmt.Errorf("frame at 0x%x: %w", pos, err)
		}
		pos += size
	}
	return nil
}

// plain reads the content of a frame: archives, and no frame inside a frame.
func (d *decoder) plain(b []byte) error {
	before := d.archives
	for pos := skipZeros(b, 0); pos < len(b); pos = skipZeros(b, pos) {
		end, err := d.archive(b, pos)
		if err != nil {
			return err
		}
		pos = end
	}
	if d.archives == before {
		return fmt.Errorf("got no archive in it, want one")
	}
	return nil
}

func skipZeros(b []byte, pos int) int {
	return pos + len(b[pos:]) - len(bytes.TrimLeft(b[pos:], "\x00"))
}

// archive reads one archive at pos up to and with its trailer.
func (d *decoder) archive(b []byte, pos int) (end int, err error) {
	// init/initramfs.c starts an archive at multiples of 4 only.
	if pos%alignment != 0 {
		return 0, fmt.Errorf("archive %d at 0x%x: position: want a multiple of %d", d.archives, pos, alignment)
	}
	names := make(map[string]bool)
	for n := 0; ; n++ {
		r, end, err := readRecord(b, pos)
		if err != nil {
			return 0, fmt.Errorf("archive %d: entry %d at 0x%x: %w", d.archives, n, pos, err)
		}
		if r.Name == trailerName {
			if err := checkTrailer(r); err != nil {
				return 0, fmt.Errorf("archive %d: trailer at 0x%x: %w", d.archives, pos, err)
			}
			d.archives++
			return end, nil
		}
		r.Archive = d.archives
		if err := d.add(r, names); err != nil {
			return 0, fmt.Errorf("archive %d: entry %d at 0x%x: %w", d.archives, n, pos, err)
		}
		pos = end
	}
}

// add appends e. Names in one archive are unique; a directory may return in a
// later archive, as /.extra does in what systemd-stub concatenates.
func (d *decoder) add(e Entry, names map[string]bool) error {
	if err := checkEntry(e); err != nil {
		return fmt.Errorf("%q: %w", e.Name, err)
	}
	dir := e.Mode&TypeMask == TypeDir
	if wasDir, ok := d.seen[e.Name]; names[e.Name] || ok && (!dir || !wasDir) {
		return fmt.Errorf("%q: is there twice", e.Name)
	}
	if len(d.entries) == maxEntries {
		return fmt.Errorf("%q: more than %d entries", e.Name, maxEntries)
	}
	names[e.Name] = true
	d.seen[e.Name] = dir
	d.entries = append(d.entries, e)
	return nil
}

// checkEntry checks that e means the same to every reader.
func checkEntry(e Entry) error {
	if !fs.ValidPath(e.Name) || strings.ContainsRune(e.Name, 0) {
		return fmt.Errorf("name: want a relative path without empty, %q or %q parts", ".", "..")
	}
	kind := e.Mode & TypeMask
	if e.Mode&^(TypeMask|0o7777) != 0 || !slices.Contains(types(), kind) {
		return fmt.Errorf("mode: got 0%o, want a file type and permissions", e.Mode)
	}
	if e.Name == "." && kind != TypeDir {
		return fmt.Errorf("mode: got 0%o, want a directory", e.Mode)
	}
	if kind != TypeRegular && kind != TypeSymlink && len(e.Data) != 0 {
		return fmt.Errorf("size: got %d, want 0 for mode 0%o", len(e.Data), e.Mode)
	}
	if kind == TypeSymlink && (len(e.Data) == 0 || len(e.Data) >= maxName || bytes.IndexByte(e.Data, 0) >= 0) {
		return fmt.Errorf("symbolic link: got a target of %d bytes, want 1 to %d without NUL", len(e.Data), maxName-1)
	}
	if kind != TypeChar && kind != TypeBlock && (e.RdevMajor != 0 || e.RdevMinor != 0) {
		return fmt.Errorf("device: got %d,%d, want 0,0 for mode 0%o", e.RdevMajor, e.RdevMinor, e.Mode)
	}
	return nil
}

func types() []uint32 {
	return []uint32{TypeSocket, TypeSymlink, TypeRegular, TypeBlock, TypeDir, TypeChar, TypeFIFO}
}
