package tpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// akAttributes are the attributes of the attestation key: a restricted
// signing key that never leaves its TPM. Restricted means that it signs only
// what the TPM itself made: a forged quote that somebody hands in begins with
// TPM_GENERATED_VALUE, which such a key refuses to sign (Part 1, "Restricted
// attribute").
const akAttributes = FixedTPM | FixedParent | SensitiveDataOrigin | UserWithAuth | NoDA | Restricted | Sign

// AKTemplate is the TPMT_PUBLIC of the attestation key without its point: what
// the guest gives to TPM2_CreatePrimary under the endorsement hierarchy, so
// that the same TPM makes the same key at every boot (specs/protocol.md, section
// 6).
//
//	type        TPM_ALG_ECC
//	nameAlg     TPM_ALG_SHA256
//	attributes  fixedTPM fixedParent sensitiveDataOrigin userWithAuth noDA restricted sign
//	authPolicy  empty
//	symmetric   TPM_ALG_NULL
//	scheme      TPM_ALG_ECDSA with TPM_ALG_SHA256
//	curve       TPM_ECC_NIST_P256
//	kdf         TPM_ALG_NULL
//	x, y        empty
func AKTemplate() []byte { return append(akPrefix(), 0, 0, 0, 0) }

// akPrefix is the template up to the point.
func akPrefix() []byte {
	be := binary.BigEndian
	b := be.AppendUint16(nil, uint16(AlgECC))
	b = be.AppendUint16(b, uint16(AlgSHA256))
	b = be.AppendUint32(b, uint32(akAttributes))
	for _, v := range []uint16{
		0, // no policy
		uint16(AlgNull), uint16(AlgECDSA), uint16(AlgSHA256), uint16(CurveP256), uint16(AlgNull),
	} {
		b = be.AppendUint16(b, v)
	}
	return b
}

// CheckAK compares a key with AKTemplate: every byte but the point must be the
// template's, and the point must be on the curve.
func CheckAK(p *Public) error {
	want := akPrefix()
	if got := p.raw[:min(len(want), len(p.raw))]; !bytes.Equal(got, want) {
		return fmt.Errorf("checking attestation key: public area before the point: got %x, want %x", got, want)
	}
	if _, err := p.ECDSA(); err != nil {
		return fmt.Errorf("checking attestation key: %w", err)
	}
	return nil
}

// CheckQuotingKey checks that a key is fit to make quotes, whatever its
// template: a restricted signing key with a fixed scheme, made by its TPM and
// never to leave it. A key that could also decrypt, or sign what its owner hands
// in, proves nothing by its signature.
func CheckQuotingKey(p *Public) error {
	const must = FixedTPM | FixedParent | SensitiveDataOrigin | Restricted | Sign
	for _, a := range []struct {
		bit  Attributes
		name string
	}{
		{FixedTPM, "fixedTPM"},
		{FixedParent, "fixedParent"},
		{SensitiveDataOrigin, "sensitiveDataOrigin"},
		{Restricted, "restricted"},
		{Sign, "sign"},
	} {
		if p.Attributes&a.bit == 0 {
			return fmt.Errorf("attributes: got %#08x without %s, want %#08x among them", uint32(p.Attributes), a.name, uint32(must))
		}
	}
	if p.Attributes&Decrypt != 0 {
		return fmt.Errorf("attributes: got %#08x with decrypt, want a key that only signs", uint32(p.Attributes))
	}
	if p.Scheme == AlgNull {
		return errors.New("scheme: got none, want the one that every quote is signed by")
	}
	if p.Symmetric != AlgNull {
		return fmt.Errorf("symmetric algorithm: got %#04x, want none in a signing key", uint16(p.Symmetric))
	}
	_, err := p.Key()
	return err
}
