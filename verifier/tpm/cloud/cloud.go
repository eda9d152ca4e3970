// Package cloud verifies raw evidence of a cloud machine's TPM: a quote, the
// key that signed it, what vouches for the key, and the event log.
//
// It implements specs/verify.md, section 4, for three forms of evidence, which
// it tells by their content:
//
//   - go-tpm-tools' attestation, a protobuf message (Google Compute Engine);
//   - the JSON that agents of Confidential Containers make on Azure, with the
//     report of the paravisor (SEV-SNP and TDX);
//   - the JSON that they make of a plain TPM, with nothing but its key.
package cloud

import (
	"crypto"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/gce"
)

// MaxSize bounds a file of evidence, in bytes. The largest real one has 37 kB.
const MaxSize = 2 << 20

// Form is what a file was recognised as.
type Form string

// The forms.
const (
	GoTPMTools Form = "go-tpm-tools attestation"
	Azure      Form = "Azure vTPM evidence"
	Plain      Form = "plain TPM evidence"
)

// Evidence is a decoded file. Nothing in it is verified by being here.
type Evidence struct {
	Form Form

	Quotes  []Quote  // with SHA-256 or SHA-384, in the order of the file
	Ignored []string // what the file holds and no verdict rests on, for people

	Public   *tpm.Public      // of the attestation key; nil if the form has no public area
	Key      crypto.PublicKey // the same key, for signatures
	KeyBytes []byte           // what pins are the SHA-256 of: TPMT_PUBLIC, else SubjectPublicKeyInfo in DER

	EventLog []byte // TCG2 log; empty if there is none

	Google *gce.Attestation // of GoTPMTools, else nil
	Azure  *azure.Evidence  // of Azure, else nil
}

// Quote is one quote and the registers that were sent along. They are believed
// after TPM-Q2 and TPM-Q3.
type Quote struct {
	Bank      tpm.Algorithm // as the file says; the quote must say the same
	Attest    []byte        // TPMS_ATTEST
	Signature *tpm.QuoteSignature
	Values    map[int][]byte
}

// Expected is what others say that the evidence must hold: the session and the
// release.
type Expected struct {
	ExtraData []byte           // of the quote; empty: nobody said
	Registers []map[int][]byte // one for each way of booting, in the first bank of the policy; empty: nobody said
}

// Hardware verifies the hardware report that the evidence carries, as the
// processor's own package and the policy have it, with want expected as its
// report_data. It records its own checks in the log. An error refuses the
// evidence. That the report's data is want is checked here again: a policy that
// accepts any report data must not lose the binding of the TPM's key.
type Hardware func(report azure.Hardware, want [64]byte, log *check.Recorder) error

// Input is everything that a verdict depends on.
type Input struct {
	Evidence     []byte
	Endorsements *endorse.Set // intermediate and root certificates, revocation lists; may be nil
	Expected     Expected
	Rules        chain.Rules
	Policy       *tpmpolicy.Policy
	Hardware     Hardware // nil: evidence that carries a hardware report is refused
}

// Verify checks the evidence and records what it found, in the order of
// Definitions. It returns nil if the file is in none of the forms.
func Verify(in Input, log *check.Recorder) *Evidence {
	e, err := Decode(in.Evidence)
	log.Check("TPM-F1", err, "a go-tpm-tools attestation, or JSON evidence of Azure or of a plain TPM", "well formed")
	if err != nil {
		return nil
	}
	p := in.Policy
	if p == nil {
		p = &tpmpolicy.Policy{}
	}
	v := &verification{in: in, policy: p, evidence: e, log: log}
	v.checkHardware()
	v.checkKey()
	v.checkQuotes()
	v.checkEvents()
	v.checkRegisters()
	return e
}

// verification is one call of Verify.
type verification struct {
	in       Input
	policy   *tpmpolicy.Policy
	evidence *Evidence
	log      *check.Recorder

	hardware error // why no hardware report binds the key; nil if one does
	quotes   []quote
}
