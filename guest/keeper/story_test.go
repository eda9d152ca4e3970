package keeper

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"

	"safebox/guest/quote/quotetest"
	"safebox/guest/wire"
	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
	"safebox/verifier/receipt"
	verifiertpm "safebox/verifier/tpm"

	"github.com/google/go-cmp/cmp"
)

// enrolled is a challenge that asks the TPM to prove its key.
func enrolled(t *testing.T, g *guest, o *owner) (*challenge.Challenge, []byte) {
	t.Helper()
	b, err := g.Handle(wire.OpIdentity, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := guestapi.DecodeIdentity(b)
	if err != nil {
		t.Fatal(err)
	}
	ek, err := verifiertpm.DecodePublic(id.EKs[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	ak, err := verifiertpm.DecodePublic(id.AK)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 32)
	if _, err := rand.Read(value); err != nil {
		t.Fatal(err)
	}
	credential, secret, err := verifiertpm.MakeCredential(rand.Reader, ek, ak.Name(), value)
	if err != nil {
		t.Fatal(err)
	}
	c := newChallenge(o)
	c.Enroll = &challenge.Enroll{EK: id.EKs[0].Kind, AKName: ak.Name(), Credential: credential, Secret: secret}
	return c, value
}

// TestStory is the whole way: configuration, challenge with enrolment,
// evidence, grant, run, result, receipt.
func TestStory(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g := boot(t, quotetest.Start(t), s.shards)
	config := configuration.Default()
	config.Worker.Memory = 64 << 20
	document, err := config.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Handle(wire.OpConfigure, document); err != nil {
		t.Fatal(err)
	}
	c, value := enrolled(t, g, o)
	v := g.ask(t, o, c)
	checkAnswer(t, v, document)
	if !bytes.Equal(v.evidence.VTPM.Activation, value) {
		t.Errorf("activation: got %x, want %x", v.evidence.VTPM.Activation, value)
	}

	ranges := verifierobject.Ranges{{0, 2}, {4, 5}}
	job := v.order(t, s, ranges)
	body := job.seal(t)
	var once sync.Once
	s.shards.fetch = func([32]byte) {
		once.Do(func() {
			// PCR 15 says that keys arrived before the first is used.
			checkRegister(t, g, document, job.job.Grant)
			if !g.holds(job.nodes) {
				t.Error("the nodes are not in the arena while they are used: the search is of no worth")
			}
		})
	}
	id := g.submit(t, body)
	result := g.collect(t, id)
	if l := g.limits.Load(); l.Memory != 64<<20+workerOverhead || l.Engine != configuration.Compiler {
		t.Errorf("worker limits: got %+v", l)
	}
	g.clean(t, 0)
	if g.holds(job.nodes) {
		t.Error("a node is still in the arena")
	}
	checkResult(t, s, job, result)

	// Evidence of now on tells that keys have been here.
	again := g.visit(t, o)
	var kinds []string
	for _, e := range again.evidence.VTPM.Runtime {
		kinds = append(kinds, e.Kind)
	}
	if d := cmp.Diff([]string{evidence.KindConfig, evidence.KindKeys}, kinds); d != "" {
		t.Error(d)
	}
	checkAnswer(t, again, document)
	g.clean(t, 1)
}

// checkAnswer checks evidence against its challenge, with the verifier's code
// for what it says about the TPM.
func checkAnswer(t *testing.T, v *visit, document []byte) {
	t.Helper()
	e := v.evidence
	if e.Nonce != v.challenge.Nonce || e.Release != v.challenge.Release || !bytes.Equal(e.Configuration, document) {
		t.Error("evidence is for something else")
	}
	ak, err := verifiertpm.DecodePublic(e.VTPM.AK)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ak.ECDSA()
	if err != nil {
		t.Fatal(err)
	}
	qualifying, err := e.Transcript().QualifyingData()
	if err != nil {
		t.Fatal(err)
	}
	if len(e.VTPM.Quotes) != 2 {
		t.Fatalf("%d quotes, want one of each bank", len(e.VTPM.Quotes))
	}
	for i, bank := range golden.Banks() {
		q := e.VTPM.Quotes[i]
		signature, err := verifiertpm.DecodeSignature(q.Signature)
		if err != nil || q.Bank != bank.String() || !signature.Verify(key, q.Attest) {
			t.Errorf("%v: quote of %s: %v", bank, q.Bank, err)
		}
		a, err := verifiertpm.DecodeAttest(q.Attest)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.ExtraData, qualifying[:]) {
			t.Errorf("%v: qualifying data %x, want %x", bank, a.ExtraData, qualifying)
		}
		if got, want := q.PCRs[15].Value, replay(bank, e.VTPM.Runtime).String(); got != want {
			t.Errorf("%v: pcr15: got %s, want %s of the runtime log", bank, got, want)
		}
	}
}

// replay computes PCR 15 as specs/protocol.md 3 has it, from the labels there.
func replay(bank golden.Bank, events []evidence.RuntimeEvent) golden.Digest {
	value := bank.Zero()
	for _, e := range events {
		value = bank.Extend(value, bank.Sum([]byte("safebox/"+e.Kind+"/v1\x00"), e.Digest[:]))
	}
	return value
}

// checkRegister reads PCR 15 from the TPM itself.
func checkRegister(t *testing.T, g *guest, document, file []byte) {
	t.Helper()
	digest := g.runtimeDigest(t, file)
	events := []evidence.RuntimeEvent{
		{Kind: "config", Digest: sha256.Sum256(document)},
		{Kind: "keys", Digest: digest},
	}
	for _, bank := range golden.Banks() {
		got, err := g.device.ReadPCRs(bank)
		if err != nil {
			t.Error(err)
			return
		}
		if want := replay(bank, events); !want.Equal(got[15]) {
			t.Errorf("%v: pcr15 while the first chunk is fetched: got %v, want %v", bank, got[15], want)
		}
	}
}

// runtimeDigest is the SHA-256 of the grant document in a grant file.
func (g *guest) runtimeDigest(t *testing.T, file []byte) canon.Octets32 {
	t.Helper()
	payload, err := grantPayload(file)
	if err != nil {
		t.Error(err)
	}
	return sha256.Sum256(payload)
}

func checkResult(t *testing.T, s *stored, job *order, result *guestapi.Result) {
	t.Helper()
	payload, err := grantPayload(job.job.Grant)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(payload)
	if len(result.Outputs) != 1 || len(result.Outputs[0].Sealed) != 1 {
		t.Fatalf("got %d outputs", len(result.Outputs))
	}
	sealed := result.Outputs[0].Sealed[0]
	plain, err := grant.OpenOutput(job.owner.recipient, digest, 0, sealed)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(s.chunk(0), s.chunk(1), s.chunk(4))
	if !bytes.Equal(plain, want) {
		t.Errorf("output: %d bytes that are not the %d granted ones", len(plain), len(want))
	}
	r, err := receipt.Open(result.Receipt, job.evidence.ReceiptKey)
	if err != nil {
		t.Fatal(err)
	}
	if r.WallMicros <= 0 || r.Time == 0 {
		t.Errorf("wall %d us, time %d", r.WallMicros, r.Time)
	}
	r.WallMicros, r.Time = 0, 0
	if d := cmp.Diff(&receipt.Document{
		Type: receipt.Type, Grant: digest, Module: sha256.Sum256(job.job.Module), Params: sha256.Sum256(job.job.Params),
		Evidence: sha256.Sum256(job.file), Transcript: sha256.Sum256(job.t[:]), Release: job.challenge.Release,
		Inputs:     []receipt.Input{{Root: s.CID, Ranges: verifierobject.Ranges{{0, 2}, {4, 5}}}},
		Outputs:    []receipt.Output{{Slot: 0, Kind: "object", Size: int64(len(want)), Sealed: []canon.Octets32{sha256.Sum256(sealed)}}},
		MemoryPeak: 65536, Serial: job.doc.Serial, Sequence: 1,
	}, r); d != "" {
		t.Error(d)
	}
}
