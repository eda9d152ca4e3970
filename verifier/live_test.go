package verifier

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	guest "safebox/guest/quote"
	"safebox/guest/quote/quotetest"
	"safebox/measure/tpm/golden"
	"safebox/verifier/bundle"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/transcript"
)

// update rewrites testdata/vtpm from a live software TPM.
func update() bool { return *updateFlag }

var updateFlag = flag.Bool("update", false, "rewrite testdata/vtpm from a software TPM")

// machine is a real TPM in software whose registers were extended as a real
// boot extended them, and what its keeper would know.
type machine struct {
	tpm     *guest.TPM
	dev     *quotetest.TPM
	log     []byte
	runtime []evidence.RuntimeEvent
	config  []byte
}

// bootMachine replays the log of a real boot of the release in testdata/boot
// and extends the configuration, as a keeper does.
func bootMachine(t testing.TB, boot string, config []byte) *machine {
	t.Helper()
	m := &machine{dev: quotetest.Start(t), log: readFile(t, "boot/"+boot+".evlog.bin"), config: config}
	m.on(t)
	return m
}

// on is the boot of a machine whose TPM was just powered on.
func (m *machine) on(t testing.TB) {
	t.Helper()
	m.dev.Replay(t, m.log)
	var err error
	if m.tpm, err = guest.New(m.dev.Open(t)); err != nil {
		t.Fatal(err)
	}
	m.runtime = nil
	m.extend(t, evidence.RuntimeEvent{Kind: evidence.KindConfig, Digest: transcript.Config(m.config)})
}

func (m *machine) extend(t testing.TB, e evidence.RuntimeEvent) {
	t.Helper()
	err := m.tpm.Extend(func(b golden.Bank) golden.Digest {
		if e.Kind == evidence.KindKeys {
			return transcript.KeysEvent(b, e.Digest)
		}
		return transcript.ConfigEvent(b, e.Digest)
	})
	if err != nil {
		t.Fatal(err)
	}
	m.runtime = append(m.runtime, e)
}

// enrollment is the file that safebox-host enroll makes.
func (m *machine) enrollment(t testing.TB, kind string) []byte {
	t.Helper()
	id, err := m.tpm.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, ek := range id.EKs {
		if ek.Kind != kind {
			continue
		}
		e := &challenge.Enrollment{
			Type: challenge.EnrollmentType, AK: id.AK, EK: kind, EKPublic: ek.Public, EKCertificate: ek.Certificate,
			Issuers: [][]byte{quotetest.Certificate(t, m.dev.Issuer)},
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Fatalf("the TPM has no %s", kind)
	return nil
}

func (m *machine) root(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(quotetest.Certificate(t, m.dev.Root))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is the evidence for a challenge, as a keeper makes it. The KEM key is
// random bytes: nothing is sealed to it here.
func (m *machine) answer(t testing.TB, file []byte) *evidence.Evidence {
	t.Helper()
	c, err := challenge.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	e := &evidence.Evidence{
		Type: evidence.Type, Platform: transcript.VTPM,
		Nonce: c.Nonce, Audience: transcript.Audience(c.Audience), Release: c.Release,
		KEM: append([]byte{0x64, 0x7a}, randomBytes(t, transcript.KEMPublicSize)...), Configuration: m.config,
		ReceiptKey: [32]byte(randomBytes(t, 32)), BootSession: [32]byte(randomBytes(t, 32)),
		VTPM: &evidence.VTPM{AK: m.tpm.AK(), EventLog: m.log, Runtime: m.runtime},
	}
	if c.Enroll != nil {
		if e.VTPM.Activation, err = m.tpm.Activate(c.Enroll); err != nil {
			t.Fatal(err)
		}
	}
	m.quote(t, e)
	return e
}

// quote fills in the quotes of both banks.
func (m *machine) quote(t testing.TB, e *evidence.Evidence) {
	t.Helper()
	data, err := e.Transcript().QualifyingData()
	if err != nil {
		t.Fatal(err)
	}
	e.VTPM.Quotes = nil
	for _, bank := range golden.Banks() {
		q, err := m.tpm.Quote(bank, data)
		if err != nil {
			t.Fatal(err)
		}
		e.VTPM.Quotes = append(e.VTPM.Quotes, *q)
	}
}

// session is a whole run: challenge with enrolment, answer, policy.
func (m *machine) session(t testing.TB, kind string, issued time.Time) Input {
	t.Helper()
	releaseFile := readFile(t, "boot/release.json")
	o := ChallengeOptions{
		Audience: [32]byte(randomBytes(t, 32)), Release: sha256.Sum256(releaseFile),
		Issued: issued, Life: 10 * time.Minute, Enrollment: m.enrollment(t, kind), Root: m.root(t),
	}
	file, secret, err := NewChallenge(rand.Reader, o)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Challenge: file, Secret: secret, At: issued.Add(30 * time.Second)}
	if in.Evidence, err = m.answer(t, file).Encode(); err != nil {
		t.Fatal(err)
	}
	if in.Bundle, err = bundle.Encode(&bundle.Bundle{Release: releaseFile}); err != nil {
		t.Fatal(err)
	}
	if in.Policy, err = policy.Profile(policy.Test, []string{transcript.VTPM}, o.Root); err != nil {
		t.Fatal(err)
	}
	return in
}

func randomBytes(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLive: challenge, activation by both endorsement keys, quote and verdict
// with a real TPM emulator, and the next boot with the pin alone.
func TestLive(t *testing.T) {
	m := bootMachine(t, "esp", nil)
	now := time.Now().UTC().Truncate(time.Second)
	var pin []byte
	for _, kind := range []string{challenge.ECC384, challenge.RSA2048} {
		in := m.session(t, kind, now)
		r := Verify(in)
		accepted(t, kind, r)
		if r.Pin == nil {
			t.Fatalf("%s: no pin after an activation", kind)
		}
		pin = r.Pin
		if update() && kind == challenge.RSA2048 {
			save(t, m, in)
		}
	}

	m.extend(t, evidence.RuntimeEvent{Kind: evidence.KindKeys, Digest: sha256.Sum256([]byte("grant"))})
	accepted(t, "keys arrived", Verify(m.session(t, challenge.RSA2048, now)))

	m.dev.Restart(t)
	m.log = readFile(t, "boot/kernel.evlog.bin")
	m.on(t)
	in := m.session(t, challenge.RSA2048, now)
	file, secret, err := NewChallenge(rand.Reader, ChallengeOptions{
		Audience: [32]byte(randomBytes(t, 32)), Release: sha256.Sum256(readFile(t, "boot/release.json")), Issued: now, Life: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	in.Challenge, in.Secret, in.Pin = file, secret, pin
	if in.Evidence, err = m.answer(t, file).Encode(); err != nil {
		t.Fatal(err)
	}
	r := Verify(in)
	accepted(t, "pin alone", r)
	if r.Verdict.Boot != "kernel" || r.Pin != nil {
		t.Errorf("got boot %q, new pin %t, want kernel and none", r.Verdict.Boot, r.Pin != nil)
	}
}

func accepted(t testing.TB, what string, r *Result) {
	t.Helper()
	if !r.Verdict.OK || r.Claims == nil {
		t.Fatalf("%s: refused:\n%s", what, r.Verdict.Text())
	}
}

func save(t *testing.T, m *machine, in Input) {
	t.Helper()
	for name, b := range map[string][]byte{
		"evidence.json": in.Evidence, "challenge.json": in.Challenge, "secret.json": in.Secret, "policy.toml": in.Policy,
		"root.pem":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root(t).Raw}),
		"enrollment.json": m.enrollment(t, challenge.RSA2048),
	} {
		if err := os.WriteFile(filepath.Join("testdata/vtpm", name), bytes.Clone(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
