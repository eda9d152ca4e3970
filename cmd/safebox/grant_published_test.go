package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"safebox/verifier"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/grant"
	"safebox/verifier/published"
	"safebox/verifier/publishtest"
)

// checkpoint is what a grant must name: computed by package publishtest.
func (s *story) checkpoint() string {
	body := s.published.Body()
	return hex.EncodeToString(body[:])
}

// refusedGrant wants no grant, the named check or text, and no file.
func (s *story) refusedGrant(t *testing.T, name, want string, args ...string) {
	t.Helper()
	a := s.invoke(t, grantArgs(append(args, "--out", "@never.json")...)...)
	if a.code != 1 || a.stdout != "" || !strings.Contains(a.stderr, want) || !strings.Contains(a.stderr, "error: no grant: ") {
		t.Errorf("%s: got code %d, %q and %q, want 1 and %q", name, a.code, a.stdout, a.stderr, want)
	}
	for _, file := range []string{"never.json", "never.json" + evidenceSuffix} {
		if exists(s.path(file)) {
			t.Errorf("%s: %s was written", name, file)
			if err := os.Remove(s.path(file)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// No release proof, no key: neither with a policy that would do without, nor
// with a bundle that has none.
func (s *story) testNoProof(t *testing.T) {
	s.refusedGrant(t, "unsigned policy", `release = "unsigned": no release proof, no key`, "--policy", "@unsigned.toml")
	s.refusedGrant(t, "unsigned policy and bundle", "no release proof, no key", "--policy", "@unsigned.toml", "--bundle", "@unsigned.bundle")
	s.refusedGrant(t, "unsigned bundle", "failed: REL-3", "--bundle", "@unsigned.bundle")
	// The same evidence passes there, so that it is the grant that refuses.
	s.must(t, "verify", "--evidence", "@evidence.json", "--bundle", "@unsigned.bundle", "--policy", "@unsigned.toml", "--challenge", "@challenge.json")
}

// Each attack on a publication is refused under its ID, and gives no key.
func (s *story) testAttacks(t *testing.T) {
	release := s.plan(t).ReleaseJSON
	for _, attack := range publishtest.Attacks() {
		s.keep(t, "attack.bundle", "attack.toml", attack.Make(t, release, s.at))
		s.refusedGrant(t, attack.ID+" "+attack.Name, "failed: "+attack.ID+" ", "--bundle", "@attack.bundle", "--policy", "@attack.toml")
	}
}

// A machine that got a grant, and ran under it, runs on while the floor rises:
// it answers another challenge, and gets no other grant.
func (s *story) testFloors(t *testing.T) {
	s.ask(t, "again.json", "again.evidence")
	again := []string{"--challenge", "@again.json", "--evidence", "@again.evidence"}
	s.must(t, grantArgs(append(again, "--out", "@again.grant")...)...)
	for name, tt := range map[string]struct {
		id     string
		change func(p *publishtest.Plan)
	}{
		"the policy's floor": {"REL-7", func(p *publishtest.Plan) { p.Policy.SVNFloor = 2 }},
		"a floor in the log": {"REL-7", func(p *publishtest.Plan) { p.AddRevocation(t, 2, canon.Octets32{1}) }},
		"the release":        {"REL-8", func(p *publishtest.Plan) { p.AddRevocation(t, 0, p.Release.Digest) }},
	} {
		p := s.plan(t)
		tt.change(p)
		s.keep(t, "newer.bundle", "newer.toml", p.Publish(t))
		s.refusedGrant(t, name, "failed: "+tt.id+" ", append(again, "--bundle", "@newer.bundle", "--policy", "@newer.toml")...)
	}
	// A floor that the release reaches changes nothing.
	p := s.plan(t)
	p.AddRevocation(t, 1, canon.Octets32{1})
	s.keep(t, "newer.bundle", "newer.toml", p.Publish(t))
	s.must(t, grantArgs(append(again, "--bundle", "@newer.bundle", "--policy", "@newer.toml", "--out", "@again.grant")...)...)
}

// With --memory nobody is shown an older log after a newer one, or a lower svn
// after a higher.
func (s *story) testRollback(t *testing.T) {
	t.Run("log", s.testOlderLog)
	t.Run("svn", s.testLowerSVN)
}

func (s *story) testOlderLog(t *testing.T) {
	memory := []string{"--memory", "@floors.memory"}
	s.must(t, grantArgs(append(memory, "--out", "@first.grant")...)...)
	p := s.plan(t)
	p.AddRevocation(t, 1, canon.Octets32{1})
	s.keep(t, "newer.bundle", "newer.toml", p.Publish(t))
	newer := append(memory, "--bundle", "@newer.bundle", "--policy", "@newer.toml")
	s.must(t, grantArgs(append(newer, "--out", "@second.grant")...)...)
	s.must(t, grantArgs(append(newer, "--out", "@second.grant")...)...) // an equal one is no older one
	before := string(s.read(t, "floors.memory"))
	s.refusedGrant(t, "older bundle", "ROLLBACK: ", memory...)
	s.refusedGrant(t, "older bundle", "failed: ROLL-1 ", memory...)
	if string(s.read(t, "floors.memory")) != before {
		t.Error("a refusal changed the memory")
	}
	// Without the memory nobody can tell: the older log is within its age.
	s.must(t, grantArgs("--out", "@first.grant")...)
}

// The publisher logs the same release again with a lower svn. The log only
// grew, so that nothing else is wrong.
func (s *story) testLowerSVN(t *testing.T) {
	p := s.plan(t)
	p.Release.SVN = 2
	higher := p.Publish(t)
	s.keep(t, "higher.bundle", "higher.toml", higher)
	p.Before, p.Release.SVN = higher.Log.Entries, 1
	s.keep(t, "lower.bundle", "lower.toml", p.Publish(t))
	memory := []string{"--memory", "@svn.memory"}
	lower := append(memory, "--bundle", "@lower.bundle", "--policy", "@lower.toml")
	s.must(t, grantArgs("--bundle", "@lower.bundle", "--policy", "@lower.toml", "--out", "@first.grant")...)
	s.must(t, grantArgs(append(memory, "--bundle", "@higher.bundle", "--policy", "@higher.toml", "--out", "@first.grant")...)...)
	s.refusedGrant(t, "lower svn", "failed: ROLL-1 ", lower...)
}

// Should a policy without a proof ever come that far, there is still no grant.
func TestBindWantsPublication(t *testing.T) {
	owner := publishtest.Key("owner")
	claims := &verifier.Claims{Challenge: &challenge.Challenge{Audience: canon.Octets32(owner.Public().(ed25519.PublicKey))}}
	var f grantFlags
	if err := f.bind(&grant.Document{}, owner, claims, time.Now()); err == nil || !strings.Contains(err.Error(), "no release proof, no key") {
		t.Errorf("no publication: got %v", err)
	}
	claims.Published = &published.Result{Checkpoint: canon.Octets32{1}}
	var doc grant.Document
	if err := f.bind(&doc, owner, claims, time.Now()); err != nil || doc.Checkpoint == nil || *doc.Checkpoint != claims.Published.Checkpoint {
		t.Errorf("publication: got %v and checkpoint %v", err, doc.Checkpoint)
	}
}
