package lock

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/module"
)

// Names in an archive.
const (
	PackedLock  = "safebox.lock"
	PackedProxy = "goproxy" // folder in the layout of a Go module proxy
)

// maxPacked bounds a file in an archive. The go command's bound for the zip of
// a module is the same: Go Modules Reference, "Module path and size constraints".
const maxPacked = 500 << 20

// Pack writes one tar archive with the lock, every package and tool that it
// names, and modules, as GoModules returns them. Each content lies there once, as
// sha256/HEX; below PackedProxy the modules have hard links to it, where the go
// command looks for them. The same inputs give the same bytes everywhere.
// Unpacked into a folder, the archive serves as one of Inputs.
func (r *Resolver) Pack(ctx context.Context, l *Lock, modules []GoModule, w io.Writer) error {
	c := contents{blobs: map[Digest]blob{}, links: map[string]Digest{}}
	for _, p := range slices.Concat(l.Packages, l.Tools) {
		place, err := r.Package(ctx, p)
		if err != nil {
			return err
		}
		c.blobs[p.SHA256] = blob{pinned: p.pinned(), place: place}
	}
	for _, m := range modules {
		if err := c.addModule(ctx, m); err != nil {
			return err
		}
	}
	if err := c.write(ctx, l, tar.NewWriter(w)); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	return nil
}

// contents is what goes into an archive.
type contents struct {
	blobs map[Digest]blob
	links map[string]Digest // from a name to what it is a link to
}

// blob is a file in the cache, ours or the go command's, or a few bytes.
type blob struct {
	pinned
	place string
	data  []byte // if place is empty
}

// addModule adds the three files by which a proxy serves a module: Go Modules
// Reference, "GOPROXY protocol". The .info in the go command's cache says where
// the module came from; ours says what is the same everywhere.
func (c *contents) addModule(ctx context.Context, m GoModule) error {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return fmt.Errorf("module %s: %w", m, err)
	}
	version, err := module.EscapeVersion(m.Version.Version)
	if err != nil {
		return fmt.Errorf("module %s: %w", m, err)
	}
	info := fmt.Appendf(nil, "{\"Version\":%q}\n", m.Version.Version)
	for _, f := range []struct {
		suffix string
		blob
	}{{".info", blob{data: info}}, {".mod", blob{place: m.GoMod}}, {".zip", blob{place: m.Zip}}} {
		b := f.blob
		b.subject = "module " + m.String()
		if b.size, b.sum, err = b.copy(ctx, io.Discard); err != nil {
			return fmt.Errorf("module %s: %w", m, err)
		}
		c.blobs[b.sum] = b
		c.links[PackedProxy+"/"+path+"/@v/"+version+f.suffix] = b.sum
	}
	return nil
}

func (c *contents) write(ctx context.Context, l *Lock, archive *tar.Writer) error {
	text := l.Encode()
	if err := writeHeader(archive, l, tar.Header{Name: PackedLock, Size: int64(len(text))}); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	for _, sum := range slices.SortedFunc(maps.Keys(c.blobs), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) }) {
		b := c.blobs[sum]
		if err := writeHeader(archive, l, tar.Header{Name: packedName(sum), Size: b.size}); err != nil {
			return err
		}
		// Hashed once more: the file could have changed since it was looked at.
		size, got, err := b.copy(ctx, archive)
		if err == nil {
			err = b.check(b.place, hintCache, size, got)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.links)) {
		if err := writeHeader(archive, l, tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: packedName(c.links[name])}); err != nil {
			return err
		}
	}
	return archive.Close()
}

func packedName(sum Digest) string { return "sha256/" + sum.String() }

func writeHeader(archive *tar.Writer, l *Lock, h tar.Header) error {
	h.Format = tar.FormatUSTAR
	h.Mode = 0o644
	h.ModTime = time.Unix(l.Epoch, 0)
	return archive.WriteHeader(&h)
}

// copy writes the content and returns what it was.
func (b blob) copy(ctx context.Context, w io.Writer) (size int64, sum Digest, err error) {
	if b.place == "" {
		return digest(ctx, w, bytes.NewReader(b.data), int64(len(b.data)))
	}
	f, err := os.Open(b.place)
	if err != nil {
		return 0, sum, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return digest(ctx, w, f, maxPacked)
}
