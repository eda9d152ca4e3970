package explain

import (
	"fmt"

	"safebox/measure/snp"
)

// withKernel changes a copy of the hashes: states share them.
func withKernel(s *snpState, change func(*snp.KernelHashes)) {
	if s.launch.Kernel == nil {
		return
	}
	k := *s.launch.Kernel
	change(&k)
	s.launch.Kernel = &k
}

// hashesAxis: a host that gives a kernel but not its hashes, or the reverse.
func (l *snpLab) hashesAxis() axis[snpState] {
	if l.in.Launch.Kernel != nil {
		return axis[snpState]{name: axisHashes, expected: "given", choices: []choice[snpState]{{
			value: "none", phrase: "no kernel hashes instead of those given (kernel-hashes=off, or no -kernel)",
			set:    func(s *snpState) { s.launch.Kernel = nil },
			closes: []string{axisKernel, axisInitrd, axisCommandLine},
		}}}
	}
	a := axis[snpState]{name: axisHashes, expected: "none"}
	line := ""
	if l.in.CommandLine != nil {
		line = *l.in.CommandLine
	}
	for _, k := range l.in.Kernels {
		a.choices = append(a.choices, choice[snpState]{
			value: k.Name, phrase: fmt.Sprintf("the hashes of kernel %s instead of none", k.Name),
			set: func(s *snpState) {
				s.launch.Kernel = &snp.KernelHashes{Kernel: k.Value, Initrd: noInitrd(), CommandLine: snp.HashCommandLine(line)}
			},
		})
	}
	return a
}

func (l *snpLab) kernelAxis() axis[snpState] {
	a := axis[snpState]{name: axisKernel, expected: "the expected kernel"}
	if l.in.Launch.Kernel == nil {
		return a
	}
	for _, k := range l.in.Kernels {
		a.choices = append(a.choices, choice[snpState]{
			value: k.Name, phrase: instead(axisKernel, k.Name, "the expected one"),
			set: func(s *snpState) { withKernel(s, func(h *snp.KernelHashes) { h.Kernel = k.Value }) },
		})
	}
	return a
}

func (l *snpLab) initrdAxis() axis[snpState] {
	a := axis[snpState]{name: axisInitrd, expected: "the expected initrd"}
	k := l.in.Launch.Kernel
	if k == nil || k.Initrd == noInitrd() {
		a.expected = "none"
	}
	if k == nil && len(l.in.Kernels) == 0 {
		return a
	}
	other := func(value, phrase string, hash [32]byte) {
		a.choices = append(a.choices, choice[snpState]{value: value, phrase: phrase, set: func(s *snpState) {
			withKernel(s, func(h *snp.KernelHashes) { h.Initrd = hash })
		}})
	}
	if a.expected != "none" {
		other("none", "no initrd instead of the expected one", noInitrd())
	}
	for _, i := range l.in.Initrds {
		other(i.Name, instead(axisInitrd, i.Name, map[bool]string{true: "none", false: "the expected one"}[a.expected == "none"]), i.Value)
	}
	return a
}

// commandLineAxis: what tools and shells do to a text.
func (l *snpLab) commandLineAxis() axis[snpState] {
	a := axis[snpState]{name: axisCommandLine, expected: "unknown text"}
	if l.in.Launch.Kernel == nil && len(l.in.Kernels) == 0 {
		return a
	}
	if l.in.CommandLine != nil {
		a.expected = fmt.Sprintf("%q", *l.in.CommandLine)
	}
	seen := map[[32]byte]bool{}
	if k := l.in.Launch.Kernel; k != nil {
		seen[k.CommandLine] = true
	}
	for _, v := range commandLines(l.in.CommandLine, l.in.CommandLines) {
		hash := snp.HashCommandLine(v.text)
		if v.raw {
			hash = sum256(v.text)
		}
		if seen[hash] {
			continue
		}
		seen[hash] = true
		a.choices = append(a.choices, choice[snpState]{
			value: v.value, phrase: v.phrase, rare: v.rare,
			set: func(s *snpState) { withKernel(s, func(h *snp.KernelHashes) { h.CommandLine = hash }) },
		})
	}
	return a
}
