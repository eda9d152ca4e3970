package publishtest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	formatsproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/publishtest"
	"safebox/verifier/release/record"
)

// epoch is 2026-01-01 00:00:00 UTC, by `date -ud 2026-01-01 +%s`.
const epoch = 1767225600

// verifiers are those of the log and of the three witnesses, made by
// golang.org/x/mod and transparency-dev/formats from the texts of the keys.
func verifiers(t *testing.T) (note.Verifier, []note.Verifier) {
	t.Helper()
	_, vkey := publishtest.LogKeys()
	logKey, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	var witnesses []note.Verifier
	for _, name := range []string{publishtest.WitnessA, publishtest.WitnessB, publishtest.WitnessC} {
		_, vkey := publishtest.WitnessKeys(t, name)
		v, err := formatsnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		witnesses = append(witnesses, v)
	}
	return logKey, witnesses
}

// What is published passes the libraries of transparency-dev: the notes, the
// cosignatures and their time, and each proof of inclusion.
func TestOtherVerifiers(t *testing.T) {
	at := time.Unix(epoch, 0)
	p := publishtest.New(t, []byte("{}"), at).Publish(t)
	logKey, witnesses := verifiers(t)
	c, _, n, err := log.ParseCheckpoint(p.Checkpoint, publishtest.Origin, logKey, witnesses...)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sigs) != 4 || len(n.UnverifiedSigs) != 0 || c.Size != 4 {
		t.Errorf("got %d signatures and %d of others, size %d, want 4, 0 and 4", len(n.Sigs), len(n.UnverifiedSigs), c.Size)
	}
	for _, sig := range n.Sigs[1:] {
		if got, err := formatsnote.CoSigV1Timestamp(sig); err != nil || got.Unix() != epoch {
			t.Errorf("%s: got time %v, %v, want %v", sig.Name, got, err, at)
		}
	}
	if want := sha256.Sum256([]byte(n.Text)); p.Body() != want {
		t.Errorf("body: got %x, want %x", p.Body(), want)
	}
	all := [][]byte{p.Bundle.Proof}
	records := [][]byte{p.Bundle.Record}
	for _, r := range p.Bundle.Rebuilds {
		all, records = append(all, r.Proof), append(records, r.Record)
	}
	for i, b := range all {
		var tp formatsproof.TLogProof
		if err := tp.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		var hashes [][]byte
		for _, h := range tp.Hashes {
			hashes = append(hashes, h[:])
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, tp.Index, c.Size, rfc6962.DefaultHasher.HashLeaf(records[i]), hashes, c.Hash); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
		if !bytes.Equal(tp.Checkpoint, p.Checkpoint) {
			t.Errorf("record %d: another checkpoint", i)
		}
	}
}

// Trees of all small sizes, not only of 4.
func TestProofsOfAllSizes(t *testing.T) {
	for size := 1; size <= 33; size++ {
		l := &publishtest.Log{Name: publishtest.Origin}
		for i := range size {
			l.Entries = append(l.Entries, []byte{byte(i)})
		}
		lines := strings.Split(string(l.Body()), "\n")
		root, err := base64.StdEncoding.DecodeString(lines[2])
		if err != nil {
			t.Fatal(err)
		}
		for i, entry := range l.Entries {
			var tp formatsproof.TLogProof
			if err := tp.Unmarshal(l.Proof(i, []byte("note\n"))); err != nil {
				t.Fatal(err)
			}
			var hashes [][]byte
			for _, h := range tp.Hashes {
				hashes = append(hashes, h[:])
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(size), rfc6962.DefaultHasher.HashLeaf(entry), hashes, root); err != nil {
				t.Errorf("entry %d of %d: %v", i, size, err)
			}
		}
	}
}

// The secret texts are those of the public ones.
func TestSecretKeys(t *testing.T) {
	skey, vkey := publishtest.LogKeys()
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil || v.Name() != s.Name() || v.KeyHash() != s.KeyHash() {
		t.Errorf("log: got %v and %v, %v", v, s, err)
	}
	for _, name := range []string{publishtest.WitnessA, publishtest.WitnessC} {
		skey, vkey := publishtest.WitnessKeys(t, name)
		s, err := formatsnote.NewSignerForCosignatureV1(skey)
		if err != nil {
			t.Fatal(err)
		}
		v, err := formatsnote.NewVerifierForCosignatureV1(vkey)
		if err != nil || v.Name() != s.Name() || v.KeyHash() != s.KeyHash() {
			t.Errorf("%s: got %v and %v, %v", name, v, s, err)
		}
	}
}

// Two calls give the same bytes: a test that fails can be repeated.
func TestSame(t *testing.T) {
	release := []byte("{}")
	one := publishtest.New(t, release, time.Unix(epoch, 0)).Publish(t)
	two := publishtest.New(t, release, time.Unix(epoch, 0)).Publish(t)
	if !bytes.Equal(one.Checkpoint, two.Checkpoint) || !bytes.Equal(one.Bundle.Record, two.Bundle.Record) || one.Policy.Text() != two.Policy.Text() {
		t.Error("two publications of one plan differ")
	}
}

// Whoever reads a policy or a log sees that it is a test's.
func TestNames(t *testing.T) {
	p := publishtest.New(t, []byte("{}"), time.Unix(epoch, 0)).Publish(t)
	for _, line := range strings.Split(p.Policy.Text(), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if (word == "name" || word == "operator" || word == "log" || word == "witness") && !strings.Contains(rest, "TEST-ONLY.") && rest != `= """` {
			t.Errorf("policy: %q does not say TEST-ONLY", line)
		}
	}
	if !strings.HasPrefix(string(p.Checkpoint), "TEST-ONLY.") {
		t.Errorf("checkpoint: %.40q", p.Checkpoint)
	}
}

// Each attack differs from the good publication, and no two are the same.
func TestAttacksDiffer(t *testing.T) {
	at, seen := time.Unix(epoch, 0), map[string]string{}
	key := func(p *publishtest.Publication) string {
		var b strings.Builder
		b.WriteString(p.Policy.Text())
		for _, part := range append([][]byte{p.Bundle.Record, p.Bundle.Proof}, p.Bundle.Entries...) {
			b.Write(part)
		}
		for _, r := range p.Bundle.Rebuilds {
			b.Write(r.Record)
			b.Write(r.Proof)
		}
		return b.String()
	}
	seen[key(publishtest.New(t, []byte("{}"), at).Publish(t))] = "none"
	for _, a := range publishtest.Attacks() {
		k := key(a.Make(t, []byte("{}"), at))
		if other, ok := seen[k]; ok {
			t.Errorf("%s %s: same as %s", a.ID, a.Name, other)
		}
		seen[k] = a.Name
	}
}

// The entries that are no records are refused by package record for the kind of
// fault that the attack is about, all others read, and a flipped signature is
// still an envelope.
func TestAttackedRecords(t *testing.T) {
	kinds := map[string]record.Kind{"REC-1": record.Syntax, "REC-2": record.Canonical, "REC-3": record.Predicate, "REC-4": record.Fields}
	seen := map[string]bool{}
	for _, a := range publishtest.Attacks() {
		p := a.Make(t, []byte("{}"), time.Unix(epoch, 0))
		for i, entry := range p.Log.Entries {
			_, err := record.Decode(entry)
			want := kinds[a.ID]
			if i < len(p.Log.Entries)-1 {
				want = 0
			}
			var form *record.FormError
			if errors.As(err, &form) != (want != 0) || form != nil && form.Kind != want {
				t.Errorf("%s %s: entry %d: got %v, want kind %v", a.ID, a.Name, i, err, want)
			}
			seen[a.ID] = true
		}
	}
	for id := range kinds {
		if !seen[id] {
			t.Errorf("no attack for %s", id)
		}
	}
	entry := publishtest.New(t, []byte("{}"), time.Unix(epoch, 0)).Records(t).Release
	publisher := publishtest.Publisher(t).Public()
	for name, tt := range map[string]struct {
		entry []byte
		want  bool
	}{"signed": {entry, true}, "flipped": {publishtest.FlipSignature(t, entry), false}} {
		r, err := record.Decode(tt.entry)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := r.Envelope.SignedBy(publisher); got != tt.want {
			t.Errorf("%s: signed by publisher: got %t, want %t", name, got, tt.want)
		}
	}
}
