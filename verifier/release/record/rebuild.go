package record

import (
	"fmt"
	"slices"

	"safebox/verifier/canon"
)

// Results of a rebuild.
const (
	Match    = "match"    // the same release.json, byte for byte
	Mismatch = "mismatch" // another one, or none
)

// Limits of a rebuild record, in bytes of text but for the first.
const (
	MaxDifferences = 64
	MaxRebuilder   = 128
	MaxEnvironment = 64
	MaxPath        = 512
	MaxValue       = 256
)

// Rebuild is a rebuilder's word: I built that source, and this came out.
type Rebuild struct {
	Digest      canon.Octets32 // of the release that was to come out
	Rebuilder   string         // who says so, for people: the key counts
	Result      string         // Match or Mismatch
	Rebuilt     canon.Octets32 // what came out; all zero if nothing could be built
	Source      string         // sum of the source, as in Source
	Environment Environment
	Differences []Difference // 1 to MaxDifferences of a mismatch, none of a match
	Time        int64        // Unix seconds
}

// Environment says where the build ran.
type Environment struct {
	Arch string `json:"arch"` // GOARCH
	Go   string `json:"go"`   // release of the toolchain
	OS   string `json:"os"`
}

// Difference is one place where the rebuilt release differs.
type Difference struct {
	Got  string `json:"got"`  // of the rebuilt release
	Path string `json:"path"` // file, and where in it
	Want string `json:"want"` // of the published one
}

// rebuildPredicate is the predicate of TypeRebuild (docs/format-release.md,
// "Rebuild record").
type rebuildPredicate struct {
	Differences []Difference   `json:"differences,omitempty"`
	Environment Environment    `json:"environment"`
	Rebuilder   string         `json:"rebuilder"`
	Rebuilt     canon.Octets32 `json:"rebuilt"`
	Result      string         `json:"result"`
	Source      string         `json:"source"`
	Time        int64          `json:"time"`
}

// Encode gives the canonical statement.
func (r *Rebuild) Encode() ([]byte, error) {
	return encode(statement[rebuildPredicate]{
		Type: StatementType, PredicateType: TypeRebuild, Subject: subjects(r.Digest),
		Predicate: rebuildPredicate{
			Differences: r.Differences, Environment: r.Environment, Rebuilder: r.Rebuilder,
			Rebuilt: r.Rebuilt, Result: r.Result, Source: r.Source, Time: r.Time,
		},
	})
}

func decodeRebuild(b []byte) (*Rebuild, error) {
	var p Rebuild
	digests, err := readStatement(b, TypeRebuild, func(r *canon.Reader) {
		if r.Next(`"differences":[`) {
			p.Differences = readDifferences(r)
			r.Literal(`],`)
		}
		r.Literal(`"environment":{"arch":`)
		p.Environment.Arch = r.Text()
		r.Literal(`,"go":`)
		p.Environment.Go = r.Text()
		r.Literal(`,"os":`)
		p.Environment.OS = r.Text()
		r.Literal(`},"rebuilder":`)
		p.Rebuilder = r.Text()
		r.Literal(`,"rebuilt":`)
		p.Rebuilt = r.Octets32()
		r.Literal(`,"result":`)
		p.Result = r.Text()
		r.Literal(`,"source":`)
		p.Source = r.Text()
		r.Literal(`,"time":`)
		p.Time = r.Integer()
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

// readDifferences reads at least one: the member is absent when there is none.
func readDifferences(r *canon.Reader) []Difference {
	var list []Difference
	for more := true; more; more = r.Next(`,`) {
		var d Difference
		r.Literal(`{"got":`)
		d.Got = r.Text()
		r.Literal(`,"path":`)
		d.Path = r.Text()
		r.Literal(`,"want":`)
		d.Want = r.Text()
		r.Literal(`}`)
		list = append(list, d)
	}
	return list
}

// check holds each field of the predicate against its own form, in the order
// of the table in docs/format-release.md.
func (r *Rebuild) check() error {
	if err := checkDifferences(r.Differences); err != nil {
		return err
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"environment.arch", r.Environment.Arch, MaxEnvironment},
		{"environment.go", r.Environment.Go, MaxEnvironment},
		{"environment.os", r.Environment.OS, MaxEnvironment},
		{"rebuilder", r.Rebuilder, MaxRebuilder},
	} {
		if err := checkText(f.name, f.value, f.most); err != nil {
			return err
		}
	}
	if err := r.checkResult(); err != nil {
		return err
	}
	if err := checkSum("source", r.Source); err != nil {
		return err
	}
	return checkTime("time", r.Time, 1)
}

// checkResult wants a result that the digests and the differences bear out.
func (r *Rebuild) checkResult() error {
	same, n := r.Rebuilt == r.Digest, len(r.Differences)
	switch r.Result {
	case Match:
		if !same || n != 0 {
			return fmt.Errorf("result: got %q with rebuilt %s and %d differences, want rebuilt %s and none", r.Result, r.Rebuilt, n, r.Digest)
		}
	case Mismatch:
		if same || n == 0 {
			return fmt.Errorf("result: got %q with rebuilt %s and %d differences, want another digest and at least one", r.Result, r.Rebuilt, n)
		}
	default:
		return fmt.Errorf("result: got %.100q, want %q or %q", r.Result, Match, Mismatch)
	}
	return nil
}

func checkDifferences(list []Difference) error {
	if n := len(list); n > MaxDifferences {
		return fmt.Errorf("differences: got %d, want at most %d", n, MaxDifferences)
	}
	for i, d := range list {
		for _, f := range []struct {
			name, value string
			most        int
		}{{"got", d.Got, MaxValue}, {"path", d.Path, MaxPath}, {"want", d.Want, MaxValue}} {
			if err := checkText(fmt.Sprintf("differences: entry %d: %s", i, f.name), f.value, f.most); err != nil {
				return err
			}
		}
		if slices.Contains(list[:i], d) {
			return fmt.Errorf("differences: entry %d: there before", i)
		}
	}
	return nil
}
