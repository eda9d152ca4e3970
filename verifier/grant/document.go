// Package grant is the owner's permission to one attested guest: run this
// module with these parameters over these chunks, and give the outputs to
// these recipients (docs/format-grant.md; specs/protocol.md, section 5). The
// permission is a signed document; the keys of the chunks go with it, sealed
// to the key that the guest made for the owner's challenge (HPKE, RFC 9180,
// base mode; KEM of draft-ietf-hpke-pq).
//
// Whoever carries a grant can neither change nor use it: the sealed part
// opens only together with the document and the transcript it was made for.
package grant

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"safebox/verifier/canon"
	"safebox/verifier/keyfile"
	"safebox/verifier/object"
)

// Type is the value of Document.Type.
const Type = "safebox/grant/v1"

// Limits of a grant.
const (
	MaxFile       = 64 << 10 // bytes of the file
	MaxLife       = 3600     // seconds from notBefore to notAfter
	MaxRecipients = 16
	RecipientSize = keyfile.RecipientSize
)

// Document is what the owner signs (specs/protocol.md, section 5).
type Document struct {
	Type       string         `json:"type"`
	Object     string         `json:"object"`     // rootCid of the object
	Ranges     object.Ranges  `json:"ranges"`     // chunks [a,b), sorted, disjoint
	Module     canon.Octets32 `json:"module"`     // SHA-256 of the WASM
	Params     canon.Octets32 `json:"params"`     // SHA-256 of the job's parameters
	Recipients [][]byte       `json:"recipients"` // raw HPKE public keys of RecipientSize bytes
	Transcript canon.Octets32 `json:"transcript"` // SHA-256(T)
	Evidence   canon.Octets32 `json:"evidence"`   // SHA-256 of the evidence file
	Release    canon.Octets32 `json:"release"`    // SHA-256 of release.json

	// Checkpoint is the SHA-256 of the note text of the log's checkpoint on which
	// the owner's decision about the release rested. A pointer, so that a grant
	// without one is refused under its own name.
	Checkpoint *canon.Octets32 `json:"checkpoint,omitempty"`

	NotBefore int64          `json:"notBefore"` // Unix seconds, both ends included
	NotAfter  int64          `json:"notAfter"`
	Serial    canon.Octets16 `json:"serial"` // random, used once
}

// encode gives the canonical bytes of a document that passes its checks.
func (d *Document) encode() ([]byte, error) {
	for _, check := range []func() error{d.check, d.checkProof, d.checkLife} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return canon.Marshal(d)
}

func decodeDocument(b []byte) (*Document, error) {
	var d Document
	if err := canon.Unmarshal(b, &d); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return &d, nil
}

// check holds each field against its own form, in the order of the table in
// docs/format-grant.md.
func (d *Document) check() error {
	if d.Type != Type {
		return fmt.Errorf("type: got %.100q, want %q", d.Type, Type)
	}
	if _, err := object.ParseCID(d.Object); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	// How many chunks the object has is in its manifest, which is not here:
	// who opens the object compares.
	if err := d.Ranges.Check(math.MaxUint32); err != nil {
		return err
	}
	if n := len(d.Recipients); n < 1 || n > MaxRecipients {
		return fmt.Errorf("recipients: got %d, want 1 to %d", n, MaxRecipients)
	}
	for i, r := range d.Recipients {
		if err := keyfile.CheckRecipient(r); err != nil {
			return fmt.Errorf("recipients: entry %d: %w", i, err)
		}
		for j, earlier := range d.Recipients[:i] {
			if bytes.Equal(r, earlier) {
				return fmt.Errorf("recipients: entry %d: same key as entry %d", i, j)
			}
		}
	}
	for _, f := range []struct {
		name  string
		value canon.Octets32
	}{{"module", d.Module}, {"params", d.Params}, {"transcript", d.Transcript}, {"evidence", d.Evidence}, {"release", d.Release}} {
		if f.value == (canon.Octets32{}) {
			return fmt.Errorf("%s: all zero, want a SHA-256", f.name)
		}
	}
	if d.Serial == (canon.Octets16{}) {
		return errors.New("serial: all zero, want 16 random bytes")
	}
	return nil
}

// checkProof wants the checkpoint of a release that was published: no release
// proof, no key.
func (d *Document) checkProof() error {
	if d.Checkpoint == nil {
		return errors.New("checkpoint: got none, want that of the log in which the release was found")
	}
	if *d.Checkpoint == (canon.Octets32{}) {
		return errors.New("checkpoint: all zero, want a SHA-256")
	}
	return nil
}

// checkLife wants a life that is not empty, not negative and at most MaxLife.
func (d *Document) checkLife() error {
	if d.NotBefore < 0 {
		return fmt.Errorf("notBefore: got %d, want 0 or more", d.NotBefore)
	}
	if life := d.NotAfter - d.NotBefore; life < 1 || life > MaxLife {
		return fmt.Errorf("notAfter - notBefore: got %d s, want 1 to %d", life, MaxLife)
	}
	return nil
}
