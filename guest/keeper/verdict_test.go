package keeper

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"safebox/guest/quote"
	"safebox/guest/quote/quotetest"
	"safebox/guest/wire"
	"safebox/verifier"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
	"safebox/verifier/policy"
	"safebox/verifier/publishtest"
	"safebox/verifier/transcript"
)

// TestVerdict: the offline verifier accepts what the keeper answers, before
// and after keys have arrived, and the grant made from its claims opens.
// verifier/testdata/README.md says where the release and the log come from.
func TestVerdict(t *testing.T) {
	s, o, tpm := newObject(t), newOwner(t), quotetest.Start(t)
	log := read(t, "esp.evlog.bin")
	tpm.Replay(t, log)
	device, err := quote.New(tpm.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{tpm: tpm, device: device, shards: s.shards}
	g.start(t, device, log)

	for _, when := range []string{"fresh", "keys arrived"} {
		v, r := g.judge(t, o)
		if !r.Verdict.OK || r.Claims == nil {
			t.Fatalf("%s: refused:\n%s", when, r.Verdict.Text())
		}
		c := r.Claims
		job := v.order(t, s, verifierobject.Ranges{{0, 1}})
		job.t, job.kem = c.T, c.Transcript.KEM
		job.doc.Evidence, job.doc.Release, job.doc.Transcript = c.Evidence, c.Release, sha256.Sum256(c.T[:])
		job.doc.Checkpoint = &c.Published.Checkpoint
		result := g.collect(t, g.submit(t, job.seal(t)))
		job.evidence = &evidence.Evidence{ReceiptKey: c.ReceiptKey}
		openReceipt(t, result, job)
	}
}

// judge asks with enrolment, and verifies.
func (g *guest) judge(t *testing.T, o *owner) (*visit, *verifier.Result) {
	t.Helper()
	b, err := g.Handle(wire.OpIdentity, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := guestapi.DecodeIdentity(b)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(quotetest.Certificate(t, g.tpm.Root))
	if err != nil {
		t.Fatal(err)
	}
	ek := id.EKs[0]
	enrollment, err := (&challenge.Enrollment{
		Type: challenge.EnrollmentType, AK: id.AK, EK: ek.Kind, EKPublic: ek.Public, EKCertificate: ek.Certificate,
		Issuers: [][]byte{quotetest.Certificate(t, g.tpm.Issuer)},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	release := read(t, "release.json")
	now := time.Now().Truncate(time.Second)
	file, secret, err := verifier.NewChallenge(rand.Reader, verifier.ChallengeOptions{
		Audience: o.public(), Release: sha256.Sum256(release), Issued: now, Life: time.Minute, Enrollment: enrollment, Root: root,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := challenge.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	v := g.ask(t, o, c)
	unsigned, err := policy.Profile(policy.Test, []string{transcript.VTPM}, root)
	if err != nil {
		t.Fatal(err)
	}
	p := publishtest.New(t, release, now).Publish(t)
	return v, verifier.Verify(verifier.Input{
		Evidence: v.file, Challenge: file, Secret: secret, At: now.Add(time.Second),
		Bundle: p.Encode(t), Policy: p.Policy.Apply(t, unsigned),
	})
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../verifier/testdata/boot/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
