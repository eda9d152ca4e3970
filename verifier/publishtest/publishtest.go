// Package publishtest is for tests: it publishes any release.json with keys
// that everybody knows. It makes the signed records of a release and of its
// rebuilds, a log of them with cosigned checkpoint and proofs, the bundle, and
// the policy that accepts it; and each of them changed as an attacker would.
//
// Formats: docs/format-release.md and docs/format-bundle.md; C2SP signed-note,
// tlog-checkpoint, tlog-cosignature, tlog-proof and tlog-policy. The log's side
// is written here a second time and shares no code with package tlog, so that
// what one accepts of the other says something about both.
//
// The names of all keys begin with TEST-ONLY, no policy that safebox writes
// lists them, and no program may import this package (ci, TestImportRules).
package publishtest

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// Plan is what will be published. A test changes any of it before Publish.
type Plan struct {
	ReleaseJSON []byte
	Release     record.Release
	Signers     []dsse.Signer // of the release record
	Rebuilds    []Rebuild     // that travel in the bundle
	Before      [][]byte      // entries of the log before the release
	After       [][]byte      // and after the rebuilds
	Origin      string        // of the log
	Cosigners   []Cosigner
	Policy      *Policy
}

// Rebuild is a rebuild record and who signs it.
type Rebuild struct {
	Record record.Rebuild
	Signer dsse.Signer
}

// Records are the entries that Publish logs. A test may change bytes of them
// before Log.
type Records struct {
	Release  []byte
	Rebuilds [][]byte
}

// Publication is what came out.
type Publication struct {
	Bundle     *bundle.Bundle
	Log        *Log
	Checkpoint []byte // signed note
	Policy     *Policy
}

// New plans a publication that NewPolicy accepts at that time and for the next
// 168 hours: one signature, three rebuilds that match, three cosignatures.
func New(t testing.TB, release []byte, at time.Time) *Plan {
	t.Helper()
	digest := canon.Octets32(sha256.Sum256(release))
	source := record.Source{Commit: strings.Repeat("c0", 20), Tree: strings.Repeat("7e", 20), Sum: Sum}
	p := &Plan{
		ReleaseJSON: release,
		Release: record.Release{
			Digest: digest, Version: prefix + "1.0.0", SVN: 1, Source: source, NotBefore: at.Add(-time.Hour).Unix(),
		},
		Signers:   []dsse.Signer{Publisher(t)},
		Origin:    Origin,
		Cosigners: []Cosigner{{WitnessA, at}, {WitnessB, at}, {WitnessC, at}},
		Policy:    NewPolicy(t),
	}
	for i := range 3 {
		p.Rebuilds = append(p.Rebuilds, Rebuild{p.Match(i), Rebuilder(t, i)})
	}
	return p
}

// Sum is the directory hash of the source in the records: that of no files,
// by `sha256sum </dev/null | xxd -r -p | base64`.
const Sum = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

// Match is a record of rebuilder i that the release was rebuilt byte for byte.
func (p *Plan) Match(i int) record.Rebuild {
	return record.Rebuild{
		Digest: p.Release.Digest, Rebuilder: prefix + "rebuilder " + string(rune('0'+i)), Result: "match", Rebuilt: p.Release.Digest,
		Source:      p.Release.Source.Sum,
		Environment: record.Environment{Arch: "amd64", Go: "go1.26.8", OS: "debian 12"},
		Time:        p.Release.NotBefore,
	}
}

// Mismatch is a record of rebuilder i that something else came out.
func (p *Plan) Mismatch(i int) record.Rebuild {
	r := p.Match(i)
	r.Result, r.Rebuilt = "mismatch", sha256.Sum256([]byte("something else"))
	r.Differences = []record.Difference{{Path: "initrd.cpio.zst/init", Got: "1 byte", Want: "2 bytes"}}
	return r
}

// AddRevocation logs a revocation by the publisher after all else.
func (p *Plan) AddRevocation(t testing.TB, svnFloor int64, digests ...canon.Octets32) {
	t.Helper()
	r := p.Revoke(svnFloor, digests...)
	p.After = append(p.After, Entry(t, &r, Publisher(t)))
}

// Revoke is a record that revokes these releases, and all below a floor.
func (p *Plan) Revoke(svnFloor int64, digests ...canon.Octets32) record.Revoke {
	return record.Revoke{Digests: digests, SVNFloor: svnFloor, Reason: "a test", Effective: p.Release.NotBefore}
}

// encoder is a statement of package record.
type encoder interface{ Encode() ([]byte, error) }

// Entry signs a statement.
func Entry(t testing.TB, statement encoder, signers ...dsse.Signer) []byte {
	t.Helper()
	b, err := statement.Encode()
	if err != nil {
		t.Fatal(err)
	}
	entry, err := record.Sign(b, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// Records signs the records of the plan.
func (p *Plan) Records(t testing.TB) *Records {
	t.Helper()
	r := &Records{Release: Entry(t, &p.Release, p.Signers...)}
	for _, rebuild := range p.Rebuilds {
		r.Rebuilds = append(r.Rebuilds, Entry(t, &rebuild.Record, rebuild.Signer))
	}
	return r
}

// Publish signs the records, logs them and makes the bundle.
func (p *Plan) Publish(t testing.TB) *Publication {
	t.Helper()
	return p.Log(t, p.Records(t))
}

// Log logs records as they are and makes the bundle.
func (p *Plan) Log(t testing.TB, r *Records) *Publication {
	t.Helper()
	log := &Log{Name: p.Origin}
	log.Entries = append(log.Entries, p.Before...)
	first := len(log.Entries)
	log.Entries = append(append(append(log.Entries, r.Release), r.Rebuilds...), p.After...)
	out := &Publication{Log: log, Checkpoint: log.Checkpoint(t, p.Cosigners...), Policy: p.Policy}
	out.Bundle = &bundle.Bundle{
		Release: p.ReleaseJSON, Record: r.Release, Proof: log.Proof(first, out.Checkpoint), Entries: log.Entries,
	}
	for i, b := range r.Rebuilds {
		out.Bundle.Rebuilds = append(out.Bundle.Rebuilds, bundle.Rebuild{Record: b, Proof: log.Proof(first+1+i, out.Checkpoint)})
	}
	return out
}

// Encode gives the bundle's file.
func (p *Publication) Encode(t testing.TB) []byte {
	t.Helper()
	b, err := bundle.Encode(p.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Body is SHA-256 of the checkpoint's note body: what a grant names.
func (p *Publication) Body() [32]byte {
	body, _, _ := bytes.Cut(p.Checkpoint, []byte("\n\n"))
	return sha256.Sum256(append(bytes.Clone(body), '\n'))
}
