package verifier

import (
	"time"

	"safebox/verifier/check"
	"safebox/verifier/policy"
	"safebox/verifier/published"
	"safebox/verifier/verdict"
)

// unsigned reports whether the policy says, in so many words, that a release
// need not be published. A policy that nobody can read says nothing.
func (v *verification) unsigned() bool {
	return v.policy != nil && v.policy.Release == policy.Unsigned
}

// checkPublished: REL-3 alone under release = "unsigned"; else every check of
// package published.
func (v *verification) checkPublished() {
	if v.policy == nil || v.bundle == nil {
		return
	}
	if v.unsigned() {
		v.log.Pass("REL-3", "any: the policy asks for no publication", "not compared")
		v.log.Waive("publication of the release: signatures, rebuilds, log", "release = \"unsigned\" in the policy")
		return
	}
	v.published = published.Check(published.Input{
		Bundle: v.bundle, Policy: &v.policy.Publication, At: v.in.At, Memory: v.memory, Late: v.receipt,
	}, v.log)
}

// publishedDefinitions are the checks of a publication. Only a policy that was
// read can say that there is none.
func (v *verification) publishedDefinitions() []check.Definition {
	list := published.Definitions()
	if !v.unsigned() {
		return list
	}
	for _, d := range list {
		if d.ID == "REL-3" {
			return []check.Definition{d}
		}
	}
	return list
}

// publishedOf is what a verdict says of it.
func publishedOf(r *published.Result) *verdict.Published {
	if r == nil {
		return nil
	}
	p := &verdict.Published{
		Version: r.Version, SVN: r.SVN, Origin: r.Origin, Size: r.Size, Root: r.Root.String(), Rebuilt: r.Operators,
	}
	if r.Time > 0 {
		p.Time = time.Unix(r.Time, 0).UTC().Format(time.RFC3339)
	}
	return p
}
