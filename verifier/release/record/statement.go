package record

import (
	"bytes"
	"errors"
	"fmt"

	"safebox/verifier/canon"
)

// MaxSubjects is the largest number of releases that one record revokes.
const MaxSubjects = 64

// statement is in-toto Statement v1 with a predicate of type P, for encoding:
// members in the order of canonical JSON, in which readStatement reads them.
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

// readStatement reads a statement in its one form; predicate reads what is
// between the braces of that member.
func readStatement(b []byte, predicateType string, predicate func(*canon.Reader)) ([]canon.Octets32, error) {
	r := canon.NewReader(b)
	r.Literal(`{"_type":"` + StatementType + `","predicate":{`)
	predicate(r)
	r.Literal(`},"predicateType":"` + predicateType + `","subject":[`)
	var list []canon.Octets32
	for more := true; more; more = r.Next(`,`) {
		r.Literal(`{"digest":{"sha256":`)
		list = append(list, r.Octets32())
		r.Literal(`},"name":"` + SubjectName + `"}`)
	}
	r.Literal(`]}`)
	return list, r.End()
}

// checkSubjects wants 1 to most digests, sorted, each once.
func checkSubjects(list []canon.Octets32, most int) error {
	if n := len(list); n < 1 || n > most {
		return fmt.Errorf("subject: got %d, want 1 to %d", n, most)
	}
	for i, d := range list {
		if d == (canon.Octets32{}) {
			return fmt.Errorf("subject %d: sha256: all zero, want a release digest", i)
		}
		if i > 0 && bytes.Compare(list[i-1][:], d[:]) >= 0 {
			return fmt.Errorf("subject %d: sha256 %s: not sorted, or twice", i, d)
		}
	}
	return nil
}

// predicateMember is what stands before the predicate type in a canonical
// statement. No string can hold it: its quotes would be escaped.
const predicateMember = `,"predicateType":"`

// peekType gives the predicate type of a canonical statement. It is for finding
// what to read it as, and whoever reads it compares: of other bytes the answer
// may be anything.
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
