package release

import (
	"fmt"
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
	CommandLine string `json:"command_line"` // text that the VMM is given
	SNP         *SNP   `json:"snp,omitempty"`
	TDX         *TDX   `json:"tdx,omitempty"`
}

// The platforms of launches.
const (
	PlatformSNP = "snp"
	PlatformTDX = "tdx"
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

// maxSections bounds lists of a firmware's metadata.
const maxSections = 64

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
	if l.CommandLine == "" || len(l.CommandLine) > maxText || strings.Contains(l.CommandLine, "\x00") {
		return fmt.Errorf("command line of %d bytes, want 1 to %d without NUL", len(l.CommandLine), maxText)
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
	if s.HashTable.GPA == 0 || s.HashTable.GPA+s.HashTable.Size > 1<<32 || s.HashTable.Size > 1<<32 {
		return fmt.Errorf("hash table at %#x with %#x bytes, want one below 4 GiB", s.HashTable.GPA, s.HashTable.Size)
	}
	if len(s.Shapes) > maxEntries {
		return fmt.Errorf("%d shapes, want at most %d", len(s.Shapes), maxEntries)
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
	if t.Layout == "" || len(t.Layout) > 64 || len(t.Accepted) == 0 || len(t.Accepted) > maxSections {
		return fmt.Errorf("layout %.80q with %d accepted ranges, want a name and 1 to %d", t.Layout, len(t.Accepted), maxSections)
	}
	for _, a := range append([]Area{t.TDHOB}, t.Accepted...) {
		if a.GPA >= 1<<32 || a.Size == 0 || a.Size > 1<<32-a.GPA {
			return fmt.Errorf("range at %#x with %#x bytes, want one below 4 GiB", a.GPA, a.Size)
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
