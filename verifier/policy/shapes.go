package policy

import (
	"fmt"
	"strconv"
	"strings"

	"safebox/measure/snp"
	"safebox/verifier/policy/table"
	"safebox/verifier/transcript"
)

// Limits of Shapes.
const (
	maxShape  = 64  // bytes of text
	maxVCPUs  = 512 // of a machine
	maxMemory = 1 << 46
)

// Shapes says which machines' measurements count as the release's: the host
// chooses the shape of a machine, and the registers of confidential VMs depend
// on it.
type Shapes struct {
	SNPRelease bool       // snp = "release": those that release.json lists
	SNP        []SNPShape // else these
	Memory     []uint64   // tdx_memory, bytes
	AnyACPI    bool       // tdx_acpi = "any"
}

// SNPShape is a range of machines with SEV-SNP.
type SNPShape struct {
	Text     string // as in the policy: "qemu EPYC-v4 1-64"
	VMM      snp.VMM
	CPU      uint32 // signature
	Low, Max int    // vCPUs
}

func readShapes(t *table.Table, p *Policy) Shapes {
	var s Shapes
	if p.Accepts(transcript.SNP) {
		list, word := t.Texts("snp", maxShape, Release)
		s.SNPRelease = word == Release
		for _, text := range list {
			shape, err := parseSNPShape(text)
			if err != nil {
				t.Fail("snp", "%v", err)
			}
			s.SNP = append(s.SNP, shape)
		}
	}
	if p.Accepts(transcript.TDX) {
		list, _ := t.Texts("tdx_memory", maxShape)
		for _, text := range list {
			memory, err := parseMemory(text)
			if err != nil {
				t.Fail("tdx_memory", "%v", err)
			}
			s.Memory = append(s.Memory, memory)
		}
		s.AnyACPI = t.Choice("tdx_acpi", Any) == Any
	}
	t.End()
	return s
}

// parseSNPShape reads "VMM CPU VCPUS", the vCPUs a number or a range.
func parseSNPShape(text string) (SNPShape, error) {
	s := SNPShape{Text: text}
	fail := func() (SNPShape, error) {
		return s, fmt.Errorf(`got %q, want VMM, CPU type and vCPUs, such as "qemu EPYC-v4 1-64"`, text)
	}
	words := strings.Split(text, " ")
	if len(words) != 3 {
		return fail()
	}
	var err error
	if s.VMM, err = snp.ParseVMM(words[0]); err != nil {
		return s, err
	}
	if s.CPU, err = snp.ParseCPU(words[1]); err != nil {
		return s, err
	}
	low, high, isRange := strings.Cut(words[2], "-")
	if !isRange {
		high = low
	}
	var low64, high64 uint64
	if low64, err = strconv.ParseUint(low, 10, 16); err != nil {
		return fail()
	}
	if high64, err = strconv.ParseUint(high, 10, 16); err != nil {
		return fail()
	}
	if s.Low, s.Max = int(low64), int(high64); s.Low < 1 || s.Max < s.Low || s.Max > maxVCPUs {
		return s, fmt.Errorf("got %q: vCPUs %d to %d, want 1 to %d, ascending", text, s.Low, s.Max, maxVCPUs)
	}
	return s, nil
}

// parseMemory reads a number of MiB or GiB: "512M", "2G".
func parseMemory(text string) (uint64, error) {
	unit := uint64(0)
	switch {
	case strings.HasSuffix(text, "M"):
		unit = 1 << 20
	case strings.HasSuffix(text, "G"):
		unit = 1 << 30
	}
	n, err := strconv.ParseUint(strings.TrimRight(text, "MG"), 10, 32)
	if err != nil || unit == 0 || n == 0 || n > maxMemory/unit || strconv.FormatUint(n, 10)+text[len(text)-1:] != text {
		return 0, fmt.Errorf("got %q, want MiB or GiB of memory, such as \"512M\" or \"2G\"", text)
	}
	return n * unit, nil
}

func (s Shapes) explain(p *Policy) []string {
	var out []string
	if p.Accepts(transcript.SNP) {
		if s.SNPRelease {
			out = append(out, "SEV-SNP machines must have one of the shapes that the release lists.")
		}
		for _, shape := range s.SNP {
			out = append(out, fmt.Sprintf("SEV-SNP machines of VMM %v, CPU signature %#x and %d to %d vCPUs may run the release.", shape.VMM, shape.CPU, shape.Low, shape.Max))
		}
	}
	if p.Accepts(transcript.TDX) {
		var sizes []string
		for _, m := range s.Memory {
			sizes = append(sizes, strconv.FormatUint(m>>20, 10))
		}
		out = append(out, fmt.Sprintf("TDX machines of %s MiB of memory may run the release.", strings.Join(sizes, " or ")))
		if s.AnyACPI {
			out = append(out, "WAIVED: the ACPI tables of a TDX machine may be any that its log names: the host makes them, and their code runs in the guest's kernel.")
		}
	}
	return out
}
