package lock

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// PackedLock is the name under which an archive holds its lock.
const PackedLock = "safebox.lock"

// Pack writes one tar archive with the lock and every package that it names,
// each as sha256/HEX. The same lock gives the same bytes everywhere. Unpacked
// into a folder, the archive serves as one of Inputs.
func (r *Resolver) Pack(ctx context.Context, l *Lock, w io.Writer) error {
	archive := tar.NewWriter(w)
	text := l.Encode()
	if err := packHeader(archive, l, PackedLock, int64(len(text))); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return fmt.Errorf("packing %s: %w", PackedLock, err)
	}
	packages := slices.Clone(l.Packages)
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.SHA256.String(), b.SHA256.String()) })
	packages = slices.CompactFunc(packages, func(a, b Package) bool { return a.SHA256 == b.SHA256 })
	for _, p := range packages {
		if err := r.packPackage(ctx, l, p, archive); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	return nil
}

func packHeader(archive *tar.Writer, l *Lock, name string, size int64) error {
	err := archive.WriteHeader(&tar.Header{
		Format:   tar.FormatUSTAR,
		Typeflag: tar.TypeReg,
		Name:     name,
		Size:     size,
		Mode:     0o644,
		ModTime:  time.Unix(l.Epoch, 0),
	})
	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	return nil
}

// packPackage hashes once more what it copies: the file could have changed
// since Package looked at it.
func (r *Resolver) packPackage(ctx context.Context, l *Lock, p Package, archive *tar.Writer) (err error) {
	name, err := r.Package(ctx, p)
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("packing package %s: %w", p, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := packHeader(archive, l, "sha256/"+p.SHA256.String(), p.Size); err != nil {
		return err
	}
	size, sum, err := digest(ctx, archive, f, p.Size)
	if err != nil {
		return fmt.Errorf("packing package %s: %w", p, err)
	}
	return p.pinned().check(name, hintCache, size, sum)
}
