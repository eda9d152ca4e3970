// Package deb reads a Debian binary package: its control fields, and chosen
// files of its contents, in memory, without dpkg and without touching a disk.
//
// It implements deb(5) (dpkg 1.22: the 2.0 format), the ar archive that it
// lies in (ar.go), the .xz File Format 1.2.1 around LZMA2 (xz.go), the tar
// formats that deb(5) allows (tar.go), and of the Debian Policy Manual 4.7 the
// control file syntax (section 5.1) and the version order (section 5.6.12).
//
// A package is data from elsewhere even when its hash is known: everything is
// bounded by Limits, and whatever the documents do not name is refused.
package deb

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits bounds what reading a package may cost. All must be positive: there
// is no value that means "no limit".
type Limits struct {
	Member     int64 // bytes of one member of the ar archive
	Control    int64 // bytes that the control archive unpacks to
	Unpacked   int64 // bytes that the data archive unpacks to
	Entries    int   // entries of one tar archive
	Path       int   // bytes of one path
	Dictionary int64 // bytes of the LZMA2 dictionary: memory while reading
}

// DefaultLimits holds a kernel image of today several times over. The largest
// dictionary that dpkg-deb writes (xz -9) is 64 MiB.
func DefaultLimits() Limits {
	return Limits{
		Member:     512 << 20,
		Control:    16 << 20,
		Unpacked:   2 << 30,
		Entries:    100_000,
		Path:       1024,
		Dictionary: 64 << 20,
	}
}

func (l Limits) validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"member", l.Member},
		{"control", l.Control},
		{"unpacked", l.Unpacked},
		{"entries", int64(l.Entries)},
		{"path", int64(l.Path)},
		{"dictionary", l.Dictionary},
	} {
		if f.value <= 0 {
			return fmt.Errorf("validating limits: %s: got %d, want more than 0", f.name, f.value)
		}
	}
	return nil
}

// Package is a package whose frame and control fields have been read.
type Package struct {
	Name         string
	Version      string
	Architecture string
	Control      Control // every field, these three too

	limits Limits
	data   member
}

// Open reads the frame and the control fields of the package in the first size
// bytes of r, and checks that nothing is cut off. The contents are read by
// Files and Extract.
func Open(r io.ReaderAt, size int64, lim Limits) (*Package, error) {
	if err := lim.validate(); err != nil {
		return nil, err
	}
	control, data, err := frame(r, size, lim.Member)
	if err != nil {
		return nil, err
	}
	p := &Package{limits: lim, data: data}
	if err := p.readControl(control); err != nil {
		return nil, fmt.Errorf("reading %s: %w", control.name, err)
	}
	if _, err := p.data.compression("data.tar"); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Package) readControl(m member) error {
	const name = "control"
	var text []byte
	w := walk{limits: p.limits, unpacked: p.limits.Control, stem: "control.tar"}
	err := w.run(m, func(e Entry, content io.Reader) error {
		if e.Path != name {
			return nil
		}
		if e.Type != File {
			return fmt.Errorf("%s is a %s, want a file", name, e.Type)
		}
		var err error
		text, err = io.ReadAll(content)
		return err
	})
	if err != nil {
		return err
	}
	if text == nil {
		return fmt.Errorf("no file %s", name)
	}
	if p.Control, err = ParseControl(text); err != nil {
		return fmt.Errorf("parsing %s: %w", name, err)
	}
	p.Name, p.Version, p.Architecture, err = p.Control.identity()
	return err
}

// Files calls visit for every entry of the contents, in the package's order,
// with a reader of its bytes (empty for anything but a file). It returns the
// first error of visit as it is. When it returns nil the whole archive was
// there: its checksums matched and nothing followed its end.
func (p *Package) Files(visit func(e Entry, content io.Reader) error) error {
	w := walk{limits: p.limits, unpacked: p.limits.Unpacked, stem: "data.tar"}
	return w.run(p.data, visit)
}

// errFound stops the walk of Extract: what follows need not be decompressed.
var errFound = errors.New("all files found")

// Extract returns the contents of the files with the given paths ("usr/lib/x",
// no leading slash). It decompresses once and stops behind the last of them,
// so it does not see damage further on: whoever needs the whole package intact
// compares its hash first.
func (p *Package) Extract(paths ...string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(paths))
	err := p.ExtractEach(func(path string, content io.Reader) error {
		b, err := io.ReadAll(content)
		found[path] = b
		return err
	}, paths...)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ExtractEach is Extract without keeping the contents: visit is called once for
// each path, in the package's order. Its first error is returned as it is.
func (p *Package) ExtractEach(visit func(path string, content io.Reader) error, paths ...string) error {
	wanted := make(map[string]bool, len(paths))
	for _, path := range paths {
		if wanted[path] {
			return fmt.Errorf("extracting %q: asked for twice", path)
		}
		wanted[path] = true
	}
	if len(paths) == 0 {
		return nil
	}
	err := p.Files(func(e Entry, content io.Reader) error {
		if !wanted[e.Path] {
			return nil
		}
		if e.Type != File {
			return fmt.Errorf("extracting %q: got a %s to %q, want a file: ask for the path that holds the bytes", e.Path, e.Type, e.Target)
		}
		if err := visit(e.Path, content); err != nil {
			return err
		}
		// An archive holds a path once, so what is left was not seen yet.
		if delete(wanted, e.Path); len(wanted) == 0 {
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return err
	}
	for _, path := range paths {
		if wanted[path] {
			return fmt.Errorf("extracting %q: package %s %s has no such file", path, p.Name, p.Version)
		}
	}
	return nil
}

// compression is how a tar member is packed: deb(5), "control.tar" and "data.tar".
type compression string

const (
	plain compression = ""
	gz    compression = ".gz"
	xz    compression = ".xz"
)

// compression tells from the member's name how it is packed.
func (m member) compression(stem string) (compression, error) {
	suffix, ok := strings.CutPrefix(m.name, stem)
	if !ok {
		return "", fmt.Errorf("reading member at %#x: name: got %q, want %q", m.offset, m.name, stem+".xz")
	}
	switch c := compression(suffix); c {
	case plain, gz, xz:
		return c, nil
	default:
		return "", fmt.Errorf("reading member %s: compression %q is not supported, want .xz, .gz or none", m.name, suffix)
	}
}

// unpack returns a reader of the member's decompressed bytes. It reports
// io.EOF only where the member ends too.
func (m member) unpack(stem string, dictionary int64) (io.Reader, error) {
	c, err := m.compression(stem)
	if err != nil {
		return nil, err
	}
	in := m.reader()
	switch c {
	case xz:
		return NewXZReader(in, dictionary), nil
	case gz:
		// One gzip member and nothing behind it, or concatenated ones: the
		// reader of the standard library checks both.
		return gzip.NewReader(in)
	case plain:
		return in, nil
	default:
		return nil, fmt.Errorf("compression %q is not supported", c)
	}
}
