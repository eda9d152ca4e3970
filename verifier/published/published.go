// Package published decides whether a release was published as the relying
// party's policy demands: signed by its publisher, rebuilt byte for byte by
// independent operators, all of that in a witnessed log whose entries are all
// there, and revoked by none of them.
//
// It implements specs/runtime.md, section C5, steps 1 to 9, in their order, and
// specs/verify.md, section 9, R2 and R3; docs/format-verdict.md, "A published
// release", numbers the same steps. It is a function of its input: no clock, no
// file, no network. A step that lacks what an earlier one should have found
// records nothing, and what nobody recorded has failed.
package published

import (
	"crypto/sha256"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/check"
	"safebox/verifier/memory"
	"safebox/verifier/policy/publication"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// Input is what the decision rests on.
type Input struct {
	Bundle *bundle.Bundle // what is absent in it is not there: nothing is fetched
	Policy *publication.Policy
	At     time.Time
	Memory *memory.Memory // trees of logs seen before; nil if there is none

	// Late is true for the evidence of a receipt, which is looked at long after:
	// LOG-5 waives the age of the witnesses' word, and nothing else.
	Late bool
}

// Result is what was found. It counts only if every check of Definitions
// passed.
type Result struct {
	Version   string
	SVN       int64
	Origin    string // of the log
	Size      int64
	Root      canon.Octets32
	Time      int64    // Unix seconds: since when a quorum of witnesses knew this tree; 0 if none is asked for
	Operators []string // who rebuilt the release byte for byte, in the policy's order

	// Checkpoint is the SHA-256 of the checkpoint's text, the part that log and
	// witnesses sign: it names the state of the log that was relied on.
	Checkpoint canon.Octets32

	// Authenticated reports whether witnesses cover the time of the decision: two
	// or more cosigned within the age that the policy allows before it
	// (specs/verify.md, section 5.2, mode as-of).
	Authenticated bool
}

// Check runs every check of Definitions. The result is never nil.
func Check(in Input, log *check.Recorder) *Result {
	c := &checker{in: in, log: log}
	if in.Bundle == nil || in.Policy == nil {
		return &c.out // nothing is recorded: everything has failed
	}
	if !in.Bundle.Signed() {
		c.log.Fail("REL-3", wantSigners(in.Policy), "no record: the bundle holds release.json alone")
		return &c.out
	}
	c.digest = sha256.Sum256(in.Bundle.Release)
	c.readProofs()
	c.readEntries()
	c.readRecords()
	c.checkSignatures()
	c.checkInclusion()
	c.openCheckpoint()
	c.checkQuorum()
	c.checkAge()
	c.checkComplete()
	c.checkFork()
	c.checkForce()
	c.checkRevocations()
	c.checkRebuilds()
	c.checkMismatches()
	c.observe()
	return &c.out
}

// checker is one run: what has been found so far. A pointer is nil until the
// step that fills it in has succeeded.
type checker struct {
	in     Input
	log    *check.Recorder
	digest canon.Octets32 // of release.json
	out    Result

	proof         *tlog.Proof // of the release record
	checkpoint    *tlog.Checkpoint
	rebuildProofs []*tlog.Proof

	entries  []*record.Record // nil where an entry is none
	leaves   [][32]byte
	release  *record.Record
	rebuilds []*record.Record

	opened    *tlog.Opened
	witnessed bool // by a quorum
	complete  bool // entries are all of the log's
}
