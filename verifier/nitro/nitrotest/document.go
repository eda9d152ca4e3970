package nitrotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Document is a document to be. Its fields may have any value; the functions
// change what is made of them.
type Document struct {
	Module    string
	Digest    string
	Timestamp time.Time
	TPM       bool // nitrotpm_pcrs instead of pcrs
	PCRs      map[int][]byte
	PublicKey []byte // nil: null
	UserData  []byte // nil: null
	Nonce     []byte // nil: null

	Indefinite bool // the payload map, as AWS's since 2025
	Tagged     bool // tag 18

	Bundle  func(cabundle [][]byte) [][]byte // from the root down, before signing
	Fields  func(pairs []Pair) []Pair        // of the payload, before signing
	Payload func(payload []byte) []byte      // before signing
	Header  Item                             // protected headers; nil: ES384
	Signed  func(s *Sign1)                   // after signing
	Raw     func(document []byte) []byte     // the whole
}

// Sign1 is a COSE_Sign1 (RFC 9052, section 4.2), element by element.
type Sign1 struct {
	Protected, Unprotected, Payload, Signature Item
	Elements                                   func([]Item) []Item // nil: as they are
}

// Make signs a document by a leaf's key. The certificates are those of the chain,
// the root first and the leaf last.
func (d *Document) Make(certificates [][]byte, key crypto.Signer) ([]byte, error) {
	if len(certificates) < 2 {
		return nil, fmt.Errorf("making document: got %d certificates, want a root and a leaf", len(certificates))
	}
	leaf, bundle := certificates[len(certificates)-1], slices.Clone(certificates[:len(certificates)-1])
	if d.Bundle != nil {
		bundle = d.Bundle(bundle)
	}
	payload := d.payload(leaf, bundle)
	protected := d.Header
	if protected == nil {
		protected = Map(Pair{Number(1), Negative(34)}) // alg: -35
	}
	signature, err := Sign(key, SigStructure(protected, payload))
	if err != nil {
		return nil, err
	}
	s := &Sign1{Bytes(protected), Map(), Bytes(payload), Bytes(signature), nil}
	if d.Signed != nil {
		d.Signed(s)
	}
	elements := []Item{s.Protected, s.Unprotected, s.Payload, s.Signature}
	if s.Elements != nil {
		elements = s.Elements(elements)
	}
	whole := Array(elements...)
	if d.Tagged {
		whole = append(head(6, 18), whole...)
	}
	if d.Raw != nil {
		return d.Raw(whole), nil
	}
	return whole, nil
}

// payload has the keys in the order of a real document of 2024-09.
func (d *Document) payload(leaf []byte, bundle [][]byte) []byte {
	var registers []Pair
	for _, i := range slices.Sorted(maps.Keys(d.PCRs)) {
		registers = append(registers, Pair{Number(uint64(i)), BytesOrNull(d.PCRs[i])})
	}
	var authorities []Item
	for _, der := range bundle {
		authorities = append(authorities, Bytes(der))
	}
	key := "pcrs"
	if d.TPM {
		key = "nitrotpm_pcrs"
	}
	pairs := []Pair{
		{Text("module_id"), Text(d.Module)},
		{Text("digest"), Text(d.Digest)},
		{Text("timestamp"), Number(uint64(d.Timestamp.UnixMilli()))},
		{Text(key), Map(registers...)},
		{Text("certificate"), Bytes(leaf)},
		{Text("cabundle"), Array(authorities...)},
		{Text("public_key"), BytesOrNull(d.PublicKey)},
		{Text("user_data"), BytesOrNull(d.UserData)},
		{Text("nonce"), BytesOrNull(d.Nonce)},
	}
	if d.Fields != nil {
		pairs = d.Fields(pairs)
	}
	payload := Map(pairs...)
	if d.Indefinite {
		payload = IndefiniteMap(pairs...)
	}
	if d.Payload != nil {
		return d.Payload(payload)
	}
	return payload
}

// SigStructure is what a COSE_Sign1 signs (RFC 9052, section 4.4).
func SigStructure(protected, payload []byte) []byte {
	return Array(Text("Signature1"), Bytes(protected), Bytes(nil), Bytes(payload))
}

// Sign makes an ES384 signature: r and s, 48 bytes each. Keys that are not on
// P-384 give 96 bytes that are none.
func Sign(key crypto.Signer, signed []byte) ([]byte, error) {
	if key == nil {
		return nil, errors.New("signing: no key")
	}
	out := make([]byte, 96)
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Params().BitSize != 384 {
		return out, nil
	}
	sum := sha512.Sum384(signed)
	r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	r.FillBytes(out[:48])
	s.FillBytes(out[48:])
	return out, nil
}
