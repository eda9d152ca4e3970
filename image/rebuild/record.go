package rebuild

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"safebox/image/compare"
	"safebox/verifier/canon"
	"safebox/verifier/release/record"
)

// maxDifferences bounds the differences of a record together, in bytes: a
// statement has room for them and all else.
const maxDifferences = record.MaxStatement * 3 / 4

// Witness is who says what came out, and where and when it did.
type Witness struct {
	Rebuilder   string
	Environment record.Environment
	Time        int64 // Unix seconds
}

// SourceError says that a release was repeated from another source than the
// one that its release record names: of that one the result says nothing.
type SourceError struct {
	Got, Want string // directory hashes
}

// Error implements error.
func (e *SourceError) Error() string {
	return fmt.Sprintf("the source is not the one that the release record names: sum: got %s, want %s", e.Got, e.Want)
}

// Record is what a rebuilder can sign: that the source which the release record
// names gave the published release, or did not, and where it differs. source is
// the sum of what was built; when it is another one, there is a SourceError in
// place of a record, for a fault of this copy must not hold a release.
func (r *Result) Record(of *record.Release, source string, w Witness) (*record.Rebuild, error) {
	if of.Digest != canon.Octets32(r.Release) {
		return nil, fmt.Errorf("the release record is about another release: got %v, want %x", of.Digest, r.Release)
	}
	if source != of.Source.Sum {
		return nil, &SourceError{source, of.Source.Sum}
	}
	b := &record.Rebuild{
		Digest: of.Digest, Rebuilder: w.Rebuilder, Result: record.Match, Rebuilt: canon.Octets32(r.Rebuilt),
		Source: source, Environment: w.Environment, Time: w.Time,
	}
	if r.Match() {
		return b, nil
	}
	b.Result = record.Mismatch
	b.Differences = differences(r.Differences)
	return b, nil
}

// differences are the first that a record has room for, each once.
func differences(all []compare.Difference) (list []record.Difference) {
	const perDifference = len(`{"got":"","path":"","want":""},`)
	size := 0
	for _, d := range all {
		next := difference(d)
		encoded := strconv.Quote(next.Path) + strconv.Quote(next.Got) + strconv.Quote(next.Want)
		size += perDifference + len(encoded)
		if len(list) == record.MaxDifferences || size > maxDifferences {
			break
		}
		if !slices.Contains(list, next) {
			list = append(list, next)
		}
	}
	return list
}

// difference is the line of a difference in the parts that a record has.
func difference(d compare.Difference) record.Difference {
	where, got := d.Path, d.A
	if d.What != "" {
		where = append(where[:len(where):len(where)], d.What)
	}
	if d.Note != "" {
		got += " (" + d.Note + ")"
	}
	return record.Difference{
		Path: Text(strings.Join(where, ": "), record.MaxPath), Got: Text(got, record.MaxValue), Want: Text(d.B, record.MaxValue),
	}
}

// Text makes what a record takes of any text: printable ASCII, not empty, no
// space at either end, and what is longer than most bytes is cut and ends in
// two dots.
func Text(s string, most int) string {
	const cut = ".."
	quoted := strconv.QuoteToASCII(s)
	s = strings.TrimSpace(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`))
	if s == "" {
		return "(nothing)"
	}
	if len(s) > most {
		s = strings.TrimSpace(s[:most-len(cut)]) + cut
	}
	return s
}
