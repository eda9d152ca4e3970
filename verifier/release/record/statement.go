package record

import (
	"bytes"
	"errors"
	"fmt"

	"safebox/verifier/canon"
)

// MaxSubjects is the largest number of releases that one record revokes.
const MaxSubjects = 64

// statement is in-toto Statement v1 with a predicate of type P, members in the
// order of canonical JSON.
type statement[P any] struct {
	Type          string    `json:"_type"`
	Predicate     P         `json:"predicate"`
	PredicateType string    `json:"predicateType"`
	Subject       []subject `json:"subject"`
}

// subject is an in-toto ResourceDescriptor v1 with name and digest only.
type subject struct {
	Digest digestSet `json:"digest"`
	Name   string    `json:"name"`
}

// digestSet is an in-toto DigestSet v1 with SHA-256 only.
type digestSet struct {
	SHA256 canon.Octets32 `json:"sha256"`
}

// subjects makes the subjects of these releases.
func subjects(digests ...canon.Octets32) []subject {
	list := make([]subject, len(digests))
	for i, d := range digests {
		list[i] = subject{Digest: digestSet{SHA256: d}, Name: SubjectName}
	}
	return list
}

// digests holds the type and the subjects of a statement against their form
// and gives the release digests.
func (s *statement[P]) digests(most int) ([]canon.Octets32, error) {
	if s.Type != StatementType {
		return nil, fmt.Errorf("_type: got %.100q, want %q", s.Type, StatementType)
	}
	if n := len(s.Subject); n < 1 || n > most {
		return nil, fmt.Errorf("subject: got %d, want 1 to %d", n, most)
	}
	list := make([]canon.Octets32, len(s.Subject))
	for i, e := range s.Subject {
		if e.Name != SubjectName {
			return nil, fmt.Errorf("subject %d: name: got %.100q, want %q", i, e.Name, SubjectName)
		}
		if e.Digest.SHA256 == (canon.Octets32{}) {
			return nil, fmt.Errorf("subject %d: sha256: all zero, want a release digest", i)
		}
		list[i] = e.Digest.SHA256
		if i > 0 && bytes.Compare(list[i-1][:], list[i][:]) >= 0 {
			return nil, fmt.Errorf("subject %d: sha256 %s: not sorted, or twice", i, list[i])
		}
	}
	return list, nil
}

// predicateMember is what stands before the predicate type in a canonical
// statement. No string can hold it: its quotes would be escaped.
const predicateMember = `,"predicateType":"`

// peekType gives the predicate type of a canonical statement. It is for finding
// the Go type to decode into, and that decoding compares it: of other bytes the
// answer may be anything.
func peekType(b []byte) string {
	at := bytes.LastIndex(b, []byte(predicateMember))
	if at < 0 {
		return ""
	}
	rest := b[at+len(predicateMember):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return ""
	}
	return string(rest[:end])
}

// DecodeStatement reads the statement in an entry. Its error is a *FormError.
func DecodeStatement(b []byte) (*Record, error) {
	if len(b) > MaxStatement {
		return nil, formError(Syntax, "statement: got %d bytes, want at most %d", len(b), MaxStatement)
	}
	var r Record
	var err error
	switch peekType(b) {
	case TypeRelease:
		r.Release, err = decodeRelease(b)
	case TypeRebuild:
		r.Rebuild, err = decodeRebuild(b)
	case TypeRevoke:
		r.Revoke, err = decodeRevoke(b)
	default:
		err = errors.New("no predicate type that is known")
	}
	if err != nil {
		return nil, explainStatement(b, err)
	}
	return &r, nil
}

// decode reads a statement whose predicate type is this one.
func decode[P any](b []byte, predicateType string) (*statement[P], error) {
	var s statement[P]
	if err := canon.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s.PredicateType != predicateType {
		return nil, fmt.Errorf("predicateType: got %.100q, want %q", s.PredicateType, predicateType)
	}
	return &s, nil
}
