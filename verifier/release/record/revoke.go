package record

import (
	"fmt"

	"safebox/verifier/canon"
)

// MaxReason is the largest reason in bytes.
const MaxReason = 512

// Revoke is the publisher's word: don't run these releases any more.
type Revoke struct {
	Digests   []canon.Octets32 // of the releases, 1 to MaxSubjects, sorted
	SVNFloor  int64            // revokes every release below it too; 0 for none
	Reason    string
	Effective int64 // Unix seconds
}

// revokePredicate is the predicate of TypeRevoke (docs/format-release.md,
// "Revocation record").
type revokePredicate struct {
	Effective int64  `json:"effective"`
	Reason    string `json:"reason"`
	SVNFloor  int64  `json:"svnFloor"`
}

// Encode gives the canonical statement.
func (r *Revoke) Encode() ([]byte, error) {
	return encode(statement[revokePredicate]{
		Type: StatementType, PredicateType: TypeRevoke, Subject: subjects(r.Digests...),
		Predicate: revokePredicate{Effective: r.Effective, Reason: r.Reason, SVNFloor: r.SVNFloor},
	})
}

func decodeRevoke(b []byte) (*Revoke, error) {
	var p Revoke
	var err error
	p.Digests, err = readStatement(b, TypeRevoke, func(r *canon.Reader) {
		r.Literal(`"effective":`)
		p.Effective = r.Integer()
		r.Literal(`,"reason":`)
		p.Reason = r.Text()
		r.Literal(`,"svnFloor":`)
		p.SVNFloor = r.Integer()
	})
	if err != nil {
		return nil, err
	}
	if err := checkSubjects(p.Digests, MaxSubjects); err != nil {
		return nil, err
	}
	return &p, p.check()
}

// check holds each field of the predicate against its own form, in the order
// of the table in docs/format-release.md.
func (r *Revoke) check() error {
	if err := checkTime("effective", r.Effective, 0); err != nil {
		return err
	}
	if err := checkText("reason", r.Reason, MaxReason); err != nil {
		return err
	}
	if r.SVNFloor < 0 || r.SVNFloor > MaxSVN {
		return fmt.Errorf("svnFloor: got %d, want 0 to %d", r.SVNFloor, int64(MaxSVN))
	}
	return nil
}
