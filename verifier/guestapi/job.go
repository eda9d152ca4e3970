package guestapi

import (
	"bytes"
	"fmt"

	"safebox/verifier/lp"
)

// jobMagic starts a job.
const jobMagic = "SBJ1"

// Limits of a job's parts, in bytes.
const (
	MaxGrant    = 64 << 10
	MaxManifest = 32 << 10
	MaxLeaves   = 16 << 20
	MaxParams   = 64 << 10
	MaxModule   = 32 << 20
)

// MaxJob bounds an encoded job, in bytes.
const MaxJob = len(jobMagic) + 5*lp.PrefixSize + MaxGrant + MaxManifest + MaxLeaves + MaxParams + MaxModule

// Job is what the client sends to have a module run.
type Job struct {
	Grant    []byte // grant file
	Manifest []byte // DSSE envelope of the object's manifest
	Leaves   []byte // the object's leaf table
	Params   []byte // the job's parameters; may be empty
	Module   []byte // WebAssembly
}

// parts lists the parts in their order.
func (j *Job) parts() []part {
	return []part{
		{"grant", &j.Grant, 1, MaxGrant},
		{"manifest", &j.Manifest, 1, MaxManifest},
		{"leaves", &j.Leaves, 1, MaxLeaves},
		{"params", &j.Params, 0, MaxParams},
		{"module", &j.Module, 1, MaxModule},
	}
}

type part struct {
	name      string
	bytes     *[]byte
	low, high int
}

func (p part) check() error {
	if n := len(*p.bytes); n < p.low || n > p.high {
		return fmt.Errorf("%s: got %d bytes, want %d to %d", p.name, n, p.low, p.high)
	}
	return nil
}

// Encode gives "SBJ1" || LP(grant) || LP(manifest) || LP(leaves) ||
// LP(params) || LP(module).
func (j *Job) Encode() ([]byte, error) {
	size := len(jobMagic)
	for _, p := range j.parts() {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("encoding job: %w", err)
		}
		size += lp.PrefixSize + len(*p.bytes)
	}
	b := append(make([]byte, 0, size), jobMagic...)
	for _, p := range j.parts() {
		b = lp.Append(b, *p.bytes)
	}
	return b, nil
}

// DecodeJob parses a job strictly. Its parts share b's memory: a job is large,
// and its reader keeps b for no other use.
func DecodeJob(b []byte) (*Job, error) {
	var j Job
	if err := j.decode(b); err != nil {
		return nil, fmt.Errorf("decoding job: %w", err)
	}
	return &j, nil
}

func (j *Job) decode(b []byte) error {
	rest, ok := bytes.CutPrefix(b, []byte(jobMagic))
	if !ok {
		return fmt.Errorf("magic: got %.4q, want %q", b, jobMagic)
	}
	for _, p := range j.parts() {
		var err error
		if *p.bytes, rest, err = lp.Cut(rest, p.high); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := p.check(); err != nil {
			return err
		}
	}
	return checkEnd(rest)
}

func checkEnd(rest []byte) error {
	if len(rest) != 0 {
		return fmt.Errorf("trailing bytes: got %d, want none", len(rest))
	}
	return nil
}
