package explainsev

import (
	"crypto/sha256"
	"fmt"

	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/search"
	"safebox/measure/snp"
)

// withKernel changes a copy of the hashes: states share them.
func withKernel(s *state, change func(*snp.KernelHashes)) {
	if s.launch.Kernel == nil {
		return
	}
	k := *s.launch.Kernel
	change(&k)
	s.launch.Kernel = &k
}

// hashesAxis: a host that gives a kernel but not its hashes, or the reverse.
func (l *lab) hashesAxis() search.Axis[state] {
	if l.in.Launch.Kernel != nil {
		return search.Axis[state]{Name: axisHashes, Expected: "given", Choices: []search.Choice[state]{{
			Value: "none", Phrase: "no kernel hashes instead of those given (kernel-hashes=off, or no -kernel)",
			Set:    func(s *state) { s.launch.Kernel = nil },
			Closes: []string{inputs.Kernel, inputs.Initrd, inputs.CommandLine},
		}}}
	}
	a := search.Axis[state]{Name: axisHashes, Expected: "none"}
	line := ""
	if l.in.CommandLine != nil {
		line = *l.in.CommandLine
	}
	for _, k := range l.in.Kernels {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: k.Name, Phrase: fmt.Sprintf("the hashes of kernel %s instead of none", k.Name),
			Set: func(s *state) {
				s.launch.Kernel = &snp.KernelHashes{Kernel: k.Value, Initrd: noInitrd(), CommandLine: snp.HashCommandLine(line)}
			},
		})
	}
	return a
}

func (l *lab) kernelAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.Kernel, Expected: "the expected kernel"}
	if l.in.Launch.Kernel == nil {
		return a
	}
	for _, k := range l.in.Kernels {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: k.Name, Phrase: search.Instead(inputs.Kernel, k.Name, "the expected one"),
			Set: func(s *state) { withKernel(s, func(h *snp.KernelHashes) { h.Kernel = k.Value }) },
		})
	}
	return a
}

func (l *lab) initrdAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.Initrd, Expected: "the expected initrd"}
	k := l.in.Launch.Kernel
	if k == nil || k.Initrd == noInitrd() {
		a.Expected = "none"
	}
	if k == nil && len(l.in.Kernels) == 0 {
		return a
	}
	other := func(value, phrase string, hash [32]byte) {
		a.Choices = append(a.Choices, search.Choice[state]{Value: value, Phrase: phrase, Set: func(s *state) {
			withKernel(s, func(h *snp.KernelHashes) { h.Initrd = hash })
		}})
	}
	if a.Expected != "none" {
		other("none", "no initrd instead of the expected one", noInitrd())
	}
	for _, i := range l.in.Initrds {
		other(i.Name, search.Instead(inputs.Initrd, i.Name, map[bool]string{true: "none", false: "the expected one"}[a.Expected == "none"]), i.Value)
	}
	return a
}

// commandLineAxis: what tools and shells do to a text.
func (l *lab) commandLineAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.CommandLine, Expected: "unknown text"}
	if l.in.Launch.Kernel == nil && len(l.in.Kernels) == 0 {
		return a
	}
	if l.in.CommandLine != nil {
		a.Expected = fmt.Sprintf("%q", *l.in.CommandLine)
	}
	seen := map[[32]byte]bool{}
	if k := l.in.Launch.Kernel; k != nil {
		seen[k.CommandLine] = true
	}
	for _, v := range inputs.CommandLines(l.in.CommandLine, l.in.CommandLines) {
		hash := snp.HashCommandLine(v.Text)
		if v.Raw {
			hash = sha256.Sum256([]byte(v.Text))
		}
		if seen[hash] {
			continue
		}
		seen[hash] = true
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: v.Value, Phrase: v.Phrase, Rare: v.Rare,
			Set: func(s *state) { withKernel(s, func(h *snp.KernelHashes) { h.CommandLine = hash }) },
		})
	}
	return a
}
