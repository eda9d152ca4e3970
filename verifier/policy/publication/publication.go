// Package publication is what a relying party asks of a published release:
// whose signatures, how many independent rebuilds, which log under which
// witnesses. It is the table [publication] of a policy file, read strictly:
// every key is there, and nobody is written as "none".
//
// Implements specs/runtime.md, section C4, and specs/verify.md, section 9, R2
// and R3. The log and its witnesses are a C2SP tlog-policy.
package publication

import (
	"time"

	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// Words that stand for a value.
const (
	Any  = "any"  // not checked
	None = "none" // nobody: nothing passes
)

// Limits of a table.
const (
	maxParties = 64       // signers, rebuilders; table.Tables has the same
	maxName    = 64       // bytes
	maxKey     = 256      // bytes of a key's text
	maxLog     = 32 << 10 // bytes of the tlog-policy
	maxOrigin  = 128      // bytes: it is part of a key of the rollback memory
	maxRebuild = 16       // as many as a bundle holds
	maxSVN     = record.MaxSVN
	maxAge     = 10 * 366 * day // seconds
	day        = 24 * 3600      // seconds
)

// Floors of the profiles strict and cloud.
const (
	leastRebuilds = 2
	longestAge    = 30 * day // seconds
)

// Policy is the table, decoded and checked. The zero value accepts nothing.
type Policy struct {
	Signatures int   // signers, by name, that must have signed a release
	SVNFloor   int64 // lowest security version of a release
	Rebuilds   int   // operators who must have rebuilt it

	// MaxAge is how long ago the witnesses' quorum may have been complete.
	MaxAge time.Duration
	AnyAge bool

	Log        *tlog.Policy // nil: no log is accepted
	Signers    []Signer
	Rebuilders []Rebuilder
}

// Signer is a key of somebody who publishes releases.
type Signer struct {
	Name string
	Key  dsse.PublicKey
}

// Rebuilder is a key of somebody who rebuilds releases.
type Rebuilder struct {
	Operator string
	Key      dsse.PublicKey
}

// SignedBy lists the signers, by name and each once, whose signature an
// envelope has.
func (p *Policy) SignedBy(e *dsse.Envelope) []Signer {
	var list []Signer
	seen := map[string]bool{}
	for _, s := range p.Signers {
		if !seen[s.Name] && e.SignedBy(s.Key) {
			seen[s.Name] = true
			list = append(list, s)
		}
	}
	return list
}

// RebuiltBy is the operator whose signature an envelope has. A record counts
// for one operator, however many have signed it.
func (p *Policy) RebuiltBy(e *dsse.Envelope) (operator string, ok bool) {
	for _, r := range p.Rebuilders {
		if e.SignedBy(r.Key) {
			return r.Operator, true
		}
	}
	return "", false
}

// names counts the distinct names of a list.
func names[T any](list []T, name func(T) string) int {
	seen := map[string]bool{}
	for _, x := range list {
		seen[name(x)] = true
	}
	return len(seen)
}
