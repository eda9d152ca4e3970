// Package explainsev says why a launch digest of SEV-SNP, SEV-ES or SEV is not the
// expected one. Its axes are what VMMs and measuring tools settle in different ways
// within AMD 56860 (SEV-SNP firmware ABI) and AMD 55766 (SEV API).
package explainsev

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"safebox/measure/explain"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/search"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
)

// Mode is the kind of SEV under which a guest is launched.
type Mode uint8

// The kinds of SEV.
const (
	SEVSNP Mode = iota + 1 // launch digest of 48 bytes
	SEVES                  // 32 bytes
	SEV                    // 32 bytes
)

// String returns the name as AMD writes it.
func (m Mode) String() string {
	switch m {
	case SEVSNP:
		return "SEV-SNP"
	case SEVES:
		return "SEV-ES"
	case SEV:
		return "SEV"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Guest is a launch under SEV-SNP, SEV-ES or SEV whose digest was expected, and
// what else the caller has at hand.
type Guest struct {
	Mode   Mode
	Launch snp.Launch

	// CommandLine is the text behind Launch.Kernel.CommandLine. Nil: unknown, and
	// only its absence is tried.
	CommandLine *string

	// Inputs of other releases, to be tried in place of the expected ones. Kernels
	// and Initrds are SHA-256 digests of the files. Without an expected kernel,
	// Kernels are tried as ones that the host gave.
	Firmware     []explain.Named[snp.Firmware]
	Kernels      []explain.Named[[32]byte]
	Initrds      []explain.Named[[32]byte]
	CommandLines []explain.Named[string]

	// Owner is what the owner of a SEV or SEV-ES guest knows of LAUNCH_MEASURE. Nil:
	// its answer can't be told from a launch digest.
	Owner *Owner
}

// Owner holds what LAUNCH_MEASURE hashes beside the launch digest.
type Owner struct {
	TIK      [16]byte // transport integrity key
	Measured snp.Measured
}

// Bounds of the search: 2 s on one core of today. Firmware is hashed once for
// SEV-SNP, but for each probe under an SVSM, and for SEV and SEV-ES.
const (
	snpProbes  = 5000
	sevProbes  = 250
	svsmProbes = 120
)

// Explain searches for launches that give the reported digest.
func (in Guest) Explain(reported []byte) (*explain.Result, error) {
	if err := in.check(reported); err != nil {
		return nil, fmt.Errorf("explaining launch digest: %w", err)
	}
	expected, failed := in.expected()
	r, err := explain.New("launch_digest", expected, reported)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		r.Note("the expected launch has no digest: %v", failed)
	}
	l := newLab(&in, reported)
	s := search.Space[state]{Start: l.start, Axes: l.axes(), Probe: l.probe, Most: l.most()}
	s.Search()
	if s.Tried() == 0 {
		return nil, fmt.Errorf("explaining launch digest: no neighbour of the expected launch can be measured: %w", failed)
	}
	s.Report(r, "this launch", explain.Axis{
		Name: axisVCPUs, Expected: fmt.Sprint(in.Launch.VCPUs), Values: vcpuLimit(in.Launch, l.firmware[0]) - 1,
	})
	in.notes(r, reported)
	return r, nil
}

// check refuses what is no question.
func (in *Guest) check(reported []byte) error {
	switch in.Mode {
	case SEVSNP, SEVES, SEV:
	default:
		return fmt.Errorf("mode: got %v, want SEV-SNP, SEV-ES or SEV", in.Mode)
	}
	if len(reported) != 32 && len(reported) != 48 {
		return fmt.Errorf("reported value: got %d bytes, want 48 (SEV-SNP) or 32 (SEV, SEV-ES)", len(reported))
	}
	if err := inputs.Check(len(in.Firmware), len(in.Kernels), len(in.Initrds), len(in.CommandLines)); err != nil {
		return err
	}
	if k := in.Launch.Kernel; k != nil && in.CommandLine != nil && snp.HashCommandLine(*in.CommandLine) != k.CommandLine {
		return errors.New("command line: the text is not the one whose hash is in the expected launch")
	}
	return nil
}

// expected is the digest of the launch.
func (in *Guest) expected() ([]byte, error) {
	switch in.Mode {
	case SEVSNP:
		d, err := snp.Measure(in.Launch)
		if err != nil {
			return nil, err
		}
		return d[:], nil
	case SEVES:
		d, err := snp.MeasureSEVES(in.Launch)
		if err != nil {
			return nil, err
		}
		return d[:], nil
	case SEV:
	}
	d, err := snp.MeasureSEV(in.Launch)
	if err != nil {
		return nil, err
	}
	return d[:], nil
}

// notes says what the digest can't tell.
func (in *Guest) notes(r *explain.Result, reported []byte) {
	if bytes.Count(reported, []byte{0}) == len(reported) {
		r.Note("the reported digest is all zeros, which no launch gives")
	}
	if len(reported) == 32 && in.Owner == nil && len(r.Findings) == 0 {
		r.Note("what LAUNCH_MEASURE answers is an HMAC of the launch digest, not the digest: without the session's key (TIK) it can't be told from any other value")
	}
	if l := in.Launch.Firmware; l.Seed != nil && len(reported) == 32 {
		r.Note("the firmware was given as a hash of SEV-SNP: SEV and SEV-ES need the image")
	}
	if len(r.Findings) == 0 {
		r.Note("policy, HOST_DATA, ID block and report data are not part of a launch digest")
	}
}

// hasUnknown tells if the SEV metadata has sections of unknown types.
func hasUnknown(sections []ovmf.SEVSection) bool {
	for _, s := range sections {
		if unknownType(s) {
			return true
		}
	}
	return false
}

func unknownType(s ovmf.SEVSection) bool {
	switch s.Type {
	case ovmf.SecMem, ovmf.Secrets, ovmf.CPUID, ovmf.SVSMCAA, ovmf.KernelHashes:
		return false
	}
	return true
}

// noInitrd is the hash of no bytes.
func noInitrd() [32]byte { return sha256.Sum256(nil) }
