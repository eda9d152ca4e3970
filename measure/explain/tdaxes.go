package explain

import (
	"fmt"

	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/tpm"
)

// Names of axes of a TD.
const (
	axisOrder      = "MRTD order"
	axisLayout     = "RTMR layout"
	axisMemory     = "memory"
	axisSecureBoot = "SecureBoot variable"
	axisACPI       = "ACPI tables"
	axisEntries    = "boot entries"
	axisPatched    = "setup header"
	axisHeapEnd    = "heap_end width"
	axisVGA        = "vga= in the header"
	axisPadding    = "Authenticode padding"
	axisForm       = "initrd= in the load options"
	axisSilent     = "EFI stub"
)

const kernelBoot = tpm.Kernel

// axes lists those that a register depends on.
func (l *tdLab) axes(index int) []axis[tdState] {
	switch index {
	case tdx.MRTD:
		return []axis[tdState]{l.firmwareAxis(), l.orderAxis()}
	case tdx.RTMR0:
		return []axis[tdState]{
			l.firmwareAxis(), l.layoutAxis(), l.acpiAxis(), l.memoryAxis(), l.secureBootAxis(), l.entriesAxis(),
		}
	case tdx.RTMR1:
		if l.start.input.Direct == nil {
			return []axis[tdState]{l.ukiAxis(), l.layoutAxis()}
		}
		return []axis[tdState]{
			l.kernelAxis(), l.patchedAxis(), l.layoutAxis(), l.initrdAxis(), l.heapEndAxis(), l.vgaAxis(), l.paddingAxis(), l.lowMemoryAxis(),
		}
	case tdx.RTMR2:
		if l.start.input.Direct == nil {
			return []axis[tdState]{l.ukiAxis()}
		}
		return []axis[tdState]{l.silentAxis(), l.initrdAxis(), l.formAxis(), l.commandLineAxis()}
	}
	return nil
}

func (l *tdLab) firmwareAxis() axis[tdState] {
	a := axis[tdState]{name: axisFirmware, expected: l.firmware[0].name}
	for i, f := range l.firmware[1:] {
		a.choices = append(a.choices, choice[tdState]{
			value: f.name, phrase: f.phrase, set: func(s *tdState) { s.firmware = i + 1 },
		})
	}
	return a
}

// orderAxis: an order that measures the TD HOB is one choice for each HOB.
func (l *tdLab) orderAxis() axis[tdState] {
	expected := l.start.input.Order
	a := axis[tdState]{name: axisOrder, expected: expected.String()}
	add := func(order tdvf.Order, value, note string, hob []byte) {
		a.choices = append(a.choices, choice[tdState]{
			value: value, phrase: fmt.Sprintf("%s (%s)", instead(axisOrder, value, a.expected), note),
			set: func(s *tdState) { s.input.Order, s.hob = order, hob },
		})
	}
	if expected != tdvf.SinglePass {
		add(tdvf.SinglePass, "single-pass", "QEMU and KVM as upstream, Google Compute Engine", nil)
	}
	if expected != tdvf.TwoPass {
		add(tdvf.TwoPass, "two-pass", "QEMU 8 with the TDX patches of Intel and Canonical", nil)
	}
	const note = "earlier hypervisors of Google Compute Engine measure every section"
	for _, h := range l.gceHOBs() {
		add(tdvf.TDHOBBug, "tdhob-bug of "+h.Name, note, h.Value)
	}
	return a
}

// gceHOBs are the HOBs of Google's machine types for the expected firmware.
func (l *tdLab) gceHOBs() []Named[[]byte] {
	var list []Named[[]byte]
	im := l.firmware[0].image
	if im == nil {
		return nil
	}
	for _, early := range []tdvf.EarlyAccept{tdvf.EarlyAcceptLow, tdvf.EarlyAcceptAll} {
		for _, m := range tdvf.GCEMachines() {
			hob, err := tdvf.GCEHOB(im, m, early)
			if err != nil {
				continue
			}
			name := m.Name
			if early == tdvf.EarlyAcceptAll {
				name += " with all memory accepted early"
			}
			list = append(list, Named[[]byte]{name, hob})
		}
	}
	return list
}

func layoutNote(l tdx.Layout) string {
	switch l {
	case tdx.L0:
		return "OVMF 2024.02 with TDX patches"
	case tdx.L1:
		return "edk2 up to 2025.02"
	case tdx.L2:
		return "edk2 since 2025.05"
	case tdx.Intel:
		return "Intel's own tree of TDX firmware"
	}
	return ""
}

func (l *tdLab) layoutAxis() axis[tdState] {
	expected := l.start.input.Layout
	a := axis[tdState]{name: axisLayout, expected: "none chosen"}
	if expected != 0 {
		a.expected = expected.String()
	}
	for _, layout := range tdx.Layouts() {
		if layout == expected {
			continue
		}
		a.choices = append(a.choices, choice[tdState]{
			value: layout.String(), phrase: fmt.Sprintf("%s (%s)", instead(axisLayout, layout.String(), a.expected), layoutNote(layout)),
			set: func(s *tdState) {
				s.input.Layout = layout
				if layout != tdx.L2 {
					s.input.FWCfg = nil
				}
			},
		})
	}
	return a
}

func (l *tdLab) acpiAxis() axis[tdState] {
	a := axis[tdState]{name: axisACPI, expected: l.acpi[0].name}
	for i, t := range l.acpi[1:] {
		a.choices = append(a.choices, choice[tdState]{
			value: t.name, phrase: instead(axisACPI, t.name, "those expected"),
			set: func(s *tdState) { s.acpi = i + 1 },
		})
	}
	return a
}

// secureBootAxis: a variable without data and one with a zero byte both say that
// Secure Boot is off.
func (l *tdLab) secureBootAxis() axis[tdState] {
	a := axis[tdState]{name: axisSecureBoot, expected: "the layout's"}
	if v := l.start.input.Variables; v != nil {
		a.expected = secureBootText(v.SecureBoot)
	}
	for _, data := range [][]byte{nil, {0}, {1}} {
		if secureBootText(data) == a.expected {
			continue
		}
		a.choices = append(a.choices, choice[tdState]{
			value: secureBootText(data), phrase: instead(axisSecureBoot, secureBootText(data), a.expected),
			set: func(s *tdState) {
				var changed tdx.Variables
				if v := s.input.Variables; v != nil {
					changed = *v
				}
				changed.SecureBoot = data
				s.input.Variables = &changed
				if len(data) == 1 && data[0] == 1 && s.input.Authorities == nil {
					s.input.Authorities = [][]byte{} // none came to be used
				}
			},
		})
	}
	return a
}

func secureBootText(data []byte) string {
	if len(data) == 0 {
		return "without data"
	}
	return fmt.Sprintf("with data %02x", data)
}

// entriesAxis: entries of the caller against those that the firmware makes.
func (l *tdLab) entriesAxis() axis[tdState] {
	a := axis[tdState]{name: axisEntries, expected: "those given"}
	if l.start.input.BootEntries == nil {
		a.expected = "the layout's"
		return a
	}
	a.choices = []choice[tdState]{{
		value: "the layout's", phrase: "the boot entries that the firmware makes itself instead of those given",
		set: func(s *tdState) { s.input.BootEntries = nil },
	}}
	return a
}
