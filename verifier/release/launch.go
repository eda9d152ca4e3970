package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Launch is how a confidential VM starts this release by direct kernel boot:
// everything that its platform measures, reduced to what the registers of a
// machine of any shape (vCPUs, CPU type, memory, VMM) are computed from
// without the artifacts (package verifier/accept).
type Launch struct {
	Platform    string `json:"platform"`     // PlatformSNP or PlatformTDX
	Firmware    string `json:"firmware"`     // name of the artifact
	Kernel      string `json:"kernel"`       // name of the artifact
	Initrd      string `json:"initrd"`       // name of the artifact
	CommandLine string `json:"command_line"` // text that the VMM is given, one of Release.CommandLines
	SNP         *SNP   `json:"snp,omitempty"`
	TDX         *TDX   `json:"tdx,omitempty"`
}

// The platforms of a release (specs/protocol.md, section 2). Launches are of
// PlatformSNP and PlatformTDX.
const (
	PlatformVTPM  = "vtpm"
	PlatformSNP   = "snp"
	PlatformTDX   = "tdx"
	PlatformNitro = "nitro"
)

// SNP is the part of a launch that SEV-SNP measures.
type SNP struct {
	Seed         string       `json:"seed"`       // launch digest after the pages of the firmware
	ResetEIP     uint32       `json:"reset_eip"`  // where application processors start
	HashTable    Area         `json:"hash_table"` // of kernel, initrd and command line
	Sections     []Section    `json:"sections"`   // SEV metadata, in the firmware's order
	KernelSHA256 string       `json:"kernel_sha256"`
	InitrdSHA256 string       `json:"initrd_sha256"`
	Shapes       []SNPMachine `json:"shapes"` // examples with their values
}

// Area is a range of guest physical addresses.
type Area struct {
	GPA  uint64 `json:"gpa"`
	Size uint64 `json:"size"`
}

// Section is a section of the firmware's SEV metadata.
type Section struct {
	GPA  uint32 `json:"gpa"`
	Size uint32 `json:"size"`
	Type uint32 `json:"type"`
}

// SNPMachine is a machine's shape and what it reports.
type SNPMachine struct {
	Name          string `json:"name"`
	VMM           string `json:"vmm"`
	VCPUs         int    `json:"vcpus"`
	CPUSignature  uint32 `json:"cpu_signature"` // CPUID Fn0000_0001_EAX
	GuestFeatures uint64 `json:"guest_features"`
	LaunchDigest  string `json:"launch_digest"`
}

// TDX is the part of a launch that TDX measures.
type TDX struct {
	Layout         string     `json:"layout"`     // of RTMR0's events, by the firmware's generation
	CFVSHA384      string     `json:"cfv_sha384"` // the configuration volume: the firmware's variables
	TDHOB          Area       `json:"td_hob"`     // where the VMM puts the hand-off blocks
	Accepted       []Area     `json:"accepted"`   // memory that is accepted at the start, in the firmware's order
	KernelPESHA384 string     `json:"kernel_pe_sha384"`
	InitrdSHA384   string     `json:"initrd_sha384"`
	Registers      []Register `json:"registers"` // mrtd, rtmr0 to rtmr3
}

// RuleShape is the rule of a register that depends on the machine's shape: to
// be computed for the machine at hand, never to be left out.
const RuleShape = "shape"

// kernelHashes is the type of a section (edk2 OvmfPkg/ResetVector/X64/
// OvmfSevMetadata.asm, SNP_KERNEL_HASHES).
const kernelHashes = 0x10

// Bounds of lists.
const (
	maxSections = 64 // of a firmware's metadata, as in package ovmf
	maxShapes   = 64 // examples, which readers compute again
)

// Launch finds how a platform starts the release.
func (r *Release) Launch(platform string) (Launch, bool) {
	for _, l := range r.Launches {
		if l.Platform == platform {
			return l, true
		}
	}
	return Launch{}, false
}

// checkLaunches wants each platform at most once, in order.
func (r *Release) checkLaunches() error {
	last := ""
	for _, l := range r.Launches {
		if l.Platform <= last {
			return fmt.Errorf("launch %q after %q: want each platform once, sorted", l.Platform, last)
		}
		last = l.Platform
		if err := r.checkLaunch(l); err != nil {
			return fmt.Errorf("launch %s: %w", l.Platform, err)
		}
	}
	return nil
}

func (r *Release) checkLaunch(l Launch) error {
	for _, name := range []string{l.Firmware, l.Kernel, l.Initrd} {
		if _, ok := r.Artifact(name); !ok {
			return fmt.Errorf("%q is no artifact of the release", name)
		}
	}
	// One that the init refuses starts nothing, and another one that it does
	// not even see (init=) must not pass as the release's.
	if !slices.ContainsFunc(r.CommandLines, func(c CommandLine) bool { return c.Text == l.CommandLine }) {
		return fmt.Errorf("command line %.200q: want one of command_lines", l.CommandLine)
	}
	if strings.Contains(l.CommandLine, "\x00") {
		return errors.New("command line: got a NUL, where the kernel stops reading")
	}
	switch {
	case l.Platform == PlatformSNP && l.SNP != nil && l.TDX == nil:
		return l.checkSNP(r)
	case l.Platform == PlatformTDX && l.TDX != nil && l.SNP == nil:
		return l.checkTDX(r)
	}
	return fmt.Errorf("platform %q: want snp with the member snp alone, or tdx with tdx alone", l.Platform)
}

// sameDigest: a digest that is written twice must be the same.
func (r *Release) sameDigest(field, artifact, got string, digest func(Artifact) string) error {
	a, _ := r.Artifact(artifact)
	if want := digest(a); got != want {
		return fmt.Errorf("%s: %.200q, want %s, that of %s", field, got, want, artifact)
	}
	return nil
}

func (l Launch) checkSNP(r *Release) error {
	s := l.SNP
	if err := checkHex("seed", s.Seed, 48); err != nil {
		return err
	}
	sum := func(a Artifact) string { return a.SHA256 }
	if err := r.sameDigest("kernel_sha256", l.Kernel, s.KernelSHA256, sum); err != nil {
		return err
	}
	if err := r.sameDigest("initrd_sha256", l.Initrd, s.InitrdSHA256, sum); err != nil {
		return err
	}
	if len(s.Sections) == 0 || len(s.Sections) > maxSections {
		return fmt.Errorf("%d sections, want 1 to %d", len(s.Sections), maxSections)
	}
	if s.HashTable.GPA == 0 {
		return errors.New("hash table at 0, want one: the firmware has no place for it")
	}
	if err := s.HashTable.check(); err != nil {
		return fmt.Errorf("hash table: %w", err)
	}
	if !slices.ContainsFunc(s.Sections, s.HashTable.inside) {
		return fmt.Errorf("hash table at %#x with %#x bytes: want it in a section of type %#x, which the VMM fills", s.HashTable.GPA, s.HashTable.Size, kernelHashes)
	}
	if len(s.Shapes) > maxShapes {
		return fmt.Errorf("%d shapes, want at most %d", len(s.Shapes), maxShapes)
	}
	for _, m := range s.Shapes {
		if m.Name == "" || len(m.Name) > maxText || m.VCPUs < 1 {
			return fmt.Errorf("shape %.40q with %d vCPUs, want a name and at least 1", m.Name, m.VCPUs)
		}
		if err := checkHex("shape "+m.Name, m.LaunchDigest, 48); err != nil {
			return err
		}
	}
	return nil
}

// check wants a range below 4 GiB that is not empty.
func (a Area) check() error {
	if a.GPA >= 1<<32 || a.Size == 0 || a.Size > 1<<32-a.GPA {
		return fmt.Errorf("got %#x bytes at %#x, want at least one, below 4 GiB", a.Size, a.GPA)
	}
	return nil
}

// inside says whether a section is the one with the hashes of kernel, initrd
// and command line, and holds the range.
func (a Area) inside(s Section) bool {
	start, end := uint64(s.GPA), uint64(s.GPA)+uint64(s.Size)
	return s.Type == kernelHashes && start <= a.GPA && a.GPA+a.Size <= end
}

// tdxRules are the registers of TDX and the one rule that each has.
func tdxRules() [][2]string {
	return [][2]string{
		{"mrtd", RuleExact}, {"rtmr0", RuleShape}, {"rtmr1", RuleExact}, {"rtmr2", RuleExact}, {"rtmr3", RuleZero},
	}
}

func (l Launch) checkTDX(r *Release) error {
	t := l.TDX
	for _, d := range [][2]string{{"cfv_sha384", t.CFVSHA384}, {"kernel_pe_sha384", t.KernelPESHA384}} {
		if err := checkHex(d[0], d[1], 48); err != nil {
			return err
		}
	}
	if err := r.sameDigest("initrd_sha384", l.Initrd, t.InitrdSHA384, func(a Artifact) string { return a.SHA384 }); err != nil {
		return err
	}
	if t.Layout == "" {
		return errors.New("layout: got none, want a name")
	}
	if len(t.Accepted) > maxSections {
		return fmt.Errorf("%d accepted ranges, want at most %d", len(t.Accepted), maxSections)
	}
	if !slices.Contains(t.Accepted, t.TDHOB) {
		return fmt.Errorf("td_hob at %#x with %#x bytes: want it among the accepted ranges", t.TDHOB.GPA, t.TDHOB.Size)
	}
	for _, a := range t.Accepted {
		if err := a.check(); err != nil {
			return fmt.Errorf("accepted range: %w", err)
		}
	}
	rules := tdxRules()
	if len(t.Registers) != len(rules) {
		return fmt.Errorf("%d registers, want %d", len(t.Registers), len(rules))
	}
	for i, reg := range t.Registers {
		if got := [2]string{reg.Name, reg.Rule}; got != rules[i] {
			return fmt.Errorf("register %d: %q, want %q", i, got, rules[i])
		}
		if err := reg.check(48); err != nil {
			return err
		}
	}
	return nil
}
