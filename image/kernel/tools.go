package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"safebox/image/deb"
)

// link is a symbolic link of the sandbox.
type link struct{ name, target string }

// toolLinks lists the links that maintainer scripts and the alternatives system
// would make, and the folders of a merged /usr. No script of a package is run.
func toolLinks() []link {
	links := []link{
		{"bin", "usr/bin"},
		{"lib", "usr/lib"},
		{"lib64", "usr/lib64"},
		{"sbin", "usr/sbin"},
		{"usr/bin/sh", "bash"},
		{"usr/bin/awk", "mawk"},
		{"usr/bin/gcc", "x86_64-linux-gnu-gcc-14"},
	}
	for _, name := range []string{"ar", "as", "ld", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings", "strip"} {
		links = append(links, link{"usr/bin/" + name, "x86_64-linux-gnu-" + name})
	}
	return links
}

// unpackTools fills the sandbox with the packages that the lock pins.
func (o Options) unpackTools(ctx context.Context, s *sandbox) error {
	if err := s.link(toolLinks()[:4]); err != nil {
		return err
	}
	for i, p := range o.Lock.Tools {
		o.report(Step{Name: "unpacking tools", Done: i, Total: len(o.Lock.Tools)})
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.Resolver.Walk(ctx, p, s.unpack); err != nil {
			return fmt.Errorf("unpacking %s: %w", p.Name, err)
		}
	}
	return s.link(toolLinks()[4:])
}

func (s *sandbox) link(links []link) error {
	for _, l := range links {
		if err := s.root.MkdirAll(path.Dir(l.name), 0o755); err != nil {
			return err
		}
		if err := s.symlink(l.target, l.name); err != nil {
			return err
		}
	}
	return nil
}

// symlink takes a link to the same place for the same link.
func (s *sandbox) symlink(target, name string) error {
	err := s.root.Symlink(target, name)
	if errors.Is(err, fs.ErrExist) {
		if old, readErr := s.root.Readlink(name); readErr == nil && old == target {
			return nil
		}
	}
	return err
}

// unpack puts one entry of a package in its place. Folders may come from many
// packages, files from one. No path leaves the root, not by a link either.
func (s *sandbox) unpack(e deb.Entry, content io.Reader) error {
	switch e.Type {
	case deb.Directory:
		if e.Path == "." {
			return nil
		}
		// A folder that a merged /usr has as a link stays one.
		if st, err := s.root.Stat(e.Path); err == nil && st.IsDir() {
			return nil
		}
		return s.mkdir(e.Path, e.Mode)
	case deb.SymbolicLink:
		return s.symlink(e.Target, e.Path)
	case deb.HardLink:
		return s.root.Link(e.Target, e.Path)
	case deb.File:
		return s.write(e, content)
	default:
		return fmt.Errorf("%s is a %s", e.Path, e.Type)
	}
}

func (s *sandbox) write(e deb.Entry, content io.Reader) error {
	f, err := s.root.OpenFile(e.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	// No tool needs to be another user's: the bits for that are not kept.
	return errors.Join(err, f.Chmod(e.Mode&fs.ModePerm), f.Close())
}
