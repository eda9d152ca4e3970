package rebuild

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits of an archive. The source has about 1,600 files in 30 MB.
const (
	maxArchive  = 256 << 20 // bytes of the archive
	maxUnpacked = 512 << 20 // bytes of all files
	maxMembers  = 1 << 16
	maxName     = 1024 // bytes
)

const (
	magicZip  = "PK\x03\x04" // PKWARE APPNOTE 6.3.10, 4.3.7
	magicGzip = "\x1f\x8b"   // RFC 1952, 2.3.1
	magicTar  = "ustar"      // POSIX.1-2017, pax, "ustar Interchange Format"
	offTar    = 257
)

// member is a file, folder or link of an archive.
type member struct {
	name   string // as in the archive
	mode   fs.FileMode
	size   int64
	target string // of a link
	open   func() (io.ReadCloser, error)
}

// unpack writes the members below root. It takes files, folders, and links that
// stay within the archive; every name once, in clean form.
func unpack(ctx context.Context, r io.ReaderAt, size int64, root *os.Root) error {
	u := &unpacker{root: root, seen: map[string]fs.FileMode{}}
	add := func(m member) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return u.add(m)
	}
	if err := members(r, size, add); err != nil {
		return err
	}
	return u.links()
}

// members reads the archive, whose format its first bytes tell.
func members(r io.ReaderAt, size int64, add func(member) error) error {
	head := make([]byte, offTar+len(magicTar))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	all := io.NewSectionReader(r, 0, size)
	switch {
	case bytes.HasPrefix(head, []byte(magicZip)):
		return zipMembers(all, size, add)
	case bytes.HasPrefix(head, []byte(magicGzip)):
		return gzipMembers(all, add)
	case len(head) > offTar && bytes.HasPrefix(head[offTar:], []byte(magicTar)):
		return tarMembers(all, add)
	}
	return fmt.Errorf("it begins with %x: neither tar, tar in gzip nor zip", head[:min(len(head), 8)])
}

func gzipMembers(r io.Reader, add func(member) error) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	// Headers and padding count too, so that no archive unpacks without end.
	limited := &io.LimitedReader{R: z, N: maxUnpacked + maxMembers*2048}
	err = tarMembers(limited, add) // to the end, where the checksum is
	if limited.N == 0 {
		return fmt.Errorf("more than %d bytes unpacked", int64(maxUnpacked))
	}
	return errors.Join(err, z.Close())
}

// tarMembers reads a tar to its end: one that was cut between two members would
// pass for a smaller source.
func tarMembers(r io.Reader, add func(member) error) error {
	e := &ending{r: r}
	t := tar.NewReader(e)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return e.check()
		}
		if err != nil {
			return err
		}
		if sparse(h) {
			return fmt.Errorf("member %q: a sparse file", clip(h.Name))
		}
		m := member{name: h.Name, size: h.Size, open: func() (io.ReadCloser, error) { return io.NopCloser(t), nil }}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir:
			m.mode = fs.ModeDir
		case tar.TypeSymlink:
			m.mode, m.target = fs.ModeSymlink, h.Linkname
		case tar.TypeXGlobalHeader: // git writes the commit there
			continue
		default:
			return fmt.Errorf("member %q: type %q, want a file, a folder or a symbolic link", clip(h.Name), h.Typeflag)
		}
		if err := add(m); err != nil {
			return err
		}
	}
}

// sparse reports whether a member is larger than what the archive holds of it:
// GNU tar, "Storing Sparse Files", versions 0.0 to 1.0. The older form has a
// type of its own.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tarEnd is the size of the two blocks of zeros that end an archive:
// POSIX.1-2017, pax, "ustar Interchange Format".
const tarEnd = 2 * 512

// ending remembers the last bytes that were read.
type ending struct {
	r    io.Reader
	last []byte
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.last = append(e.last, p[max(0, n-tarEnd):n]...)
	if surplus := len(e.last) - tarEnd; surplus > 0 {
		e.last = append(e.last[:0], e.last[surplus:]...)
	}
	return n, err
}

// check reads the rest and wants the end of an archive.
func (e *ending) check() error {
	if _, err := io.Copy(io.Discard, e); err != nil {
		return err
	}
	if !bytes.Equal(e.last, make([]byte, tarEnd)) {
		return errors.New("the archive does not end with two blocks of zeros: it was cut, or something follows it")
	}
	return nil
}

func zipMembers(r io.ReaderAt, size int64, add func(member) error) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	for _, f := range z.File {
		m := member{name: f.Name, mode: f.Mode().Type(), size: int64(min(f.UncompressedSize64, maxUnpacked+1)), open: f.Open}
		if m.mode == fs.ModeSymlink {
			if m.target, err = readTarget(f); err != nil {
				return fmt.Errorf("member %q: %w", clip(f.Name), err)
			}
		}
		if err := add(m); err != nil {
			return err
		}
	}
	return nil
}

// readTarget gives what a symbolic link in a zip leads to: its content.
func readTarget(f *zip.File) (target string, err error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxName+1))
	return string(b), errors.Join(err, r.Close())
}

// unpacker writes members and remembers what they were.
type unpacker struct {
	root    *os.Root
	seen    map[string]fs.FileMode // by clean name: type of each member and of each folder above one
	waiting []member               // links, made last: nothing is written through them
	total   int64
}

func (u *unpacker) add(m member) error {
	name, err := u.name(m)
	if err == nil {
		m.name = name
		err = u.put(m)
	}
	if err != nil {
		return fmt.Errorf("member %q: %w", clip(m.name), err)
	}
	return nil
}

// name checks a member's name and claims it. Folders may be named by their
// members before they are named themselves.
func (u *unpacker) name(m member) (string, error) {
	name := m.name
	if m.mode.IsDir() {
		name = strings.TrimSuffix(name, "/")
	}
	if name == "" || len(name) > maxName || name != path.Clean(name) || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
		return "", errors.New("want a clean relative path")
	}
	if old, ok := u.seen[name]; ok && !(old.IsDir() && m.mode.IsDir()) {
		return "", errors.New("there twice")
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		old, ok := u.seen[dir]
		if ok && !old.IsDir() {
			return "", fmt.Errorf("%q above it is no folder", clip(dir))
		}
		u.seen[dir] = fs.ModeDir
	}
	u.seen[name] = m.mode
	if len(u.seen) > maxMembers {
		return "", fmt.Errorf("more than %d files and folders", maxMembers)
	}
	return name, nil
}

// put writes one member; the modes are ours, not the archive's.
func (u *unpacker) put(m member) error {
	switch m.mode {
	case fs.ModeDir:
		return u.root.MkdirAll(m.name, 0o755)
	case fs.ModeSymlink:
		if !filepath.IsLocal(path.Join(path.Dir(m.name), m.target)) || path.IsAbs(m.target) || len(m.target) > maxName {
			return fmt.Errorf("link to %q: want a path within the archive", clip(m.target))
		}
		u.waiting = append(u.waiting, m)
		return nil
	case 0:
		return u.file(m)
	}
	return fmt.Errorf("got %v, want a file, a folder or a symbolic link", m.mode)
}

func (u *unpacker) file(m member) (err error) {
	if u.total += m.size; m.size < 0 || u.total > maxUnpacked {
		return fmt.Errorf("more than %d bytes in all", int64(maxUnpacked))
	}
	if err := u.root.MkdirAll(path.Dir(m.name), 0o755); err != nil {
		return err
	}
	r, err := m.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	w, err := u.root.OpenFile(m.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(r, m.size+1))
	if err == nil && n != m.size {
		err = fmt.Errorf("got %d bytes, want %d", n, m.size)
	}
	return errors.Join(err, w.Close())
}

func (u *unpacker) links() error {
	for _, m := range u.waiting {
		if err := u.root.MkdirAll(path.Dir(m.name), 0o755); err != nil {
			return err
		}
		if err := u.root.Symlink(m.target, m.name); err != nil {
			return err
		}
	}
	// Their texts lead nowhere else, but one through another may: where they
	// lead in fact is asked when all are there.
	for _, m := range u.waiting {
		if _, err := u.root.Stat(m.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("member %q: following the link: %w", clip(m.name), err)
		}
	}
	return nil
}

// clip bounds a name in an error.
func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + ".."
	}
	return s
}
