package explaintdx

import (
	"fmt"
	"strings"

	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/search"
	"safebox/measure/tdx"
)

// direct makes a setter that changes a copy of the boot: states share it.
func direct(change func(*tdx.Direct)) func(*state) {
	return func(s *state) {
		if s.input.Direct == nil {
			return
		}
		d := *s.input.Direct
		change(&d)
		s.input.Direct = &d
	}
}

// toggle is an axis of two values.
func toggle(name string, on bool, names [2]string, phrases [2]string, set func(*tdx.Direct, bool)) search.Axis[state] {
	from, to := 0, 1
	if on {
		from, to = 1, 0
	}
	return search.Axis[state]{Name: name, Expected: names[from], Choices: []search.Choice[state]{{
		Value: names[to], Phrase: phrases[to], Set: direct(func(d *tdx.Direct) { set(d, !on) }),
	}}}
}

func (l *lab) kernelAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.Kernel, Expected: "the expected kernel"}
	for _, k := range l.in.Kernels {
		if len(k.Value) == 0 {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: k.Name, Phrase: search.Instead(inputs.Kernel, k.Name, "the expected one"),
			Set: func(s *state) {
				direct(func(d *tdx.Direct) { d.Kernel = k.Value })(s)
				s.input.Digests.Kernel = nil
			},
		})
	}
	return a
}

// ukiAxis is of a boot of a unified kernel image.
func (l *lab) ukiAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "UKI", Expected: "the expected UKI"}
	if l.start.input.UKI == nil {
		return a
	}
	for _, u := range l.in.UKIs {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: u.Name, Phrase: search.Instead("UKI", u.Name, "the expected one"),
			Set: func(s *state) {
				changed := *s.input.UKI
				changed.Image, changed.Disk, changed.DiskSize = u.Value, nil, 0
				s.input.UKI = &changed
			},
		})
	}
	return a
}

func (l *lab) patchedAxis() search.Axis[state] {
	a := toggle(axisPatched, l.start.input.Direct.Patched,
		[2]string{"as in the file", "patched by QEMU"},
		[2]string{
			"the kernel as in its file instead of patched by QEMU (QEMU 10.1 or later, or 10.0 with edk2 2025.02 or later)",
			"the kernel's setup header patched by QEMU instead of as in the file (QEMU before 10.1 without etc/boot/kernel)",
		},
		func(d *tdx.Direct, on bool) { d.Patched = on })
	if l.start.input.Direct.Patched {
		a.Choices[0].Closes = []string{axisHeapEnd, axisVGA, axisMemory, inputs.Initrd}
	}
	return a
}

func (l *lab) heapEndAxis() search.Axis[state] {
	return toggle(axisHeapEnd, l.start.input.Direct.WideHeapEnd,
		[2]string{"16 bits", "32 bits"},
		[2]string{
			"heap_end of 16 bits instead of 32 in the patched setup header (what QEMU writes)",
			"heap_end of 32 bits instead of 16 in the patched setup header (dstack-mr and virtee/tdx-measure)",
		},
		func(d *tdx.Direct, on bool) { d.WideHeapEnd = on })
}

func (l *lab) vgaAxis() search.Axis[state] {
	if !strings.Contains(l.start.input.Direct.CommandLine, "vga=") {
		return search.Axis[state]{Name: axisVGA}
	}
	return toggle(axisVGA, l.start.input.Direct.KeepVideoMode,
		[2]string{"written to vid_mode", "not written"},
		[2]string{
			"vid_mode in the patched setup header as vga= says instead of left alone (what QEMU writes)",
			"vid_mode in the patched setup header left alone instead of as vga= says (dstack-mr and virtee/tdx-measure)",
		},
		func(d *tdx.Direct, on bool) { d.KeepVideoMode = on })
}

func (l *lab) paddingAxis() search.Axis[state] {
	return toggle(axisPadding, l.start.input.Direct.PeerPadding,
		[2]string{"none", "to 8 bytes"},
		[2]string{
			"the kernel's Authenticode digest without padding instead of padded to 8 bytes (what edk2 computes)",
			"the kernel's Authenticode digest padded to 8 bytes instead of without padding (dstack-mr, virtee/tdx-measure and Tinfoil's tool)",
		},
		func(d *tdx.Direct, on bool) { d.PeerPadding = on })
}

func (l *lab) silentAxis() search.Axis[state] {
	a := toggle(axisSilent, l.start.input.Direct.Silent,
		[2]string{"measures", "measures nothing"},
		[2]string{
			"a kernel that measures its load options and initrd instead of nothing (Linux 6.9 or later)",
			"a kernel that measures nothing instead of its load options and initrd (Linux before 6.9)",
		},
		func(d *tdx.Direct, on bool) { d.Silent = on })
	if !l.start.input.Direct.Silent {
		a.Choices[0].Closes = []string{inputs.Initrd, axisForm, inputs.CommandLine}
	}
	return a
}

func (l *lab) initrdAxis() search.Axis[state] {
	d := l.start.input.Direct
	a := search.Axis[state]{Name: inputs.Initrd, Expected: "the expected initrd"}
	if d.InitrdSHA384 == nil && l.start.input.Digests.Initrd == nil {
		a.Expected = "none"
	} else {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: "none", Phrase: "no initrd instead of the expected one", Closes: []string{axisForm},
			Set: func(s *state) {
				direct(func(d *tdx.Direct) { d.InitrdSHA384, d.InitrdSize = nil, 0 })(s)
				s.input.Digests.Initrd = nil
			},
		})
	}
	for _, i := range l.in.Initrds {
		expected := "the expected one"
		if a.Expected == "none" {
			expected = "none"
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: i.Name, Phrase: search.Instead(inputs.Initrd, i.Name, expected),
			Set: func(s *state) {
				direct(func(d *tdx.Direct) { d.InitrdSHA384, d.InitrdSize = &i.Value.SHA384, i.Value.Size })(s)
				s.input.Digests.Initrd = nil
			},
		})
	}
	return a
}

// formAxis: where the firmware writes the initrd's name.
func (l *lab) formAxis() search.Axis[state] {
	expected := l.start.input.Direct.OptionsForm
	if expected == tdx.OptionsOfLayout {
		switch l.start.input.Layout {
		case tdx.L2:
			expected = tdx.InitrdFirst
		default:
			expected = tdx.InitrdLast
		}
	}
	texts := map[tdx.OptionsForm]string{
		tdx.InitrdLast: "behind the command line", tdx.InitrdFirst: "in front of the command line", tdx.NoInitrdName: "absent",
	}
	notes := map[tdx.OptionsForm]string{
		tdx.InitrdLast: "edk2 up to 2025.02", tdx.InitrdFirst: "later edk2", tdx.NoInitrdName: "another loader",
	}
	a := search.Axis[state]{Name: axisForm, Expected: texts[expected]}
	for _, f := range []tdx.OptionsForm{tdx.InitrdLast, tdx.InitrdFirst, tdx.NoInitrdName} {
		if f == expected {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: texts[f], Phrase: fmt.Sprintf("initrd=initrd %s instead of %s (%s)", texts[f], a.Expected, notes[f]),
			Set: direct(func(d *tdx.Direct) { d.OptionsForm = f }),
		})
	}
	return a
}

// commandLineAxis leaves out what a firmware can't hand on: bytes that are not
// printable, and a text without its NUL.
func (l *lab) commandLineAxis() search.Axis[state] {
	text := l.start.input.Direct.CommandLine
	a := search.Axis[state]{Name: inputs.CommandLine, Expected: fmt.Sprintf("%q", text)}
	known := &text
	if l.start.input.Digests.LoadOptions != nil {
		a.Expected, known = "unknown text", nil
	}
	seen := map[string]bool{text: known != nil}
	for _, v := range inputs.CommandLines(known, l.in.CommandLines) {
		if seen[v.Text] || v.Raw || strings.ContainsAny(v.Text, "\x00\n") {
			continue
		}
		seen[v.Text] = true
		a.Choices = append(a.Choices, search.Choice[state]{Value: v.Value, Phrase: v.Phrase, Rare: v.Rare, Set: func(s *state) {
			direct(func(d *tdx.Direct) { d.CommandLine = v.Text })(s)
			s.input.Digests.LoadOptions = nil
		}})
	}
	return a
}
