package explain

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/nitro"
)

// Names of axes of an enclave.
const (
	axisRamdisks = "order of the ramdisks"
	axisBorder   = "ramdisks in PCR 1"
)

// axes lists those that a register depends on.
func (l *nitroLab) axes(index int, all [nitro.Registers][]byte) []axis[nitroState] {
	switch index {
	case 0, 1, 2:
		return []axis[nitroState]{
			l.debugAxis(all[0]), l.imageAxis(), extendAxis("the SHA-384 of the content instead of the register it was extended into"),
			l.commandLineAxis(), l.placeAxis(), l.ramdisksAxis(), l.borderAxis(),
		}
	case 3:
		return []axis[nitroState]{textAxis("role ARN", l.in.Input.RoleARN, l.in.RoleARNs, l.in.Input.InstanceID, l.in.Input.NoRole), hashAxis()}
	case 4:
		return []axis[nitroState]{textAxis("instance ID", l.in.Input.InstanceID, l.in.InstanceIDs, l.in.Input.RoleARN, false), hashAxis()}
	case 8:
		return []axis[nitroState]{
			l.debugAxis(all[0]), l.signedAxis(), extendAxis("the certificate's SHA-384 instead of the register it was extended into"),
		}
	}
	return nil
}

// debugAxis: where PCR0 is not zero there is no debug mode.
func (l *nitroLab) debugAxis(pcr0 []byte) axis[nitroState] {
	a := axis[nitroState]{name: "debug mode", expected: "off"}
	if !l.in.Input.Debug && bytes.Count(pcr0, []byte{0}) != len(pcr0) {
		return a
	}
	c := choice[nitroState]{value: "on", phrase: "debug mode instead of none (PCR 0, 1, 2 and 8 are zero, and the parent can read the enclave)"}
	if l.in.Input.Debug {
		a.expected, c.value, c.phrase = "on", "off", "no debug mode instead of debug mode"
	}
	on := !l.in.Input.Debug
	c.set = func(s *nitroState) { s.debug = on }
	a.choices = []choice[nitroState]{c}
	return a
}

func (l *nitroLab) imageAxis() axis[nitroState] {
	a := axis[nitroState]{name: "image", expected: l.images[0].name}
	for i, im := range l.images[1:] {
		c := choice[nitroState]{
			value: im.name, phrase: instead("image", im.name, "the expected one"),
			set: func(s *nitroState) { s.image, s.last = i+1, im.last },
		}
		// Other axes are changes of what the expected image holds.
		if im.text != l.images[0].text {
			c.closes = append(c.closes, axisCommandLine)
		}
		if len(im.ramdisks) != len(l.images[0].ramdisks) {
			c.closes = append(c.closes, axisRamdisks, axisBorder)
		}
		a.choices = append(a.choices, c)
	}
	return a
}

func extendAxis(phrase string) axis[nitroState] {
	return axis[nitroState]{name: "value", expected: "register", choices: []choice[nitroState]{{
		value: "digest", phrase: phrase, set: func(s *nitroState) { s.unextended = true },
	}}}
}

// commandLineAxis: an image holds no NUL, so that line ends are what differs.
func (l *nitroLab) commandLineAxis() axis[nitroState] {
	a := axis[nitroState]{name: axisCommandLine}
	text := l.images[0].text
	a.expected = fmt.Sprintf("%q", text)
	list := commandLines(&text, l.in.CommandLines)
	list = append(list, line{
		text: text + "\x00", value: "with a NUL", rare: true,
		phrase: "a NUL at the end of the command line instead of none",
	})
	seen := map[string]bool{text: true}
	for _, v := range list {
		if seen[v.text] || v.raw || strings.HasPrefix(v.value, "with a second") {
			continue
		}
		seen[v.text] = true
		phrase := strings.ReplaceAll(v.phrase, "as virtee/sev and dstack do", "as nitro-cli does with its file")
		a.choices = append(a.choices, choice[nitroState]{value: v.value, phrase: phrase, rare: v.rare, set: func(s *nitroState) {
			s.commandLine, s.changed = v.text, true
		}})
	}
	return a
}

func (l *nitroLab) placeAxis() axis[nitroState] {
	last := l.images[0].last
	names := map[bool]string{false: "in front of the ramdisks", true: "behind the ramdisks"}
	return axis[nitroState]{name: "place of the command line", expected: names[last], choices: []choice[nitroState]{{
		value: names[!last], phrase: fmt.Sprintf("the command line %s instead of %s in the file", names[!last], names[last]),
		set: func(s *nitroState) { s.last = !last },
	}}}
}

// ramdisksAxis: the order in the file is the order of hashing.
func (l *nitroLab) ramdisksAxis() axis[nitroState] {
	n := len(l.images[0].ramdisks)
	a := axis[nitroState]{name: axisRamdisks, expected: orderText(identity(n))}
	if n < 2 || n > maxRamdisks {
		return a
	}
	for _, order := range permutations(n)[1:] {
		a.choices = append(a.choices, choice[nitroState]{
			value: orderText(order), phrase: fmt.Sprintf("ramdisks in the order %s instead of %s", orderText(order), a.expected),
			set: func(s *nitroState) {
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
func (l *nitroLab) borderAxis() axis[nitroState] {
	n := len(l.images[0].ramdisks)
	a := axis[nitroState]{name: axisBorder, expected: "1"}
	for first := range n + 1 {
		if first == 1 {
			continue
		}
		a.choices = append(a.choices, choice[nitroState]{
			value:  fmt.Sprint(first),
			phrase: fmt.Sprintf("%d of the %d ramdisks in PCR 1 instead of 1 (put together to one section, or no ramdisk of its own)", first, n),
			set:    func(s *nitroState) { s.first = first },
		})
	}
	return a
}

// textAxis: PCR3 and PCR4 hold a text of the parent's, zero if there is none.
func textAxis(what, expected string, others []string, swapped string, none bool) axis[nitroState] {
	a := axis[nitroState]{name: what, expected: "unknown"}
	if none {
		a.expected = "none"
	}
	if expected != "" {
		a.expected = fmt.Sprintf("%q", expected)
	}
	seen := map[string]bool{expected: true, "": true}
	add := func(text, value, phrase string) {
		if seen[text] {
			return
		}
		seen[text] = true
		a.choices = append(a.choices, choice[nitroState]{value: value, phrase: phrase, set: func(s *nitroState) { s.text, s.none = text, false }})
	}
	for _, o := range others {
		add(o, fmt.Sprintf("%q", o), fmt.Sprintf("%s %q instead of %s", what, o, a.expected))
	}
	if expected != "" {
		add(expected+"\n", "with a newline", fmt.Sprintf("a newline behind the %s instead of none", what))
	}
	add(swapped, "the other text", "the texts of PCR 3 and PCR 4 swapped instead of role in 3 and instance in 4")
	if expected != "" {
		a.choices = append(a.choices, choice[nitroState]{
			value: "none", phrase: fmt.Sprintf("no %s instead of %s", what, a.expected),
			set: func(s *nitroState) { s.none = true },
		})
	}
	return a
}

func hashAxis() axis[nitroState] {
	return axis[nitroState]{name: "form", expected: "text", choices: []choice[nitroState]{{
		value: "SHA-384 of the text", phrase: "the SHA-384 of the text instead of the text itself",
		set: func(s *nitroState) { s.unextended = true },
	}}}
}

// signedAxis: PCR8 is the certificate's DER.
func (l *nitroLab) signedAxis() axis[nitroState] {
	a := axis[nitroState]{name: "signature", expected: "none"}
	if c := certificateOf(&l.in.Input); c != nil {
		a.expected = "the expected certificate"
		a.choices = append(a.choices,
			choice[nitroState]{
				value: "none", phrase: "no signature instead of one with the expected certificate",
				set: func(s *nitroState) { s.signed = nil },
			},
			choice[nitroState]{
				value: "PEM", phrase: "the certificate's PEM text hashed instead of its DER",
				set: func(s *nitroState) { s.signed = pemOf(c) },
			})
	}
	for _, c := range l.in.Certificates {
		a.choices = append(a.choices, choice[nitroState]{
			value: c.Name, phrase: fmt.Sprintf("a signature with %s instead of %s", c.Name, a.expected),
			set: func(s *nitroState) { s.signed = c.Value.Raw },
		})
	}
	return a
}
