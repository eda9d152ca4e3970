// Package nitro verifies attestation documents of AWS: of Nitro enclaves, and
// of instances with a NitroTPM.
//
// It implements specs/nitro.md, section 4.4, step by step, one check for each,
// with the rules of fields and certificates of sections 4.1 to 4.3 and those of
// NitroTPM of section 7. Underneath are:
//   - AWS Nitro Enclaves, docs/attestation_process.md of
//     github.com/aws/aws-nitro-enclaves-nsm-api ("Attestation document
//     specification", "validation");
//   - Amazon EC2 User Guide, "NitroTPM Attestation Document contents";
//   - RFC 9052 (COSE_Sign1), RFC 9053 (ES384), RFC 8949 (CBOR).
//
// A document says which image runs where and what it was asked to sign. It says
// nothing about the version of AWS's own hardware and firmware: there is no TCB
// status, and none is made up.
package nitro

import (
	"crypto/x509"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/policy/nitropolicy"
)

// Expected is what others know: the challenge, the transcript, the release and
// the configuration. What is nil or empty, nobody said, and a policy that asks
// for it refuses.
type Expected struct {
	Nonce    []byte // the challenge's
	UserData []byte // the transcript's hash

	// PCRs are the values that the release computes and that the configuration
	// makes of a register (16 of an enclave, 15 of a TPM), by register.
	PCRs map[int][][48]byte
}

// Input is what a verification sees. The policy says which kind of document is
// asked for, and by which time it is judged.
type Input struct {
	Document []byte
	Expected Expected
	Rules    chain.Rules // only At is used: AWS's lists are not asked for
	Policy   *nitropolicy.Policy
	Roots    Roots
}

// verification is one run. What a step finds stays nil until it has succeeded.
type verification struct {
	Input
	policy   *nitropolicy.Policy
	log      *check.Recorder
	decoder  *decoder
	message  *message
	document *Document
	path     []*x509.Certificate // as far as they parse: the leaf first, the pinned root last
}

// Verify checks a document and notes what it finds, by the IDs of Definitions.
// It gives the document if AWS's root vouches for it, whatever the policy says
// of it, and nil otherwise: Decode shows one that nobody vouches for.
func Verify(in Input, log *check.Recorder) *Document {
	v := &verification{Input: in, policy: in.Policy, log: log}
	if v.policy == nil {
		v.policy = &nitropolicy.Policy{} // refuses everything
	}
	if !v.decode() {
		return nil
	}
	vouched := v.checkChain() && v.checkSignature()
	v.checkTime()
	v.checkNames()
	v.checkDebug()
	v.checkRegisters()
	v.checkFields()
	if !vouched {
		return nil
	}
	v.observeTime()
	return v.document
}

// decode: NITRO-1 to NITRO-3.
func (v *verification) decode() bool {
	var err error
	if v.decoder, err = newDecoder(); err == nil {
		v.message, err = decodeMessage(v.decoder, v.Document)
	}
	v.log.Check("NITRO-1", err, "one COSE_Sign1, ES384, nothing else in it", "a COSE_Sign1 of 4 elements, alg -35")
	if err != nil {
		return false
	}
	p, err := decodePayload(v.decoder, v.message.payload)
	if err != nil {
		v.log.Fail("NITRO-2", "a payload with known keys", err.Error())
		return false
	}
	v.log.Record("NITRO-2", p.kind == v.policy.Kind, "a document of a "+v.policy.Kind.String(), "a document of a "+p.kind.String())
	if p.kind != v.policy.Kind {
		return false // rules of the one kind say nothing about the other
	}
	v.document, err = p.document()
	v.log.Check("NITRO-3", err, "every field of its type and size", "every field is")
	return err == nil
}

// checkSignature: NITRO-6. It is reached with a chain that holds.
func (v *verification) checkSignature() bool {
	key, err := publicKey(v.path[0])
	if err == nil {
		err = v.message.verify(key)
	}
	v.log.Check("NITRO-6", err, "signature of the leaf's key over the received bytes", "it is")
	return err == nil
}
