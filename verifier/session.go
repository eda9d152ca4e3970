package verifier

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"slices"
	"time"

	"safebox/measure/eventlog"
	"safebox/measure/tdx"
	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/check"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/published"
	"safebox/verifier/release"
	"safebox/verifier/tpm"
	"safebox/verifier/transcript"
)

// verification is one run: what has been found so far. A pointer is nil until
// the step that fills it in has succeeded.
type verification struct {
	in      Input
	receipt bool // VerifyReceiptEvidence
	roots   roots
	log     *check.Recorder

	sums sums

	policy    *policy.Policy
	evidence  *evidence.Evidence
	challenge *challenge.Challenge
	secret    *challenge.Secret
	bundle    *bundle.Bundle
	release   *release.Release
	published *published.Result // nil under a policy with release = "unsigned"

	transcript *bound
	config     [32]byte // SHA-256 of the evidence's configuration document
	ak         *tpm.Public
	pin        *Pin
	activated  bool
	quotes     []quote // as many as the evidence has, if all could be decoded
	events     *eventlog.Log
	boot       string
	compared   []comparison

	vendor
	raw         *RawInput         // nil: the evidence is our own
	behind      string            // platform of the hardware under a raw TPM
	predictions []*tdx.Prediction // of the release on the TDX machines of the policy
}

// bound is the transcript and what a quote must carry of it.
type bound struct {
	input      *transcript.Input
	bytes      []byte
	qualifying [32]byte // SHA-256: what a TPM quotes
	sum        [64]byte // SHA-512: what the other platforms carry
}

// withChallenge reports whether there is a challenge to check against: always,
// except for a receipt's evidence.
func (v *verification) withChallenge() bool {
	return !v.receipt || v.in.Challenge != nil || v.in.Secret != nil
}

// readPolicy: POL-1, POL-2.
func (v *verification) readPolicy() {
	p, err := policy.Parse(v.in.Policy)
	v.log.Check("POL-1", err, "a policy, every key known and present", "policy")
	if err != nil {
		return
	}
	v.policy = p
	last := p.Review.AddDate(0, 0, -1).Format(time.DateOnly)
	want, got := "a time until "+last, v.in.At.UTC().Format(time.RFC3339)
	switch {
	case v.in.At.IsZero():
		v.log.Fail("POL-2", want, "no time")
	case p.AnyReview:
		v.log.Pass("POL-2", "any time", got)
		v.log.Waive("review date of the policy", "stale = \"any\" in the policy")
	default:
		v.log.Record("POL-2", v.in.At.Before(p.Review), want, got)
	}
}

// readEvidence: EV-1, PLAT-1.
func (v *verification) readEvidence() {
	e, err := evidence.Decode(v.in.Evidence)
	v.log.Check("EV-1", err, fmt.Sprintf("canonical JSON of at most %d bytes", evidence.MaxSize), fmt.Sprintf("%d bytes", len(v.in.Evidence)))
	if err != nil {
		return
	}
	v.evidence = e
	v.bind()
	if v.policy != nil {
		v.log.Record("PLAT-1", v.policy.Accepts(e.Platform), fmt.Sprintf("one of %q", v.policy.Platforms), e.Platform)
	}
}

// bind makes the transcript from the evidence's own fields. A quote that
// carries it says that the guest meant those fields.
func (v *verification) bind() {
	in := v.evidence.Transcript()
	v.config = in.Config
	if b, err := in.Bytes(); err == nil { // else: TPM-Q1 fails
		v.transcript = &bound{input: in, bytes: b, qualifying: sha256.Sum256(b), sum: sha512.Sum512(b)}
	}
}

// readChallenge: CH-1.
func (v *verification) readChallenge() {
	if !v.withChallenge() {
		v.log.Waive("nonce, audience and age of the evidence", "it is checked for a receipt, without its challenge")
		return
	}
	const want = "a challenge, and the secret that was made with it"
	c, err := challenge.Decode(v.in.Challenge)
	if err != nil {
		v.log.Fail("CH-1", want, err.Error())
		return
	}
	got := "challenge without its secret"
	var s *challenge.Secret
	if v.in.Secret != nil {
		if s, err = challenge.DecodeSecret(v.in.Secret); err == nil {
			err = matches(s, c, v.sums.challenge)
		}
		got = "challenge with its secret"
	}
	v.log.Check("CH-1", err, want, got)
	if err == nil {
		v.challenge, v.secret = c, s
	}
}

// matches checks that a secret belongs to a challenge.
func matches(s *challenge.Secret, c *challenge.Challenge, sum canon.Octets32) error {
	if s.Challenge != sum {
		return fmt.Errorf("secret of challenge %v, want %v", s.Challenge, sum)
	}
	if (s.Enroll == nil) != (c.Enroll == nil) {
		return fmt.Errorf("secret with enrolment %t, challenge with enrolment %t", s.Enroll != nil, c.Enroll != nil)
	}
	if s.Enroll != nil && !slices.Equal(s.Enroll.AKName, c.Enroll.AKName) {
		return fmt.Errorf("secret for key %x, challenge for key %x", s.Enroll.AKName, c.Enroll.AKName)
	}
	return nil
}

// checkFreshness: FR-1 to FR-4.
func (v *verification) checkFreshness() {
	if v.challenge == nil {
		return
	}
	c := v.challenge
	if e := v.evidence; e != nil {
		v.log.Record("FR-1", e.Nonce == c.Nonce, c.Nonce.String(), e.Nonce.String())
		want := canon.Octets32(transcript.Audience(c.Audience))
		v.log.Record("FR-2", e.Audience == want, want.String(), e.Audience.String())
	}
	if v.receipt {
		v.log.Waive("age of the evidence", "it is checked for a receipt, after its challenge")
		return
	}
	v.checkAlive()
	if v.policy != nil {
		v.checkLife()
	}
}

// checkAlive: FR-3. A time before the challenge was made is as wrong as one
// after its end.
func (v *verification) checkAlive() {
	at := v.in.At
	want := "a time until " + unix(v.challenge.Expires)
	ok := !at.IsZero() && !at.After(time.Unix(v.challenge.Expires, 0))
	if v.secret != nil {
		want = "a time from " + unix(v.secret.Issued) + " until " + unix(v.challenge.Expires)
		ok = ok && !at.Before(time.Unix(v.secret.Issued, 0))
	}
	v.log.Record("FR-3", ok, want, at.UTC().Format(time.RFC3339))
}

// checkLife: FR-4. Only the secret tells when a challenge was made.
func (v *verification) checkLife() {
	if v.policy.AnyLife {
		v.log.Pass("FR-4", "any life", "not compared")
		v.log.Waive("life of the challenge", "challenge.max_life = \"any\" in the policy")
		return
	}
	want := fmt.Sprintf("1 to %d seconds", v.policy.MaxLife)
	if v.secret == nil {
		v.log.Fail("FR-4", want, "unknown: only the challenge's secret says when it was made")
		return
	}
	life := v.challenge.Expires - v.secret.Issued
	v.log.Record("FR-4", life >= 1 && life <= v.policy.MaxLife, want, fmt.Sprintf("%d seconds", life))
}

// readBundle: REL-1.
func (v *verification) readBundle() {
	const want = "a bundle with a canonical release.json"
	b, err := bundle.Decode(v.in.Bundle)
	if err == nil {
		v.release, err = release.Decode(b.Release)
	}
	v.log.Check("REL-1", err, want, fmt.Sprintf("%d bytes", len(v.in.Bundle)))
	if err != nil {
		return
	}
	v.bundle = b
	v.sums.release = sha256.Sum256(b.Release)
	v.compareRelease()
}

// compareRelease: REL-2.
func (v *verification) compareRelease() {
	e, sum := v.evidence, v.sums.release
	if e == nil {
		return
	}
	switch {
	case v.challenge != nil:
		ok := v.challenge.Release == sum && e.Release == sum
		v.log.Record("REL-2", ok, sum.String()+", of the bundle",
			"challenge "+v.challenge.Release.String()+", evidence "+e.Release.String())
	case !v.withChallenge():
		v.log.Record("REL-2", e.Release == sum, sum.String()+", of the bundle", "evidence "+e.Release.String())
	}
}

// checkConfiguration: CFG-1.
func (v *verification) checkConfiguration() {
	if v.evidence == nil || v.policy == nil {
		return
	}
	want := fmt.Sprintf("one of %q", v.policy.Documents)
	if v.policy.AnyDocument {
		want = "any well-formed document, or none"
	}
	name := policy.NoDocument
	if document := v.evidence.Configuration; len(document) > 0 {
		if _, err := configuration.Decode(document); err != nil {
			v.log.Fail("CFG-1", want, err.Error())
			return
		}
		name = canon.Octets32(v.config).String()
	}
	v.log.Record("CFG-1", v.policy.AnyDocument || slices.Contains(v.policy.Documents, name), want, name)
	if v.policy.AnyDocument {
		v.log.Waive("content of the configuration document", "configuration.documents = \"any\" in the policy")
	}
}

func unix(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
