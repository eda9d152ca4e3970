// Package dsse is the signed envelope around a grant, an object manifest, a
// receipt and a record about a release: DSSE (Dead Simple Signing Envelope)
// protocol v1.0.2, signature definition and PAE (protocol.md), and its JSON
// envelope (envelope.md), in the one form that this project writes:
//
//   - canonical JSON (package canon), standard base64 with padding,
//   - Open, Payload and Sign: exactly one signature, Ed25519 (RFC 8032);
//     Envelope: 1 to 16 signatures, Ed25519 or ECDSA P-256, sorted by keyid,
//   - keyid is the SHA-256 of the public key (32 bytes of Ed25519, DER
//     SubjectPublicKeyInfo of P-256) in lower-case hex, and no hint as in
//     DSSE: another keyid is another signer.
//
// An envelope has one encoding, so a digest of the file is a digest of what
// it says.
package dsse

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"safebox/verifier/canon"
)

// Payload types of this project.
const (
	TypeManifest = "application/vnd.safebox.manifest.v1+json"
	TypeGrant    = "application/vnd.safebox.grant.v1+json"
	TypeReceipt  = "application/vnd.safebox.receipt.v1+json"
)

// MaxSize is the largest payload in bytes that any caller may allow.
const MaxSize = 1 << 20

// overhead is more than what an envelope adds to the base64 of its payload,
// in bytes: names and quotes 80, keyid 64, signature 88, payload type 255.
const overhead = 512

// maxType bounds the payload type, in bytes.
const maxType = 255

// SignatureError says that an envelope is well formed but not signed by the
// key that was asked for.
type SignatureError struct {
	Got, Want string // keyid
}

// Error implements error.
func (e *SignatureError) Error() string {
	if e.Got != e.Want {
		return fmt.Sprintf("signature: keyid: got %.64q, want %s", e.Got, e.Want)
	}
	return "signature: does not verify under key " + e.Want
}

// PAE is DSSE's pre-authentication encoding, the bytes that are signed:
// "DSSEv1" SP len(type) SP type SP len(payload) SP payload, lengths in ASCII
// decimal (protocol.md, "Signature Definition").
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len("DSSEv1")+2*20+4+len(payloadType)+len(payload))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// KeyID names a public key in an envelope: SHA-256 of its 32 bytes, lower-case
// hex.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

// Sign wraps and signs the payload. The type must be a media type as above
// (printable ASCII without quote or backslash): Open refuses an envelope with
// any other. Like ed25519.Sign it panics if the key's length is wrong.
func Sign(payloadType string, payload []byte, key ed25519.PrivateKey) []byte {
	sig := ed25519.Sign(key, PAE(payloadType, payload))
	public := ed25519.PublicKey(key[ed25519.SeedSize:])
	return []byte(`{"payload":"` + base64.StdEncoding.EncodeToString(payload) +
		`","payloadType":"` + payloadType +
		`","signatures":[{"keyid":"` + KeyID(public) +
		`","sig":"` + base64.StdEncoding.EncodeToString(sig) + `"}]}`)
}

// Open gives the payload after checking, in this order: size (limit is for
// the payload, in bytes), form, payload type, one signature, its key, and that
// it verifies. An error of the last two is a *SignatureError.
func Open(b []byte, payloadType string, key ed25519.PublicKey, limit int) ([]byte, error) {
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("opening envelope: public key: got %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	e, err := decode(b, payloadType, limit)
	if err != nil {
		return nil, fmt.Errorf("opening envelope: %w", err)
	}
	s, want := e.Signatures[0], KeyID(key)
	if s.KeyID != want || !ed25519.Verify(key, PAE(payloadType, e.Payload), s.Sig) {
		return nil, fmt.Errorf("opening envelope: %w", &SignatureError{Got: s.KeyID, Want: want})
	}
	return e.Payload, nil
}

// Payload gives the payload WITHOUT verifying the signature: for finding the
// key that is named inside. Whoever uses the payload for anything else must
// call Open afterwards.
func Payload(b []byte, payloadType string, limit int) ([]byte, error) {
	e, err := decode(b, payloadType, limit)
	if err != nil {
		return nil, fmt.Errorf("reading envelope: %w", err)
	}
	return e.Payload, nil
}

func decode(b []byte, payloadType string, limit int) (*Envelope, error) {
	limit = min(limit, MaxSize)
	if most := base64.StdEncoding.EncodedLen(limit) + overhead; len(b) > most {
		return nil, fmt.Errorf("size: got %d bytes, want at most %d", len(b), most)
	}
	var e Envelope
	if err := canon.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	if e.Payload == nil {
		return nil, errors.New("payload: got null, want base64")
	}
	if len(e.Payload) > limit {
		return nil, fmt.Errorf("payload: got %d bytes, want at most %d", len(e.Payload), limit)
	}
	if e.PayloadType != payloadType || len(payloadType) > maxType {
		return nil, fmt.Errorf("payload type: got %.100q, want %q", e.PayloadType, payloadType)
	}
	if len(e.Signatures) != 1 {
		return nil, fmt.Errorf("signatures: got %d, want 1", len(e.Signatures))
	}
	if n := len(e.Signatures[0].Sig); n != ed25519.SignatureSize {
		return nil, fmt.Errorf("signature: got %d bytes, want %d", n, ed25519.SignatureSize)
	}
	return &e, nil
}
