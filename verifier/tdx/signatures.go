package tdx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
)

// signatures is TDX-Q1: the platform's PCK signed the report of the quoting
// enclave, the report binds the attestation key, and that key signed the quote.
// All over the bytes that were received.
func (v *verification) signatures() {
	if v.pck == nil {
		return
	}
	const want = "QE report signed by the PCK, its data SHA-256(attestation key || authentication data) and zeros, quote signed by the attestation key"
	v.log.Check("TDX-Q1", v.q.checkSignatures(v.pck.key), want, "all three hold")
}

func (q *Quote) checkSignatures(pck *ecdsa.PublicKey) error {
	if err := q.Data.checkReport(pck); err != nil {
		return fmt.Errorf("QE report: %w", err)
	}
	return q.checkSignature()
}

// checkReport checks that the PCK signed the report and that the report binds
// the attestation key.
func (d *SignatureData) checkReport(pck *ecdsa.PublicKey) error {
	if !verifyRaw(pck, d.Report.raw, &d.QESignature) {
		return errors.New("the signature is not of the PCK")
	}
	h := sha256.New()
	h.Write(d.Key[:])
	h.Write(d.AuthData)
	var want [64]byte
	h.Sum(want[:0])
	if d.Report.ReportData != want {
		return fmt.Errorf("report data: got %x, want %x: the attestation key is another one", d.Report.ReportData, want)
	}
	return nil
}

// checkSignature checks that the attestation key signed header and body.
func (q *Quote) checkSignature() error {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, q.Data.Key[:]...))
	if err != nil {
		return fmt.Errorf("attestation key: %w", err)
	}
	if !verifyRaw(key, q.signed, &q.Data.Signature) {
		return errors.New("quote: the signature is not of the attestation key: header or body were changed")
	}
	return nil
}

// verifyRaw verifies ECDSA with SHA-256 of a signature r || s, big endian.
func verifyRaw(key *ecdsa.PublicKey, message []byte, signature *[64]byte) bool {
	digest := sha256.Sum256(message)
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}
