package explainnitro

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/search"
	"safebox/measure/nitro"
)

// Names of axes of an enclave.
const (
	axisRamdisks = "order of the ramdisks"
	axisBorder   = "ramdisks in PCR 1"
)

// axes lists those that a register depends on.
func (l *lab) axes(index int, all [nitro.Registers][]byte) []search.Axis[state] {
	switch index {
	case 0, 1, 2:
		return []search.Axis[state]{
			l.debugAxis(all[0]), l.imageAxis(), extendAxis("the SHA-384 of the content instead of the register it was extended into"),
			l.commandLineAxis(), l.placeAxis(), l.ramdisksAxis(), l.borderAxis(),
		}
	case 3:
		return []search.Axis[state]{textAxis("role ARN", l.in.Input.RoleARN, l.in.RoleARNs, l.in.Input.InstanceID, l.in.Input.NoRole), hashAxis()}
	case 4:
		return []search.Axis[state]{textAxis("instance ID", l.in.Input.InstanceID, l.in.InstanceIDs, l.in.Input.RoleARN, false), hashAxis()}
	case 8:
		return []search.Axis[state]{
			l.debugAxis(all[0]), l.signedAxis(), extendAxis("the certificate's SHA-384 instead of the register it was extended into"),
		}
	}
	return nil
}

// debugAxis: where PCR0 is not zero there is no debug mode.
func (l *lab) debugAxis(pcr0 []byte) search.Axis[state] {
	a := search.Axis[state]{Name: "debug mode", Expected: "off"}
	if !l.in.Input.Debug && bytes.Count(pcr0, []byte{0}) != len(pcr0) {
		return a
	}
	c := search.Choice[state]{Value: "on", Phrase: "debug mode instead of none (PCR 0, 1, 2 and 8 are zero, and the parent can read the enclave)"}
	if l.in.Input.Debug {
		a.Expected, c.Value, c.Phrase = "on", "off", "no debug mode instead of debug mode"
	}
	on := !l.in.Input.Debug
	c.Set = func(s *state) { s.debug = on }
	a.Choices = []search.Choice[state]{c}
	return a
}

func (l *lab) imageAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "image", Expected: l.images[0].name}
	for i, im := range l.images[1:] {
		c := search.Choice[state]{
			Value: im.name, Phrase: search.Instead("image", im.name, "the expected one"),
			Set: func(s *state) { s.image, s.last = i+1, im.last },
		}
		// Other axes are changes of what the expected image holds.
		if im.text != l.images[0].text {
			c.Closes = append(c.Closes, inputs.CommandLine)
		}
		if len(im.ramdisks) != len(l.images[0].ramdisks) {
			c.Closes = append(c.Closes, axisRamdisks, axisBorder)
		}
		a.Choices = append(a.Choices, c)
	}
	return a
}

func extendAxis(phrase string) search.Axis[state] {
	return search.Axis[state]{Name: "value", Expected: "register", Choices: []search.Choice[state]{{
		Value: "digest", Phrase: phrase, Set: func(s *state) { s.unextended = true },
	}}}
}

// commandLineAxis: an image holds no NUL, so that line ends are what differs.
func (l *lab) commandLineAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.CommandLine}
	text := l.images[0].text
	a.Expected = fmt.Sprintf("%q", text)
	list := inputs.CommandLines(&text, l.in.CommandLines)
	list = append(list, inputs.Line{
		Text: text + "\x00", Value: "with a NUL", Rare: true,
		Phrase: "a NUL at the end of the command line instead of none",
	})
	seen := map[string]bool{text: true}
	for _, v := range list {
		if seen[v.Text] || v.Raw || strings.HasPrefix(v.Value, "with a second") {
			continue
		}
		seen[v.Text] = true
		phrase := strings.ReplaceAll(v.Phrase, "as virtee/sev and dstack do", "as nitro-cli does with its file")
		a.Choices = append(a.Choices, search.Choice[state]{Value: v.Value, Phrase: phrase, Rare: v.Rare, Set: func(s *state) {
			s.commandLine, s.changed = v.Text, true
		}})
	}
	return a
}

func (l *lab) placeAxis() search.Axis[state] {
	last := l.images[0].last
	names := map[bool]string{false: "in front of the ramdisks", true: "behind the ramdisks"}
	return search.Axis[state]{Name: "place of the command line", Expected: names[last], Choices: []search.Choice[state]{{
		Value: names[!last], Phrase: fmt.Sprintf("the command line %s instead of %s in the file", names[!last], names[last]),
		Set: func(s *state) { s.last = !last },
	}}}
}

// ramdisksAxis: the order in the file is the order of hashing.
func (l *lab) ramdisksAxis() search.Axis[state] {
	n := len(l.images[0].ramdisks)
	a := search.Axis[state]{Name: axisRamdisks, Expected: orderText(identity(n))}
	if n < 2 || n > maxRamdisks {
		return a
	}
	for _, order := range permutations(n)[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: orderText(order), Phrase: fmt.Sprintf("ramdisks in the order %s instead of %s", orderText(order), a.Expected),
			Set: func(s *state) {
				for i, r := range order {
					s.ramdisks[i] = int8(r)
				}
			},
		})
	}
	return a
}

func orderText(order []int) string { return strings.Trim(fmt.Sprint(order), "[]") }

func identity(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// permutations lists the orders of n things, the identity first.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var list [][]int
	for _, p := range permutations(n - 1) {
		for at := n - 1; at >= 0; at-- {
			list = append(list, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return list
}

// borderAxis: ramdisks that were put together move from PCR2 to PCR1, and PCR0
// stays.
func (l *lab) borderAxis() search.Axis[state] {
	n := len(l.images[0].ramdisks)
	a := search.Axis[state]{Name: axisBorder, Expected: "1"}
	for first := range n + 1 {
		if first == 1 {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value:  fmt.Sprint(first),
			Phrase: fmt.Sprintf("%d of the %d ramdisks in PCR 1 instead of 1 (put together to one section, or no ramdisk of its own)", first, n),
			Set:    func(s *state) { s.first = first },
		})
	}
	return a
}

// textAxis: PCR3 and PCR4 hold a text of the parent's, zero if there is none.
func textAxis(what, expected string, others []string, swapped string, none bool) search.Axis[state] {
	a := search.Axis[state]{Name: what, Expected: "unknown"}
	if none {
		a.Expected = "none"
	}
	if expected != "" {
		a.Expected = fmt.Sprintf("%q", expected)
	}
	seen := map[string]bool{expected: true, "": true}
	add := func(text, value, phrase string) {
		if seen[text] {
			return
		}
		seen[text] = true
		a.Choices = append(a.Choices, search.Choice[state]{Value: value, Phrase: phrase, Set: func(s *state) { s.text, s.none = text, false }})
	}
	for _, o := range others {
		add(o, fmt.Sprintf("%q", o), fmt.Sprintf("%s %q instead of %s", what, o, a.Expected))
	}
	if expected != "" {
		add(expected+"\n", "with a newline", fmt.Sprintf("a newline behind the %s instead of none", what))
	}
	add(swapped, "the other text", "the texts of PCR 3 and PCR 4 swapped instead of role in 3 and instance in 4")
	if expected != "" {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: "none", Phrase: fmt.Sprintf("no %s instead of %s", what, a.Expected),
			Set: func(s *state) { s.none = true },
		})
	}
	return a
}

func hashAxis() search.Axis[state] {
	return search.Axis[state]{Name: "form", Expected: "text", Choices: []search.Choice[state]{{
		Value: "SHA-384 of the text", Phrase: "the SHA-384 of the text instead of the text itself",
		Set: func(s *state) { s.unextended = true },
	}}}
}

// signedAxis: PCR8 is the certificate's DER.
func (l *lab) signedAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "signature", Expected: "none"}
	if c := certificateOf(&l.in.Input); c != nil {
		a.Expected = "the expected certificate"
		a.Choices = append(a.Choices,
			search.Choice[state]{
				Value: "none", Phrase: "no signature instead of one with the expected certificate",
				Set: func(s *state) { s.signed = nil },
			},
			search.Choice[state]{
				Value: "PEM", Phrase: "the certificate's PEM text hashed instead of its DER",
				Set: func(s *state) { s.signed = pemOf(c) },
			})
	}
	for _, c := range l.in.Certificates {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: c.Name, Phrase: fmt.Sprintf("a signature with %s instead of %s", c.Name, a.Expected),
			Set: func(s *state) { s.signed = c.Value.Raw },
		})
	}
	return a
}
