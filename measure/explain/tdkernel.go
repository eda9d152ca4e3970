package explain

import (
	"fmt"
	"strings"

	"safebox/measure/tdx"
)

// direct makes a setter that changes a copy of the boot: states share it.
func direct(change func(*tdx.Direct)) func(*tdState) {
	return func(s *tdState) {
		if s.input.Direct == nil {
			return
		}
		d := *s.input.Direct
		change(&d)
		s.input.Direct = &d
	}
}

// toggle is an axis of two values.
func toggle(name string, on bool, names [2]string, phrases [2]string, set func(*tdx.Direct, bool)) axis[tdState] {
	from, to := 0, 1
	if on {
		from, to = 1, 0
	}
	return axis[tdState]{name: name, expected: names[from], choices: []choice[tdState]{{
		value: names[to], phrase: phrases[to], set: direct(func(d *tdx.Direct) { set(d, !on) }),
	}}}
}

func (l *tdLab) kernelAxis() axis[tdState] {
	a := axis[tdState]{name: axisKernel, expected: "the expected kernel"}
	for _, k := range l.in.Kernels {
		if len(k.Value) == 0 {
			continue
		}
		a.choices = append(a.choices, choice[tdState]{
			value: k.Name, phrase: instead(axisKernel, k.Name, "the expected one"),
			set: func(s *tdState) {
				direct(func(d *tdx.Direct) { d.Kernel = k.Value })(s)
				s.input.Digests.Kernel = nil
			},
		})
	}
	return a
}

// ukiAxis is of a boot of a unified kernel image.
func (l *tdLab) ukiAxis() axis[tdState] {
	a := axis[tdState]{name: "UKI", expected: "the expected UKI"}
	if l.start.input.UKI == nil {
		return a
	}
	for _, u := range l.in.UKIs {
		a.choices = append(a.choices, choice[tdState]{
			value: u.Name, phrase: instead("UKI", u.Name, "the expected one"),
			set: func(s *tdState) {
				changed := *s.input.UKI
				changed.Image, changed.Disk, changed.DiskSize = u.Value, nil, 0
				s.input.UKI = &changed
			},
		})
	}
	return a
}

func (l *tdLab) patchedAxis() axis[tdState] {
	a := toggle(axisPatched, l.start.input.Direct.Patched,
		[2]string{"as in the file", "patched by QEMU"},
		[2]string{
			"the kernel as in its file instead of patched by QEMU (QEMU 10.1 or later, or 10.0 with edk2 2025.02 or later)",
			"the kernel's setup header patched by QEMU instead of as in the file (QEMU before 10.1 without etc/boot/kernel)",
		},
		func(d *tdx.Direct, on bool) { d.Patched = on })
	if l.start.input.Direct.Patched {
		a.choices[0].closes = []string{axisHeapEnd, axisVGA, axisMemory, axisInitrd}
	}
	return a
}

func (l *tdLab) heapEndAxis() axis[tdState] {
	return toggle(axisHeapEnd, l.start.input.Direct.WideHeapEnd,
		[2]string{"16 bits", "32 bits"},
		[2]string{
			"heap_end of 16 bits instead of 32 in the patched setup header (what QEMU writes)",
			"heap_end of 32 bits instead of 16 in the patched setup header (dstack-mr and virtee/tdx-measure)",
		},
		func(d *tdx.Direct, on bool) { d.WideHeapEnd = on })
}

func (l *tdLab) vgaAxis() axis[tdState] {
	if !strings.Contains(l.start.input.Direct.CommandLine, "vga=") {
		return axis[tdState]{name: axisVGA}
	}
	return toggle(axisVGA, l.start.input.Direct.KeepVideoMode,
		[2]string{"written to vid_mode", "not written"},
		[2]string{
			"vid_mode in the patched setup header as vga= says instead of left alone (what QEMU writes)",
			"vid_mode in the patched setup header left alone instead of as vga= says (dstack-mr and virtee/tdx-measure)",
		},
		func(d *tdx.Direct, on bool) { d.KeepVideoMode = on })
}

func (l *tdLab) paddingAxis() axis[tdState] {
	return toggle(axisPadding, l.start.input.Direct.PeerPadding,
		[2]string{"none", "to 8 bytes"},
		[2]string{
			"the kernel's Authenticode digest without padding instead of padded to 8 bytes (what edk2 computes)",
			"the kernel's Authenticode digest padded to 8 bytes instead of without padding (dstack-mr, virtee/tdx-measure and Tinfoil's tool)",
		},
		func(d *tdx.Direct, on bool) { d.PeerPadding = on })
}

func (l *tdLab) silentAxis() axis[tdState] {
	a := toggle(axisSilent, l.start.input.Direct.Silent,
		[2]string{"measures", "measures nothing"},
		[2]string{
			"a kernel that measures its load options and initrd instead of nothing (Linux 6.9 or later)",
			"a kernel that measures nothing instead of its load options and initrd (Linux before 6.9)",
		},
		func(d *tdx.Direct, on bool) { d.Silent = on })
	if !l.start.input.Direct.Silent {
		a.choices[0].closes = []string{axisInitrd, axisForm, axisCommandLine}
	}
	return a
}

func (l *tdLab) initrdAxis() axis[tdState] {
	d := l.start.input.Direct
	a := axis[tdState]{name: axisInitrd, expected: "the expected initrd"}
	if d.InitrdSHA384 == nil && l.start.input.Digests.Initrd == nil {
		a.expected = "none"
	} else {
		a.choices = append(a.choices, choice[tdState]{
			value: "none", phrase: "no initrd instead of the expected one", closes: []string{axisForm},
			set: func(s *tdState) {
				direct(func(d *tdx.Direct) { d.InitrdSHA384, d.InitrdSize = nil, 0 })(s)
				s.input.Digests.Initrd = nil
			},
		})
	}
	for _, i := range l.in.Initrds {
		expected := "the expected one"
		if a.expected == "none" {
			expected = "none"
		}
		a.choices = append(a.choices, choice[tdState]{
			value: i.Name, phrase: instead(axisInitrd, i.Name, expected),
			set: func(s *tdState) {
				direct(func(d *tdx.Direct) { d.InitrdSHA384, d.InitrdSize = &i.Value.SHA384, i.Value.Size })(s)
				s.input.Digests.Initrd = nil
			},
		})
	}
	return a
}

// formAxis: where the firmware writes the initrd's name.
func (l *tdLab) formAxis() axis[tdState] {
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
	a := axis[tdState]{name: axisForm, expected: texts[expected]}
	for _, f := range []tdx.OptionsForm{tdx.InitrdLast, tdx.InitrdFirst, tdx.NoInitrdName} {
		if f == expected {
			continue
		}
		a.choices = append(a.choices, choice[tdState]{
			value: texts[f], phrase: fmt.Sprintf("initrd=initrd %s instead of %s (%s)", texts[f], a.expected, notes[f]),
			set: direct(func(d *tdx.Direct) { d.OptionsForm = f }),
		})
	}
	return a
}

// commandLineAxis leaves out what a firmware can't hand on: bytes that are not
// printable, and a text without its NUL.
func (l *tdLab) commandLineAxis() axis[tdState] {
	text := l.start.input.Direct.CommandLine
	a := axis[tdState]{name: axisCommandLine, expected: fmt.Sprintf("%q", text)}
	known := &text
	if l.start.input.Digests.LoadOptions != nil {
		a.expected, known = "unknown text", nil
	}
	seen := map[string]bool{text: known != nil}
	for _, v := range commandLines(known, l.in.CommandLines) {
		if seen[v.text] || v.raw || strings.ContainsAny(v.text, "\x00\n") {
			continue
		}
		seen[v.text] = true
		a.choices = append(a.choices, choice[tdState]{value: v.value, phrase: v.phrase, rare: v.rare, set: func(s *tdState) {
			direct(func(d *tdx.Direct) { d.CommandLine = v.text })(s)
			s.input.Digests.LoadOptions = nil
		}})
	}
	return a
}
