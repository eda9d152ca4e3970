package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// endorsement is TPM_RH_ENDORSEMENT (Part 2, TPM_RH), the hierarchy of the
// attestation key.
const endorsement = 0x4000000b

// CheckSigner compares the quote's qualified signer with what it is for ak as
// a primary key of the endorsement hierarchy: nameAlg || H(handle of the
// hierarchy || Name of the key) (Part 1, section 16, "Qualified Name").
func (a *Attest) CheckSigner(ak *Public) error {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(nil, endorsement))
	h.Write(ak.Name())
	want := h.Sum(binary.BigEndian.AppendUint16(nil, uint16(AlgSHA256)))
	if !bytes.Equal(a.QualifiedSigner, want) {
		return fmt.Errorf("qualified signer: got %x, want %x", a.QualifiedSigner, want)
	}
	return nil
}

// CheckDigest compares the quote's digest with that of the given registers, in
// the order of its selection. The hash is that of the signing scheme, SHA-256,
// whatever the bank (Part 3, "TPM2_Quote").
func (a *Attest) CheckDigest(values [][]byte) error {
	return a.CheckDigestBy(AlgSHA256, values)
}

// CheckDigestBy does the same for a signing scheme with another hash.
func (a *Attest) CheckDigestBy(scheme Algorithm, values [][]byte) error {
	id := scheme.Hash()
	if id == 0 {
		return fmt.Errorf("PCR digest: hash of the signature: got %#04x, want SHA-256, SHA-384 or SHA-512", uint16(scheme))
	}
	h := id.New()
	for _, v := range values {
		h.Write(v)
	}
	if want := h.Sum(nil); !bytes.Equal(a.PCRDigest, want) {
		return fmt.Errorf("PCR digest: got %x, want %x of the registers sent along", a.PCRDigest, want)
	}
	return nil
}
