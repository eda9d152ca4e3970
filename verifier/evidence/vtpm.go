package evidence

import (
	"encoding/hex"
	"fmt"

	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
)

// PCRs is the number of PCRs of a PC Client TPM (PTP 1.05, section 4.6): 0 to
// 23.
const PCRs = 24

// The kinds of RuntimeEvent.
const (
	KindConfig = "config" // transcript.ConfigEvent
	KindKeys   = "keys"   // transcript.KeysEvent
)

// VTPM is what a guest with a TPM adds. Field names with TPM in them are
// structures of the TPM 2.0 Library, Part 2, in their wire form.
type VTPM struct {
	AK         []byte         `json:"ak"`         // TPMT_PUBLIC
	Quotes     []Quote        `json:"quotes"`     // one or two, by bank: sha256 before sha384
	EventLog   []byte         `json:"event_log"`  // TCG2 log as the kernel exposes it
	Runtime    []RuntimeEvent `json:"runtime"`    // what the guest extended into PCR 15, in order
	Activation []byte         `json:"activation"` // from TPM2_ActivateCredential; empty if nobody asked
}

// Quote is a quote and the registers that it is about.
type Quote struct {
	Bank      string `json:"bank"`      // golden.Bank: "sha256", "sha384"
	Attest    []byte `json:"attest"`    // TPMS_ATTEST
	Signature []byte `json:"signature"` // TPMT_SIGNATURE
	PCRs      []PCR  `json:"pcrs"`      // ascending by index
}

// PCR is the value of a register.
type PCR struct {
	Index int    `json:"index"`
	Value string `json:"value"` // lower-case hex of the bank's size
}

// RuntimeEvent is one event that the guest extended itself (specs/protocol.md,
// section 3).
type RuntimeEvent struct {
	Kind string `json:"kind"` // KindConfig or KindKeys
	// Digest is transcript.Config of the configuration document, or SHA-256 of
	// the grant document.
	Digest canon.Octets32 `json:"digest"`
}

func (v *VTPM) check() error {
	if err := checkLength("ak", v.AK, 1, MaxPublic); err != nil {
		return err
	}
	if n, most := len(v.Quotes), len(golden.Banks()); n == 0 || n > most {
		return fmt.Errorf("quotes: got %d, want 1 to %d", n, most)
	}
	for i, q := range v.Quotes {
		if err := q.check(); err != nil {
			return fmt.Errorf("quote %d: %w", i, err)
		}
		if i > 0 && v.Quotes[i-1].Bank >= q.Bank {
			return fmt.Errorf("quote %d: bank: got %s after %s, want each bank once, sorted", i, q.Bank, v.Quotes[i-1].Bank)
		}
	}
	if err := checkLength("event_log", v.EventLog, 0, MaxEventLog); err != nil {
		return err
	}
	if err := checkRuntime(v.Runtime); err != nil {
		return err
	}
	return checkLength("activation", v.Activation, 0, MaxActivation)
}

func (q *Quote) check() error {
	bank, err := golden.ParseBank(q.Bank)
	if err != nil {
		return err
	}
	if err := checkLength("attest", q.Attest, 1, MaxAttest); err != nil {
		return err
	}
	if err := checkLength("signature", q.Signature, 1, MaxSignature); err != nil {
		return err
	}
	if n := len(q.PCRs); n == 0 || n > PCRs {
		return fmt.Errorf("pcrs: got %d, want 1 to %d", n, PCRs)
	}
	size := len(bank.Zero())
	for i, p := range q.PCRs {
		if p.Index < 0 || p.Index >= PCRs {
			return fmt.Errorf("pcrs: index: got %d, want 0 to %d", p.Index, PCRs-1)
		}
		if i > 0 && q.PCRs[i-1].Index >= p.Index {
			return fmt.Errorf("pcrs: index: got %d after %d, want each once, ascending", p.Index, q.PCRs[i-1].Index)
		}
		d, err := hex.DecodeString(p.Value)
		if err != nil || len(d) != size || hex.EncodeToString(d) != p.Value {
			return fmt.Errorf("pcr%d: got %.100q, want %d bytes of lower-case hex", p.Index, p.Value, size)
		}
	}
	return nil
}
