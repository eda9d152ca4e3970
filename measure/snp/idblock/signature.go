package idblock

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// SignatureSize is the length of a signature.
const SignatureSize = 512

// Fields of a signature (AMD 56860, chapter 10, table "ECDSA P-384 with
// SHA-384 Signature"):
//
//	0x00  R  72 bytes  little endian, zero-extended
//	0x48  S  72 bytes  likewise
//	0x90  zeros to 0x200
const (
	signatureR        = 0
	signatureS        = 0x48
	signatureReserved = 0x90
)

// Signature is an ECDSA signature of curve P-384 with SHA-384.
type Signature struct{ r, s [coordinate]byte } // big endian

// sign signs a message, with the nonce of RFC 6979: the same key and message
// give the same bytes, so that a build can be repeated.
func sign(k *ecdsa.PrivateKey, message []byte) (Signature, error) {
	digest := sha512.Sum384(message)
	der, err := k.Sign(nil, digest[:], crypto.SHA384)
	if err != nil {
		return Signature{}, err
	}
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) != 0 {
		return Signature{}, fmt.Errorf("reading the signature made: %d bytes left: %w", len(rest), err)
	}
	var sig Signature
	pair.R.FillBytes(sig.r[:])
	pair.S.FillBytes(sig.s[:])
	return sig, nil
}

// verify checks the signature of a message.
func (sig Signature) verify(k PublicKey, message []byte) error {
	key, err := k.key()
	if err != nil {
		return err
	}
	digest := sha512.Sum384(message)
	r, s := new(big.Int).SetBytes(sig.r[:]), new(big.Int).SetBytes(sig.s[:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return fmt.Errorf("signature: not one of the key with digest %v", k.Digest())
	}
	return nil
}

// Encode gives the 512 bytes.
func (sig Signature) Encode() []byte {
	b := make([]byte, SignatureSize)
	putNumber(b[signatureR:], sig.r)
	putNumber(b[signatureS:], sig.s)
	return b
}

// DecodeSignature parses a signature, of whose message nothing is known yet.
func DecodeSignature(b []byte) (Signature, error) {
	sig, err := decodeSignature(b)
	if err != nil {
		return Signature{}, fmt.Errorf("parsing signature: %w", err)
	}
	return sig, nil
}

func decodeSignature(b []byte) (sig Signature, err error) {
	if len(b) != SignatureSize {
		return sig, fmt.Errorf("length: got %d, want %d", len(b), SignatureSize)
	}
	if sig.r, err = scalar(b, signatureR); err != nil {
		return Signature{}, fmt.Errorf("r: %w", err)
	}
	if sig.s, err = scalar(b, signatureS); err != nil {
		return Signature{}, fmt.Errorf("s: %w", err)
	}
	if err := checkZero(b, signatureReserved, SignatureSize); err != nil {
		return Signature{}, err
	}
	return sig, nil
}

// scalar reads a number that must be above 0 and below the curve's order.
func scalar(b []byte, at int) ([coordinate]byte, error) {
	n, err := number(b, at)
	if err != nil {
		return n, err
	}
	v := new(big.Int).SetBytes(n[:])
	if v.Sign() == 0 {
		return n, errors.New("got 0, want at least 1")
	}
	if order := elliptic.P384().Params().N; v.Cmp(order) >= 0 {
		return n, fmt.Errorf("got %x, want below the order of the curve, %x", v, order)
	}
	return n, nil
}
