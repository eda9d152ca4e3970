// Package snp verifies attestation reports of AMD SEV-SNP guests, from the
// pinned root down to the guest, without a network.
//
// Implements AMD 56860 (SEV Secure Nested Paging Firmware ABI Specification),
// revision 1.58, section 7.3 and chapter 10; AMD 57230 (VCEK Certificate and
// KDS Interface Specification) and its counterpart for the VLEK; the checks of
// specs/verify.md, section 1.2.
package snp

import (
	"crypto/x509"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/snppolicy"
)

// Input is all that a verdict depends on.
type Input struct {
	Report       []byte // exactly one report
	Endorsements *endorse.Set
	Expected     Expected
	Rules        chain.Rules
	Policy       *snppolicy.Policy
	Roots        Roots

	// Chain is a chain that was verified before, or nil. A chain that is not made
	// of the endorsements chosen for this report is passed over; the verdict is
	// the same with and without.
	Chain *Chain
}

// Expected is what the caller expects. What is nil or empty nobody has said, and
// a policy that asks for it refuses.
type Expected struct {
	ReportData   *[64]byte  // hash of the transcript
	Measurements [][48]byte // launch digests of the release, on each accepted machine
	HostData     *[32]byte  // digest of the configuration document
}

// Roots are the root certificates (ARK) that are trusted, compared byte for
// byte. The zero value trusts none.
type Roots struct{ Milan, Genoa, Turin *x509.Certificate }

func (r Roots) of(p Product) *x509.Certificate {
	switch p {
	case Milan:
		return r.Milan
	case Genoa:
		return r.Genoa
	case Turin:
		return r.Turin
	}
	return nil
}

// Verify checks a report in the order of specs/verify.md, section 0, and notes
// each check. The cryptographic checks end at the first that fails; the others
// are all made, then about a report that nobody vouches for. It returns the
// report, or nil if the bytes are none.
func Verify(in Input, log *check.Recorder) *Report {
	v := &verification{in: in, log: log}
	if !v.format() {
		return nil
	}
	if v.signer() {
		v.authenticate()
	}
	v.identity()
	v.platform()
	return v.report
}
