package evidence

import (
	"fmt"

	"safebox/verifier/transcript"
)

// Limits of what hardware says.
const (
	MaxReport       = 4 << 10   // bytes of an SNP report: 1,184 today
	MaxQuote        = 16 << 10  // bytes of a TDX quote
	MaxDocument     = 32 << 10  // bytes of a Nitro document
	MaxEndorsements = 256 << 10 // bytes of a collateral bundle
)

// SNP is what a guest with SEV-SNP adds.
type SNP struct {
	Report       []byte `json:"report"`       // ATTESTATION_REPORT, as the firmware gave it
	Endorsements []byte `json:"endorsements"` // a collateral bundle, empty if there is none
}

// TDX is what a guest with TDX adds.
type TDX struct {
	Quote        []byte         `json:"quote"`        // as the quoting enclave gave it
	EventLog     []byte         `json:"event_log"`    // CCEL as the kernel exposes it
	Runtime      []RuntimeEvent `json:"runtime"`      // what the guest extended into RTMR3, in order: keys
	Endorsements []byte         `json:"endorsements"` // a collateral bundle, empty if there is none
}

// Nitro is what an enclave, or a machine with a NitroTPM, adds.
type Nitro struct {
	Document []byte         `json:"document"` // COSE_Sign1, as the hypervisor gave it
	Runtime  []RuntimeEvent `json:"runtime"`  // what the guest extended into PCR16 and PCR17, or PCR15 of a NitroTPM
}

func (s *SNP) check() error {
	if err := checkLength("report", s.Report, 1, MaxReport); err != nil {
		return err
	}
	return checkLength("endorsements", s.Endorsements, 0, MaxEndorsements)
}

func (t *TDX) check() error {
	if err := checkLength("quote", t.Quote, 1, MaxQuote); err != nil {
		return err
	}
	if err := checkLength("event_log", t.EventLog, 0, MaxEventLog); err != nil {
		return err
	}
	if err := checkRuntime(t.Runtime); err != nil {
		return err
	}
	return checkLength("endorsements", t.Endorsements, 0, MaxEndorsements)
}

func (n *Nitro) check() error {
	if err := checkLength("document", n.Document, 1, MaxDocument); err != nil {
		return err
	}
	return checkRuntime(n.Runtime)
}

func checkRuntime(events []RuntimeEvent) error {
	if events == nil || len(events) > MaxRuntime {
		return fmt.Errorf("runtime: got %d events, want a list of at most %d", len(events), MaxRuntime)
	}
	for i, r := range events {
		if r.Kind != KindConfig && r.Kind != KindKeys {
			return fmt.Errorf("runtime event %d: kind: got %.100q, want %q or %q", i, r.Kind, KindConfig, KindKeys)
		}
	}
	return nil
}

// part is the object of one kind of platform.
type part struct {
	name  string
	there bool
	of    []string // platforms
	check func() error
}

func (e *Evidence) parts() []part {
	return []part{
		{"vtpm", e.VTPM != nil, []string{transcript.VTPM}, e.VTPM.check},
		{"snp", e.SNP != nil, []string{transcript.SNP}, e.SNP.check},
		{"tdx", e.TDX != nil, []string{transcript.TDX}, e.TDX.check},
		{"nitro", e.Nitro != nil, []string{transcript.Nitro, transcript.NitroTPM}, e.Nitro.check},
	}
}
