package deb

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Type is the kind of an entry.
type Type uint8

// The kinds of entry that a package may hold. Devices, FIFOs and sparse files
// are refused: deb(5), "unrecognized tar typeflags are considered an error".
const (
	File Type = iota + 1
	Directory
	SymbolicLink
	HardLink
)

// String is the name.
func (t Type) String() string {
	switch t {
	case File:
		return "file"
	case Directory:
		return "directory"
	case SymbolicLink:
		return "symbolic link"
	case HardLink:
		return "hard link"
	default:
		return fmt.Sprintf("type %d", uint8(t))
	}
}

// Entry is one entry of a package's contents. Links are listed, never
// followed.
type Entry struct {
	Path   string // relative, slash-separated, without "./" or a final slash; "." is the root
	Type   Type
	Mode   fs.FileMode // permission bits with setuid, setgid and sticky
	Size   int64       // 0 for anything but a file
	Target string      // of a link, as written
}

// walk reads one tar member from its first to its last byte.
type walk struct {
	limits   Limits
	unpacked int64  // bytes that the archive may unpack to
	stem     string // member name without the compression's suffix
	seen     map[string]bool
}

func (w *walk) run(m member, visit func(Entry, io.Reader) error) error {
	in, err := m.unpack(w.stem, w.limits.Dictionary)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", m.name, err)
	}
	src := &source{r: in, name: m.name, left: w.unpacked, limit: w.unpacked}
	archive := tar.NewReader(src)
	w.seen = make(map[string]bool)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return src.finish()
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", m.name, err)
		}
		e, err := w.entry(header)
		if err != nil {
			return fmt.Errorf("reading %s: entry %d: %w", m.name, len(w.seen), err)
		}
		if err := visit(e, archive); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("reading %s: %q: %w", m.name, e.Path, err)
			}
			return err
		}
	}
}

// entry turns a tar header into an Entry, or says why a package may not hold it.
func (w *walk) entry(h *tar.Header) (Entry, error) {
	if len(w.seen) >= w.limits.Entries {
		return Entry{}, fmt.Errorf("limit of %d entries exceeded", w.limits.Entries)
	}
	// deb(5) lists v7, ustar and GNU long names. Extended headers would be a
	// second place to say size and name.
	if h.Format&tar.FormatPAX != 0 || len(h.PAXRecords) > 0 {
		return Entry{}, fmt.Errorf("%q: pax extended header, want v7, ustar or GNU", h.Name)
	}
	e := Entry{Mode: h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Type, e.Size = File, h.Size
	case tar.TypeDir:
		e.Type = Directory
	case tar.TypeSymlink:
		e.Type, e.Target = SymbolicLink, h.Linkname
	case tar.TypeLink:
		e.Type, e.Target = HardLink, h.Linkname
	default:
		return Entry{}, fmt.Errorf("%q: type flag %q is not supported, want a file, directory or link", h.Name, h.Typeflag)
	}
	if e.Type != File && h.Size != 0 {
		return Entry{}, fmt.Errorf("%q: size of a %s: got %d, want 0", h.Name, e.Type, h.Size)
	}
	if e.Size > w.unpacked {
		return Entry{}, fmt.Errorf("%q: size: got %d, limit for the archive is %d", h.Name, e.Size, w.unpacked)
	}
	var err error
	if e.Path, err = w.path(h.Name, e.Type); err != nil {
		return Entry{}, err
	}
	if w.seen[e.Path] {
		return Entry{}, fmt.Errorf("%q: listed twice", e.Path)
	}
	w.seen[e.Path] = true
	return e, nil
}

// path brings "./usr/lib/" to "usr/lib". fs.ValidPath refuses what is
// absolute, empty, not UTF-8, or holds "..", "." or an empty element.
func (w *walk) path(name string, t Type) (string, error) {
	if len(name) > w.limits.Path {
		return "", fmt.Errorf("path %.40q...: got %d bytes, limit is %d", name, len(name), w.limits.Path)
	}
	p := name
	if t == Directory {
		p = strings.TrimSuffix(p, "/")
	}
	if p != "." {
		p = strings.TrimPrefix(p, "./")
	}
	if !fs.ValidPath(p) || (p == "." && t != Directory) {
		return "", fmt.Errorf("path %q: want a relative path without \"..\"", name)
	}
	for i := range len(p) {
		if p[i] < ' ' || p[i] == 0x7f || p[i] == '\\' {
			return "", fmt.Errorf("path %q: byte %#02x is not allowed", name, p[i])
		}
	}
	return p, nil
}

// source is what archive/tar reads from: it counts against the limit, and
// notes the end, because archive/tar takes a cut-off archive for a finished
// one when the cut lies between two entries.
type source struct {
	r     io.Reader
	name  string
	left  int64
	limit int64
	ended bool
}

func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	// One byte more than is left tells an archive at the limit from one above.
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1]
	}
	n, err := s.r.Read(p)
	if int64(n) > s.left {
		return 0, fmt.Errorf("unpacks to more than the limit of %d bytes", s.limit)
	}
	s.left -= int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		return n, nil // the end is reported by the next call, alone
	}
	if errors.Is(err, io.EOF) {
		s.ended = true
	}
	return n, err
}

// finish reads what follows the two zero blocks that end a tar archive
// (POSIX.1-2017, pax, "ustar Interchange Format"): zeros that fill the last
// record, then the end of the compressed member.
func (s *source) finish() error {
	if s.ended {
		return fmt.Errorf("reading %s: truncated: archive ends without its two zero blocks", s.name)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := s.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return fmt.Errorf("reading %s: data behind the end of the archive", s.name)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", s.name, err)
		}
	}
}
