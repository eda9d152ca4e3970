package logged

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"safebox/image/inspect/tree"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// Kinds of records.
const (
	KindRelease    = "release record"
	KindRebuild    = "rebuild record"
	KindRevocation = "revocation"
)

// Record is a record of the release log as a person reads it. Exactly one of
// Release, Rebuild and Revocation is there.
type Record struct {
	Kind       string      `json:"kind"`
	SHA256     string      `json:"sha256"`   // of the entry
	Releases   []string    `json:"releases"` // digests that it is about
	Release    *Release    `json:"release,omitempty"`
	Rebuild    *Rebuild    `json:"rebuild,omitempty"`
	Revocation *Revocation `json:"revocation,omitempty"`
	Signatures []Signature `json:"signatures"`
}

// Release is what the publisher says.
type Release struct {
	Version    string `json:"version"`
	SVN        int64  `json:"svn"`
	Source     string `json:"source"` // directory hash: what counts
	Commit     string `json:"commit"`
	Tree       string `json:"tree"`
	Supersedes string `json:"supersedes"` // digest, or empty
	NotBefore  int64  `json:"not_before"` // Unix seconds
}

// Rebuild is what a rebuilder says.
type Rebuild struct {
	Result      string       `json:"result"` // "match" or "mismatch"
	Rebuilder   string       `json:"rebuilder"`
	Rebuilt     string       `json:"rebuilt"` // digest
	Source      string       `json:"source"`
	Time        int64        `json:"time"` // Unix seconds
	OS          string       `json:"os"`
	Arch        string       `json:"arch"`
	Go          string       `json:"go"`
	Differences []Difference `json:"differences"`
}

// Difference is one place where the rebuilt release differs.
type Difference struct {
	Path string `json:"path"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

// Revocation is what the publisher takes back.
type Revocation struct {
	SVNFloor  int64  `json:"svn_floor"` // 0: none
	Reason    string `json:"reason"`
	Effective int64  `json:"effective"` // Unix seconds
}

// Signature is a signature of a record, and what is known of it by the keys that
// were given.
type Signature struct {
	KeyID string `json:"key_id"`
	Key   string `json:"key"`   // the key's text; empty if it was not given
	Valid bool   `json:"valid"` // false without the key, too
}

// NewRecord reads an entry of the log. Signatures are verified under the keys
// that are given, and under no others.
func NewRecord(entry []byte, keys []dsse.PublicKey) (*Record, error) {
	r, err := record.Decode(entry)
	if err != nil {
		return nil, err
	}
	return newRecord(entry, r, keys), nil
}

// newRecord describes an entry that was decoded.
func newRecord(entry []byte, r *record.Record, keys []dsse.PublicKey) *Record {
	out := &Record{SHA256: tree.SHA256(entry), Signatures: signatures(r.Envelope, keys)}
	switch {
	case r.Release != nil:
		out.release(r.Release)
	case r.Rebuild != nil:
		out.rebuild(r.Rebuild)
	case r.Revoke != nil:
		out.revocation(r.Revoke)
	}
	return out
}

func signatures(e *dsse.Envelope, keys []dsse.PublicKey) []Signature {
	list := make([]Signature, 0, len(e.Signatures))
	for _, s := range e.Signatures {
		one := Signature{KeyID: s.KeyID}
		for _, k := range keys {
			if k.ID() == s.KeyID {
				one.Key, one.Valid = k.String(), e.SignedBy(k)
			}
		}
		list = append(list, one)
	}
	return list
}

func (r *Record) release(p *record.Release) {
	r.Kind, r.Releases = KindRelease, []string{p.Digest.String()}
	r.Release = &Release{
		Version: p.Version, SVN: p.SVN, Source: p.Source.Sum, Commit: p.Source.Commit, Tree: p.Source.Tree,
		Supersedes: p.Supersedes, NotBefore: p.NotBefore,
	}
}

func (r *Record) rebuild(p *record.Rebuild) {
	r.Kind, r.Releases = KindRebuild, []string{p.Digest.String()}
	r.Rebuild = &Rebuild{
		Result: p.Result, Rebuilder: p.Rebuilder, Rebuilt: p.Rebuilt.String(), Source: p.Source, Time: p.Time,
		OS: p.Environment.OS, Arch: p.Environment.Arch, Go: p.Environment.Go, Differences: []Difference{},
	}
	for _, d := range p.Differences {
		r.Rebuild.Differences = append(r.Rebuild.Differences, Difference{d.Path, d.Got, d.Want})
	}
}

func (r *Record) revocation(p *record.Revoke) {
	r.Kind = KindRevocation
	for _, d := range p.Digests {
		r.Releases = append(r.Releases, d.String())
	}
	r.Revocation = &Revocation{SVNFloor: p.SVNFloor, Reason: p.Reason, Effective: p.Effective}
}

// Items are the facts of the record.
func (r *Record) Items() []tree.Item {
	var items []tree.Item
	for _, d := range r.Releases {
		items = append(items, tree.New("release", "%s", d))
	}
	switch {
	case r.Release != nil:
		items = append(items, r.Release.items()...)
	case r.Rebuild != nil:
		items = append(items, r.Rebuild.items()...)
	case r.Revocation != nil:
		items = append(items, r.Revocation.items()...)
	}
	for _, s := range r.Signatures {
		items = append(items, tree.New("signed_by", "%s, %s", s.KeyID, s.state()))
	}
	return items
}

func (s Signature) state() string {
	switch {
	case s.Key == "":
		return "not verified: no key of this ID was given"
	case s.Valid:
		return "verified: " + s.Key
	default:
		return "BROKEN: does not verify under " + s.Key
	}
}

// Faults are what of the record is not as it says, for each of the keys that
// were given.
func (r *Record) Faults() []string {
	var list []string
	for _, s := range r.Signatures {
		if s.Key != "" && !s.Valid {
			list = append(list, fmt.Sprintf("%s: the signature of key %s does not verify", r.Kind, s.KeyID))
		}
	}
	return list
}

func (p *Release) items() []tree.Item {
	supersedes := p.Supersedes
	if supersedes == "" {
		supersedes = "none"
	}
	return []tree.Item{
		tree.New("version", "%s", p.Version), tree.New("svn", "%d", p.SVN),
		tree.New("source", "%s", p.Source), tree.New("commit", "%s", p.Commit), tree.New("tree", "%s", p.Tree),
		tree.New("supersedes", "%s", supersedes), seconds("not_before", p.NotBefore),
	}
}

func (p *Rebuild) items() []tree.Item {
	rebuilt := p.Rebuilt
	if strings.Trim(rebuilt, "0") == "" {
		rebuilt = "nothing"
	}
	items := []tree.Item{
		tree.New("result", "%s", p.Result), tree.New("rebuilder", "%s", p.Rebuilder), tree.New("rebuilt", "%s", rebuilt),
		tree.New("source", "%s", p.Source), seconds("time", p.Time),
		tree.New("environment", "%s, %s, go %s", p.OS, p.Arch, p.Go),
	}
	for _, d := range p.Differences {
		items = append(items, tree.New("difference", "%s: %s, want %s", d.Path, d.Got, d.Want))
	}
	return items
}

func (p *Revocation) items() []tree.Item {
	floor := "none"
	if p.SVNFloor > 0 {
		floor = fmt.Sprintf("%d: every release below it is revoked too", p.SVNFloor)
	}
	return []tree.Item{tree.New("svn_floor", "%s", floor), tree.New("reason", "%s", p.Reason), seconds("effective", p.Effective)}
}

// seconds is a time that somebody wrote by a clock of theirs.
func seconds(name string, t int64) tree.Item {
	return tree.New(name, "%d, %s", t, tree.Time(time.Unix(t, 0)))
}

// kindOf peeks at what a document says it is. Nothing of it is checked.
func kindOf(b []byte) string {
	var e struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
	}
	var s struct {
		PredicateType string `json:"predicateType"`
	}
	const start = `{"payload":"`
	if len(b) > 2*record.MaxEntry || !strings.HasPrefix(string(b[:min(len(b), len(start))]), start) {
		return ""
	}
	if json.Unmarshal(b, &e) != nil || e.PayloadType != record.PayloadType || json.Unmarshal(e.Payload, &s) != nil {
		return ""
	}
	switch s.PredicateType {
	case record.TypeRelease:
		return KindRelease
	case record.TypeRebuild:
		return KindRebuild
	case record.TypeRevoke:
		return KindRevocation
	}
	return ""
}
