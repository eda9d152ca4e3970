package record

import (
	"fmt"

	"safebox/verifier/canon"
)

// MaxSVN is the largest security version number: what fits the guest SVN of an
// ID block (AMD 56860, ID_BLOCK: GUEST_SVN, 32 bits).
const MaxSVN = 1<<32 - 1

// Release is the publisher's word: these bytes are my release.
type Release struct {
	Digest     canon.Octets32 // SHA-256 of release.json
	Version    string
	SVN        int64  // security version number, 1 or more
	Source     Source // that it was built from
	Supersedes string // digest of the release before in hex, or empty
	NotBefore  int64  // Unix seconds
}

// Source names the source of a release. Commit and tree are for finding it; the
// sum is what counts.
type Source struct {
	Commit string `json:"commit"` // git object name
	Sum    string `json:"sum"`    // "h1:" and base64: dirhash.Hash1 over all files
	Tree   string `json:"tree"`   // git object name
}

// releasePredicate is the predicate of TypeRelease (docs/format-release.md,
// "Release record").
type releasePredicate struct {
	NotBefore  int64  `json:"notBefore"`
	Source     Source `json:"source"`
	Supersedes string `json:"supersedes"`
	SVN        int64  `json:"svn"`
	Version    string `json:"version"`
}

// Encode gives the canonical statement.
func (r *Release) Encode() ([]byte, error) {
	return encode(statement[releasePredicate]{
		Type: StatementType, PredicateType: TypeRelease, Subject: subjects(r.Digest),
		Predicate: releasePredicate{
			NotBefore: r.NotBefore, Source: r.Source, Supersedes: r.Supersedes, SVN: r.SVN, Version: r.Version,
		},
	})
}

func decodeRelease(b []byte) (*Release, error) {
	var p Release
	digests, err := readStatement(b, TypeRelease, func(r *canon.Reader) {
		r.Literal(`"notBefore":`)
		p.NotBefore = r.Integer()
		r.Literal(`,"source":{"commit":`)
		p.Source.Commit = r.Text()
		r.Literal(`,"sum":`)
		p.Source.Sum = r.Text()
		r.Literal(`,"tree":`)
		p.Source.Tree = r.Text()
		r.Literal(`},"supersedes":`)
		p.Supersedes = r.Text()
		r.Literal(`,"svn":`)
		p.SVN = r.Integer()
		r.Literal(`,"version":`)
		p.Version = r.Text()
	})
	if err != nil {
		return nil, err
	}
	if err := checkSubjects(digests, 1); err != nil {
		return nil, err
	}
	p.Digest = digests[0]
	return &p, p.check()
}

// check holds each field of the predicate against its own form, in the order
// of the table in docs/format-release.md.
func (r *Release) check() error {
	if err := checkTime("notBefore", r.NotBefore, 0); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"source.commit", r.Source.Commit}, {"source.tree", r.Source.Tree}} {
		if err := checkObjectName(f.name, f.value); err != nil {
			return err
		}
	}
	if err := checkSum("source.sum", r.Source.Sum); err != nil {
		return err
	}
	if err := r.checkSupersedes(); err != nil {
		return err
	}
	if r.SVN < 1 || r.SVN > MaxSVN {
		return fmt.Errorf("svn: got %d, want 1 to %d", r.SVN, int64(MaxSVN))
	}
	return checkVersion("version", r.Version)
}

func (r *Release) checkSupersedes() error {
	if r.Supersedes == "" {
		return nil
	}
	var before canon.Octets32
	if err := before.UnmarshalText([]byte(r.Supersedes)); err != nil {
		return fmt.Errorf("supersedes: %w, or nothing", err)
	}
	if before == (canon.Octets32{}) || before == r.Digest {
		return fmt.Errorf("supersedes: got %s, want the digest of another release", before)
	}
	return nil
}
