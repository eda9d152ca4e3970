package published

import (
	"fmt"
	"slices"

	"safebox/verifier/release/record"
)

// checkRebuilds, step 9: REL-11, REL-9, REL-10. Only records that the bundle
// proves to be in the log count, each for one operator.
func (c *checker) checkRebuilds() {
	if c.release == nil {
		return
	}
	source := c.release.Release.Source.Sum
	about := fmt.Sprintf("rebuilds of %s from %s", c.digest, source)
	for i, r := range c.rebuilds {
		switch {
		case r == nil:
			return // REC-1 to REC-4 say why; whose it is, nobody can tell
		case r.Rebuild == nil:
			c.log.Fail("REL-11", about, fmt.Sprintf("rebuild %d: a record of another kind", i+1))
			return
		case r.Rebuild.Digest != c.digest || r.Rebuild.Source != source:
			c.log.Fail("REL-11", about, fmt.Sprintf("rebuild %d: of %s from %s", i+1, r.Rebuild.Digest, r.Rebuild.Source))
			return
		}
	}
	c.log.Pass("REL-11", about, fmt.Sprintf("%d rebuilds", len(c.rebuilds)))
	matches := 0
	by := map[string]bool{}
	for _, r := range c.rebuilds {
		operator, ok := c.in.Policy.RebuiltBy(r.Envelope)
		if ok && r.Rebuild.Result == record.Match && r.Rebuild.Rebuilt == c.digest {
			matches++
			by[operator] = true
		}
	}
	for _, r := range c.in.Policy.Rebuilders {
		if by[r.Operator] && !slices.Contains(c.out.Operators, r.Operator) {
			c.out.Operators = append(c.out.Operators, r.Operator)
		}
	}
	most := max(c.in.Policy.Rebuilds, 1) // never 0 in a policy that was read
	enough := matches >= most
	c.log.Record("REL-9", enough, fmt.Sprintf("%d matching rebuilds by the policy's rebuilders", most),
		fmt.Sprintf("%d of %d in the bundle", matches, len(c.rebuilds)))
	if enough {
		c.log.Record("REL-10", len(by) >= most, fmt.Sprintf("%d operators", most), fmt.Sprintf("%d: %q", len(by), c.out.Operators))
	}
}

// checkMismatches, step 9: REL-12. They are searched in the whole log: nobody
// puts one into a bundle. Of whatever source, a mismatch holds the release.
func (c *checker) checkMismatches() {
	if !c.searchable() {
		return
	}
	const want = "no mismatch by any of the policy's rebuilders"
	for i, e := range c.entries {
		if e == nil || e.Rebuild == nil || e.Rebuild.Digest != c.digest || e.Rebuild.Result == record.Match {
			continue
		}
		if operator, ok := c.in.Policy.RebuiltBy(e.Envelope); ok {
			c.log.Fail("REL-12", want, fmt.Sprintf("entry %d by %q: %s", i, operator, first(e.Rebuild)))
		}
	}
	c.log.Pass("REL-12", want, fmt.Sprintf("none in %d entries", len(c.entries)))
}

// first is the first difference that a rebuilder found.
func first(r *record.Rebuild) string {
	if len(r.Differences) == 0 {
		return fmt.Sprintf("got %s", r.Rebuilt)
	}
	d := r.Differences[0]
	return fmt.Sprintf("%q differs, %d in all", d.Path, len(r.Differences))
}
