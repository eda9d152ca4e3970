package publishtest_test

import (
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/policy"
	"safebox/verifier/published"
	"safebox/verifier/publishtest"
	"safebox/verifier/transcript"
	"safebox/verifier/verdict"
)

// judge decides about a publication as it travels: bundle and policy are
// written and read again.
func judge(t *testing.T, p *publishtest.Publication, at time.Time) (*published.Result, *verdict.Verdict) {
	t.Helper()
	file, err := policy.Profile(policy.Test, []string{transcript.VTPM})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Parse(p.Policy.Apply(t, file))
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Decode(p.Encode(t))
	if err != nil {
		t.Fatal(err)
	}
	log := check.New()
	r := published.Check(published.Input{Bundle: b, Policy: &pol.Publication, At: at}, log)
	return r, log.Verdict(published.Definitions())
}

// What must pass passes, and is named by the digest of its checkpoint.
func TestPublications(t *testing.T) {
	at := time.Unix(epoch, 0)
	for _, h := range publishtest.Publications() {
		t.Run(h.Name, func(t *testing.T) {
			p := h.Make(t, []byte("{}"), at)
			r, v := judge(t, p, at)
			checktest.Passes(t, v)
			if r.Checkpoint != p.Body() {
				t.Errorf("checkpoint: got %v, want %x", r.Checkpoint, p.Body())
			}
		})
	}
}

// Each attack is refused by the check that it is against, and by no other.
func TestAttacks(t *testing.T) {
	at := time.Unix(epoch, 0)
	for _, a := range publishtest.Attacks() {
		t.Run(a.ID+" "+a.Name, func(t *testing.T) {
			_, v := judge(t, a.Make(t, []byte("{}"), at), at)
			checktest.Alone(t, v, a.ID)
		})
	}
}

// The attacks reach every check of a publication.
func TestAttacksReachAll(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range publishtest.Attacks() {
		seen[a.ID] = true
	}
	for _, d := range published.Definitions() {
		if !seen[d.ID] {
			t.Errorf("no attack on %s", d.ID)
		}
	}
}
