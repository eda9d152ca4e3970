package eif

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"

	reader "safebox/measure/eif"
	"safebox/measure/nitro"
)

// octets are bytes as serde writes a Vec<u8>: an array of integers.
type octets []byte

// MarshalCBOR writes the array.
func (o octets) MarshalCBOR() ([]byte, error) {
	list := make([]uint16, len(o))
	for i, c := range o {
		list[i] = uint16(c)
	}
	return cbor.Marshal(list)
}

// payload is what is signed: PcrInfo of AWS's src/defs/mod.rs.
type payload struct {
	Index uint64 `cbor:"register_index"`
	Value octets `cbor:"register_value"`
}

// protected are the headers that are signed (RFC 9052, table 3: alg).
type protected struct {
	Algorithm reader.Algorithm `cbor:"1,keyasint"`
}

// message is a COSE_Sign1 (RFC 9052, section 4.2), untagged.
type message struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct{} // an empty map
	Payload     []byte
	Signature   []byte
}

// toBeSigned is a Sig_structure (RFC 9052, section 4.4).
type toBeSigned struct {
	_         struct{} `cbor:",toarray"`
	Context   string
	Protected []byte
	External  []byte
	Payload   []byte
}

// registerSignature is one element of the section: PcrSignature of AWS's
// src/defs/mod.rs.
type registerSignature struct {
	Certificate octets `cbor:"signing_certificate"` // text, PEM
	Signature   octets `cbor:"signature"`           // a message
}

// signedParts encodes what a signature of PCR0 covers.
func signedParts(a reader.Algorithm, pcr0 nitro.Digest) (headers, content []byte, err error) {
	if headers, err = cbor.Marshal(protected{a}); err != nil {
		return nil, nil, err
	}
	content, err = cbor.Marshal(payload{Value: pcr0[:]})
	return headers, content, err
}

// encodeToBeSigned gives the bytes that are hashed and signed.
func encodeToBeSigned(a reader.Algorithm, pcr0 nitro.Digest) ([]byte, error) {
	headers, content, err := signedParts(a, pcr0)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(toBeSigned{Context: "Signature1", Protected: headers, External: []byte{}, Payload: content})
}

// encodeSection gives the content of the signature section (EIF specification,
// "EifSectionSignature"): one element, for PCR0.
func encodeSection(a reader.Algorithm, pcr0 nitro.Digest, signature, certificate []byte) ([]byte, error) {
	headers, content, err := signedParts(a, pcr0)
	if err != nil {
		return nil, err
	}
	fixed, err := fixedWidth(a, signature)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	m, err := cbor.Marshal(message{Protected: headers, Payload: content, Signature: fixed})
	if err != nil {
		return nil, err
	}
	return cbor.Marshal([]registerSignature{{certificate, m}})
}

// fixedWidth turns an Ecdsa-Sig-Value (RFC 3279, section 2.2.3) in DER, as
// signers give it, into r and s, each as long as the curve's order (RFC 9053,
// section 2.1).
func fixedWidth(a reader.Algorithm, der []byte) ([]byte, error) {
	_, curve, err := a.Parts()
	if err != nil {
		return nil, err
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return nil, fmt.Errorf("want DER of an ECDSA signature: %w", err)
	}
	// The decoder lets a sequence end with more than was asked for.
	again, err := asn1.Marshal(v)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, der) {
		return nil, errors.New("got more than r and s, want DER of an ECDSA signature")
	}
	order := curve.Params().N
	if v.R.Sign() <= 0 || v.S.Sign() <= 0 || v.R.Cmp(order) >= 0 || v.S.Cmp(order) >= 0 {
		return nil, fmt.Errorf("r and s: got a number out of range, want 1 to the order of %s less 1", curve.Params().Name)
	}
	width := (curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*width)
	v.R.FillBytes(out[:width])
	v.S.FillBytes(out[width:])
	return out, nil
}
