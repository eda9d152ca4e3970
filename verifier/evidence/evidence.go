// Package evidence is the file in which a guest answers a challenge
// (docs/format-evidence.md): what the transcript binds (protocol.md, section
// 2) and the quotes, registers and logs of the platform.
//
// Decode checks form and bounds only. Nothing in an evidence file is true
// before a verifier has checked it.
package evidence

import (
	"bytes"
	"fmt"
	"slices"

	"safebox/verifier/canon"
	"safebox/verifier/configuration"
	"safebox/verifier/transcript"
)

// Type is the value of Evidence.Type.
const Type = "safebox/evidence/v1"

// Limits of an evidence file.
const (
	MaxSize       = 4 << 20 // bytes
	MaxEventLog   = 1 << 20 // bytes
	MaxRuntime    = 64      // events
	MaxActivation = 64      // bytes
	MaxPublic     = 1024    // bytes of TPMT_PUBLIC
	MaxAttest     = 1024    // bytes of TPMS_ATTEST
	MaxSignature  = 1024    // bytes of TPMT_SIGNATURE
)

// maxCommas bounds the number of members and elements before anything is
// decoded: the largest valid file is one of vtpm. It has 9 commas between its members, 4 in
// vtpm, 1 between two quotes of 50 each, 127 in the longest runtime log, and
// none inside a string.
const maxCommas = 9 + 4 + 1 + 2*50 + 127

// Evidence is an evidence file.
type Evidence struct {
	Type          string         `json:"type"`
	Platform      string         `json:"platform"`
	Nonce         canon.Octets32 `json:"nonce"`         // the challenge's
	Audience      canon.Octets32 `json:"audience"`      // transcript.Audience of the owner's key
	KEM           []byte         `json:"kem"`           // u16 identifier || public key, fresh for this challenge
	ReceiptKey    canon.Octets32 `json:"receipt_key"`   // Ed25519 public key, made at boot
	Release       canon.Octets32 `json:"release"`       // the challenge's
	Configuration []byte         `json:"configuration"` // the document, empty if there is none
	BootSession   canon.Octets32 `json:"boot_session"`  // random, made at boot
	VTPM          *VTPM          `json:"vtpm"`          // nil on other platforms

	// Of the other platforms, absent but on theirs.
	SNP   *SNP   `json:"snp,omitempty"`
	TDX   *TDX   `json:"tdx,omitempty"`
	Nitro *Nitro `json:"nitro,omitempty"` // nitro and nitrotpm
}

// Encode gives the canonical bytes. An empty list may be nil.
func (e *Evidence) Encode() ([]byte, error) {
	whole := e.whole()
	if err := whole.check(); err != nil {
		return nil, fmt.Errorf("encoding evidence: %w", err)
	}
	b, err := canon.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encoding evidence: %w", err)
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("encoding evidence: %d bytes, want at most %d", len(b), MaxSize)
	}
	return b, nil
}

// Decode parses an evidence file strictly.
func Decode(b []byte) (*Evidence, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("decoding evidence: %d bytes, want at most %d", len(b), MaxSize)
	}
	if n := bytes.Count(b, []byte{','}); n > maxCommas {
		return nil, fmt.Errorf("decoding evidence: %d commas, want at most %d", n, maxCommas)
	}
	var e Evidence
	if err := canon.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("decoding evidence: %w", err)
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("decoding evidence: %w", err)
	}
	return &e, nil
}

// Transcript is the transcript input that this evidence claims.
func (e *Evidence) Transcript() *transcript.Input {
	return &transcript.Input{
		Platform:    e.Platform,
		Nonce:       e.Nonce,
		Audience:    e.Audience,
		KEM:         bytes.Clone(e.KEM),
		ReceiptKey:  e.ReceiptKey,
		Release:     e.Release,
		Config:      transcript.Config(e.Configuration),
		BootSession: e.BootSession,
	}
}

// whole is e with an empty list where e has none: JSON writes nil as null,
// which is no list.
func (e *Evidence) whole() *Evidence {
	w := *e
	w.Configuration = present(w.Configuration)
	if e.VTPM != nil {
		v := *e.VTPM
		v.EventLog, v.Activation = present(v.EventLog), present(v.Activation)
		v.Runtime = listed(v.Runtime)
		w.VTPM = &v
	}
	if e.SNP != nil {
		w.SNP = &SNP{Report: e.SNP.Report, Endorsements: present(e.SNP.Endorsements)}
	}
	if e.TDX != nil {
		t := *e.TDX
		t.EventLog, t.Runtime, t.Endorsements = present(t.EventLog), listed(t.Runtime), present(t.Endorsements)
		w.TDX = &t
	}
	if e.Nitro != nil {
		w.Nitro = &Nitro{Document: e.Nitro.Document, Runtime: listed(e.Nitro.Runtime)}
	}
	return &w
}

func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func listed(events []RuntimeEvent) []RuntimeEvent {
	if events == nil {
		return []RuntimeEvent{}
	}
	return events
}

func (e *Evidence) check() error {
	if e.Type != Type {
		return fmt.Errorf("type: got %.100q, want %q", e.Type, Type)
	}
	if err := transcript.CheckPlatform(e.Platform); err != nil {
		return err
	}
	if err := transcript.CheckKEM(e.KEM); err != nil {
		return err
	}
	if err := checkLength("configuration", e.Configuration, 0, configuration.MaxSize); err != nil {
		return err
	}
	for _, p := range e.parts() {
		want := slices.Contains(p.of, e.Platform)
		switch {
		case p.there && !want:
			return fmt.Errorf("%s: got an object, want none on platform %q", p.name, e.Platform)
		case !p.there && want:
			return fmt.Errorf("%s: got none, want an object on platform %q", p.name, e.Platform)
		case !want:
			continue
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// checkLength refuses null too, which decodes to a nil slice.
func checkLength(field string, b []byte, low, high int) error {
	if b == nil {
		return fmt.Errorf("%s: got null, want a string", field)
	}
	if len(b) < low || len(b) > high {
		return fmt.Errorf("%s: got %d bytes, want %d to %d", field, len(b), low, high)
	}
	return nil
}
