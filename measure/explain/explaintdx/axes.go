package explaintdx

import (
	"fmt"

	"safebox/measure/explain"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/search"
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
func (l *lab) axes(index int) []search.Axis[state] {
	switch index {
	case tdx.MRTD:
		return []search.Axis[state]{l.firmwareAxis(), l.orderAxis()}
	case tdx.RTMR0:
		return []search.Axis[state]{
			l.firmwareAxis(), l.layoutAxis(), l.acpiAxis(), l.memoryAxis(), l.secureBootAxis(), l.entriesAxis(),
		}
	case tdx.RTMR1:
		if l.start.input.Direct == nil {
			return []search.Axis[state]{l.ukiAxis(), l.layoutAxis()}
		}
		return []search.Axis[state]{
			l.kernelAxis(), l.patchedAxis(), l.layoutAxis(), l.initrdAxis(), l.heapEndAxis(), l.vgaAxis(), l.paddingAxis(), l.lowMemoryAxis(),
		}
	case tdx.RTMR2:
		if l.start.input.Direct == nil {
			return []search.Axis[state]{l.ukiAxis()}
		}
		return []search.Axis[state]{l.silentAxis(), l.initrdAxis(), l.formAxis(), l.commandLineAxis()}
	}
	return nil
}

func (l *lab) firmwareAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.Firmware, Expected: l.firmware[0].name}
	for i, f := range l.firmware[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: f.name, Phrase: f.phrase, Set: func(s *state) { s.firmware = i + 1 },
		})
	}
	return a
}

// orderAxis: an order that measures the TD HOB is one choice for each HOB.
func (l *lab) orderAxis() search.Axis[state] {
	expected := l.start.input.Order
	a := search.Axis[state]{Name: axisOrder, Expected: expected.String()}
	add := func(order tdvf.Order, value, note string, hob []byte) {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Phrase: fmt.Sprintf("%s (%s)", search.Instead(axisOrder, value, a.Expected), note),
			Set: func(s *state) { s.input.Order, s.hob = order, hob },
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
func (l *lab) gceHOBs() []explain.Named[[]byte] {
	var list []explain.Named[[]byte]
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
			list = append(list, explain.Named[[]byte]{Name: name, Value: hob})
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

func (l *lab) layoutAxis() search.Axis[state] {
	expected := l.start.input.Layout
	a := search.Axis[state]{Name: axisLayout, Expected: "none chosen"}
	if expected != 0 {
		a.Expected = expected.String()
	}
	for _, layout := range tdx.Layouts() {
		if layout == expected {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: layout.String(), Phrase: fmt.Sprintf("%s (%s)", search.Instead(axisLayout, layout.String(), a.Expected), layoutNote(layout)),
			Set: func(s *state) {
				s.input.Layout = layout
				if layout != tdx.L2 {
					s.input.FWCfg = nil
				}
			},
		})
	}
	return a
}

func (l *lab) acpiAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisACPI, Expected: l.acpi[0].name}
	for i, t := range l.acpi[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: t.name, Phrase: search.Instead(axisACPI, t.name, "those expected"),
			Set: func(s *state) { s.acpi = i + 1 },
		})
	}
	return a
}

// secureBootAxis: a variable without data and one with a zero byte both say that
// Secure Boot is off.
func (l *lab) secureBootAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisSecureBoot, Expected: "the layout's"}
	if v := l.start.input.Variables; v != nil {
		a.Expected = secureBootText(v.SecureBoot)
	}
	for _, data := range [][]byte{nil, {0}, {1}} {
		if secureBootText(data) == a.Expected {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: secureBootText(data), Phrase: search.Instead(axisSecureBoot, secureBootText(data), a.Expected),
			Set: func(s *state) {
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
func (l *lab) entriesAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisEntries, Expected: "those given"}
	if l.start.input.BootEntries == nil {
		a.Expected = "the layout's"
		return a
	}
	a.Choices = []search.Choice[state]{{
		Value: "the layout's", Phrase: "the boot entries that the firmware makes itself instead of those given",
		Set: func(s *state) { s.input.BootEntries = nil },
	}}
	return a
}
