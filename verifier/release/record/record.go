// Package record is what is published about a release: that its publisher
// made it, that somebody rebuilt it, that it is revoked. A record is an in-toto
// Statement (in-toto Attestation Framework, statement v1, resource descriptor
// v1) in a DSSE envelope (package dsse), both in canonical JSON (package
// canon). The bytes of the envelope are the entry of the release log, so one
// record has one entry.
//
// The formats are those of docs/format-release.md, "Records"; specs/runtime.md
// C1. Decode repeats the numbered steps there in order. It verifies no
// signature: who reads a record asks its envelope, SignedBy.
package record

import (
	"fmt"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
)

// PayloadType is the payload type of a record's envelope (in-toto Attestation
// Framework, envelope layer).
const PayloadType = "application/vnd.in-toto+json"

// StatementType is the `_type` of a statement (in-toto Attestation Framework,
// statement v1).
const StatementType = "https://in-toto.io/Statement/v1"

// Predicate types: what a record says of its subject.
const (
	TypeRelease = "safebox:release/v1"
	TypeRebuild = "safebox:rebuild/v1"
	TypeRevoke  = "safebox:revoke/v1"
)

// SubjectName is the name of each subject: the file whose SHA-256 is the
// release digest.
const SubjectName = "release.json"

// Sizes in bytes.
const (
	// MaxEntry bounds an entry. A log takes up to 65,535 (C2SP tlog-tiles,
	// "Log entries": the length is a uint16).
	MaxEntry = 60 << 10
	// MaxStatement bounds a statement, so that its base64 and 16 signatures
	// of at most 192 bytes each fit in MaxEntry.
	MaxStatement = 42 << 10
)

// Record is an entry of the log, or the statement in one. Exactly one of the
// last three is there.
type Record struct {
	Envelope *dsse.Envelope // nil if decoded from a statement alone
	Release  *Release
	Rebuild  *Rebuild
	Revoke   *Revoke
}

// Decode reads an entry. Its error is a *FormError. Whether anybody signed the
// record is to be asked of the envelope.
func Decode(entry []byte) (*Record, error) {
	// Step 1: size.
	if len(entry) > MaxEntry {
		return nil, formError(Syntax, "entry: got %d bytes, want at most %d", len(entry), MaxEntry)
	}
	// Steps 2 to 4: the envelope. The bound of the statement is step 5.
	e, err := dsse.DecodeEnvelope(entry, PayloadType, MaxEntry)
	if err != nil {
		return nil, explainEnvelope(entry, err)
	}
	// Steps 5 to 9: the statement.
	r, err := DecodeStatement(e.Payload)
	if err != nil {
		return nil, err
	}
	r.Envelope = e
	return r, nil
}

// Sign makes the entry of a statement that one of the Encode methods gave. At
// least one signer is needed, each once.
func Sign(statement []byte, signers ...dsse.Signer) ([]byte, error) {
	if _, err := DecodeStatement(statement); err != nil {
		return nil, fmt.Errorf("signing record: %w", err)
	}
	e := &dsse.Envelope{Payload: statement, PayloadType: PayloadType}
	return addSignatures(e, signers...)
}

// AddSignature gives the entry with one more signature. It is another entry: a
// log that has the first has not this one.
func AddSignature(entry []byte, s dsse.Signer) ([]byte, error) {
	r, err := Decode(entry)
	if err != nil {
		return nil, fmt.Errorf("signing record: %w", err)
	}
	return addSignatures(r.Envelope, s)
}

func addSignatures(e *dsse.Envelope, signers ...dsse.Signer) ([]byte, error) {
	for _, s := range signers {
		if err := e.Add(s); err != nil {
			return nil, fmt.Errorf("signing record: %w", err)
		}
	}
	entry, err := e.Encode()
	if err != nil {
		return nil, fmt.Errorf("signing record: %w", err)
	}
	if len(entry) > MaxEntry {
		return nil, fmt.Errorf("signing record: got %d bytes, want at most %d", len(entry), MaxEntry)
	}
	return entry, nil
}

// encode is canon.Marshal with the checks of DecodeStatement.
func encode(statement any) ([]byte, error) {
	b, err := canon.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("encoding record: %w", err)
	}
	if _, err := DecodeStatement(b); err != nil {
		return nil, fmt.Errorf("encoding record: %w", err)
	}
	return b, nil
}
