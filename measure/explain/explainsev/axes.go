package explainsev

import (
	"fmt"
	"strings"

	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/search"
	"safebox/measure/snp"
)

// Names of axes of a launch.
const (
	axisKind     = "kind of launch"
	axisVCPUs    = "vCPUs"
	axisVMM      = "VMM profile"
	axisCPU      = "CPU type"
	axisFeatures = "guest features"
	axisHashes   = "kernel hashes"
	axisVMSA     = "VMSA address"
	axisFPU      = "FPU state"
	axisUnknown  = "unknown SEV metadata"
)

// axes lists the ways in which launches differ, those first that make others
// meaningless.
func (l *lab) axes() []search.Axis[state] {
	return []search.Axis[state]{
		l.kindAxis(), l.firmwareAxis(), l.vmmAxis(), l.cpuAxis(), l.featuresAxis(), l.hashesAxis(),
		l.kernelAxis(), l.initrdAxis(), l.commandLineAxis(), l.vmsaAxis(), l.fpuAxis(), l.unknownAxis(),
	}
}

// kindAxis: digests that are taken for one another. Their lengths tell which.
func (l *lab) kindAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisKind, Expected: l.in.Mode.String()}
	launchAxes := []string{axisVMM, axisCPU, axisFeatures, axisVMSA, axisFPU, axisUnknown}
	hashAxes := append([]string{axisHashes, inputs.Kernel, inputs.Initrd, inputs.CommandLine}, launchAxes...)
	add := func(kind digestKind, length int, value, note string, closes []string) {
		if kind == l.start.kind || length != len(l.reported) {
			return
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Phrase: fmt.Sprintf("%s instead of %s%s", value, a.Expected, note),
			Set: func(s *state) { s.kind = kind }, Rare: length == 48, Closes: closes,
		})
	}
	add(kindSNP, 48, "SEV-SNP", "", nil)
	add(kindFirmware, 48, "the pages of the firmware alone", " (sev-snp-measure calls it ovmf-hash)", hashAxes)
	add(kindFile, 48, "the SHA-384 of the firmware file", "", hashAxes)
	add(kindSEVES, 32, "SEV-ES", "", []string{axisVMSA, axisUnknown})
	add(kindSEV, 32, "SEV", " (no VMSA is measured)", launchAxes)
	return a
}

func (l *lab) firmwareAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.Firmware, Expected: l.firmware[0].name}
	for i, f := range l.firmware[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: f.name, Phrase: search.Instead("firmware", f.name, "the expected one"),
			Set: func(s *state) { s.firmware = i + 1 },
		})
	}
	return a
}

// vmmNote says what a profile is known by.
func vmmNote(v snp.VMM) string {
	switch v {
	case snp.QEMU:
		return "mxcsr 0x1f80 and fcw 0x37f: KVM_SEV_INIT2 on host kernel 6.10 or later"
	case snp.QEMULegacy:
		return "mxcsr and fcw 0: a host kernel before 6.10 or a QEMU without KVM_SEV_INIT2"
	case snp.EC2:
		return "rdx 0x600: sev-snp-measure since 4a02bf0"
	case snp.EC2Legacy:
		return "rdx 0: older sev-snp-measure, virtee/sev and sev-snp-measure-go"
	case snp.GCE:
		return "SNP_SEC_MEM pages unmeasured, g_pat 0x70106"
	case snp.KRUN:
		return "cs 0x9a for every vCPU: virtee/sev"
	}
	return ""
}

func (l *lab) vmmAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisVMM, Expected: l.in.Launch.VMM.String()}
	if l.in.Launch.SVSM != nil {
		return a // what differs there between profiles is an axis of its own
	}
	for _, v := range snp.VMMs() {
		if v == l.in.Launch.VMM {
			continue
		}
		c := search.Choice[state]{
			Value: v.String(), Phrase: fmt.Sprintf("%s (%s)", search.Instead(axisVMM, v.String(), a.Expected), vmmNote(v)),
			Set: func(s *state) { s.launch.VMM, s.launch.Profile = v, nil },
		}
		if p, ok := v.Profile(); ok && p.RDX != snp.RDXSignature {
			c.Closes = []string{axisCPU}
		}
		a.Choices = append(a.Choices, c)
	}
	return a
}

// cpuAxis: types of equal signature are one choice, under their first name.
func (l *lab) cpuAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisCPU, Expected: "none"}
	if l.in.Launch.CPU != 0 {
		a.Expected = fmt.Sprintf("0x%08x", l.in.Launch.CPU)
	}
	seen := map[uint32]bool{}
	for _, t := range snp.CPUTypes() {
		signature := t.Signature()
		if seen[signature] {
			continue
		}
		seen[signature] = true
		value := fmt.Sprintf("%s (0x%08x)", t.Name, signature)
		if signature == l.in.Launch.CPU {
			a.Expected = value
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{Value: value, Set: func(s *state) { s.launch.CPU = signature }})
	}
	for i := range a.Choices {
		a.Choices[i].Phrase = search.Instead(axisCPU, a.Choices[i].Value, a.Expected)
	}
	return a
}

// lastFeature is the highest bit of SEV_FEATURES with a meaning (AMD 24593,
// table B-4).
const lastFeature = 15

// featuresAxis: one bit more or less, and SNPActive alone.
func (l *lab) featuresAxis() search.Axis[state] {
	expected := l.start.launch.Features
	a := search.Axis[state]{Name: axisFeatures, Expected: fmt.Sprintf("%#x", expected)}
	seen := map[uint64]bool{expected: true}
	add := func(features uint64, rare bool) {
		if seen[features] {
			return
		}
		seen[features] = true
		value := fmt.Sprintf("%#x", features)
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Phrase: fmt.Sprintf("%s (%s)", search.Instead(axisFeatures, value, a.Expected), featureNote(expected, features)),
			Set: func(s *state) { s.launch.Features = features }, Rare: rare,
		})
	}
	base := expected & snp.SNPActive
	add(base, false)
	add(base|snp.DebugSwap, false)
	add(expected^snp.DebugSwap, false)
	for bit := 1; bit <= lastFeature; bit++ {
		add(expected^1<<bit, true)
	}
	return a
}

// featureNote names the bits that differ.
func featureNote(a, b uint64) string {
	var bits []string
	for bit := range 64 {
		if (a^b)>>bit&1 == 0 {
			continue
		}
		text := fmt.Sprintf("bit %d", bit)
		for _, f := range snp.Features() {
			if int(f.Bit) == bit {
				text += ", " + f.Name
			}
		}
		bits = append(bits, text)
	}
	note := strings.Join(bits, "; ")
	if a^b == snp.DebugSwap {
		note += ": on by default in some 6.x kernels"
	}
	return note
}

// vmsaAxis: KVM's constant is also what 48 address bits give.
func (l *lab) vmsaAxis() search.Axis[state] {
	expected := l.start.launch.VMSAGPA
	if expected == 0 {
		expected = snp.VMSAGPA
	}
	a := search.Axis[state]{Name: axisVMSA, Expected: fmt.Sprintf("%#x", expected)}
	notes := map[uint8]string{
		48: "KVM's constant, and 48 address bits in gce-tcb-verifier",
		52: "52 address bits: gce-tcb-verifier on Genoa",
	}
	for _, bits := range []uint8{48, 52} {
		gpa := snp.PhysBitsVMSAGPA(bits)
		if gpa == expected {
			continue
		}
		value := fmt.Sprintf("%#x", gpa)
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Phrase: fmt.Sprintf("%s (%s)", search.Instead(axisVMSA, value, a.Expected), notes[bits]),
			Set: func(s *state) { s.launch.VMSAGPA = gpa },
		})
	}
	return a
}

// fpuAxis: three generations of values for an SVSM's processors, which are not
// those of VMM profiles.
func (l *lab) fpuAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisFPU}
	profile, ok := l.in.Launch.VMM.Profile()
	if l.in.Launch.Profile != nil {
		profile = *l.in.Launch.Profile
	}
	if !ok {
		return a
	}
	a.Expected = fpuState(profile.MXCSR, profile.FCW)
	if l.in.Launch.SVSM == nil {
		return a
	}
	for _, g := range []struct {
		mxcsr uint32
		fcw   uint16
		note  string
	}{
		{0, 0, "sev-snp-measure before 0.0.10, said to be hardware of early 2024"},
		{0x1f80, 0, "sev-snp-measure since 0.0.10, where a misspelt field loses fcw"},
		{0x1f80, 0x37f, "what KVM_SEV_INIT2 sets"},
	} {
		if g.mxcsr == profile.MXCSR && g.fcw == profile.FCW {
			continue
		}
		value := fpuState(g.mxcsr, g.fcw)
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Phrase: fmt.Sprintf("%s (%s)", search.Instead(axisFPU, value, a.Expected), g.note),
			Set: func(s *state) {
				changed := profile
				changed.MXCSR, changed.FCW = g.mxcsr, g.fcw
				s.launch.Profile = &changed
			},
		})
	}
	return a
}

func fpuState(mxcsr uint32, fcw uint16) string { return fmt.Sprintf("mxcsr %#x, fcw %#x", mxcsr, fcw) }

// unknownAxis: section types that a tool doesn't know.
func (l *lab) unknownAxis() search.Axis[state] {
	names := map[unknownSections]string{
		unknownRefused: "refused", unknownZero: "measured as zero pages", unknownLeftOut: "left out",
	}
	notes := map[unknownSections]string{
		unknownZero: "QEMU", unknownLeftOut: "no tool is known to do so", unknownRefused: "sev-snp-measure and virtee/sev",
	}
	a := search.Axis[state]{Name: axisUnknown, Expected: names[l.start.unknown]}
	sections := l.in.Launch.Firmware.Sections
	if l.in.Launch.SVSM != nil || !hasUnknown(sections) {
		return a
	}
	for _, u := range []unknownSections{unknownZero, unknownLeftOut} {
		if u == l.start.unknown {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value:  names[u],
			Phrase: fmt.Sprintf("SEV metadata sections of unknown type %s instead of %s (%s)", names[u], a.Expected, notes[u]),
			Set:    func(s *state) { s.unknown = u },
		})
	}
	return a
}
