package verifier

import (
	"strings"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/memory"
	"safebox/verifier/publishtest"
	"safebox/verifier/snp/snptest"
	"safebox/verifier/transcript"
)

// mustDecode reads a rollback memory.
func mustDecode(t testing.TB, b []byte) *memory.Memory {
	t.Helper()
	m, err := memory.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustEncode(t testing.TB, m *memory.Memory) []byte {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// planned verifies the captured session with a publication, changed, against a
// memory.
func planned(t testing.TB, file []byte, change func(p *publishtest.Plan)) *Result {
	t.Helper()
	in := captured(t)
	in.Memory = file
	return Verify(withPublication(t, in, func(release []byte, at time.Time) *publishtest.Publication {
		p := publishtest.New(t, release, at)
		if change != nil {
			change(p)
		}
		return p.Publish(t)
	}))
}

// grow adds an entry to the end of the log.
func grow(t testing.TB, p *publishtest.Plan) {
	t.Helper()
	r := p.Release
	r.Version += ".next"
	r.NotBefore += int64(len(p.After))
	p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Publisher(t)))
}

// TestLogIsRemembered: what an acceptance saw of the log, its size, its tree, the
// time and the security version, holds for every later verdict.
func TestLogIsRemembered(t *testing.T) {
	first := planned(t, []byte{}, func(p *publishtest.Plan) { grow(t, p); p.Release.SVN = 3 })
	accepted(t, "memory begins", first)
	m := mustDecode(t, first.Memory)
	at := captured(t).At
	if tree, ok := m.Tree(publishtest.Origin); !ok || tree.Size != 5 {
		t.Errorf("got %+v, %t, want a tree of 5 entries", tree, ok)
	}
	for key, want := range map[string]uint64{
		"tlog-size/" + publishtest.Origin: 5, "tlog-time/" + publishtest.Origin: uint64(at.Unix()), "time": uint64(at.Unix()),
		"log-svn/" + publishtest.Origin: 3, "signer-svn/" + publishtest.Publisher(t).Public().ID(): 3,
	} {
		if got, ok := m.Highest(key); !ok || got != want {
			t.Errorf("%s: got %d, %t, want %d", key, got, ok, want)
		}
	}
	same := func(p *publishtest.Plan) { grow(t, p); p.Release.SVN = 3 }
	accepted(t, "the same again", planned(t, first.Memory, same))
	larger := planned(t, first.Memory, func(p *publishtest.Plan) { same(p); grow(t, p) })
	accepted(t, "the log has grown", larger)
	if tree, _ := mustDecode(t, larger.Memory).Tree(publishtest.Origin); tree.Size != 6 {
		t.Errorf("got %+v, want a tree of 6 entries", tree)
	}
	for _, c := range []struct {
		name, id, got string
		file          []byte
		change        func(p *publishtest.Plan)
	}{
		{"older checkpoint", "ROLL-1", "ROLLBACK: tlog-time", first.Memory, func(p *publishtest.Plan) {
			same(p)
			for i := range p.Cosigners {
				p.Cosigners[i].Time = at.Add(-time.Second)
			}
		}},
		{"smaller tree", "ROLL-1", "ROLLBACK: tlog-size", larger.Memory, same},
		{"fork of the same size", "LOG-8", "FORK: the first 5 entries", first.Memory, func(p *publishtest.Plan) {
			p.Release.SVN = 4
			grow(t, p)
		}},
		{"fork that has grown on", "LOG-8", "FORK: the first 5 entries", first.Memory, func(p *publishtest.Plan) {
			p.Release.SVN = 3
			p.Release.Version = "other"
			grow(t, p)
			grow(t, p)
		}},
		{"lower security version", "ROLL-1", "ROLLBACK: log-svn", raisedMemory(t, first.Memory, "log-svn/"), same},
		{"lower than the signer's", "ROLL-1", "ROLLBACK: signer-svn", raisedMemory(t, first.Memory, "signer-svn/"), same},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := planned(t, c.file, c.change)
			refused(t, r, c.id, true)
			if f, _ := r.Verdict.Check(c.id); !strings.Contains(f.Got, c.got) {
				t.Errorf("got %q, want %q", f.Got, c.got)
			}
			if r.Memory != nil {
				t.Errorf("a refusal left %s", r.Memory)
			}
		})
	}
}

// raisedMemory is a memory in which the values of some keys are one higher.
func raisedMemory(t testing.TB, file []byte, prefix string) []byte {
	t.Helper()
	m := mustDecode(t, file)
	if err := m.Merge(raise(t, file, m, prefix), time.Time{}); err != nil {
		t.Fatal(err)
	}
	return mustEncode(t, m)
}

// TestTreeWithoutNumber: a memory that holds a log's tree and lacks its number
// refuses a smaller tree too.
func TestTreeWithoutNumber(t *testing.T) {
	m := &memory.Memory{}
	if err := m.MergeTree(publishtest.Origin, memory.Tree{Size: 5}); err != nil {
		t.Fatal(err)
	}
	r := planned(t, mustEncode(t, m), nil) // 4 entries
	refused(t, r, "ROLL-1", true)
	if c, _ := r.Verdict.Check("ROLL-1"); !strings.Contains(c.Got, "ROLLBACK: log "+publishtest.Origin+" of 4 entries, seen with 5") {
		t.Errorf("got %q", c.Got)
	}
}

// TestRefusalsPoisonNothing: a refused verdict leaves no memory, whatever its
// bundle says of sizes, times and versions.
func TestRefusalsPoisonNothing(t *testing.T) {
	r := planned(t, []byte{}, func(p *publishtest.Plan) {
		p.Release.SVN = 1 << 30
		for i := range p.Cosigners {
			p.Cosigners[i].Time = p.Cosigners[i].Time.Add(50 * 365 * 24 * time.Hour)
		}
	})
	refused(t, r, "LOG-5", true)
	if r.Memory != nil {
		t.Errorf("got %s", r.Memory)
	}
	// One witness alone moves no time: not that of the memory either.
	r = planned(t, []byte{}, func(p *publishtest.Plan) { p.Cosigners[0].Time = p.Cosigners[0].Time.Add(50 * 365 * 24 * time.Hour) })
	accepted(t, "one witness in the future", r)
	if got, _ := mustDecode(t, r.Memory).Highest(memory.TimeKey); got != uint64(captured(t).At.Unix()) {
		t.Errorf("time: got %d, want %d", got, captured(t).At.Unix())
	}
	in := intact(t, captured(t))
	in.Memory = []byte("x")
	refused(t, Verify(in), "ROLL-1", true)
}

// TestOldMemory: a memory from before logs were remembered is readable, and so
// is one of others' logs.
func TestOldMemory(t *testing.T) {
	r := planned(t, []byte(`{"seen":[{"key":"crl/aa","value":"5"}],"type":"safebox/memory/v1"}`), nil)
	accepted(t, "old memory", r)
	if !strings.HasPrefix(string(r.Memory), `{"logs":[{"origin":"`+publishtest.Origin+`","root":"`) || !strings.Contains(string(r.Memory), `{"key":"crl/aa","value":"5"}`) {
		t.Errorf("got %s", r.Memory)
	}
}

// TestUnsignedRemembersNoLog: a policy that asks for no publication looks at
// none.
func TestUnsignedRemembersNoLog(t *testing.T) {
	in := intact(t, captured(t))
	in.Policy, in.Memory = captured(t).Policy, []byte{}
	r := Verify(in)
	accepted(t, "published, under a policy that does not ask", r)
	if r.Claims.Published != nil || r.Verdict.Published != nil || strings.Contains(string(r.Memory), "tlog") || strings.Contains(string(r.Memory), "logs") {
		t.Errorf("got %+v, %s", r.Claims.Published, r.Memory)
	}
	if !waived(r, "publication of the release") {
		t.Errorf("waived: %+v", r.Verdict.Waived)
	}
}

// TestWitnessesOfTheLogProveTheTime: mode as-of wants a time that somebody
// stated: two witnesses of the log, within the age that the policy allows.
func TestWitnessesOfTheLogProveTheTime(t *testing.T) {
	authenticated := func(change func(p *publishtest.Plan)) *Result {
		in := withPublication(t, captured(t), func(release []byte, at time.Time) *publishtest.Publication {
			p := publishtest.New(t, release, at)
			if change != nil {
				change(p)
			}
			return p.Publish(t)
		})
		return Verify(withPolicy(`time = "any"`, `time = "authenticated"`)(t, in))
	}
	accepted(t, "three witnesses", authenticated(nil))
	one := func(p *publishtest.Plan) {
		p.Policy.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessA, publishtest.WitnessB)
		p.Cosigners = p.Cosigners[:1]
	}
	refused(t, authenticated(one), "TIME-1", true)
	refused(t, authenticated(func(p *publishtest.Plan) { p.Policy.MaxAge = `"any"` }), "TIME-1", true)
	refused(t, Verify(withPolicy(`time = "any"`, `time = "authenticated"`)(t, captured(t))), "TIME-1", true)
}

// TestReceiptOfAnOldRelease: long after, the witnesses' word may be old, and
// nothing else about a publication is waived.
func TestReceiptOfAnOldRelease(t *testing.T) {
	in := intact(t, captured(t))
	in.At = in.At.Add(100 * 24 * time.Hour)
	r := VerifyReceiptEvidence(in)
	accepted(t, "100 days later", r)
	if !waived(r, "age of the log's witnessed state") {
		t.Errorf("waived: %+v", r.Verdict.Waived)
	}
	live := Verify(in)
	refused(t, live, "LOG-5", false)
	for _, a := range publishtest.Attacks() {
		if a.ID == "LOG-5" {
			continue
		}
		r := VerifyReceiptEvidence(withPublication(t, captured(t), func(release []byte, at time.Time) *publishtest.Publication {
			return a.Make(t, release, at)
		}))
		refused(t, r, a.ID, true)
	}
}

// TestUnreadablePolicyAsksForAll: nobody can say then that a release need not be
// published.
func TestUnreadablePolicyAsksForAll(t *testing.T) {
	in := intact(t, captured(t))
	in.Policy = []byte("x")
	r := Verify(in)
	refused(t, r, "POL-1", true)
	for _, id := range []string{"REL-3", "REL-8", "REL-9", "LOG-2", "LOG-7", "REC-1"} {
		if c, ok := r.Verdict.Check(id); !ok || c.OK || c.Reached {
			t.Errorf("%s: got %+v, %t, want it not reached", id, c, ok)
		}
	}
}

// TestCollateralOfTheBundle: documents of vendors that ride along count as the
// relying party's own do, under the same rules.
func TestCollateralOfTheBundle(t *testing.T) {
	m := machines()[transcript.SNP](t)
	m.noBundle = true
	in := m.input(t)
	accepted(t, "documents beside", verify(in, false, m.roots))
	b, err := bundle.Decode(in.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	p := publishtest.New(t, b.Release, in.At).Publish(t)
	for _, f := range in.Collateral {
		p.Bundle.Collateral = append(p.Bundle.Collateral, bundle.File{Name: f.Name, Bytes: f.Bytes})
	}
	in.Collateral = nil
	without := in
	refused(t, verify(without, false, m.roots), "SNP-C2", false)
	in.Bundle, in.Policy = p.Encode(t), p.Policy.Apply(t, in.Policy)
	accepted(t, "documents in the bundle", verify(in, false, m.roots))
	if want := snptest.At(); !in.At.Equal(want) {
		t.Errorf("at %v, want %v", in.At, want)
	}
}
