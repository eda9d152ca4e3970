package logged

import (
	"bytes"
	"fmt"
	"slices"

	"safebox/image/inspect/tree"
	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// Bundle is a bundle as a person reads it.
type Bundle struct {
	Kind        string   `json:"kind"` // "bundle"
	SHA256      string   `json:"sha256"`
	Release     string   `json:"release"` // SHA-256 of release.json
	Signed      bool     `json:"signed"`  // false: release.json is alone
	Log         *Log     `json:"log"`     // null if it is
	Record      *Logged  `json:"record"`
	Rebuilds    []Logged `json:"rebuilds"`    // that the bundle counts on
	Mismatches  []Logged `json:"mismatches"`  // of this release, anywhere in the log
	Revocations []Logged `json:"revocations"` // of any release, anywhere in the log
	Unreadable  []Entry  `json:"unreadable"`  // entries that are no record
	Collateral  []File   `json:"collateral"`
}

// Log is the log in a bundle.
type Log struct {
	Origin     string   `json:"origin"`
	Size       int64    `json:"size"` // entries, by the checkpoint
	Root       string   `json:"root"`
	Entries    int      `json:"entries"`      // in the bundle
	RootIsTrue bool     `json:"root_is_true"` // computed again from them
	Signatures []string `json:"signatures"`   // of the checkpoint; nobody has verified them
}

// Logged is a record and where it lies.
type Logged struct {
	Index    int64   `json:"index"`    // in the log
	Included bool    `json:"included"` // its proof leads to the checkpoint's root
	Revokes  bool    `json:"revokes"`  // a revocation, of this release
	Record   *Record `json:"record"`
}

// Entry is an entry of the log that is no record.
type Entry struct {
	Index int64  `json:"index"`
	Error string `json:"error"`
}

// File is a document of a vendor.
type File struct {
	Name   string `json:"name"`
	Size   int    `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// NewBundle reads the file of a bundle. Signatures of records are verified
// under the keys that are given, and under no others; those of the checkpoint
// are not.
func NewBundle(b []byte, keys []dsse.PublicKey) (*Bundle, error) {
	content, err := bundle.Decode(b)
	if err != nil {
		return nil, err
	}
	out := &Bundle{
		Kind: "bundle", SHA256: tree.SHA256(b), Release: fmt.Sprintf("%x", release.Digest(content.Release)), Signed: content.Signed(),
		Rebuilds: []Logged{}, Mismatches: []Logged{}, Revocations: []Logged{}, Unreadable: []Entry{}, Collateral: []File{},
	}
	if !out.Signed {
		return out, nil
	}
	if err := out.fill(content, keys); err != nil {
		return nil, err
	}
	for _, f := range content.Collateral {
		out.Collateral = append(out.Collateral, File{f.Name, len(f.Bytes), tree.SHA256(f.Bytes)})
	}
	return out, nil
}

func (b *Bundle) fill(content *bundle.Bundle, keys []dsse.PublicKey) error {
	proof, err := tlog.DecodeProof(content.Proof)
	if err != nil {
		return fmt.Errorf("release.tlog-proof: %w", err)
	}
	note := proof.Checkpoint
	c, err := b.log(note, content.Entries)
	if err != nil {
		return fmt.Errorf("release.tlog-proof: %w", err)
	}
	if b.Record, err = newLogged(content.Record, content.Proof, note, c, keys); err != nil {
		return fmt.Errorf("release.dsse: %w", err)
	}
	for i, r := range content.Rebuilds {
		l, err := newLogged(r.Record, r.Proof, note, c, keys)
		if err != nil {
			return fmt.Errorf("rebuild/%03d: %w", i+1, err)
		}
		b.Rebuilds = append(b.Rebuilds, *l)
	}
	b.search(content.Entries, release.Digest(content.Release), keys)
	return nil
}

// log reads the checkpoint and holds the entries against its root.
func (b *Bundle) log(note []byte, entries [][]byte) (*tlog.Checkpoint, error) {
	c, err := tlog.DecodeCheckpoint(note)
	if err != nil {
		return nil, err
	}
	n, err := tlog.DecodeNote(note)
	if err != nil {
		return nil, err
	}
	leaves := make([][32]byte, len(entries))
	for i, e := range entries {
		leaves[i] = tlog.LeafHash(e)
	}
	b.Log = &Log{
		Origin: tree.Text(c.Origin), Size: c.Size, Root: fmt.Sprintf("%x", c.Root), Entries: len(entries),
		RootIsTrue: c.Size == int64(len(entries)) && tlog.RootHash(leaves) == c.Root,
	}
	for _, s := range n.Signatures {
		b.Log.Signatures = append(b.Log.Signatures, signatureText(c, s))
	}
	return c, nil
}

// newLogged reads a record and its proof, which must be about the checkpoint of
// all the others.
func newLogged(entry, proof, note []byte, c *tlog.Checkpoint, keys []dsse.PublicKey) (*Logged, error) {
	r, err := NewRecord(entry, keys)
	if err != nil {
		return nil, err
	}
	p, err := tlog.DecodeProof(proof)
	if err != nil {
		return nil, err
	}
	return &Logged{Index: p.Index, Included: bytes.Equal(p.Checkpoint, note) && p.Check(entry, c) == nil, Record: r}, nil
}

// search looks at every entry for what speaks against the release.
func (b *Bundle) search(entries [][]byte, digest [32]byte, keys []dsse.PublicKey) {
	for i, e := range entries {
		at := int64(i)
		r, err := record.Decode(e)
		if err != nil {
			b.Unreadable = append(b.Unreadable, Entry{at, tree.Text(err.Error())})
			continue
		}
		one := Logged{Index: at, Included: b.Log.RootIsTrue}
		switch {
		case r.Rebuild != nil && r.Rebuild.Digest == canon.Octets32(digest) && r.Rebuild.Result != record.Match:
			one.Record = newRecord(e, r, keys)
			b.Mismatches = append(b.Mismatches, one)
		case r.Revoke != nil:
			one.Record = newRecord(e, r, keys)
			one.Revokes = b.revokes(r.Revoke, digest)
			b.Revocations = append(b.Revocations, one)
		}
	}
}

// revokes reports whether a revocation is about this release, by name or by
// the floor.
func (b *Bundle) revokes(r *record.Revoke, digest [32]byte) bool {
	return slices.Contains(r.Digests, canon.Octets32(digest)) ||
		b.Record.Record.Release != nil && b.Record.Record.Release.SVN < r.SVNFloor
}

// Records are all records that are shown, that of the release first.
func (b *Bundle) Records() []*Record {
	var list []*Record
	if b.Record != nil {
		list = append(list, b.Record.Record)
	}
	for _, part := range [][]Logged{b.Rebuilds, b.Mismatches, b.Revocations} {
		for i := range part {
			list = append(list, part[i].Record)
		}
	}
	return list
}

// Faults are what in the bundle is not as it says. Without any it may still be
// one that no policy accepts.
func (b *Bundle) Faults() []string {
	var list []string
	if b.Log != nil && !b.Log.RootIsTrue {
		list = append(list, "the entries are not those of the checkpoint")
	}
	if b.Record != nil {
		for _, l := range append([]Logged{*b.Record}, b.Rebuilds...) {
			if !l.Included {
				list = append(list, fmt.Sprintf("%s: the proof for entry %d is not one", l.Record.Kind, l.Index))
			}
			if !slices.Contains(l.Record.Releases, b.Release) {
				list = append(list, l.Record.Kind+": is about another release")
			}
		}
	}
	for _, e := range b.Unreadable {
		list = append(list, fmt.Sprintf("entry %d is no record", e.Index))
	}
	for _, r := range b.Records() {
		list = append(list, r.Faults()...)
	}
	return list
}

// Items are the facts of the bundle, without those of release.json.
func (b *Bundle) Items() []tree.Item {
	if !b.Signed {
		return []tree.Item{tree.New("signed", "no: release.json is alone")}
	}
	l := b.Log
	truth := "is that of the entries"
	if !l.RootIsTrue {
		truth = fmt.Sprintf("is NOT that of the %d entries in the bundle", l.Entries)
	}
	log := tree.Group("log",
		tree.New("origin", "%s", l.Origin), tree.New("size", "%d", l.Size), tree.New("root", "%s, %s", l.Root, truth))
	for _, s := range l.Signatures {
		log.Items = append(log.Items, tree.New("signature", "%s", s))
	}
	items := []tree.Item{log, b.Record.item()}
	for _, list := range [][]Logged{b.Rebuilds, b.Mismatches, b.Revocations} {
		for i := range list {
			items = append(items, list[i].item())
		}
	}
	for _, e := range b.Unreadable {
		items = append(items, tree.New("unreadable", "entry %d: %s", e.Index, e.Error))
	}
	for _, f := range b.Collateral {
		items = append(items, tree.New("collateral/"+f.Name, "%d bytes, sha256 %s", f.Size, f.SHA256))
	}
	return items
}

func (l *Logged) item() tree.Item {
	where := fmt.Sprintf("entry %d", l.Index)
	if !l.Included {
		where += ", NOT proved to be in the log"
	}
	if l.Revokes {
		where += ", REVOKES this release"
	}
	return tree.Item{Name: l.Record.Kind, Value: where, Items: append([]tree.Item{tree.New("sha256", "%s", l.Record.SHA256)}, l.Record.Items()...)}
}
