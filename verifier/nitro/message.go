package nitro

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"
)

// MaxSize bounds a document, in bytes (specs/nitro.md, section 4.4, step 1). The
// largest real one has 7.5 KiB.
const MaxSize = 32 << 10

// Facts of the message.
const (
	maxPayload    = 16 << 10 // bytes: specs/verify.md, section 3, point 1
	tagSign1      = 0xd2     // tag 18 in its shortest form (RFC 9052, table 1: cose-sign1)
	headerAlg     = 1        // RFC 9052, table 3: alg
	es384         = -35      // RFC 9053, table 1
	orderSize     = 48       // bytes of r and of s on P-384
	signatureSize = 2 * orderSize
)

// message is a COSE_Sign1 (RFC 9052, section 4.2).
type message struct {
	protected []byte // as received: it is signed
	payload   []byte // as received: it is signed
	signature []byte // r and s, big-endian
}

// decodeMessage: specs/nitro.md, section 4.4, step 1.
func decodeMessage(d *decoder, b []byte) (*message, error) {
	if len(b) == 0 || len(b) > MaxSize {
		return nil, fmt.Errorf("document: got %d bytes, want 1 to %d", len(b), MaxSize)
	}
	if b[0] == tagSign1 {
		b = b[1:]
	}
	parts, err := d.array(b)
	if err != nil {
		return nil, fmt.Errorf("COSE_Sign1: %w", err)
	}
	if len(parts) != 4 {
		return nil, fmt.Errorf("COSE_Sign1: got %d elements, want 4", len(parts))
	}
	m := &message{}
	for _, part := range []struct {
		at int
		to *[]byte
	}{{0, &m.protected}, {2, &m.payload}, {3, &m.signature}} {
		if *part.to, err = d.bytes(parts[part.at]); err != nil {
			return nil, fmt.Errorf("COSE_Sign1: element %d: %w", part.at, err)
		}
	}
	if err := checkHeaders(d, m.protected, parts[1]); err != nil {
		return nil, err
	}
	if n := len(m.payload); n == 0 || n > maxPayload {
		return nil, fmt.Errorf("payload: got %d bytes, want 1 to %d", n, maxPayload)
	}
	if n := len(m.signature); n != signatureSize {
		return nil, fmt.Errorf("signature: got %d bytes, want %d", n, signatureSize)
	}
	return m, nil
}

// checkHeaders wants ES384 in the protected headers and nothing else in either,
// so that crit, too, is refused.
func checkHeaders(d *decoder, protected, unprotected []byte) error {
	headers, err := pairs[any](d, protected)
	if err != nil {
		return fmt.Errorf("protected headers: %w", err)
	}
	item, ok := headers[uint64(headerAlg)]
	if !ok {
		return errors.New("protected headers: alg: missing")
	}
	if len(headers) != 1 {
		return fmt.Errorf("protected headers: got %d, want alg alone", len(headers))
	}
	var alg int64
	if err := d.read(item, majorNegative, &alg); err != nil {
		return fmt.Errorf("protected headers: alg: %w", err)
	}
	if alg != es384 {
		return fmt.Errorf("protected headers: alg: got %d, want %d (ES384)", alg, es384)
	}
	others, err := pairs[any](d, unprotected)
	if err != nil {
		return fmt.Errorf("unprotected headers: %w", err)
	}
	if len(others) != 0 {
		return fmt.Errorf("unprotected headers: got %d, want none", len(others))
	}
	return nil
}

// verify checks the signature (specs/nitro.md, section 4.2; step 6). The curve
// is looked at again, so that no order of calls hands ECDSA another one.
func (m *message) verify(key *ecdsa.PublicKey) error {
	if key.Curve != elliptic.P384() {
		return fmt.Errorf("leaf's key: got curve %s, want P-384", key.Curve.Params().Name)
	}
	signed, err := m.signed()
	if err != nil {
		return err
	}
	sum := sha512.Sum384(signed)
	r, s := new(big.Int).SetBytes(m.signature[:orderSize]), new(big.Int).SetBytes(m.signature[orderSize:])
	if !ecdsa.Verify(key, sum[:], r, s) {
		return errors.New("the leaf's key did not make it over these headers and this payload")
	}
	return nil
}

// signed is the Sig_structure (RFC 9052, section 4.4) around the received bytes.
func (m *message) signed() ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal([]any{"Signature1", m.protected, []byte{}, m.payload})
}
