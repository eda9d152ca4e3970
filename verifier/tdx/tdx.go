// Package tdx verifies quotes of Intel TDX guests: that Intel's hardware made
// the quote, that the platform is not out of date, and that the guest is the one
// that was expected. It is a pure function of bytes, policy and time.
//
// It implements the checks of specs/verify.md, table 2.2, after
//
//   - Intel TDX DCAP Quoting Library API, revision 0.9, appendix A.3 and A.4
//     (quotes of version 4 and 5);
//   - Intel SGX PCK Certificate and Certificate Revocation List Profile
//     Specification, revision 1.5 (certificates and lists);
//   - Intel PCS API, version 4 (TCB info version 3, QE identity version 2);
//   - Intel TDX Module 1.5 ABI Reference Specification, 348551 (TD attributes,
//     XFAM, TD report);
//   - UEFI 2.10, section 38 (event log of confidential guests).
//
// The steps, in their order: the quote is read (F1, F2); the PCK certificate
// leads to the pinned root (C1) and is on no revocation list (C2); Intel's TCB
// documents are genuine, of today (C3) and new enough (C4); the quoting enclave
// signed the quote (Q1) and is Intel's (Q2); the platform's TCB status is
// accepted (T1 to T5); the guest is what was expected (A1 to A6, M1, M2, D1).
// What follows from a failed step is not reached; what does not depend on it is
// checked and told.
package tdx

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx/pcs"
)

// Expected is what others know of the guest. What is nil nobody said: a policy
// that wants it then refuses.
type Expected struct {
	ReportData *[64]byte     // the transcript's hash
	ConfigID   *[48]byte     // SHA-384 of the configuration document
	MRTD       [][48]byte    // values of the release
	RTMR       [4][][48]byte // values of the release
}

// Input is everything that a verdict depends on.
type Input struct {
	Quote    []byte
	EventLog []byte // the firmware's (CCEL); nil if there is none

	// Runtime are the digests that the guest extended RTMR3 with, in their order.
	// Nil says that there is no log; a log without events is empty, not nil.
	Runtime [][48]byte

	Endorsements *endorse.Set
	Expected     Expected
	Rules        chain.Rules
	Policy       *tdxpolicy.Policy
	Roots        Roots
}

// Verify checks a quote and records every check of Definitions. It gives the
// decoded quote, or nil if there is none: the verdict alone says whether it can
// be believed.
func Verify(in Input, log *check.Recorder) *Quote {
	q, err := Decode(in.Quote)
	if err != nil {
		log.Fail("TDX-F1", "a quote of a TD: version 4 or 5, ECDSA P-256, exact sizes", err.Error())
		return nil
	}
	v := newVerification(in, q, log)
	v.form()
	v.certificates()
	v.documents()
	v.revocation()
	v.signatures()
	v.platform()
	v.guest()
	v.machine()
	v.measurements()
	return q
}

// verification is what the steps of one verification know.
type verification struct {
	in     Input
	policy *tdxpolicy.Policy
	log    *check.Recorder
	q      *Quote

	root     *x509.Certificate // the pinned one; nil if there is none
	pck      *pckChain         // nil unless TDX-C1 passed
	signers  []*x509.Certificate
	info     *pcs.TCBInfo  // nil unless genuine; TDX-C3 says whether it is of today
	identity *pcs.Identity // nil unless genuine
	grace    bool          // a list or document had expired and was taken nevertheless
}

func newVerification(in Input, q *Quote, log *check.Recorder) *verification {
	v := &verification{in: in, policy: in.Policy, log: log, q: q, root: in.Roots.SGX}
	if v.policy == nil {
		v.policy = new(tdxpolicy.Policy)
	}
	if v.in.Endorsements == nil {
		v.in.Endorsements = new(endorse.Set)
	}
	return v
}

// form is that the quote is of a kind that the policy takes (TDX-F1) and that
// Intel's quoting enclave made it (TDX-F2).
func (v *verification) form() {
	h := &v.q.Header
	form := v.q.Form.String()
	v.log.Record("TDX-F1", slices.Contains(v.policy.Quotes, form), "a quote of form "+orNone(v.policy.Quotes), form)
	v.log.Record("TDX-F2", h.intelQE(), "QE vendor "+QEVendorIntel+" (Intel)", fmt.Sprintf("%x", h.QEVendor))
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none: the policy states none"
	}
	return strings.Join(list, " or ")
}
