package explain

import (
	"fmt"
	"strings"

	"safebox/measure/snp"
)

// Names of axes of a launch.
const (
	axisKind        = "kind of launch"
	axisVCPUs       = "vCPUs"
	axisFirmware    = "firmware"
	axisVMM         = "VMM profile"
	axisCPU         = "CPU type"
	axisFeatures    = "guest features"
	axisHashes      = "kernel hashes"
	axisKernel      = "kernel"
	axisInitrd      = "initrd"
	axisCommandLine = "command line"
	axisVMSA        = "VMSA address"
	axisFPU         = "FPU state"
	axisUnknown     = "unknown SEV metadata"
)

// axes lists the ways in which launches differ, those first that make others
// meaningless.
func (l *snpLab) axes() []axis[snpState] {
	return []axis[snpState]{
		l.kindAxis(), l.firmwareAxis(), l.vmmAxis(), l.cpuAxis(), l.featuresAxis(), l.hashesAxis(),
		l.kernelAxis(), l.initrdAxis(), l.commandLineAxis(), l.vmsaAxis(), l.fpuAxis(), l.unknownAxis(),
	}
}

// kindAxis: digests that are taken for one another. Their lengths tell which.
func (l *snpLab) kindAxis() axis[snpState] {
	a := axis[snpState]{name: axisKind, expected: l.in.Mode.String()}
	launchAxes := []string{axisVMM, axisCPU, axisFeatures, axisVMSA, axisFPU, axisUnknown}
	hashAxes := append([]string{axisHashes, axisKernel, axisInitrd, axisCommandLine}, launchAxes...)
	add := func(kind snpKind, length int, value, note string, closes []string) {
		if kind == l.start.kind || length != len(l.reported) {
			return
		}
		a.choices = append(a.choices, choice[snpState]{
			value: value, phrase: fmt.Sprintf("%s instead of %s%s", value, a.expected, note),
			set: func(s *snpState) { s.kind = kind }, rare: length == 48, closes: closes,
		})
	}
	add(kindSNP, 48, "SEV-SNP", "", nil)
	add(kindFirmware, 48, "the pages of the firmware alone", " (sev-snp-measure calls it ovmf-hash)", hashAxes)
	add(kindFile, 48, "the SHA-384 of the firmware file", "", hashAxes)
	add(kindSEVES, 32, "SEV-ES", "", []string{axisVMSA, axisUnknown})
	add(kindSEV, 32, "SEV", " (no VMSA is measured)", launchAxes)
	return a
}

func (l *snpLab) firmwareAxis() axis[snpState] {
	a := axis[snpState]{name: axisFirmware, expected: l.firmware[0].name}
	for i, f := range l.firmware[1:] {
		a.choices = append(a.choices, choice[snpState]{
			value: f.name, phrase: instead("firmware", f.name, "the expected one"),
			set: func(s *snpState) { s.firmware = i + 1 },
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

func (l *snpLab) vmmAxis() axis[snpState] {
	a := axis[snpState]{name: axisVMM, expected: l.in.Launch.VMM.String()}
	if l.in.Launch.SVSM != nil {
		return a // what differs there between profiles is an axis of its own
	}
	for _, v := range snp.VMMs() {
		if v == l.in.Launch.VMM {
			continue
		}
		c := choice[snpState]{
			value: v.String(), phrase: fmt.Sprintf("%s (%s)", instead(axisVMM, v.String(), a.expected), vmmNote(v)),
			set: func(s *snpState) { s.launch.VMM, s.launch.Profile = v, nil },
		}
		if p, ok := v.Profile(); ok && p.RDX != snp.RDXSignature {
			c.closes = []string{axisCPU}
		}
		a.choices = append(a.choices, c)
	}
	return a
}

// cpuAxis: types of equal signature are one choice, under their first name.
func (l *snpLab) cpuAxis() axis[snpState] {
	a := axis[snpState]{name: axisCPU, expected: "none"}
	if l.in.Launch.CPU != 0 {
		a.expected = fmt.Sprintf("0x%08x", l.in.Launch.CPU)
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
			a.expected = value
			continue
		}
		a.choices = append(a.choices, choice[snpState]{value: value, set: func(s *snpState) { s.launch.CPU = signature }})
	}
	for i := range a.choices {
		a.choices[i].phrase = instead(axisCPU, a.choices[i].value, a.expected)
	}
	return a
}

// lastFeature is the highest bit of SEV_FEATURES with a meaning (AMD 24593,
// table B-4).
const lastFeature = 15

// featuresAxis: one bit more or less, and SNPActive alone.
func (l *snpLab) featuresAxis() axis[snpState] {
	expected := l.start.launch.Features
	a := axis[snpState]{name: axisFeatures, expected: fmt.Sprintf("%#x", expected)}
	seen := map[uint64]bool{expected: true}
	add := func(features uint64, rare bool) {
		if seen[features] {
			return
		}
		seen[features] = true
		value := fmt.Sprintf("%#x", features)
		a.choices = append(a.choices, choice[snpState]{
			value: value, phrase: fmt.Sprintf("%s (%s)", instead(axisFeatures, value, a.expected), featureNote(expected, features)),
			set: func(s *snpState) { s.launch.Features = features }, rare: rare,
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
func (l *snpLab) vmsaAxis() axis[snpState] {
	expected := l.start.launch.VMSAGPA
	if expected == 0 {
		expected = snp.VMSAGPA
	}
	a := axis[snpState]{name: axisVMSA, expected: fmt.Sprintf("%#x", expected)}
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
		a.choices = append(a.choices, choice[snpState]{
			value: value, phrase: fmt.Sprintf("%s (%s)", instead(axisVMSA, value, a.expected), notes[bits]),
			set: func(s *snpState) { s.launch.VMSAGPA = gpa },
		})
	}
	return a
}

// fpuAxis: three generations of values for an SVSM's processors, which are not
// those of VMM profiles.
func (l *snpLab) fpuAxis() axis[snpState] {
	a := axis[snpState]{name: axisFPU}
	profile, ok := l.in.Launch.VMM.Profile()
	if l.in.Launch.Profile != nil {
		profile = *l.in.Launch.Profile
	}
	if !ok {
		return a
	}
	a.expected = fpuState(profile.MXCSR, profile.FCW)
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
		a.choices = append(a.choices, choice[snpState]{
			value: value, phrase: fmt.Sprintf("%s (%s)", instead(axisFPU, value, a.expected), g.note),
			set: func(s *snpState) {
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
func (l *snpLab) unknownAxis() axis[snpState] {
	names := map[unknownSections]string{
		unknownRefused: "refused", unknownZero: "measured as zero pages", unknownLeftOut: "left out",
	}
	notes := map[unknownSections]string{
		unknownZero: "QEMU", unknownLeftOut: "no tool is known to do so", unknownRefused: "sev-snp-measure and virtee/sev",
	}
	a := axis[snpState]{name: axisUnknown, expected: names[l.start.unknown]}
	sections := l.in.Launch.Firmware.Sections
	if l.in.Launch.SVSM != nil || !hasUnknown(sections) {
		return a
	}
	for _, u := range []unknownSections{unknownZero, unknownLeftOut} {
		if u == l.start.unknown {
			continue
		}
		a.choices = append(a.choices, choice[snpState]{
			value:  names[u],
			phrase: fmt.Sprintf("SEV metadata sections of unknown type %s instead of %s (%s)", names[u], a.expected, notes[u]),
			set:    func(s *snpState) { s.unknown = u },
		})
	}
	return a
}
