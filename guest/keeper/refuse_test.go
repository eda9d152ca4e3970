package keeper

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"safebox/guest/quote/quotetest"
	"safebox/guest/wire"
	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
	"safebox/verifier/configuration"
	"safebox/verifier/dsse"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"

	"github.com/google/go-cmp/cmp"
)

// refusal is one thing that the host, or somebody with a key of his own, tries.
type refusal struct {
	name string
	want string
	job  func(t *testing.T, o *order) []byte // the job to submit in place of the owner's
}

// refusals are those that come from the job itself.
func refusals(other *stored, stranger *owner) []refusal {
	sealed := func(change func(o *order)) func(*testing.T, *order) []byte {
		return func(t *testing.T, o *order) []byte {
			change(o)
			return o.seal(t)
		}
	}
	// around changes what lies beside the grant, which stays the owner's.
	around := func(change func(j *guestapi.Job)) func(*testing.T, *order) []byte {
		return func(t *testing.T, o *order) []byte {
			o.seal(t)
			change(&o.job)
			return o.encode(t)
		}
	}
	inside := func(change func(f *grantFile)) func(*testing.T, *order) []byte {
		return func(t *testing.T, o *order) []byte {
			o.seal(t)
			f, err := parseGrant(o.job.Grant)
			if err != nil {
				t.Fatal(err)
			}
			change(f)
			if o.job.Grant, err = json.Marshal(f); err != nil {
				t.Fatal(err)
			}
			return o.encode(t)
		}
	}
	// signed has the owner sign a document that package grant would not write.
	signed := func(change func(d *grant.Document)) func(*testing.T, *order) []byte {
		return func(t *testing.T, o *order) []byte {
			o.seal(t)
			f, err := parseGrant(o.job.Grant)
			mustJSON(err)
			change(&o.doc)
			payload, err := canon.Marshal(o.doc)
			mustJSON(err)
			f.Envelope = dsse.Sign(dsse.TypeGrant, payload, o.signer)
			o.job.Grant, err = json.Marshal(f)
			mustJSON(err)
			return o.encode(t)
		}
	}
	now := time.Now().Unix()
	return []refusal{
		{"not a job", ProblemJobFormat, func(*testing.T, *order) []byte { return []byte("SBJ1") }},
		{"not a grant", "grant-format", around(func(j *guestapi.Job) { j.Grant = []byte("{}") })},
		{"signed by the host", "grant-audience", sealed(func(o *order) { o.signer = stranger.audience })},
		{"signature changed", "grant-signature", inside(changeSignature)},
		{"document changed", "grant-signature", inside(swapRecipient(stranger))},
		{"made upon other evidence", "grant-evidence", sealed(func(o *order) { o.doc.Evidence[0] ^= 1 })},
		{"for another release", "grant-release", sealed(func(o *order) { o.doc.Release[0] ^= 1 })},
		{"without a checkpoint", "grant-proof", signed(func(d *grant.Document) { d.Checkpoint = nil })},
		{"with a checkpoint of zeros", "grant-proof", signed(func(d *grant.Document) { d.Checkpoint = &canon.Octets32{} })},
		{"with another checkpoint", "grant-seal", signed(func(d *grant.Document) { d.Checkpoint = &canon.Octets32{9} })},
		{"not yet", "grant-time", sealed(func(o *order) { o.doc.NotBefore, o.doc.NotAfter = now+60, now+120 })},
		{"expired", "grant-time", sealed(func(o *order) { o.doc.NotBefore, o.doc.NotAfter = now-120, now-60 })},
		{"keys changed", "grant-seal", inside(func(f *grantFile) { f.Sealed[len(f.Sealed)-1] ^= 1 })},
		{"keys sealed to another", "grant-seal", sealed(func(o *order) {
			o.kem = append(bytes.Clone(o.kem[:2]), stranger.recipient.PublicKey().Bytes()...)
		})},
		{"another module", ProblemJobModule, around(func(j *guestapi.Job) { j.Module = append(j.Module, 0) })},
		{"other parameters", ProblemJobParams, around(func(j *guestapi.Job) { j.Params = []byte(`{"top":4}`) })},
		{"another object", "object-cid", around(func(j *guestapi.Job) { j.Manifest, j.Leaves = other.Envelope, other.Leaves })},
		{"manifest damaged", "object-manifest", around(func(j *guestapi.Job) { j.Manifest = j.Manifest[1:] })},
		{"leaves of another object", "object-leaves", around(func(j *guestapi.Job) { j.Leaves = other.Leaves })},
		{"a leaf changed", "object-leaves", around(func(j *guestapi.Job) {
			j.Leaves = bytes.Clone(j.Leaves)
			j.Leaves[40] ^= 1
		})},
		{"chunks beyond the end", ProblemGrantRanges, func(t *testing.T, o *order) []byte {
			nodes, err := verifierobject.RootNode([32]byte{1}, [32]byte{2}, verifierobject.Suite).Cover(verifierobject.Ranges{{4, 6}})
			if err != nil {
				t.Fatal(err)
			}
			o.doc.Ranges, o.nodes = verifierobject.Ranges{{4, 6}}, nodes
			return o.seal(t)
		}},
	}
}

// changeSignature changes one bit of it.
func changeSignature(f *grantFile) {
	at := bytes.Index(f.Envelope, []byte(`"sig":"`)) + len(`"sig":"`)
	if f.Envelope[at] == 'A' {
		f.Envelope[at] = 'B'
	} else {
		f.Envelope[at] = 'A'
	}
}

// swapRecipient writes another recipient into the signed document.
func swapRecipient(stranger *owner) func(f *grantFile) {
	return func(f *grantFile) {
		var envelope map[string]any
		var doc map[string]any
		mustJSON(json.Unmarshal(f.Envelope, &envelope))
		payload := struct {
			Payload []byte `json:"payload"`
		}{}
		mustJSON(json.Unmarshal(f.Envelope, &payload))
		d := json.NewDecoder(bytes.NewReader(payload.Payload))
		d.UseNumber()
		mustJSON(d.Decode(&doc))
		doc["recipients"] = [][]byte{stranger.recipient.PublicKey().Bytes()}
		changed, err := json.Marshal(doc)
		mustJSON(err)
		envelope["payload"] = changed
		f.Envelope, err = json.Marshal(envelope)
		mustJSON(err)
	}
}

func mustJSON(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRefusals: each attempt is refused by name and leaves the guest as it
// was, so that the owner's own job still runs at the end.
func TestRefusals(t *testing.T) {
	s, other, o, stranger := newObject(t), newObject(t), newOwner(t), newOwner(t)
	g := boot(t, quotetest.Start(t), s.shards)
	v := g.visit(t, o)
	before, err := g.device.ReadPCRs(golden.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusals(other, stranger) {
		job := v.order(t, s, verifierobject.Ranges{{0, 1}})
		if got := g.refused(t, wire.OpSubmit, r.job(t, job)); got != r.want {
			t.Errorf("%s: refused as %s, want %s", r.name, got, r.want)
		}
		g.clean(t, 1)
	}
	after, err := g.device.ReadPCRs(golden.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("registers moved: %s", d)
	}
	g.collect(t, g.submit(t, v.order(t, s, verifierobject.Ranges{{0, 1}}).seal(t)))
	g.clean(t, 0)
}

// TestOnce: a challenge takes one grant, a serial is used once, and none of it
// survives a restart of the guest on the same TPM.
func TestOnce(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	tpm := quotetest.Start(t)
	g := boot(t, tpm, s.shards)
	first, second := g.visit(t, o), g.visit(t, o)
	open := g.visit(t, o)
	used := first.order(t, s, verifierobject.Ranges{{0, 1}})
	job := used.seal(t)
	g.collect(t, g.submit(t, job))

	if got := g.refused(t, wire.OpSubmit, job); got != ProblemGrantSerial {
		t.Errorf("the same grant again: %s", got)
	}
	twice := second.order(t, s, verifierobject.Ranges{{0, 1}})
	twice.doc.Serial = used.doc.Serial
	if got := g.refused(t, wire.OpSubmit, twice.seal(t)); got != ProblemGrantSerial {
		t.Errorf("the same serial for another challenge: %s", got)
	}
	again := first.order(t, s, verifierobject.Ranges{{0, 1}})
	if got := g.refused(t, wire.OpSubmit, again.seal(t)); got != ProblemGrantSerial {
		t.Errorf("another grant for the same challenge: %s", got)
	}
	// A serial is its owner's: nobody can use up those of others.
	stranger := newOwner(t)
	theirs := g.visit(t, stranger).order(t, s, verifierobject.Ranges{{0, 1}})
	theirs.doc.Serial = used.doc.Serial
	g.collect(t, g.submit(t, theirs.seal(t)))

	tpm.Restart(t)
	restarted := boot(t, tpm, s.shards)
	for name, v := range map[string]*visit{"used": first, "open": open} {
		if got := restarted.refused(t, wire.OpSubmit, v.order(t, s, verifierobject.Ranges{{0, 1}}).seal(t)); got != ProblemGrantOpen {
			t.Errorf("grant for a challenge that was %s before the restart: %s", name, got)
		}
	}
	if v := restarted.visit(t, o); v.evidence.ReceiptKey == open.evidence.ReceiptKey || v.evidence.BootSession == open.evidence.BootSession {
		t.Error("receipt key or boot session survived a restart")
	}
}

// TestOtherChallenge: a grant is for one challenge, and what it is sealed to
// opens with no other challenge's key.
func TestOtherChallenge(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g := boot(t, quotetest.Start(t), s.shards)
	other := boot(t, quotetest.Start(t), s.shards)
	v := other.visit(t, o)
	if got := g.refused(t, wire.OpSubmit, v.order(t, s, verifierobject.Ranges{{0, 1}}).seal(t)); got != ProblemGrantOpen {
		t.Errorf("grant for another machine: %s", got)
	}
	a, b := g.visit(t, o), g.visit(t, o)
	if bytes.Equal(a.evidence.KEM, b.evidence.KEM) {
		t.Error("two challenges got the same KEM key")
	}
	mixed := a.order(t, s, verifierobject.Ranges{{0, 1}})
	mixed.kem = b.evidence.KEM
	if got := g.refused(t, wire.OpSubmit, mixed.seal(t)); got != "grant-seal" {
		t.Errorf("sealed to the other challenge: %s", got)
	}
	g.clean(t, 2)
}

func TestChallenges(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g := boot(t, quotetest.Start(t), s.shards)
	var all []*visit
	for range maxChallenges {
		all = append(all, g.visit(t, o))
	}
	seventeenth, err := newChallenge(o).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got := g.refused(t, wire.OpEvidence, seventeenth); got != ProblemChallengeFull {
		t.Errorf("17th: %s", got)
	}
	g.clean(t, maxChallenges)

	g.skew.Add(int64(challengeLife - 5*time.Second))
	g.collect(t, g.submit(t, all[0].order(t, s, verifierobject.Ranges{{0, 1}}).seal(t)))
	late := g.visit(t, o)
	g.skew.Add(int64(10 * time.Second))
	if got := g.refused(t, wire.OpSubmit, all[1].order(t, s, verifierobject.Ranges{{0, 1}}).seal(t)); got != ProblemGrantOpen {
		t.Errorf("after ten minutes: %s", got)
	}
	g.clean(t, 1)
	g.collect(t, g.submit(t, late.order(t, s, verifierobject.Ranges{{0, 1}}).seal(t)))

	// No request is needed for a key to go.
	g.visit(t, o)
	g.skew.Add(int64(challengeLife))
	g.expire()
	g.clean(t, 0)
}

func TestChallengeRefusals(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g := boot(t, quotetest.Start(t), s.shards)
	if got := g.refused(t, wire.OpEvidence, []byte("{}")); got != ProblemChallenge {
		t.Errorf("not a challenge: %s", got)
	}
	c, _ := enrolled(t, g, o)
	c.Enroll.Credential[len(c.Enroll.Credential)-1] ^= 1
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got := g.refused(t, wire.OpEvidence, b); got != ProblemEnroll {
		t.Errorf("credential of another TPM: %s", got)
	}
	g.clean(t, 0)
}

func TestConfigurationOnce(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	tpm := quotetest.Start(t)
	g := boot(t, tpm, s.shards)
	document, err := configuration.Default().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got := g.refused(t, wire.OpConfigure, []byte("{}")); got != ProblemConfigFormat {
		t.Errorf("no configuration: %s", got)
	}
	if _, err := g.Handle(wire.OpConfigure, document); err != nil {
		t.Fatal(err)
	}
	if got := g.refused(t, wire.OpConfigure, document); got != ProblemConfigLate {
		t.Errorf("again: %s", got)
	}
	checkAnswer(t, g.visit(t, o), document)

	tpm.Restart(t)
	g = boot(t, tpm, s.shards)
	checkAnswer(t, g.visit(t, o), []byte{})
	if got := g.refused(t, wire.OpConfigure, document); got != ProblemConfigLate {
		t.Errorf("after a quote: %s", got)
	}
}

func TestRequests(t *testing.T) {
	g := boot(t, quotetest.Start(t), newObject(t).shards)
	id := canon.Octets16{1}
	for name, c := range map[string]struct {
		op   uint8
		body []byte
		want string
	}{
		"unknown operation": {0x7f, nil, ProblemRequest},
		"a worker's":        {wire.OpChunk, make([]byte, 8), ProblemRequest},
		"identity of":       {wire.OpIdentity, []byte{0}, ProblemRequest},
		"status of nothing": {wire.OpStatus, nil, ProblemRequest},
		"result of 17":      {wire.OpResult, make([]byte, 17), ProblemRequest},
		"unknown status":    {wire.OpStatus, id[:], ProblemJobUnknown},
		"unknown result":    {wire.OpResult, id[:], ProblemJobUnknown},
	} {
		if got := g.refused(t, c.op, c.body); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
