// Package initrd writes and reads the appliance's initramfs, and works out
// which kernel modules go into it.
//
// It implements:
//   - Linux Documentation/driver-api/early-userspace/buffer-format.rst (6.12):
//     the newc cpio format (magic 070701), concatenation and padding.
//   - RFC 8878 (February 2021), section 3.1: the Zstandard frame around it.
//   - Linux include/linux/module_signature.h (6.12) and the .modinfo section
//     as scripts/mod/modpost.c writes it: what a module depends on.
//
// The writer takes contents only. Names come from package layout; every other
// field of a header is fixed here, so neither the builder's file system nor its
// umask, clock or user can reach the result.
package initrd

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"safebox/initrd/layout"
)

// Permission bits of what the archive holds. Nothing is writable but
// directories, by root: they are mount points, and what is mounted there
// brings its own mode (the 01777 of /tmp, for one).
const (
	ModeDir    = 0o755
	ModeInit   = 0o555
	ModeModule = 0o444
)

// Bounds of what Archive takes, far above what an appliance needs.
const (
	maxInit   = 128 << 20
	maxModule = 16 << 20
)

// Module is a kernel module as it goes into the archive.
type Module struct {
	Name string // as the kernel knows it, with underscores: "virtio_net"
	Data []byte // the .ko with its signature, not compressed
}

// Archive returns the newc archive that layout describes for a kernel: its
// directories, init as PID 1, and modules in load order. Equal arguments give
// equal bytes.
func Archive(kernel layout.Kernel, init []byte, modules []Module) ([]byte, error) {
	records, err := contents(kernel, init, modules)
	if err != nil {
		return nil, fmt.Errorf("writing initrd: %w", err)
	}
	// Bytewise order puts a directory before what it holds, because its name
	// is a prefix of theirs. The kernel drops a file whose parent is missing.
	slices.SortFunc(records, func(a, b cpio.Record) int { return strings.Compare(a.Name, b.Name) })
	var buf bytes.Buffer
	w := cpio.Newc.Writer(&buf)
	for i, r := range records {
		// u-root's writer would drop the second of two equal names.
		if i > 0 && r.Name == records[i-1].Name {
			return nil, fmt.Errorf("writing initrd: %q is there twice", r.Name)
		}
		if err := w.WriteRecord(fix(r, i+1)); err != nil {
			return nil, fmt.Errorf("writing initrd: %q: %w", r.Name, err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("writing initrd: %w", err)
	}
	return buf.Bytes(), nil
}

// contents lists the records by name, mode and content.
func contents(kernel layout.Kernel, init []byte, modules []Module) ([]cpio.Record, error) {
	if err := checkSize(len(init), maxInit); err != nil {
		return nil, fmt.Errorf("%s: %w", layout.Init, err)
	}
	records := []cpio.Record{cpio.StaticFile(layout.Init, string(init), ModeInit)}
	for _, dir := range layout.Directories(kernel) {
		records = append(records, cpio.Directory(dir, ModeDir))
	}
	if kernel == layout.Source && len(modules) > 0 {
		return nil, fmt.Errorf("%d modules for a kernel that loads none", len(modules))
	}
	seen := make(map[string]bool)
	for n, m := range modules {
		if seen[m.Name] {
			return nil, fmt.Errorf("module %q is there twice", m.Name)
		}
		seen[m.Name] = true
		name, err := layout.ModuleFile(n, m.Name)
		if err != nil {
			return nil, err
		}
		if err := checkSize(len(m.Data), maxModule); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		records = append(records, cpio.StaticFile(name, string(m.Data), ModeModule))
	}
	return records, nil
}

func checkSize(got, limit int) error {
	if got == 0 || got > limit {
		return fmt.Errorf("size: got %d, want 1 to %d", got, limit)
	}
	return nil
}

// fix sets every header field that is not name, mode or content.
func fix(r cpio.Record, ino int) cpio.Record {
	r = cpio.MakeReproducible(r)
	r.Ino = uint64(ino)
	r.NLink = 1
	if r.Mode&cpio.S_IFMT == cpio.S_IFDIR {
		r.NLink = 2 // itself and its entry in the parent, as a real file system counts
	}
	return r
}
