// Package verifier decides offline whether a machine may be trusted: it takes
// evidence, the release that should run, the owner's challenge and policy, and
// gives a verdict with one record for every check (docs/format-verdict.md).
//
// It is a function of its input: no network, no clock, no environment. Whatever
// is wrong with the input is a failed check with an ID, never an error and
// never a check left out: an expectation that is absent is not met.
//
// It implements protocol.md, sections 1 to 4, 6 and 8. What a platform's hardware
// says is checked by the packages snp, tdx, nitro and tpm, and whether a release
// was published by package published.
package verifier

import (
	"crypto/sha256"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/check"
	"safebox/verifier/published"
	"safebox/verifier/transcript"
	"safebox/verifier/verdict"
)

// Input is everything that a verdict rests on: the bytes of each file.
type Input struct {
	Evidence  []byte
	Bundle    []byte
	Policy    []byte
	Challenge []byte
	Secret    []byte // the owner's memory of the challenge; may be nil
	Pin       []byte // attestation key known from before; may be nil
	Vendor
	At time.Time
}

// Vendor is what vendors said about machines of theirs, and what the relying
// party remembers of it.
type Vendor struct {
	Collateral []File // certificates, revocation lists, TCB infos, QE identities, bundles of them
	Memory     []byte // rollback memory; nil if there is none, empty if it begins now
}

// File is a file with the name by which a verdict mentions it.
type File struct {
	Name  string
	Bytes []byte
}

// Result is a verdict and what may be relied on after it.
type Result struct {
	Verdict *verdict.Verdict
	Claims  *Claims // nil unless every check passed
	Pin     []byte  // pin of the attestation key, when an activation succeeded and every check passed
	Memory  []byte  // the rollback memory after this verification; nil if none was given or it is not readable

	timeline func() []verdict.Event
}

// Events is the event log of the evidence, beside what the release says of it.
func (r *Result) Events() []verdict.Event {
	if r.timeline == nil {
		return nil
	}
	return r.timeline()
}

// Claims is what the evidence says, after every check passed.
type Claims struct {
	Platform   string
	Transcript *transcript.Input
	T          [64]byte             // SHA-512 of the transcript
	Evidence   [32]byte             // SHA-256 of the evidence file
	Release    [32]byte             // SHA-256 of release.json
	ReceiptKey [32]byte             // Ed25519
	Challenge  *challenge.Challenge // nil if VerifyReceiptEvidence was given none

	// Published is how the release was published; nil exactly when the policy
	// says release = "unsigned".
	Published *published.Result
}

// Verify checks evidence as the answer to a challenge.
func Verify(in Input) *Result { return verify(in, false, pinnedRoots()) }

// VerifyReceiptEvidence checks evidence that a receipt names, long after its
// challenge: freshness is waived in so many words, and so are nonce and audience
// when no challenge is given. The attestation key must be known by a pin, or by
// the challenge and its secret.
func VerifyReceiptEvidence(in Input) *Result { return verify(in, true, pinnedRoots()) }

// verify is the order of events; docs/format-verdict.md numbers the same
// steps. A step that lacks what an earlier one should have found records
// nothing, and the checks that it would have recorded fail.
func verify(in Input, receipt bool, r roots) *Result {
	in.At = in.At.UTC().Truncate(time.Second) // what the verdict says is what was compared
	v := &verification{in: in, receipt: receipt, roots: r, log: check.New(), sums: sumsOf(in)}
	v.readPolicy()
	v.readEvidence()
	v.readChallenge()
	v.checkFreshness()
	v.openMemory()
	v.readBundle()
	v.checkPublished()
	v.checkConfiguration()
	v.readCollateral()
	v.checkTime()
	v.checkPlatform()
	v.checkMemory()
	return v.result()
}

func (v *verification) result() *Result {
	out := v.log.Verdict(v.definitions())
	out.Type = verdict.Type
	out.At = v.in.At.UTC().Format(time.RFC3339)
	out.Evidence, out.Bundle, out.Policy = v.sums.evidence.String(), v.sums.bundle.String(), v.sums.policy.String()
	if v.withChallenge() {
		out.Challenge = v.sums.challenge.String()
	}
	out.Boot = v.boot
	if v.policy != nil {
		out.Profile = v.policy.Profile
	}
	if v.bundle != nil {
		out.Release = v.sums.release.String()
	}
	if v.evidence != nil {
		out.Platform = v.evidence.Platform
	}
	v.describe(out)
	r := &Result{Verdict: out, timeline: v.timeline}
	if out.OK {
		v.accept(r)
	}
	if r.Claims == nil {
		out.OK = false
	}
	if out.OK {
		r.Memory = v.remembered
		out.Published = publishedOf(v.published)
	}
	return r
}

// rawResult is the result of VerifyRaw. It has no claims: nobody asked the
// machine anything.
func (v *verification) rawResult() *Result {
	out := v.log.Verdict(v.rawDefinitions())
	out.Type = verdict.Type
	out.Platform = v.raw.Platform
	out.At = v.in.At.Format(time.RFC3339)
	out.Evidence, out.Policy = v.sums.evidence.String(), v.sums.policy.String()
	if v.policy != nil {
		out.Profile = v.policy.Profile
	}
	v.describe(out)
	r := &Result{Verdict: out}
	if out.OK {
		r.Memory = v.remembered
	}
	return r
}

// accept fills in what may be relied on. A result without claims is no
// acceptance.
func (v *verification) accept(r *Result) {
	if v.activated {
		var err error
		if r.Pin, err = v.newPin(); err != nil {
			return
		}
	}
	r.Claims = &Claims{
		Platform:   v.evidence.Platform,
		Transcript: v.transcript.input,
		T:          v.transcript.sum,
		Evidence:   v.sums.evidence,
		Release:    v.sums.release,
		ReceiptKey: v.evidence.ReceiptKey,
		Challenge:  v.challenge,
		Published:  v.published,
	}
}

// sums are the SHA-256 digests of the files, each computed once.
type sums struct {
	evidence, bundle, policy, challenge, release canon.Octets32 // release: once the bundle is open
}

func sumsOf(in Input) sums {
	return sums{
		evidence: sha256.Sum256(in.Evidence), bundle: sha256.Sum256(in.Bundle),
		policy: sha256.Sum256(in.Policy), challenge: sha256.Sum256(in.Challenge),
	}
}
