package published_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/policy/publication"
	"safebox/verifier/policy/table"
	"safebox/verifier/published"
	"safebox/verifier/publishtest"
	"safebox/verifier/verdict"
)

// releaseJSON stands for a release.json: what it says is not looked at here.
const releaseJSON = `{"type":"safebox/release/v1"}`

// at is the time of all fixtures.
func at() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// input is a publication as the relying party has it, through the files.
func input(t testing.TB, p *publishtest.Publication) published.Input {
	t.Helper()
	b, err := bundle.Decode(p.Encode(t))
	if err != nil {
		t.Fatal(err)
	}
	return published.Input{Bundle: b, Policy: readPolicy(t, p.Policy), At: at()}
}

func readPolicy(t testing.TB, p *publishtest.Policy) *publication.Policy {
	t.Helper()
	root, err := table.Parse([]byte(p.Text()))
	if err != nil {
		t.Fatal(err)
	}
	out := publication.Read(root.Table("publication"), "test")
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func decide(in published.Input) (*verdict.Verdict, *published.Result, *check.Recorder) {
	log := check.New()
	r := published.Check(in, log)
	return log.Verdict(published.Definitions()), r, log
}

// plan is a publication that passes; change makes another of it.
func plan(t testing.TB, change func(p *publishtest.Plan)) published.Input {
	t.Helper()
	p := publishtest.New(t, []byte(releaseJSON), at())
	if change != nil {
		change(p)
	}
	return input(t, p.Publish(t))
}

func TestIntact(t *testing.T) {
	p := publishtest.New(t, []byte(releaseJSON), at())
	pub := p.Publish(t)
	v, r, log := decide(input(t, pub))
	checktest.Passes(t, v)
	if r.Version != p.Release.Version || r.SVN != 1 || r.Origin != publishtest.Origin || r.Size != 4 || r.Time != at().Unix() ||
		!slices.Equal(r.Operators, []string{publishtest.OperatorA, publishtest.OperatorB, publishtest.OperatorC}) ||
		r.Checkpoint != pub.Body() || !r.Authenticated {
		t.Errorf("got %+v", r)
	}
	if len(v.Waived) != 0 {
		t.Errorf("waived: %+v", v.Waived)
	}
	want := []check.Observation{
		{Key: "tlog-size/" + publishtest.Origin, Value: 4},
		{Key: "tlog-time/" + publishtest.Origin, Value: uint64(at().Unix())},
		{Key: "time", Value: uint64(at().Unix())},
		{Key: "log-svn/" + publishtest.Origin, Value: 1},
		{Key: "signer-svn/" + publishtest.Publisher(t).Public().ID(), Value: 1},
	}
	if got := log.Observations(); !slices.Equal(got, want) {
		t.Errorf("observed %v, want %v", got, want)
	}
}

// TestAttacks: each is refused by exactly its check, and no waiver of time but
// that of LOG-5 lets one pass.
func TestAttacks(t *testing.T) {
	for _, a := range publishtest.Attacks() {
		t.Run(a.ID+" "+a.Name, func(t *testing.T) {
			in := input(t, a.Make(t, []byte(releaseJSON), at()))
			v, _, _ := decide(in)
			checktest.Alone(t, v, a.ID)
			in.Late = true
			v, _, _ = decide(in)
			if a.ID == "LOG-5" && strings.Contains(a.Name, "stale") {
				checktest.Passes(t, v)
				if len(v.Waived) != 1 {
					t.Errorf("waived: %+v", v.Waived)
				}
				return
			}
			checktest.Alone(t, v, a.ID)
		})
	}
}

// TestHarmless: what somebody else writes into the log decides nothing.
func TestHarmless(t *testing.T) {
	later := at().Add(time.Second).Unix()
	for name, change := range map[string]func(p *publishtest.Plan){
		"revocation by a stranger": func(p *publishtest.Plan) {
			r := p.Revoke(9, p.Release.Digest)
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Signer(t, "stranger")))
		},
		"revocation by a rebuilder": func(p *publishtest.Plan) {
			r := p.Revoke(9, p.Release.Digest)
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Rebuilder(t, 0)))
		},
		"revocation of another release": func(p *publishtest.Plan) {
			r := p.Revoke(1, sha256.Sum256([]byte("another")))
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Publisher(t)))
		},
		"revocation that is announced": func(p *publishtest.Plan) {
			r := p.Revoke(9, p.Release.Digest)
			r.Effective = later
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Publisher(t)))
		},
		"revocation with a broken signature": func(p *publishtest.Plan) {
			r := p.Revoke(9, p.Release.Digest)
			p.After = append(p.After, publishtest.FlipSignature(t, publishtest.Entry(t, &r, publishtest.Publisher(t))))
		},
		"mismatch by a stranger": func(p *publishtest.Plan) {
			r := p.Mismatch(0)
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Signer(t, "stranger")))
		},
		"mismatch by the publisher": func(p *publishtest.Plan) {
			r := p.Mismatch(0)
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Publisher(t)))
		},
		"mismatch of another release": func(p *publishtest.Plan) {
			r := p.Mismatch(0)
			r.Digest = sha256.Sum256([]byte("another"))
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Rebuilder(t, 0)))
		},
		"a newer release":             func(p *publishtest.Plan) { p.After = append(p.After, newer(t, p)) },
		"two rebuilds of three":       func(p *publishtest.Plan) { p.Rebuilds = p.Rebuilds[1:] },
		"a stranger's rebuild beside": func(p *publishtest.Plan) { p.Rebuilds[2].Signer = publishtest.Signer(t, "stranger") },
		"in force since now":          func(p *publishtest.Plan) { p.Release.NotBefore = at().Unix() },
		"as old as may be":            func(p *publishtest.Plan) { cosign(p, at().Add(-604800*time.Second)) },
		"at the floor":                func(p *publishtest.Plan) { p.Policy.SVNFloor, p.Release.SVN = 7, 7 },
		"one witness in the future":   func(p *publishtest.Plan) { p.Cosigners[0].Time = at().Add(time.Hour) },
		"one witness stale":           func(p *publishtest.Plan) { p.Cosigners[0].Time = at().Add(-30 * 24 * time.Hour) },
		"one witness without a time":  func(p *publishtest.Plan) { p.Cosigners[2].Time = time.Unix(0, 0) },
	} {
		v, _, _ := decide(plan(t, change))
		if !v.OK {
			t.Errorf("%s: refused:\n%s", name, v.Text())
		}
	}
}

func newer(t testing.TB, p *publishtest.Plan) []byte {
	t.Helper()
	r := p.Release
	r.Digest, r.SVN, r.Version = sha256.Sum256([]byte("newer")), 2, "2.0.0"
	return publishtest.Entry(t, &r, publishtest.Publisher(t))
}

func cosign(p *publishtest.Plan, times ...time.Time) {
	for i := range p.Cosigners {
		p.Cosigners[i].Time = times[min(i, len(times)-1)]
	}
}

// vkey is the verifier key of another log of package publishtest (C2SP
// signed-note, "Verifier keys").
func vkey(name string) string {
	typed := append([]byte{1}, publishtest.Key(name).Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed))
}

// secondLog is another log that the policy lists too.
const secondLog = "TEST-ONLY.log.example/second"

// TestRefused are attacks beside those of package publishtest.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		id, name string
		change   func(p *publishtest.Plan)
	}{
		{"REL-8", "revoked by a publisher among strangers", func(p *publishtest.Plan) {
			r := p.Revoke(0, p.Release.Digest)
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Signer(t, "x"), publishtest.Publisher(t), publishtest.Signer(t, "y"), publishtest.Rebuilder(t, 0)))
		}},
		{"REL-8", "revoked from now on", func(p *publishtest.Plan) {
			r := p.Revoke(0, p.Release.Digest)
			r.Effective = at().Unix()
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Publisher(t)))
		}},
		{"REL-8", "revoked among others", func(p *publishtest.Plan) {
			r := p.Revoke(0, p.Release.Digest)
			for i := range 20 {
				r.Digests = append(r.Digests, sha256.Sum256([]byte{byte(i)}))
			}
			slices.SortFunc(r.Digests, func(a, b canon.Octets32) int { return bytes.Compare(a[:], b[:]) })
			p.Before = append(p.Before, publishtest.Entry(t, &r, publishtest.Publisher(t)))
		}},
		{"REL-8", "revoked, with a floor that it reaches", func(p *publishtest.Plan) { p.AddRevocation(t, p.Release.SVN, p.Release.Digest) }},
		{"REL-12", "a mismatch of another source", func(p *publishtest.Plan) {
			r := p.Mismatch(0)
			r.Source = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
			p.After = append(p.After, publishtest.Entry(t, &r, publishtest.Rebuilder(t, 0)))
		}},
		{"REL-9", "rebuilt under the publisher's key", func(p *publishtest.Plan) {
			p.Rebuilds[1].Signer, p.Rebuilds[2].Signer = publishtest.Publisher(t), publishtest.Publisher(t)
		}},
		{"REL-3", "signers are nobody", func(p *publishtest.Plan) { p.Policy.Signers = nil }},
		{"REL-9", "rebuilders are nobody", func(p *publishtest.Plan) { p.Policy.Rebuilders = nil }},
		{"REL-7", "svn far below the floor", func(p *publishtest.Plan) { p.Policy.SVNFloor, p.Release.SVN = 7, 6 }},
		{"REL-6", "in force in a second", func(p *publishtest.Plan) { p.Release.NotBefore = at().Unix() + 1 }},
		{"LOG-5", "a second too old", func(p *publishtest.Plan) { cosign(p, at().Add(-604801*time.Second)) }},
		{"LOG-5", "two witnesses in the future", func(p *publishtest.Plan) { cosign(p, at().Add(time.Second), at().Add(time.Hour), at()) }},
		{"LOG-5", "one fresh, one without a time", func(p *publishtest.Plan) {
			cosign(p, at(), at().Add(-30*24*time.Hour), time.Unix(0, 0))
		}},
		{"LOG-5", "no times at any age", func(p *publishtest.Plan) {
			p.Policy.MaxAge = `"any"`
			cosign(p, at(), time.Unix(0, 0))
		}},
		{"LOG-5", "no times", func(p *publishtest.Plan) { cosign(p, time.Unix(0, 0)) }},
		{"LOG-2", "another log under the origin's name", func(p *publishtest.Plan) {
			_, listed := publishtest.LogKeys()
			typed := append([]byte{1}, publishtest.Key("another").Public().(ed25519.PublicKey)...)
			id := sha256.Sum256(append([]byte(publishtest.Origin+"\n"), typed...))
			other := fmt.Sprintf("%s+%x+%s", publishtest.Origin, id[:4], base64.StdEncoding.EncodeToString(typed))
			p.Policy.Log = strings.Replace(p.Policy.Log, listed, other, 1)
		}},
		{"REC-1", "an entry larger than a record", func(p *publishtest.Plan) { p.After = append(p.After, bytes.Repeat([]byte("x"), 60<<10+1)) }},
		{"REC-1", "an empty entry", func(p *publishtest.Plan) { p.Before = append(p.Before, []byte{}) }},
	} {
		v, _, _ := decide(plan(t, c.change))
		t.Run(c.id+" "+c.name, func(t *testing.T) { checktest.Alone(t, v, c.id) })
	}
}

// TestTwoKeysOfOneName: a signer or an operator with two keys counts once.
func TestTwoKeysOfOneName(t *testing.T) {
	v, _, _ := decide(plan(t, func(p *publishtest.Plan) {
		second := publishtest.SignerP256(t, "second key")
		p.Signers = append(p.Signers, second)
		name := p.Policy.Signers[0].Name
		p.Policy.Signers = append(p.Policy.Signers, publishtest.Party{Name: name, Key: second.Public().String()},
			publishtest.Party{Name: "somebody else", Key: publishtest.Signer(t, "else").Public().String()})
		p.Policy.Signatures = 2
	}))
	checktest.Alone(t, v, "REL-3")
	// Both have signed both records: two records, but each counts for one.
	v, _, _ = decide(input(t, func() *publishtest.Publication {
		p := publishtest.New(t, []byte(releaseJSON), at())
		r := p.Records(t)
		one, two := p.Match(0), p.Match(0)
		two.Time++
		r.Rebuilds = [][]byte{
			publishtest.Entry(t, &one, publishtest.Rebuilder(t, 0), publishtest.Rebuilder(t, 1)),
			publishtest.Entry(t, &two, publishtest.Rebuilder(t, 0), publishtest.Rebuilder(t, 1)),
		}
		return p.Log(t, r)
	}()))
	checktest.Alone(t, v, "REL-10")
}
