// Package receipt is what a guest says about a run it made: which module and
// parameters, under which grant, over which chunks, with which outputs
// (docs/format-receipt.md; specs/runtime.md, A6). It is signed by the key that
// the guest's evidence names, so it is worth what that evidence is worth.
package receipt

import (
	"crypto/ed25519"
	"fmt"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/object"
)

// Type is the value of Document.Type.
const Type = "safebox/receipt/v1"

// Limits of a receipt.
const (
	MaxSize    = 112 << 10 // bytes of the document
	MaxFile    = 160 << 10 // bytes of the envelope
	maxInputs  = 16
	maxOutputs = 64
	maxSealed  = 16
	maxName    = 32 // bytes of a kind or a trap
)

// Document is a receipt.
type Document struct {
	Type       string         `json:"type"`
	Grant      canon.Octets32 `json:"grant"`      // SHA-256 of the grant document
	Module     canon.Octets32 `json:"module"`     // SHA-256 of the WASM
	Params     canon.Octets32 `json:"params"`     // SHA-256 of the parameters
	Evidence   canon.Octets32 `json:"evidence"`   // SHA-256 of the evidence file the grant was made upon
	Transcript canon.Octets32 `json:"transcript"` // SHA-256(T)
	Release    canon.Octets32 `json:"release"`    // SHA-256 of release.json
	Inputs     []Input        `json:"inputs"`
	Outputs    []Output       `json:"outputs"`     // ascending by slot
	Exit       int64          `json:"exit"`        // what the module returned
	Trap       string         `json:"trap"`        // why it was ended: "trap", "wall", "memory"; empty if it returned
	MemoryPeak int64          `json:"memory_peak"` // bytes of linear memory
	WallMicros int64          `json:"wall_us"`     // microseconds, guest's monotonic clock
	Serial     canon.Octets16 `json:"serial"`      // of the grant
	Sequence   int64          `json:"sequence"`    // receipts of this boot, from 1
	Time       int64          `json:"time"`        // Unix seconds by the guest's clock, which the host sets: no proof
}

// Input is an object that the module could read.
type Input struct {
	Root   string        `json:"root"`   // rootCid
	Ranges object.Ranges `json:"ranges"` // chunks that were granted
}

// Output is what the module wrote to one slot.
type Output struct {
	Slot   uint32           `json:"slot"`
	Kind   string           `json:"kind"`
	Size   int64            `json:"size"`   // bytes of plaintext
	Sealed []canon.Octets32 `json:"sealed"` // SHA-256 of each recipient's ciphertext, in the grant's order
}

// Sign checks the document and gives its envelope.
func Sign(d *Document, key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("signing receipt: key: got %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("signing receipt: %w", err)
	}
	b, err := canon.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("signing receipt: %w", err)
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("signing receipt: size: got %d bytes, want at most %d", len(b), MaxSize)
	}
	return dsse.Sign(dsse.TypeReceipt, b, key), nil
}

// Open gives the document after verifying it under the receipt key of the
// guest's evidence.
func Open(envelope []byte, key [32]byte) (*Document, error) {
	b, err := dsse.Open(envelope, dsse.TypeReceipt, ed25519.PublicKey(key[:]), MaxSize)
	if err != nil {
		return nil, fmt.Errorf("opening receipt: %w", err)
	}
	var d Document
	if err := canon.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("opening receipt: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("opening receipt: %w", err)
	}
	return &d, nil
}
