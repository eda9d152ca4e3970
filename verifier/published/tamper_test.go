package published_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/checktest"
	"safebox/verifier/memory"
	"safebox/verifier/policy/publication"
	"safebox/verifier/published"
	"safebox/verifier/publishtest"
	"safebox/verifier/tlog"
)

// TestAbsent: what is not there fails its check, and nothing passes of nothing.
func TestAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		id     string
		change func(b *bundle.Bundle)
	}{
		"all but release.json": {"REL-3", func(b *bundle.Bundle) { *b = bundle.Bundle{Release: b.Release} }},
		"release proof":        {"LOG-1", func(b *bundle.Bundle) { b.Proof = nil }},
		"extra data": {"LOG-1", func(b *bundle.Bundle) {
			b.Proof = bytes.Replace(b.Proof, []byte("\nindex "), []byte("\nextra AAAA\nindex "), 1)
		}},
		"rebuild proof":  {"LOG-1", func(b *bundle.Bundle) { b.Rebuilds[1].Proof = nil }},
		"entries":        {"LOG-7", func(b *bundle.Bundle) { b.Entries = nil }},
		"first entry":    {"LOG-7", func(b *bundle.Bundle) { b.Entries = b.Entries[1:] }},
		"rebuilds":       {"REL-9", func(b *bundle.Bundle) { b.Rebuilds = nil }},
		"rebuild record": {"", func(b *bundle.Bundle) { b.Rebuilds[0].Record = nil }},
		"release record": {"", func(b *bundle.Bundle) { b.Record = nil }},
		"release.json":   {"", func(b *bundle.Bundle) { b.Release = nil }},
	} {
		in := plan(t, nil)
		c.change(in.Bundle)
		v, _, _ := decide(in)
		if c.id != "" {
			t.Run(name, func(t *testing.T) { checktest.Alone(t, v, c.id) })
		} else if v.OK {
			t.Errorf("%s: accepted", name)
		}
	}
	whole := plan(t, nil)
	for name, in := range map[string]published.Input{
		"nothing":         {},
		"no bundle":       {Policy: whole.Policy, At: at()},
		"no policy":       {Bundle: whole.Bundle, At: at()},
		"policy of zeros": {Bundle: whole.Bundle, Policy: &publication.Policy{}, At: at()},
		"empty bundle":    {Bundle: &bundle.Bundle{}, Policy: whole.Policy, At: at()},
		"no time":         {Bundle: whole.Bundle, Policy: whole.Policy},
		"no log":          {Bundle: whole.Bundle, Policy: without(whole.Policy, func(p *publication.Policy) { p.Log = nil }), At: at()},
		"no signatures":   {Bundle: whole.Bundle, Policy: without(whole.Policy, func(p *publication.Policy) { p.Signatures, p.Signers = 0, nil }), At: at()},
		"no rebuilds":     {Bundle: whole.Bundle, Policy: without(whole.Policy, func(p *publication.Policy) { p.Rebuilds, p.Rebuilders = 0, nil }), At: at()},
		"no age":          {Bundle: whole.Bundle, Policy: without(whole.Policy, func(p *publication.Policy) { p.MaxAge = 0 }), At: at().Add(time.Second)},
	} {
		if v, _, _ := decide(in); v.OK {
			t.Errorf("%s: accepted", name)
		}
	}
}

func without(p *publication.Policy, change func(p *publication.Policy)) *publication.Policy {
	out := *p
	change(&out)
	return &out
}

// TestNotReached: without all entries nobody says what is not among them.
func TestNotReached(t *testing.T) {
	in := plan(t, nil)
	in.Bundle.Entries = in.Bundle.Entries[:3]
	v, _, log := decide(in)
	checktest.Alone(t, v, "LOG-7")
	for _, id := range []string{"LOG-8", "REL-7", "REL-8", "REL-12"} {
		if c, ok := v.Check(id); !ok || c.OK || c.Reached {
			t.Errorf("%s: got %+v", id, c)
		}
	}
	if seen := log.Observations(); len(seen) != 0 {
		t.Errorf("observed %v of a log that is not there", seen)
	}
}

// TestAnotherLogIsNotSearched: that a log which nobody listed holds no revocation
// says nothing.
func TestAnotherLogIsNotSearched(t *testing.T) {
	v, _, _ := decide(plan(t, func(p *publishtest.Plan) { p.Origin = secondLog }))
	checktest.Alone(t, v, "LOG-2")
	for _, id := range []string{"REL-7", "REL-8", "REL-12"} {
		if c, ok := v.Check(id); !ok || c.OK || c.Reached {
			t.Errorf("%s: got %+v", id, c)
		}
	}
}

// TestLyingSize: a log that signs another size than its tree has.
func TestLyingSize(t *testing.T) {
	p := publishtest.New(t, []byte(releaseJSON), at())
	pub := p.Publish(t)
	body := bytes.Replace(pub.Log.Body(), []byte("\n4\n"), []byte("\n5\n"), 1)
	note := publishtest.SignCheckpoint(t, publishtest.Origin, body, p.Cosigners...)
	pub.Bundle.Proof = pub.Log.Proof(0, note)
	for i := range pub.Bundle.Rebuilds {
		pub.Bundle.Rebuilds[i].Proof = pub.Log.Proof(1+i, note)
	}
	v, _, _ := decide(input(t, pub))
	if c, _ := v.Check("LOG-7"); v.OK || c.OK || !c.Reached || !strings.HasPrefix(c.Want, "5 entries") || !strings.HasPrefix(c.Got, "4 entries") {
		t.Errorf("got %+v", c)
	}
}

// TestMismatchIsNoRebuild: a mismatch in the bundle counts as none.
func TestMismatchIsNoRebuild(t *testing.T) {
	v, r, _ := decide(plan(t, func(p *publishtest.Plan) {
		p.Rebuilds = p.Rebuilds[:2]
		p.Rebuilds[1].Record = p.Mismatch(1)
	}))
	var failed []string
	for _, c := range v.Failed() {
		if c.Reached {
			failed = append(failed, c.ID)
		}
	}
	if !slices.Equal(failed, []string{"REL-9", "REL-12"}) || !slices.Equal(r.Operators, []string{publishtest.OperatorA}) {
		t.Errorf("failed %q, operators %q", failed, r.Operators)
	}
}

// TestUnsignedIsNotObserved: a version that nobody signed is none to remember.
func TestUnsignedIsNotObserved(t *testing.T) {
	for _, change := range []func(p *publishtest.Plan){
		func(p *publishtest.Plan) { p.Signers[0] = publishtest.Signer(t, "stranger") },
		func(p *publishtest.Plan) { p.Release.Digest[0] ^= 1 },
	} {
		_, _, log := decide(plan(t, change))
		for _, o := range log.Observations() {
			if strings.Contains(o.Key, "svn") {
				t.Errorf("observed %v", o)
			}
		}
	}
}

// TestOtherLogs: no policy file lists two logs; if one did, a bundle would still
// be about one.
func TestOtherLogs(t *testing.T) {
	publish := func(origin string) *publishtest.Publication {
		p := publishtest.New(t, []byte(releaseJSON), at())
		p.Origin = origin
		if origin == secondLog {
			p.Before = append(p.Before, newer(t, p))
		}
		return p.Publish(t)
	}
	two := func(p *publishtest.Publication) published.Input {
		log, err := tlog.ParsePolicy([]byte("log " + vkey(secondLog) + "\n" + p.Policy.Log))
		if err != nil {
			t.Fatal(err)
		}
		in := input(t, p)
		in.Policy.Log = log
		return in
	}
	first, second := publish(publishtest.Origin), publish(secondLog)
	for _, p := range []*publishtest.Publication{first, second} {
		v, r, _ := decide(two(p))
		checktest.Passes(t, v)
		if r.Origin != p.Log.Name {
			t.Errorf("origin: got %s, want %s", r.Origin, p.Log.Name)
		}
	}
	in := two(first)
	in.Bundle.Entries = second.Log.Entries
	v, _, _ := decide(in)
	checktest.Alone(t, v, "LOG-7")
	in = two(first)
	in.Bundle.Rebuilds[2].Proof = second.Log.Proof(4, second.Checkpoint)
	v, _, _ = decide(in)
	checktest.Alone(t, v, "LOG-8")
}

// TestRemembered: a log must continue the tree that was seen, at whatever size
// it is now; a smaller one is for the rollback memory to refuse.
func TestRemembered(t *testing.T) {
	p := publishtest.New(t, []byte(releaseJSON), at())
	for range 3 {
		p.After = append(p.After, newer(t, p))
		p.Release.NotBefore++
	}
	pub := p.Publish(t)
	root := func(n int) [32]byte { return rootOf(t, pub.Log.Entries[:n]) }
	for _, c := range []struct {
		name, want string
		size       int64
		root       [32]byte
	}{
		{"the same", "", 7, root(7)},
		{"smaller then", "", 5, root(5)},
		{"one entry then", "", 1, root(1)},
		{"larger then", "", 8, [32]byte{1}},
		{"fork at the same size", "LOG-8", 7, root(6)},
		{"fork at a larger size", "LOG-8", 5, root(6)},
		{"fork from the first entry on", "LOG-8", 1, [32]byte{1}},
	} {
		in := input(t, pub)
		in.Memory = &memory.Memory{}
		if err := in.Memory.MergeTree(publishtest.Origin, memory.Tree{Size: c.size, Root: c.root}); err != nil {
			t.Fatal(err)
		}
		v, _, _ := decide(in)
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				checktest.Passes(t, v)
				return
			}
			checktest.Alone(t, v, c.want)
			if f, _ := v.Check("LOG-8"); !strings.Contains(f.Got, "FORK: the first") {
				t.Errorf("got %q", f.Got)
			}
		})
	}
	other := &memory.Memory{}
	if err := other.MergeTree("another.example", memory.Tree{Size: 1, Root: [32]byte{1}}); err != nil {
		t.Fatal(err)
	}
	in := input(t, pub)
	in.Memory = other
	v, _, _ := decide(in)
	checktest.Passes(t, v)
}

// rootOf is the root by the log of package publishtest, which has a Merkle tree
// of its own.
func rootOf(t testing.TB, entries [][]byte) [32]byte {
	t.Helper()
	lines := strings.Split(string((&publishtest.Log{Name: publishtest.Origin, Entries: entries}).Body()), "\n")
	b, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(b) != 32 {
		t.Fatalf("root %q: %v", lines[2], err)
	}
	return [32]byte(b)
}

// TestQuorumTime: the time is that of the quorum's oldest needed cosignature,
// among those that are not of the future; two witnesses of a time make it one
// to rely on.
func TestQuorumTime(t *testing.T) {
	h := func(n int) time.Time { return at().Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		name          string
		change        func(p *publishtest.Plan)
		want          int64
		authenticated bool
	}{
		{"three", func(p *publishtest.Plan) { cosign(p, h(-1), h(-3), h(-2)) }, h(-2).Unix(), true},
		{"one in the future", func(p *publishtest.Plan) { cosign(p, h(1), h(-3), h(-2)) }, h(-3).Unix(), true},
		{"one without a time", func(p *publishtest.Plan) { cosign(p, h(-1), h(-3), time.Unix(0, 0)) }, h(-3).Unix(), true},
		{"one stale", func(p *publishtest.Plan) { cosign(p, h(-1), h(-3), h(-2000)) }, h(-3).Unix(), true},
		{"any age", func(p *publishtest.Plan) {
			p.Policy.MaxAge = `"any"`
			cosign(p, h(-1), h(-9000), h(-9000))
		}, h(-9000).Unix(), false},
		{"one is enough", func(p *publishtest.Plan) {
			p.Policy.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessA, publishtest.WitnessB)
			p.Cosigners = p.Cosigners[:1]
		}, at().Unix(), false},
		{"one is enough, the other stale", func(p *publishtest.Plan) {
			p.Policy.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessA, publishtest.WitnessB)
			cosign(p, h(-1), h(-2000))
		}, h(-1).Unix(), false},
		{"one is enough, both there", func(p *publishtest.Plan) {
			p.Policy.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessA, publishtest.WitnessB)
			cosign(p, h(-1), h(-2))
		}, h(-1).Unix(), true},
		{"one is enough, the other in the future", func(p *publishtest.Plan) {
			p.Policy.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessA, publishtest.WitnessB)
			cosign(p, h(-1), h(1))
		}, h(-1).Unix(), false},
	} {
		v, r, _ := decide(plan(t, c.change))
		if !v.OK || r.Time != c.want || r.Authenticated != c.authenticated {
			t.Errorf("%s: got %d, %t, want %d, %t\n%s", c.name, r.Time, r.Authenticated, c.want, c.authenticated, v.Text())
		}
	}
}

// TestRevokedByNameAndFloor: one revocation can say both, and both are told.
func TestRevokedByNameAndFloor(t *testing.T) {
	v, _, _ := decide(plan(t, func(p *publishtest.Plan) { p.AddRevocation(t, p.Release.SVN+1, p.Release.Digest) }))
	for _, id := range []string{"REL-7", "REL-8"} {
		if c, ok := v.Check(id); v.OK || !ok || c.OK || !c.Reached {
			t.Errorf("%s: got %+v", id, c)
		}
	}
}

// TestRecordOfAnotherKind: what the release's signer has signed and logged is no
// release record for that.
func TestRecordOfAnotherKind(t *testing.T) {
	for name, statement := range map[string]func(p *publishtest.Plan) ([]byte, error){
		"revocation": func(p *publishtest.Plan) ([]byte, error) {
			r := p.Revoke(0, sha256.Sum256([]byte("another")))
			return r.Encode()
		},
		"rebuild": func(p *publishtest.Plan) ([]byte, error) {
			r := p.Match(0)
			return r.Encode()
		},
	} {
		p := publishtest.New(t, []byte(releaseJSON), at())
		b, err := statement(p)
		if err != nil {
			t.Fatal(err)
		}
		r := p.Records(t)
		r.Release = publishtest.Envelope(t, b, publishtest.Publisher(t))
		v, _, _ := decide(input(t, p.Log(t, r)))
		t.Run(name, func(t *testing.T) { checktest.Alone(t, v, "REL-5") })
	}
}

// TestRebuildOfAnotherKind: a record that is no rebuild stands for none.
func TestRebuildOfAnotherKind(t *testing.T) {
	p := publishtest.New(t, []byte(releaseJSON), at())
	r, revoke := p.Records(t), p.Revoke(0, sha256.Sum256([]byte("another")))
	r.Rebuilds = append(r.Rebuilds, publishtest.Entry(t, &revoke, publishtest.Rebuilder(t, 0)))
	v, _, _ := decide(input(t, p.Log(t, r)))
	checktest.Alone(t, v, "REL-11")
}

// TestTwoKeysOfAWitness: a witness with an Ed25519 and an ML-DSA-44 key is one:
// alone it makes no time to rely on.
func TestTwoKeysOfAWitness(t *testing.T) {
	p := publishtest.New(t, []byte(releaseJSON), at())
	pub := p.Publish(t)
	c, err := tlog.DecodeCheckpoint(pub.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	note, _, _ := bytes.Cut(pub.Checkpoint, []byte("\u2014 "+publishtest.WitnessA))
	text := strings.SplitAfter(p.Policy.Log, "\n")[0]
	for _, algorithm := range []tlog.Algorithm{tlog.CosignatureEd25519, tlog.CosignatureMLDSA44} {
		skey, vkey, err := tlog.GenerateWitnessKey("one.example", algorithm, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := tlog.NewCosigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		line, err := s.Cosign(c, at().Unix())
		if err != nil {
			t.Fatal(err)
		}
		note = append(note, line...)
		text += fmt.Sprintf("witness key%d %s\n", algorithm, vkey)
	}
	for i := range pub.Bundle.Rebuilds {
		pub.Bundle.Rebuilds[i].Proof = pub.Log.Proof(1+i, note)
	}
	pub.Bundle.Proof = pub.Log.Proof(0, note)
	p.Policy.Log = text + "group both all key4 key6\nquorum both\n"
	v, r, _ := decide(input(t, pub))
	checktest.Passes(t, v)
	if r.Authenticated || r.Time != at().Unix() {
		t.Errorf("got %d, %t", r.Time, r.Authenticated)
	}
}

// TestNoWitness: a policy of tests may ask for none, and the verdict says so.
func TestNoWitness(t *testing.T) {
	change := func(p *publishtest.Plan) {
		_, log := publishtest.LogKeys()
		p.Policy.Log, p.Policy.MaxAge, p.Cosigners = "log "+log+"\nquorum none\n", `"any"`, nil
	}
	v, r, log := decide(plan(t, change))
	checktest.Passes(t, v)
	if len(v.Waived) != 2 || r.Time != 0 || r.Authenticated {
		t.Errorf("got %+v, %+v", v.Waived, r)
	}
	for _, o := range log.Observations() {
		if strings.Contains(o.Key, "time") {
			t.Errorf("observed %v, which nobody stated", o)
		}
	}
	in := plan(t, change)
	in.Policy.AnyAge = false
	v, _, _ = decide(in)
	checktest.Alone(t, v, "LOG-5")
}

// TestBrokenSignatures: one bit of the log's signature or of a witness's.
func TestBrokenSignatures(t *testing.T) {
	for name, id := range map[string]string{publishtest.Origin: "LOG-2", publishtest.WitnessA: "LOG-3", publishtest.WitnessC: "LOG-3"} {
		in := plan(t, nil)
		line := []byte("\u2014 " + name + " ")
		change := func(proof []byte) []byte {
			at := bytes.Index(proof, line) + len(line) + 40
			out := bytes.Clone(proof)
			out[at] = map[bool]byte{true: 'B', false: 'A'}[out[at] == 'A']
			return out
		}
		in.Bundle.Proof = change(in.Bundle.Proof)
		for i := range in.Bundle.Rebuilds {
			in.Bundle.Rebuilds[i].Proof = change(in.Bundle.Rebuilds[i].Proof)
		}
		v, _, _ := decide(in)
		t.Run(name, func(t *testing.T) { checktest.Alone(t, v, id) })
	}
}

// TestEveryByte: a bundle with one byte changed, wherever, is refused.
func TestEveryByte(t *testing.T) {
	in := plan(t, nil)
	file, err := bundle.Encode(in.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	const step = 17 // no divisor of a block: each byte of a header has its turn
	for i := 0; i < len(file); i += step {
		changed := bytes.Clone(file)
		changed[i] ^= 1 << (i % 7)
		b, err := bundle.Decode(changed)
		if err != nil {
			continue
		}
		again := in
		again.Bundle = b
		if v, _, _ := decide(again); v.OK {
			t.Errorf("byte %d changed: accepted", i)
		}
	}
}
