package published

import (
	"fmt"
	"slices"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/policy/publication"
	"safebox/verifier/release/record"
)

// checkSignatures, step 2: REL-3, REL-5.
func (c *checker) checkSignatures() {
	want := wantSigners(c.in.Policy)
	if len(c.in.Bundle.Record) == 0 {
		c.log.Fail("REL-3", want, "no release record")
		return
	}
	if c.release == nil {
		return
	}
	by := c.in.Policy.SignedBy(c.release.Envelope)
	// Signatures is never 0 in a policy that was read.
	c.log.Record("REL-3", len(by) >= max(c.in.Policy.Signatures, 1), want, signers(by))
	r := c.release.Release
	if r == nil {
		c.log.Fail("REL-5", c.digest.String(), "a record of another kind than of a release")
		c.release = nil
		return
	}
	c.log.Record("REL-5", r.Digest == c.digest, c.digest.String(), r.Digest.String())
	c.out.Version, c.out.SVN = r.Version, r.SVN
}

func wantSigners(p *publication.Policy) string {
	return fmt.Sprintf("%d of %s", p.Signatures, signers(p.Signers))
}

// checkForce: REL-6.
func (c *checker) checkForce() {
	if c.release == nil {
		return
	}
	from := c.release.Release.NotBefore
	c.log.Record("REL-6", !c.in.At.IsZero() && c.in.At.Unix() >= from, "a time from "+unix(from)+" on", c.in.At.UTC().Format(time.RFC3339))
}

// checkRevocations, step 8: REL-7, REL-8. One signer's word is enough: a
// publisher with one honest key left must be able to stop a release.
func (c *checker) checkRevocations() {
	if c.release == nil {
		return
	}
	svn, floor := c.release.Release.SVN, c.in.Policy.SVNFloor
	source := "of the policy"
	got := fmt.Sprintf("svn %d", svn)
	if svn < floor {
		c.log.Fail("REL-7", fmt.Sprintf("svn %d or higher, %s", floor, source), got)
	}
	if !c.searchable() {
		return
	}
	announced := ""
	for i, e := range c.entries {
		if e == nil || e.Revoke == nil {
			continue
		}
		named := slices.Contains(e.Revoke.Digests, c.digest)
		if !named && e.Revoke.SVNFloor <= max(floor, svn) {
			continue
		}
		by := c.in.Policy.SignedBy(e.Envelope)
		if len(by) == 0 {
			continue // anybody may write that into the log
		}
		if from := e.Revoke.Effective; c.in.At.Unix() < from {
			announced = fmt.Sprintf(", but one announced by entry %d from %s on", i, unix(from))
			continue
		}
		if e.Revoke.SVNFloor > floor {
			floor, source = e.Revoke.SVNFloor, fmt.Sprintf("of entry %d of the log by %s", i, signers(by))
		}
		if named {
			c.log.Fail("REL-8", "no revocation in force", revoked(i, e.Revoke, by))
		}
	}
	c.log.Record("REL-7", svn >= floor, fmt.Sprintf("svn %d or higher, %s", floor, source), got)
	c.log.Pass("REL-8", "no revocation in force", fmt.Sprintf("none in %d entries%s", len(c.entries), announced))
}

func revoked(i int, r *record.Revoke, by []publication.Signer) string {
	return fmt.Sprintf("entry %d by %s, from %s on: %s", i, signers(by), unix(r.Effective), r.Reason)
}

// signers lists names for people.
func signers(list []publication.Signer) string {
	var names []string
	for _, s := range list {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return "none of the policy's signers"
	}
	return fmt.Sprintf("%q", names)
}

func unix(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

// shown is a digest in a text.
func shown(d [32]byte) string { return canon.Octets32(d).String() }
