package published

import (
	"errors"
	"fmt"

	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// kinds are the checks that a record can fail by its form.
func kinds() []struct {
	kind     record.Kind
	id, want string
} {
	return []struct {
		kind     record.Kind
		id, want string
	}{
		{record.Syntax, "REC-1", fmt.Sprintf("JSON without a name twice, at most %d bytes", record.MaxEntry)},
		{record.Canonical, "REC-2", "canonical JSON"},
		{record.Predicate, "REC-3", "a predicate type of this version"},
		{record.Fields, "REC-4", "every field there, known and within its bounds"},
	}
}

// readProofs, step 1: LOG-1.
func (c *checker) readProofs() {
	b := c.in.Bundle
	const want = "a proof and a checkpoint for every record"
	if len(b.Proof) == 0 {
		c.log.Fail("LOG-1", want, "no release.tlog-proof")
		return
	}
	proof, err := decodeProof(b.Proof)
	if err != nil {
		c.log.Fail("LOG-1", want, "release.tlog-proof: "+err.Error())
		return
	}
	checkpoint, err := tlog.DecodeCheckpoint(proof.Checkpoint)
	if err != nil {
		c.log.Fail("LOG-1", want, "release.tlog-proof: "+err.Error())
		return
	}
	c.proof, c.checkpoint = proof, checkpoint
	for i, r := range b.Rebuilds {
		p, err := decodeProof(r.Proof)
		if err != nil {
			c.log.Fail("LOG-1", want, fmt.Sprintf("proof of rebuild %d: %v", i+1, err))
		}
		c.rebuildProofs = append(c.rebuildProofs, p)
	}
	c.log.Pass("LOG-1", want, fmt.Sprintf("%d proofs", 1+len(b.Rebuilds)))
}

// decodeProof reads a proof without extra data: nobody signs it, and nothing here
// has a use for it.
func decodeProof(b []byte) (*tlog.Proof, error) {
	p, err := tlog.DecodeProof(b)
	if err != nil {
		return nil, err
	}
	if len(p.Extra) > 0 {
		return nil, fmt.Errorf("got %d bytes of extra data, want none", len(p.Extra))
	}
	return p, nil
}

// readEntries, step 1: REC-1 to REC-4 of every entry. What is in the log and
// can't be read could be a revocation.
func (c *checker) readEntries() {
	list := c.in.Bundle.Entries
	c.entries, c.leaves = make([]*record.Record, len(list)), make([][32]byte, len(list))
	for i, e := range list {
		c.leaves[i] = tlog.LeafHash(e)
		r, err := record.Decode(e)
		if err != nil {
			c.malformed(fmt.Errorf("entry %d of the log: %w", i, err))
			continue
		}
		c.entries[i] = r
	}
	if len(list) == 0 {
		return
	}
	for _, k := range kinds() { // a failure from above stays
		c.log.Pass(k.id, k.want, fmt.Sprintf("%d entries", len(list)))
	}
}

// readRecords, step 1: those that travel beside the entries. Each is an entry
// too, if LOG-6 and LOG-7 hold.
func (c *checker) readRecords() {
	b := c.in.Bundle
	if len(b.Record) > 0 {
		r, err := record.Decode(b.Record)
		if err != nil {
			c.malformed(fmt.Errorf("release.dsse: %w", err))
		} else {
			c.release = r
		}
	}
	for i, rebuild := range b.Rebuilds {
		r, err := record.Decode(rebuild.Record)
		if err != nil {
			c.malformed(fmt.Errorf("rebuild %d: %w", i+1, err))
			r = nil
		}
		c.rebuilds = append(c.rebuilds, r)
	}
}

// malformed fails the check of what is wrong with a record's form. An error of
// no known kind fails all of them.
func (c *checker) malformed(err error) {
	var form *record.FormError
	known := false
	for _, k := range kinds() {
		if errors.As(err, &form) && form.Kind == k.kind {
			known = true
			c.log.Fail(k.id, k.want, err.Error())
		}
	}
	for _, k := range kinds() {
		if !known {
			c.log.Fail(k.id, k.want, err.Error())
		}
	}
}
