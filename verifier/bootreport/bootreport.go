// Package bootreport is the format in which a guest tells what happened while
// it booted: docs/format-boot-report.md. The report is a convenience for
// people and tests; it is unsigned, comes through an untrusted host, and no
// verdict rests on it.
package bootreport

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Type is the value of Report.Type.
const Type = "safebox/boot-report/v1"

// Limits of a report, in bytes or entries.
const (
	MaxSize     = 4 << 20
	MaxSteps    = 256
	MaxRefusals = 64
	MaxEventLog = 1 << 20
	MaxText     = 4096
)

// Report is the boot report.
type Report struct {
	Type        string    `json:"type"`
	Platform    string    `json:"platform"`
	Kernel      string    `json:"kernel"`       // uname release
	CommandLine string    `json:"command_line"` // /proc/cmdline without its newline
	Form        string    `json:"form"`         // name of the accepted command-line form: "uki"; empty when refused
	Steps       []Step    `json:"steps"`
	Refusals    []Refusal `json:"refusals"` // empty but for a test-only init, which reports where the appliance powers off
	Modules     []string  `json:"modules"`  // in load order
	Sysctls     []Sysctl  `json:"sysctls"`
	Banks       []Bank    `json:"pcr_banks"` // as TPM2_PCR_Read gave them
	EventLog    []byte    `json:"event_log"` // TCG2 log as the kernel exposes it; base64
}

// Step is one step of the boot.
type Step struct {
	Name     string `json:"name"`
	Start    int64  `json:"start_us"`    // microseconds since the kernel started (CLOCK_BOOTTIME)
	Duration int64  `json:"duration_us"` // microseconds
	Detail   string `json:"detail"`
}

// Refusal is a reason not to go on.
type Refusal struct {
	ID     string `json:"id"` // stable name such as "command-line"
	Detail string `json:"detail"`
}

// Sysctl is one hardening setting.
type Sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Set   bool   `json:"set"` // false: this kernel does not have it
}

// Bank holds PCR 0 to 23 of one hash algorithm in lower-case hex.
type Bank struct {
	Algorithm string     `json:"algorithm"` // "sha256", "sha384"
	PCRs      [24]string `json:"pcrs"`
}

// Encode gives the report as one line of JSON.
func (r *Report) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encoding boot report: %w", err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding boot report: %w", err)
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("encoding boot report: %d bytes, want at most %d", len(b), MaxSize)
	}
	return b, nil
}

// Decode parses a report strictly: unknown fields, trailing bytes and
// anything beyond the limits are errors.
func Decode(b []byte) (*Report, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("decoding boot report: %d bytes, want at most %d", len(b), MaxSize)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r Report
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("decoding boot report: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decoding boot report: trailing data")
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("decoding boot report: %w", err)
	}
	return &r, nil
}

func (r *Report) check() error {
	switch {
	case r.Type != Type:
		return fmt.Errorf("type %q, want %q", r.Type, Type)
	case len(r.Steps) > MaxSteps:
		return fmt.Errorf("%d steps, want at most %d", len(r.Steps), MaxSteps)
	case len(r.Refusals) > MaxRefusals:
		return fmt.Errorf("%d refusals, want at most %d", len(r.Refusals), MaxRefusals)
	case len(r.EventLog) > MaxEventLog:
		return fmt.Errorf("event log of %d bytes, want at most %d", len(r.EventLog), MaxEventLog)
	case len(r.CommandLine) > MaxText:
		return fmt.Errorf("command line of %d bytes, want at most %d", len(r.CommandLine), MaxText)
	}
	seen := map[string]bool{}
	for _, b := range r.Banks {
		if seen[b.Algorithm] {
			return fmt.Errorf("bank %q twice", b.Algorithm)
		}
		seen[b.Algorithm] = true
		if err := b.check(); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bank) check() error {
	size, ok := map[string]int{"sha256": 32, "sha384": 48}[b.Algorithm]
	if !ok {
		return fmt.Errorf("bank %q, want sha256 or sha384", b.Algorithm)
	}
	for i, p := range b.PCRs {
		d, err := hex.DecodeString(p)
		if err != nil || len(d) != size || hex.EncodeToString(d) != p {
			return fmt.Errorf("bank %s: pcr%d is %q, want %d bytes of lower-case hex", b.Algorithm, i, p, size)
		}
	}
	return nil
}
