package publishtest

import (
	"fmt"
	"testing"
	"time"

	"safebox/verifier/dsse"
)

// Harmless is a publication with something unusual that takes nothing from it:
// a check that refuses it would let strangers hold releases, or refuse
// everything.
type Harmless struct {
	Name string
	Make func(t testing.TB, release []byte, at time.Time) *Publication
}

// Publications are those that must pass at the time for which they are made.
func Publications() []Harmless {
	return []Harmless{
		harmless("as planned", func(testing.TB, *Plan, time.Time) {}),
		harmless("two rebuilds of two", func(_ testing.TB, p *Plan, _ time.Time) { p.Rebuilds = p.Rebuilds[1:] }),
		harmless("two witnesses of two", func(_ testing.TB, p *Plan, _ time.Time) { p.Cosigners = p.Cosigners[1:] }),
		harmless("one witness stale, two not", func(_ testing.TB, p *Plan, at time.Time) { p.Cosigners[2].Time = at.Add(-30 * 24 * time.Hour) }),
		harmless("a witness that nobody listed", func(_ testing.TB, p *Plan, at time.Time) {
			p.Cosigners = append(p.Cosigners, Cosigner{prefix + "stranger.example", at})
		}),
		harmless("at the end of its age", func(_ testing.TB, p *Plan, at time.Time) { p.cosign(at.Add(-168 * time.Hour)) }),
		harmless("in force since now", func(_ testing.TB, p *Plan, at time.Time) { p.Release.NotBefore = at.Unix() }),
		harmless("two signatures of two, one P-256", func(t testing.TB, p *Plan, _ time.Time) {
			second := SignerP256(t, "second publisher")
			p.Policy.Signers = append(p.Policy.Signers, Party{prefix + "second", second.Public().String()})
			p.Policy.Signatures, p.Signers = 2, append(p.Signers, second)
		}),
		harmless("a stranger signed too", func(t testing.TB, p *Plan, _ time.Time) { p.Signers = append(p.Signers, Signer(t, "stranger")) }),
		harmless("a stranger rebuilt too", func(t testing.TB, p *Plan, _ time.Time) {
			p.Rebuilds = append(p.Rebuilds, Rebuild{p.Match(3), Rebuilder(t, 3)})
		}),
		harmless("other releases in the log", otherReleases),
		harmless("a mismatch by a stranger", func(t testing.TB, p *Plan, _ time.Time) {
			r := p.Mismatch(0)
			p.After = append(p.After, Entry(t, &r, Signer(t, "stranger")))
		}),
		harmless("a mismatch of another release", func(t testing.TB, p *Plan, _ time.Time) {
			r := p.Mismatch(0)
			r.Digest = other()
			p.After = append(p.After, Entry(t, &r, Rebuilder(t, 0)))
		}),
		harmless("revoked by a stranger", func(t testing.TB, p *Plan, _ time.Time) { p.revokedBy(t, Signer(t, "stranger"), 0) }),
		harmless("revoked by a rebuilder", func(t testing.TB, p *Plan, _ time.Time) { p.revokedBy(t, Rebuilder(t, 0), 0) }),
		harmless("revoked from tomorrow on", func(t testing.TB, p *Plan, at time.Time) { p.revokedBy(t, Publisher(t), at.Add(24*time.Hour).Unix()) }),
		harmless("another release revoked", func(t testing.TB, p *Plan, _ time.Time) { p.AddRevocation(t, 0, other()) }),
		harmless("a floor that it reaches", func(t testing.TB, p *Plan, _ time.Time) { p.AddRevocation(t, 1, other()) }),
	}
}

func harmless(name string, change func(t testing.TB, p *Plan, at time.Time)) Harmless {
	a := planned("", name, change)
	return Harmless{Name: name, Make: a.Make}
}

// revokedBy logs a revocation of this release by somebody, from a time on or
// from that of the release.
func (p *Plan) revokedBy(t testing.TB, s dsse.Signer, from int64) {
	t.Helper()
	r := p.Revoke(0, p.Release.Digest)
	if from != 0 {
		r.Effective = from
	}
	p.After = append(p.After, Entry(t, &r, s))
}

// otherReleases logs releases before and after, more than a bundle of entries
// has room for.
func otherReleases(t testing.TB, p *Plan, _ time.Time) {
	t.Helper()
	for i := range 300 {
		r := p.Release
		r.Digest, r.Version = other(), fmt.Sprintf("%s-%d", r.Version, i)
		entry := Entry(t, &r, Publisher(t))
		if i < 290 {
			p.Before = append(p.Before, entry)
		} else {
			p.After = append(p.After, entry)
		}
	}
}
