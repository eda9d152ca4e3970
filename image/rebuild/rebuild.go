// Package rebuild repeats a published release from source and says whether it
// came out the same, byte for byte, or where the first difference is.
//
// It implements the comparison of specs/image.md, section 3, for a release that
// somebody else built: release.json (docs/format-release.md), alone, in a folder
// or in a bundle (docs/format-bundle.md), says what was built from which lock, and
// holds the digests to meet. What comes out becomes a rebuild record
// (docs/format-release.md, "Rebuild record"). Nothing of the source is
// executed: the caller's own builder compiles the init from it and assembles
// the rest, so that no source can pass a published file off as a rebuilt one.
package rebuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"safebox/image/compare"
	"safebox/verifier/release"
)

// Request is what a release was built with, as release.json tells it.
type Request struct {
	Kernel    string   // "distro" or "source"
	Platforms []string // vtpm first, then snp, tdx, nitro
	Disks     []string // formats beside the raw disk: qcow2, vhd, gcp
	IGVM      bool     // the IGVM file of platform snp
}

// Built is a release that a builder made.
type Built struct {
	Release *release.Release
	File    func(name string) []byte // nil when there is none of that name
}

// Builder repeats a build.
type Builder func(ctx context.Context, r Request) (*Built, error)

// Result is the answer.
type Result struct {
	Release [sha256.Size]byte // identity of the published release
	Rebuilt [sha256.Size]byte // identity of the rebuilt one; zero when nothing was built

	// Differences names each file that differs by its first difference, causes
	// before consequences. Rebuilt values come first, what is published after
	// "want".
	Differences []compare.Difference
}

// Match reports whether the rebuilt release is the published one.
func (r *Result) Match() bool { return len(r.Differences) == 0 && r.Rebuilt == r.Release }

// Run builds what p describes and compares. lock is the lock file of the
// source; when it is another one than the release was made from, that is the
// difference and nothing is built.
func Run(ctx context.Context, p *Published, lock []byte, build Builder) (*Result, error) {
	r := &Result{Release: release.Digest(p.Encoded)}
	sum := sha256.Sum256(lock)
	if got := hex.EncodeToString(sum[:]); got != p.Release.LockSHA256 {
		r.Differences = []compare.Difference{{
			Path: []string{release.FileName, "lock_sha256"}, A: got, B: p.Release.LockSHA256,
			Note: "the source has another lock file: nothing was built",
		}}
		return r, nil
	}
	built, err := build(ctx, p.Request())
	if err != nil {
		return nil, err
	}
	encoded, err := built.Release.Encode()
	if err != nil {
		return nil, err
	}
	r.Rebuilt = release.Digest(encoded)
	if r.Differences, err = p.differences(built, encoded); err != nil {
		return nil, err
	}
	if len(r.Differences) == 0 && r.Rebuilt != r.Release {
		return nil, fmt.Errorf("comparing releases: %x and %x differ, and no difference was found", r.Rebuilt, r.Release)
	}
	return r, nil
}

// differences compares every file of either release, then release.json. It
// takes no digest of the rebuilt release's word: contents are hashed here.
func (p *Published) differences(built *Built, encoded []byte) ([]compare.Difference, error) {
	names := make([]string, 0, len(p.Release.Artifacts))
	for _, list := range [][]release.Artifact{p.Release.Artifacts, built.Release.Artifacts} {
		for _, a := range list {
			names = append(names, a.Name)
		}
	}
	var found []compare.Difference
	for _, name := range compare.Order(names) {
		d, err := p.file(name, built.File(name))
		if err != nil {
			return nil, err
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	d, err := compare.Files(release.FileName, encoded, p.Encoded)
	if d != nil {
		found = append(found, *d)
	}
	return found, err
}

// file compares one rebuilt file, nil if there is none, with the published one.
func (p *Published) file(name string, rebuilt []byte) (*compare.Difference, error) {
	want, published := p.Release.Artifact(name)
	switch {
	case rebuilt == nil && !published:
		return nil, fmt.Errorf("comparing %s: listed by the rebuilt release, which does not hold it", name)
	case rebuilt == nil:
		return &compare.Difference{Path: []string{name}, A: "none", B: bytesText(want.Size)}, nil
	case !published:
		return &compare.Difference{Path: []string{name}, A: bytesText(int64(len(rebuilt))), B: "none"}, nil
	case want.Check(rebuilt) == nil:
		return nil, nil
	}
	original, err := p.read(want)
	if errors.Is(err, errNoFile) {
		return digests(want, rebuilt), nil
	}
	if err != nil {
		return nil, err
	}
	if bytes.Equal(original, rebuilt) {
		return nil, fmt.Errorf("comparing %s: the published file changed while it was compared", name)
	}
	return compare.Files(name, rebuilt, original)
}

// NoteDigests is the note of a difference to a file of which only release.json's
// line is here.
const NoteDigests = "the published file is not here: only its digests were compared"

// digests is such a difference.
func digests(want release.Artifact, rebuilt []byte) *compare.Difference {
	d := &compare.Difference{Path: []string{want.Name}, Note: NoteDigests}
	sum := sha256.Sum256(rebuilt)
	switch got := hex.EncodeToString(sum[:]); {
	case int64(len(rebuilt)) != want.Size:
		d.What, d.A, d.B = "size", bytesText(int64(len(rebuilt))), bytesText(want.Size)
	case got != want.SHA256:
		d.What, d.A, d.B = "SHA-256", got, want.SHA256
	default:
		d.What, d.A, d.B = "SHA-384", "another one", want.SHA384
	}
	return d
}

func bytesText(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
