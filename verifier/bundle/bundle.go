// Package bundle is the file by which a release travels to those who verify,
// with all that proves it published (docs/format-bundle.md; specs/protocol.md,
// section 8; specs/runtime.md, C3): a tar that has exactly one form, so that
// equal content is an equal file.
//
// It knows names, order and sizes. What the records and proofs say is for
// packages record, tlog and published.
package bundle

import (
	"bytes"
	"fmt"

	"safebox/verifier/release"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// Limits of a bundle.
const (
	MaxSize       = 16 << 20 // bytes of the file
	MaxEntries    = 4096     // of the log
	MaxRebuilds   = 16
	MaxProof      = 64 << 10 // bytes of a proof with its checkpoint
	MaxCollateral = 64       // files
	MaxFile       = 1 << 20  // bytes of a file of collateral
	MaxName       = 64       // bytes of its name
)

// Bundle is the content of a bundle. One that holds Release alone is unsigned;
// every other has a record, its proof and the entries of the log.
type Bundle struct {
	Release []byte // the bytes of release.json: release.Decode has not seen them

	Record     []byte // release.dsse: the release record
	Proof      []byte // release.tlog-proof
	Rebuilds   []Rebuild
	Entries    [][]byte // of the log, all of them, from the first on
	Collateral []File   // documents of vendors, ascending by name
}

// Rebuild is a rebuild record and its proof.
type Rebuild struct {
	Record, Proof []byte
}

// File is a document of a vendor.
type File struct {
	Name  string // ASCII letters, digits, '.', '_' and '-', not beginning with '.'
	Bytes []byte
}

// Signed reports whether the bundle holds more than release.json.
func (b *Bundle) Signed() bool {
	return len(b.Record) > 0 || len(b.Proof) > 0 || len(b.Rebuilds) > 0 || len(b.Entries) > 0 || len(b.Collateral) > 0
}

// Encode gives the one form.
func Encode(b *Bundle) ([]byte, error) {
	if b.Release == nil {
		return nil, fmt.Errorf("encoding bundle: %s: got 0 bytes, want 1 to %d", release.FileName, release.MaxSize)
	}
	list, err := b.files()
	if err != nil {
		return nil, fmt.Errorf("encoding bundle: %w", err)
	}
	size := endSize
	for _, f := range list {
		size += entrySize(len(f.content))
	}
	if size > MaxSize {
		return nil, fmt.Errorf("encoding bundle: got %d bytes, want at most %d", size, MaxSize)
	}
	out := make([]byte, 0, size)
	for _, f := range list {
		h := newHeader(f.name, int64(len(f.content)))
		out = append(append(out, h[:]...), f.content...)
		out = append(out, make([]byte, padding(len(f.content)))...)
	}
	out = append(out, make([]byte, endSize)...)
	// Decode has every rule: what it would refuse is not written.
	if _, err := decode(out); err != nil {
		return nil, fmt.Errorf("encoding bundle: %w", err)
	}
	return out, nil
}

// file is an entry of the tar.
type file struct {
	name    string
	content []byte
}

// files lists the entries of the tar in their order.
func (b *Bundle) files() ([]file, error) {
	list := []file{{release.FileName, b.Release}}
	if !b.Signed() {
		return list, nil
	}
	list = append(list, file{nameRecord, b.Record}, file{nameProof, b.Proof})
	for i, r := range b.Rebuilds {
		list = append(list, file{rebuildName(i, recordSuffix), r.Record}, file{rebuildName(i, proofSuffix), r.Proof})
	}
	for n := range tiles(len(b.Entries)) {
		entries := b.Entries[n*tileWidth : min((n+1)*tileWidth, len(b.Entries))]
		content, err := tlog.EncodeEntries(entries)
		if err != nil {
			return nil, err
		}
		name, err := tileName(n, len(entries))
		if err != nil {
			return nil, err
		}
		list = append(list, file{name, content})
	}
	for _, f := range b.Collateral {
		list = append(list, file{collateralFolder + f.Name, f.Bytes})
	}
	return list, nil
}

// Decode accepts that form and nothing else that tar would read: what it
// accepts, Encode gives again.
func Decode(b []byte) (*Bundle, error) {
	out, err := decode(bytes.Clone(b[:min(len(b), MaxSize+1)]))
	if err != nil {
		return nil, fmt.Errorf("decoding bundle: %w", err)
	}
	return out, nil
}

// decode keeps parts of b.
func decode(b []byte) (*Bundle, error) {
	r, err := newReader(b)
	if err != nil {
		return nil, err
	}
	out := &Bundle{}
	if out.Release, err = r.take(release.FileName, release.MaxSize); err != nil {
		return nil, err
	}
	if !r.end() {
		if err := r.signed(out); err != nil {
			return nil, err
		}
	}
	return out, r.close()
}

// signed reads what follows release.json.
func (r *reader) signed(out *Bundle) error {
	var err error
	if out.Record, err = r.take(nameRecord, maxRecord); err != nil {
		return err
	}
	if out.Proof, err = r.take(nameProof, MaxProof); err != nil {
		return err
	}
	for i := 0; i < MaxRebuilds && r.is(rebuildName(i, recordSuffix)); i++ {
		var one Rebuild
		if one.Record, err = r.take(rebuildName(i, recordSuffix), maxRecord); err != nil {
			return err
		}
		if one.Proof, err = r.take(rebuildName(i, proofSuffix), MaxProof); err != nil {
			return err
		}
		out.Rebuilds = append(out.Rebuilds, one)
	}
	if err := r.entries(out); err != nil {
		return err
	}
	return r.collateral(out)
}

// maxRecord bounds a record, in bytes: what fits into an entry of a log.
const maxRecord = record.MaxEntry
