package dsse

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/canon"
)

// MaxSignatures is the largest number of signatures on an envelope.
const MaxSignatures = 16

// Sizes of signatures in bytes: 64 of Ed25519, or the DER of two integers of
// P-256, which take 1 to 33 bytes each and 6 bytes of tags and lengths.
const (
	minSignature = 6 + 2*1
	maxSignature = 6 + 2*33
)

// perSignature is more than what one signature adds to an envelope, in bytes:
// names, quotes and comma 21, keyid 64, base64 96.
const perSignature = 192

// Envelope is the JSON envelope of DSSE v1.0.2 (envelope.md, "Standard JSON
// envelope") with any number of signatures from 1 to MaxSignatures. The order
// of members is that of canonical JSON.
type Envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures"` // sorted by KeyID, each once
}

// Signature is one signature of an Envelope.
type Signature struct {
	KeyID string `json:"keyid"` // PublicKey.ID
	Sig   []byte `json:"sig"`   // over PAE(payloadType, payload)
}

// DecodeEnvelope reads an envelope in its one form and of this payload type,
// WITHOUT verifying a signature: ask SignedBy. The limit is for the payload, in
// bytes.
func DecodeEnvelope(b []byte, payloadType string, limit int) (*Envelope, error) {
	limit = min(limit, MaxSize)
	if most := base64.StdEncoding.EncodedLen(limit) + overhead + MaxSignatures*perSignature; len(b) > most {
		return nil, fmt.Errorf("decoding envelope: size: got %d bytes, want at most %d", len(b), most)
	}
	e, err := readEnvelope(b)
	if err != nil {
		return nil, fmt.Errorf("decoding envelope: %w", err)
	}
	if len(e.Payload) > limit {
		return nil, fmt.Errorf("decoding envelope: payload: got %d bytes, want at most %d", len(e.Payload), limit)
	}
	if e.PayloadType != payloadType {
		return nil, fmt.Errorf("decoding envelope: payload type: got %.100q, want %q", e.PayloadType, payloadType)
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("decoding envelope: %w", err)
	}
	return e, nil
}

func readEnvelope(b []byte) (*Envelope, error) {
	var e Envelope
	r := canon.NewReader(b)
	r.Literal(`{"payload":`)
	e.Payload = r.Base64()
	r.Literal(`,"payloadType":`)
	e.PayloadType = r.Text()
	r.Literal(`,"signatures":[`)
	for more := true; more; more = r.Next(`,`) {
		r.Literal(`{"keyid":`)
		id := r.Text()
		r.Literal(`,"sig":`)
		e.Signatures = append(e.Signatures, Signature{KeyID: id, Sig: r.Base64()})
		r.Literal(`}`)
	}
	r.Literal(`]}`)
	return &e, r.End()
}

// Encode gives the bytes that DecodeEnvelope reads.
func (e *Envelope) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("encoding envelope: %w", err)
	}
	return canon.Marshal(e)
}

// check holds what does not depend on the reader.
func (e *Envelope) check() error {
	if e.Payload == nil {
		return errors.New("payload: got null, want base64")
	}
	if len(e.Payload) > MaxSize {
		return fmt.Errorf("payload: got %d bytes, want at most %d", len(e.Payload), MaxSize)
	}
	if n := len(e.PayloadType); n < 1 || n > maxType {
		return fmt.Errorf("payload type: got %d bytes, want 1 to %d", n, maxType)
	}
	if strings.ContainsFunc(e.PayloadType, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("payload type: got %.100q, want printable ASCII", e.PayloadType)
	}
	if n := len(e.Signatures); n < 1 || n > MaxSignatures {
		return fmt.Errorf("signatures: got %d, want 1 to %d", n, MaxSignatures)
	}
	for i, s := range e.Signatures {
		if len(s.KeyID) != 64 || strings.Trim(s.KeyID, "0123456789abcdef") != "" {
			return fmt.Errorf("signature %d: keyid: got %.100q, want 32 bytes of lower-case hex", i, s.KeyID)
		}
		if n := len(s.Sig); n < minSignature || n > maxSignature {
			return fmt.Errorf("signature %d: got %d bytes, want %d to %d", i, n, minSignature, maxSignature)
		}
		if i > 0 && s.KeyID <= e.Signatures[i-1].KeyID {
			return fmt.Errorf("signature %d: keyid %s: not sorted, or twice", i, s.KeyID)
		}
	}
	return nil
}

// Add signs the envelope and puts the signature in its place. A key signs once.
// A signature that does not verify is refused: a token that is broken or holds
// another key than it says would otherwise be noticed after publication.
func (e *Envelope) Add(s Signer) error {
	public := s.Public()
	id := public.ID()
	if id == "" {
		return errors.New("signing envelope: signer has no public key")
	}
	at, found := slices.BinarySearchFunc(e.Signatures, id, func(s Signature, id string) int { return cmp.Compare(s.KeyID, id) })
	if found {
		return fmt.Errorf("signing envelope: already signed by key %s", id)
	}
	if len(e.Signatures) >= MaxSignatures {
		return fmt.Errorf("signing envelope: got %d signatures, want at most %d", len(e.Signatures)+1, MaxSignatures)
	}
	message := PAE(e.PayloadType, e.Payload)
	sig, err := s.Sign(message)
	if err != nil {
		return fmt.Errorf("signing envelope: %w", err)
	}
	if !public.Verify(message, sig) {
		return fmt.Errorf("signing envelope: what the signer of key %s gave does not verify", id)
	}
	e.Signatures = slices.Insert(e.Signatures, at, Signature{KeyID: id, Sig: sig})
	return nil
}

// SignedBy says whether a signature of this key is there and verifies.
func (e *Envelope) SignedBy(key PublicKey) bool {
	id := key.ID() // of the zero PublicKey empty: it verifies nothing
	for _, s := range e.Signatures {
		if s.KeyID == id && key.Verify(PAE(e.PayloadType, e.Payload), s.Sig) {
			return true
		}
	}
	return false
}
