package verdict

import (
	"fmt"
	"strings"
	"unicode"
)

// maxShown is how much of a value the table shows; --json shows all of it.
const maxShown = 72

// Text gives the verdict as a table for people. Values come from an untrusted
// machine: what could speak to a terminal is escaped.
func (v *Verdict) Text() string {
	var b strings.Builder
	width := 0
	for _, c := range v.Checks {
		width = max(width, len(c.ID))
	}
	for _, c := range v.together() {
		if c.OK {
			fmt.Fprintf(&b, "ok      %-*s  %s: %s\n", width, c.ID, c.Name, shown(c.Got))
			continue
		}
		if !c.Reached {
			fmt.Fprintf(&b, "-       %-*s  %s: %s\n", width, c.ID, c.Name, shown(c.Got))
			continue
		}
		fmt.Fprintf(&b, "FAILED  %-*s  %s\n", width, c.ID, c.Name)
		for _, line := range [][2]string{{"want", c.Want}, {"got", c.Got}, {"hint", c.Hint}} {
			fmt.Fprintf(&b, "        %-*s  %-4s %s\n", width, "", line[0], escape(line[1]))
		}
	}
	for _, w := range v.Waived {
		fmt.Fprintf(&b, "waived  %s: %s\n", escape(w.What), escape(w.Reason))
	}
	if p := v.Published; p != nil {
		fmt.Fprintf(&b, "release %s, svn %d, of log %s with %d entries at %s; rebuilt by %s\n",
			escape(p.Version), p.SVN, escape(p.Origin), p.Size, p.time(), escape(fmt.Sprintf("%q", p.Rebuilt)))
	}
	b.WriteString(v.summary())
	return b.String()
}

// time is the time for people, who want to know when there is none.
func (p *Published) time() string {
	if p.Time == "" {
		return "no time"
	}
	return p.Time
}

// registers is how the IDs of the registers' checks begin: TPM-R4-sha256.
const registers = "TPM-R"

// together lists the checks with the registers that passed as one line for
// each bank: there are two dozen of them.
func (v *Verdict) together() []Check {
	var list []Check
	numbers := map[string][]string{} // by bank
	var banks []string
	for _, c := range v.Checks {
		number, bank, ok := strings.Cut(strings.TrimPrefix(c.ID, registers), "-")
		if !c.OK || !ok || !strings.HasPrefix(c.ID, registers) {
			list = append(list, c)
			continue
		}
		if numbers[bank] == nil {
			banks = append(banks, bank)
		}
		numbers[bank] = append(numbers[bank], number)
	}
	for _, bank := range banks {
		list = append(list, Check{
			ID: registers + "*-" + bank, OK: true,
			Name: bank + " registers are the release's", Got: strings.Join(numbers[bank], " "),
		})
	}
	return list
}

func (v *Verdict) summary() string {
	failed := v.Failed()
	if v.OK {
		return fmt.Sprintf("accepted: %s, %d checks at %s under policy %s\n",
			escape(v.Platform), len(v.Checks), v.At, escape(v.Profile))
	}
	var ids []string
	for _, c := range failed {
		if c.Reached {
			ids = append(ids, c.ID)
		}
	}
	text := fmt.Sprintf("refused: %d of %d checks failed: %s", len(ids), len(v.Checks), strings.Join(ids, " "))
	if n := len(failed) - len(ids); n > 0 {
		text += fmt.Sprintf("; %d not reached", n)
	}
	return text + "\n"
}

func shown(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	return escape(s)
}

func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "%U", r)
		}
	}
	return b.String()
}
