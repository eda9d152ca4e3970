package published

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"safebox/verifier/tlog"
)

// checkInclusion, steps 3 and 4: LOG-6. Each record is held against the
// checkpoint of its own proof; LOG-8 says whether that is one checkpoint.
func (c *checker) checkInclusion() {
	if c.proof == nil {
		return
	}
	b := c.in.Bundle
	const want = "every record at its index of the tree"
	if err := included(c.proof, b.Record); err != nil {
		c.log.Fail("LOG-6", want, "release record: "+err.Error())
	}
	for i, p := range c.rebuildProofs {
		if p == nil {
			continue // LOG-1 has failed
		}
		if err := included(p, b.Rebuilds[i].Record); err != nil {
			c.log.Fail("LOG-6", want, fmt.Sprintf("rebuild record %d: %v", i+1, err))
		}
	}
	c.log.Pass("LOG-6", want, fmt.Sprintf("%d records", 1+len(c.rebuildProofs)))
}

func included(p *tlog.Proof, entry []byte) error {
	if len(entry) == 0 {
		return errors.New("no record")
	}
	checkpoint, err := tlog.DecodeCheckpoint(p.Checkpoint)
	if err != nil {
		return err
	}
	return p.Check(entry, checkpoint)
}

// openCheckpoint, step 5: LOG-2, LOG-3.
func (c *checker) openCheckpoint() {
	p := c.in.Policy.Log
	const want = "a checkpoint of a log that the policy lists"
	if p == nil {
		c.log.Fail("LOG-2", want, "the policy lists no log")
		return
	}
	if c.proof == nil {
		return
	}
	got := fmt.Sprintf("%q, %d entries", c.checkpoint.Origin, c.checkpoint.Size)
	opened, err := p.Open(c.proof.Checkpoint)
	var cosigner *tlog.CosignerError
	if errors.As(err, &cosigner) {
		c.log.Pass("LOG-2", want, got)
		c.log.Fail("LOG-3", "cosignatures that verify", cosigner.Error())
		return
	}
	c.log.Check("LOG-2", err, want, got)
	if err != nil {
		return
	}
	c.opened = opened
	c.out.Origin, c.out.Size, c.out.Root = opened.Log, opened.Checkpoint.Size, opened.Checkpoint.Root
	c.out.Checkpoint = sha256.Sum256(opened.Checkpoint.Text())
}

// checkQuorum, step 5: LOG-3, LOG-4.
func (c *checker) checkQuorum() {
	if c.opened == nil {
		return
	}
	p, list := c.in.Policy.Log, c.opened.Cosignatures
	if p.QuorumNone() {
		c.log.Pass("LOG-3", "any: the policy asks for no witness", fmt.Sprintf("%d cosignatures", len(list)))
		c.log.Pass("LOG-4", "any: the policy asks for no witness", "not compared")
		c.log.Waive("witnesses of the log", "quorum none in publication.log of the policy")
		c.witnessed = true
		return
	}
	c.log.Record("LOG-3", len(list) > 0, "a cosignature of a witness that the policy lists", witnesses(list))
	if len(list) == 0 {
		return
	}
	_, c.witnessed = p.Quorum(list)
	c.log.Record("LOG-4", c.witnessed, "the quorum of the policy", witnesses(list))
}

// checkAge, step 6: LOG-5. The quorum's time is the latest at which those who
// had cosigned by then, or since, are a quorum: one witness with a wrong clock
// moves it no further than the quorum lets him. Whoever cosigned in the future
// has not been seen to do so, and whoever states no time has stated none.
func (c *checker) checkAge() {
	if !c.witnessed {
		return
	}
	p, at := c.in.Policy, c.in.At.Unix()
	if p.Log.QuorumNone() { // such a policy has AnyAge: nobody states a time
		c.log.Record("LOG-5", p.AnyAge, "any age: the policy asks for no witness", "no time")
		c.waiveAge()
		return
	}
	var timely []tlog.Cosignature
	for _, s := range c.opened.Cosignatures {
		if s.Time > 0 && s.Time <= at {
			timely = append(timely, s)
		}
	}
	want := "cosignatures of a quorum until " + unix(at)
	since, ok := p.Log.Quorum(timely)
	if !ok || c.in.At.IsZero() {
		c.log.Fail("LOG-5", want, witnesses(c.opened.Cosignatures))
		return
	}
	c.out.Time = since
	oldest := c.in.At.Add(-p.MaxAge).Unix()
	got := "of a quorum at " + unix(since)
	fresh := !p.AnyAge && since >= oldest
	c.out.Authenticated = fresh && c.distinct(timely, oldest) >= 2
	switch {
	case p.AnyAge:
		c.log.Pass("LOG-5", "any age", got)
		c.waiveAge()
	case c.in.Late:
		c.log.Pass("LOG-5", want, got)
		c.log.Waive("age of the log's witnessed state", "it is checked for a receipt, after its challenge")
	default:
		c.log.Record("LOG-5", fresh, fmt.Sprintf("cosignatures of a quorum from %s to %s", unix(oldest), unix(at)), got)
	}
}

func (c *checker) waiveAge() {
	c.log.Waive("age of the log's witnessed state", "publication.max_age = \"any\" in the policy")
}

// distinct counts the witnesses that cosigned from a time on, by the names of
// their keys: one with an Ed25519 and an ML-DSA-44 key is one.
func (c *checker) distinct(list []tlog.Cosignature, from int64) int {
	names := map[string]bool{}
	for _, w := range c.in.Policy.Log.Witnesses() {
		for _, s := range list {
			if s.Witness == w.Name && s.Time >= from {
				name, _, _ := strings.Cut(w.VKey, "+") // a name has no plus
				names[name] = true
			}
		}
	}
	return len(names)
}

// checkComplete, step 7: LOG-7.
func (c *checker) checkComplete() {
	if c.checkpoint == nil {
		return
	}
	want := fmt.Sprintf("%d entries with root %s", c.checkpoint.Size, shown(c.checkpoint.Root))
	root := tlog.RootHash(c.leaves)
	c.complete = int64(len(c.leaves)) == c.checkpoint.Size && root == c.checkpoint.Root
	c.log.Record("LOG-7", c.complete, want, fmt.Sprintf("%d entries with root %s", len(c.leaves), shown(root)))
}

// searchable reports whether what is not among the entries is not in the log:
// they are all, and the policy's log says so. It also spares whoever is given a
// bundle of anybody's the signatures of 4,096 entries, up to 16 each.
func (c *checker) searchable() bool { return c.complete && c.opened != nil }

// checkFork, step 7: LOG-8. All proofs are of one checkpoint, and the tree is
// an extension of the one seen before: whoever has all entries can compute the
// root that the log had then. A tree smaller than that one is ROLL-1's.
func (c *checker) checkFork() {
	if c.proof == nil || !c.complete {
		return
	}
	const want = "one checkpoint, whose tree continues the one seen before"
	for i, p := range c.rebuildProofs {
		if p != nil && !bytes.Equal(p.Checkpoint, c.proof.Checkpoint) {
			c.log.Fail("LOG-8", want, fmt.Sprintf("rebuild %d: %s", i+1, c.other(p.Checkpoint)))
			return
		}
	}
	got := fmt.Sprintf("one checkpoint, %d entries", c.checkpoint.Size)
	old, known := c.in.Memory.Tree(c.checkpoint.Origin)
	switch {
	case !known:
		got += ", log not seen before"
	case old.Size > c.checkpoint.Size:
		got += fmt.Sprintf(", seen with %d", old.Size)
	default:
		root := tlog.RootHash(c.leaves[:old.Size])
		if root != old.Root {
			c.log.Fail("LOG-8", want, fmt.Sprintf("FORK: the first %d entries have root %s, seen root %s", old.Size, shown(root), shown(old.Root)))
			return
		}
		got += fmt.Sprintf(", the first %d as seen before", old.Size)
	}
	c.log.Pass("LOG-8", want, got)
}

// other says how a checkpoint differs from the release's.
func (c *checker) other(note []byte) string {
	o, err := tlog.DecodeCheckpoint(note)
	switch {
	case err != nil:
		return err.Error()
	case o.Origin == c.checkpoint.Origin && o.Size == c.checkpoint.Size && o.Root != c.checkpoint.Root:
		return fmt.Sprintf("FORK: two trees of %d entries, roots %s and %s", o.Size, shown(c.checkpoint.Root), shown(o.Root))
	}
	return fmt.Sprintf("another checkpoint: %q, %d entries, root %s", o.Origin, o.Size, shown(o.Root))
}

// witnesses lists cosignatures for people.
func witnesses(list []tlog.Cosignature) string {
	if len(list) == 0 {
		return "none"
	}
	var b bytes.Buffer
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		at := "without a time"
		if s.Time > 0 {
			at = "at " + time.Unix(s.Time, 0).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "%q %s", s.Witness, at)
	}
	return b.String()
}
