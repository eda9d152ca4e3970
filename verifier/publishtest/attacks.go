package publishtest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// Attack is a publication with exactly one thing wrong, which exactly one
// check of specs/runtime.md, section C5, refuses.
type Attack struct {
	ID   string // of that check
	Name string
	Make func(t testing.TB, release []byte, at time.Time) *Publication
}

// Attacks are publications that must be refused, at the time for which they
// are made.
func Attacks() []Attack {
	var all []Attack
	for _, list := range [][]Attack{releaseAttacks(), rebuildAttacks(), recordAttacks(), logAttacks(), bundleAttacks()} {
		all = append(all, list...)
	}
	return all
}

// planned makes an attack of a change to the plan.
func planned(id, name string, change func(t testing.TB, p *Plan, at time.Time)) Attack {
	return Attack{ID: id, Name: name, Make: func(t testing.TB, release []byte, at time.Time) *Publication {
		t.Helper()
		p := New(t, release, at)
		change(t, p, at)
		return p.Publish(t)
	}}
}

// logged makes an attack of a change to the records before they are logged.
func logged(id, name string, change func(t testing.TB, r *Records)) Attack {
	return Attack{ID: id, Name: name, Make: func(t testing.TB, release []byte, at time.Time) *Publication {
		t.Helper()
		p := New(t, release, at)
		r := p.Records(t)
		change(t, r)
		return p.Log(t, r)
	}}
}

// published makes an attack of a change to the finished bundle.
func published(id, name string, change func(t testing.TB, p *Publication, at time.Time)) Attack {
	return Attack{ID: id, Name: name, Make: func(t testing.TB, release []byte, at time.Time) *Publication {
		t.Helper()
		p := New(t, release, at).Publish(t)
		change(t, p, at)
		return p
	}}
}

// other is the digest of a release that is not there.
func other() canon.Octets32 { return canon.Octets32(seed("another release")) }

func releaseAttacks() []Attack {
	return []Attack{
		logged("REL-3", "one signature byte flipped", func(t testing.TB, r *Records) { r.Release = FlipSignature(t, r.Release) }),
		planned("REL-3", "signed by a stranger", func(t testing.TB, p *Plan, _ time.Time) { p.Signers = []dsse.Signer{Signer(t, "stranger")} }),
		planned("REL-3", "signed by a rebuilder", func(t testing.TB, p *Plan, _ time.Time) { p.Signers = []dsse.Signer{Rebuilder(t, 0)} }),
		planned("REL-3", "one signature of two", func(t testing.TB, p *Plan, _ time.Time) {
			p.Policy.Signers = append(p.Policy.Signers, Party{prefix + "second", Signer(t, "second publisher").Public().String()})
			p.Policy.Signatures = 2
		}),
		planned("REL-5", "record of another release", func(_ testing.TB, p *Plan, _ time.Time) { p.Release.Digest = other() }),
		planned("REL-6", "not yet in force", func(_ testing.TB, p *Plan, at time.Time) { p.Release.NotBefore = at.Add(time.Hour).Unix() }),
		planned("REL-7", "svn below the policy's floor", func(_ testing.TB, p *Plan, _ time.Time) { p.Policy.SVNFloor = 2 }),
		planned("REL-7", "svn below a revocation's floor", func(t testing.TB, p *Plan, _ time.Time) {
			p.AddRevocation(t, 2, other())
		}),
		planned("REL-8", "revoked", func(t testing.TB, p *Plan, _ time.Time) {
			p.AddRevocation(t, 0, p.Release.Digest)
		}),
		planned("REL-8", "revoked before it was logged", func(t testing.TB, p *Plan, _ time.Time) {
			r := p.Revoke(0, p.Release.Digest)
			p.Before = append(p.Before, Entry(t, &r, Publisher(t)))
		}),
		planned("REL-8", "revoked by one of two signers", func(t testing.TB, p *Plan, _ time.Time) {
			second := Signer(t, "second publisher")
			p.Policy.Signers = append(p.Policy.Signers, Party{prefix + "second", second.Public().String()})
			p.Policy.Signatures, p.Signers = 2, append(p.Signers, second)
			r := p.Revoke(0, p.Release.Digest)
			p.After = append(p.After, Entry(t, &r, second))
		}),
	}
}

func rebuildAttacks() []Attack {
	return []Attack{
		planned("REL-9", "one rebuild of two", func(_ testing.TB, p *Plan, _ time.Time) { p.Rebuilds = p.Rebuilds[:1] }),
		planned("REL-9", "no rebuild", func(_ testing.TB, p *Plan, _ time.Time) { p.Rebuilds = nil }),
		planned("REL-9", "rebuilt by strangers", func(t testing.TB, p *Plan, _ time.Time) {
			for i := range p.Rebuilds {
				p.Rebuilds[i].Signer = Rebuilder(t, 7+i)
			}
		}),
		planned("REL-10", "two rebuilds of one operator", func(_ testing.TB, p *Plan, _ time.Time) {
			p.Policy.Rebuilders[1].Name = p.Policy.Rebuilders[0].Name
			p.Rebuilds = p.Rebuilds[:2]
		}),
		planned("REL-10", "one rebuilder twice", func(_ testing.TB, p *Plan, _ time.Time) {
			p.Rebuilds = append(p.Rebuilds[:1], p.Rebuilds[0])
			p.Rebuilds[1].Record.Time++
		}),
		planned("REL-11", "rebuild of another release", func(_ testing.TB, p *Plan, _ time.Time) {
			p.Rebuilds[2].Record.Digest, p.Rebuilds[2].Record.Rebuilt = other(), other()
		}),
		planned("REL-11", "rebuild of another source", func(_ testing.TB, p *Plan, _ time.Time) {
			p.Rebuilds[2].Record.Source = "h1:" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		}),
		planned("REL-12", "a mismatch beside three matches", func(t testing.TB, p *Plan, _ time.Time) {
			r := p.Mismatch(2)
			p.After = append(p.After, Entry(t, &r, Rebuilder(t, 2)))
		}),
		planned("REL-12", "a mismatch among the rebuilds", func(_ testing.TB, p *Plan, _ time.Time) {
			p.Rebuilds[2].Record = p.Mismatch(2)
		}),
		planned("REL-12", "a mismatch beside two matches", func(t testing.TB, p *Plan, _ time.Time) {
			p.Rebuilds = p.Rebuilds[:2]
			r := p.Mismatch(2)
			p.After = append(p.After, Entry(t, &r, Rebuilder(t, 2)))
		}),
	}
}

// recordAttacks log an entry that a listed signer signed and that is none.
func recordAttacks() []Attack {
	entry := func(id, name string, change func(statement []byte) []byte) Attack {
		return planned(id, name, func(t testing.TB, p *Plan, _ time.Time) {
			b, err := p.Release.Encode()
			if err != nil {
				t.Fatal(err)
			}
			changed := change(b)
			if bytes.Equal(changed, b) {
				t.Fatalf("%s: the attack changes nothing of %s", name, b)
			}
			p.After = append(p.After, Envelope(t, changed, Publisher(t)))
		})
	}
	replace := func(old, text string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(text), 1) }
	}
	return []Attack{
		entry("REC-1", "a name twice in the statement", replace(`"svn":1`, `"svn":1,"svn":2`)),
		planned("REC-1", "a name twice in the envelope", func(t testing.TB, p *Plan, _ time.Time) {
			b := Entry(t, &p.Release, p.Signers...)
			p.After = append(p.After, bytes.Replace(b, []byte(`,"payloadType":`), []byte(`,"payloadType":"text/plain","payloadType":`), 1))
		}),
		planned("REC-1", "no JSON", func(_ testing.TB, p *Plan, _ time.Time) { p.After = append(p.After, []byte("words")) }),
		entry("REC-2", "a space in the statement", replace(`"svn":1`, `"svn": 1`)),
		planned("REC-2", "a space in the envelope", func(t testing.TB, p *Plan, _ time.Time) {
			b := Entry(t, &p.Release, p.Signers...)
			p.After = append(p.After, bytes.Replace(b, []byte(`,"payloadType"`), []byte(`, "payloadType"`), 1))
		}),
		entry("REC-3", "unknown predicate", replace(record.TypeRelease, "safebox:release/v2")),
		entry("REC-4", "svn 0", replace(`"svn":1`, `"svn":0`)),
		entry("REC-4", "a field more", replace(`"svn":1`, `"svn":1,"trusted":true`)),
	}
}

func logAttacks() []Attack {
	return []Attack{
		planned("LOG-2", "another log", func(_ testing.TB, p *Plan, _ time.Time) { p.Origin = prefix + "log.example/other" }),
		planned("LOG-3", "no witness", func(_ testing.TB, p *Plan, _ time.Time) { p.Cosigners = nil }),
		planned("LOG-3", "a witness that nobody listed", func(_ testing.TB, p *Plan, at time.Time) {
			p.Cosigners = []Cosigner{{prefix + "stranger.example", at}}
		}),
		planned("LOG-4", "one witness of two", func(_ testing.TB, p *Plan, _ time.Time) { p.Cosigners = p.Cosigners[:1] }),
		planned("LOG-4", "one witness twice", func(_ testing.TB, p *Plan, at time.Time) {
			p.Cosigners = []Cosigner{{WitnessA, at}, {WitnessA, at.Add(-time.Second)}}
		}),
		planned("LOG-5", "stale", func(_ testing.TB, p *Plan, at time.Time) { p.cosign(at.Add(-8 * 24 * time.Hour)) }),
		planned("LOG-5", "all but one stale", func(_ testing.TB, p *Plan, at time.Time) {
			p.cosign(at.Add(-8 * 24 * time.Hour))
			p.Cosigners[0].Time = at
		}),
		planned("LOG-5", "from the future", func(_ testing.TB, p *Plan, at time.Time) { p.cosign(at.Add(48 * time.Hour)) }),
	}
}

// cosign has all witnesses cosign at that time.
func (p *Plan) cosign(at time.Time) {
	for i := range p.Cosigners {
		p.Cosigners[i].Time = at
	}
}

func bundleAttacks() []Attack {
	return []Attack{
		published("LOG-1", "no proof", func(_ testing.TB, p *Publication, _ time.Time) { p.Bundle.Proof = []byte("words") }),
		published("LOG-2", "the log's signature broken", func(t testing.TB, p *Publication, _ time.Time) { p.breakNote(t, p.Log.Name) }),
		published("LOG-3", "a cosignature broken", func(t testing.TB, p *Publication, _ time.Time) { p.breakNote(t, WitnessC) }),
		published("LOG-6", "proof of another entry", func(_ testing.TB, p *Publication, _ time.Time) {
			p.Bundle.Proof = p.Log.Proof(1, p.Checkpoint)
		}),
		published("LOG-6", "a rebuild that is not logged", func(t testing.TB, p *Publication, at time.Time) {
			plan := New(t, p.Bundle.Release, at)
			plan.Rebuilds[1].Record.Time++
			p.Bundle.Rebuilds[1].Record = plan.Records(t).Rebuilds[1]
		}),
		published("LOG-7", "truncated entries", func(_ testing.TB, p *Publication, _ time.Time) {
			p.Bundle.Entries = p.Bundle.Entries[:len(p.Bundle.Entries)-1]
		}),
		{"LOG-7", "truncated before a revocation", func(t testing.TB, release []byte, at time.Time) *Publication {
			t.Helper()
			plan := New(t, release, at)
			plan.AddRevocation(t, 0, plan.Release.Digest)
			p := plan.Publish(t)
			p.Bundle.Entries = p.Bundle.Entries[:len(p.Bundle.Entries)-1]
			return p
		}},
		published("LOG-7", "an entry exchanged", func(t testing.TB, p *Publication, at time.Time) {
			plan := New(t, p.Bundle.Release, at)
			plan.Release.Version += "-other"
			p.Bundle.Entries[len(p.Bundle.Entries)-1] = Entry(t, &plan.Release, Publisher(t))
		}),
		published("LOG-8", "fork: two checkpoints of equal size", func(t testing.TB, p *Publication, at time.Time) {
			fork := &Log{Name: p.Log.Name, Entries: append([][]byte{}, p.Log.Entries...)}
			plan := New(t, p.Bundle.Release, at)
			plan.Release.Version += "-other"
			fork.Entries[len(fork.Entries)-1] = Entry(t, &plan.Release, Publisher(t))
			checkpoint := fork.Checkpoint(t, plan.Cosigners...)
			p.Bundle.Rebuilds[0].Proof = fork.Proof(1, checkpoint)
		}),
	}
}

// breakNote changes one bit of one signature of the checkpoint, in each proof.
func (p *Publication) breakNote(t testing.TB, name string) {
	t.Helper()
	head, rest, found := bytes.Cut(p.Checkpoint, []byte("\n\u2014 "+name+" "))
	encoded, tail, ended := bytes.Cut(rest, []byte("\n"))
	sig, err := base64.StdEncoding.DecodeString(string(encoded))
	if !found || !ended || err != nil {
		t.Fatalf("no signature of %s in %s", name, p.Checkpoint)
	}
	sig[len(sig)-1] ^= 1
	broken := fmt.Appendf(nil, "%s\n\u2014 %s %s\n%s", head, name, base64.StdEncoding.EncodeToString(sig), tail)
	for _, proof := range p.proofs() {
		*proof = bytes.Replace(*proof, p.Checkpoint, broken, 1)
	}
}

// proofs are all proofs of the bundle.
func (p *Publication) proofs() []*[]byte {
	list := []*[]byte{&p.Bundle.Proof}
	for i := range p.Bundle.Rebuilds {
		list = append(list, &p.Bundle.Rebuilds[i].Proof)
	}
	return list
}
