// Package nitro predicts the registers in which AWS says what it started: PCR0
// to PCR15 of a Nitro enclave, and those of an instance's NitroTPM that follow
// from its image.
//
// It implements:
//   - "Enclave Image File (EIF) Specification" of 2024-06-21, section "EIF
//     Measurements" (PCR0, PCR1, PCR2, PCR8), in the README of
//     github.com/aws/aws-nitro-enclaves-image-format at commit 935dc62.
//   - AWS Nitro Enclaves User Guide, "Where to get an enclave's measurements"
//     (PCR3, PCR4).
//   - Amazon EC2 User Guide, "Compute PCR measurements for a custom AMI"
//     (NitroTPM): the events are those of package tpm.
//
// PCR5 to 7 and 9 to 15 of an enclave stay zero. All 16 are locked before its
// kernel runs.
package nitro

import (
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"

	"safebox/measure/eif"
)

// Registers is the number of an enclave's registers that are fixed at start.
// PCR16 to 31 belong to the enclave.
const Registers = 16

// Digest is a SHA-384 digest or the value of a register.
type Digest [sha512.Size384]byte

// String returns lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Input is what a prediction is made from.
type Input struct {
	// Image is the image. Without it Parts say what goes into one.
	Image *eif.File
	Parts *Parts

	// Certificate is that of the key that will sign an unsigned image. A
	// signed image has its own.
	Certificate *x509.Certificate

	// RoleARN is the IAM role of the parent instance, NoRole says that it has
	// none. Without either PCR3 is not predicted.
	RoleARN string
	NoRole  bool

	// InstanceID is the parent instance, "i-..". Without it PCR4 is not
	// predicted.
	InstanceID string

	// Debug: the enclave is started in debug mode.
	Debug bool

	// Sections asks for the digest of each section beside those of what is
	// measured, which is the sections' content without their borders.
	Sections bool
}

// Parts are the content of an image, hashed in the order in which AWS's tools
// write it: kernel, command line, ramdisks. They are read once.
type Parts struct {
	Kernel      io.Reader
	CommandLine []byte // as it is: AWS's tools drop space around it first
	Ramdisks    []io.Reader
}

// Rule says how a register is to be compared.
type Rule uint8

// The rules.
const (
	Exact   Rule = iota + 1 // the predicted value
	Zero                    // 48 zero bytes: nothing was extended
	Missing                 // exact, but what it is computed from was not given
)

// String returns the rule's name.
func (r Rule) String() string {
	switch r {
	case Exact:
		return "exact"
	case Zero:
		return "zero"
	case Missing:
		return "missing"
	}
	return fmt.Sprintf("rule %d", uint8(r))
}

// Prediction holds what the registers will be.
type Prediction struct {
	Debug bool // what runs can be read and changed by the parent instance
	PCRs  [Registers]Register
}

// Register is the prediction for one PCR.
type Register struct {
	Rule  Rule
	Value Digest // zero if the rule is Missing
	Event *Event // what extends it: one event at most
	Note  string // what an auditor should know, or ""
}

// Event is what a register is extended with, once.
type Event struct {
	Content []Item  // in order, with nothing between them
	Digest  *Digest // of the content, which is extended; nil: the content itself is
}

// Item is a part of what is measured.
type Item struct {
	Name   string  // "kernel", "cmdline", "ramdisk 0", ..
	Offset int64   // of its first byte in the image; -1 if it is in none
	Size   int64   // bytes
	SHA384 *Digest // nil if it was not asked for
}

// Predict computes the registers of an enclave. The signature of a signed image
// is verified: PCR8 of one that does not hold is of no use.
func Predict(in Input) (*Prediction, error) {
	content, err := in.content()
	if err != nil {
		return nil, fmt.Errorf("predicting PCRs: %w", err)
	}
	p := &Prediction{Debug: in.Debug}
	for i := range p.PCRs {
		p.PCRs[i] = Register{Rule: Zero}
	}
	image, err := measure(content, in.Sections)
	if err != nil {
		return nil, fmt.Errorf("predicting PCR0: %w", err)
	}
	copy(p.PCRs[:], image[:])
	p.PCRs[1].Note = DescribePCR1(p.PCRs[1].Value)
	if p.PCRs[3], err = pcr3(in.RoleARN, in.NoRole); err != nil {
		return nil, fmt.Errorf("predicting PCR3: %w", err)
	}
	if p.PCRs[4], err = pcr4(in.InstanceID); err != nil {
		return nil, fmt.Errorf("predicting PCR4: %w", err)
	}
	if p.PCRs[8], err = pcr8(in.Image, in.Certificate, p.PCRs[0].Value); err != nil {
		return nil, fmt.Errorf("predicting PCR8: %w", err)
	}
	if in.Debug {
		p.blank()
	}
	return p, nil
}

// blank is what debug mode does: the registers of the image read as zero,
// those of the parent instance don't.
func (p *Prediction) blank() {
	for _, i := range []int{0, 1, 2, 8} {
		p.PCRs[i] = Register{Rule: Zero, Note: "debug mode: the image is not attested"}
	}
}

// extend is the value of a register that held zero.
func extend(data []byte) (d Digest) {
	h := sha512.New384()
	h.Write(make([]byte, len(d)))
	h.Write(data)
	h.Sum(d[:0])
	return d
}
