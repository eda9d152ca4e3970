package nitropolicy

import (
	"fmt"
	"strconv"
	"strings"
)

// Explain says in plain sentences what the policy accepts and what it waives,
// one a line.
func (p *Policy) Explain() []string {
	name := p.Kind.String()
	s := []string{name + ": the document is signed by a key that AWS's pinned root vouches for."}
	s = append(s, p.explainTime()...)
	if p.AnyCRL {
		s = append(s, "WAIVED: "+name+": no revocation list of AWS is asked for. AWS's guide says to check none; its certificates live hours to weeks.")
	}
	if p.Kind == Enclave {
		if p.AcceptDebug {
			s = append(s, "WAIVED: "+name+": debug mode is accepted. Whoever owns the parent instance reads such an enclave's console, and its registers say nothing.")
		} else {
			s = append(s, name+": an enclave in debug mode is refused.")
		}
	}
	switch {
	case p.AnyInstance:
		s = append(s, "WAIVED: "+name+": any instance of any AWS account may be the machine: one that somebody has broken can answer for yours.")
	case len(p.Instances) == 0:
		s = append(s, name+": no instance is accepted until you list yours.")
	default:
		s = append(s, name+": the instance is "+strings.Join(p.Instances, " or ")+".")
	}
	s = append(s, p.explainRegisters()...)
	s = append(s, p.explainField("nonce", "the document may answer any question, also one asked long ago", p.Nonce))
	s = append(s, p.explainField("user_data", "nothing ties the document to the keys of this session", p.UserData))
	return append(s, p.explainField("public_key", "the document may carry any key; nothing here uses it", p.PublicKey))
}

func (p *Policy) explainTime() []string {
	name := p.Kind.String()
	age := fmt.Sprintf("at most %v old", p.MaxAge)
	if p.AnyAge {
		age = "of any age within its certificates' lives"
	}
	var s []string
	switch p.Time {
	case Live:
		s = append(s, fmt.Sprintf("%s: certificates are valid now and the document is %s; the clock here may be slow by %v.", name, age, p.Skew))
	case At:
		s = append(s, fmt.Sprintf("%s: certificates are valid at the time that is asked about and the document was %s then; clocks may differ by %v.", name, age, p.Skew))
	case Self:
		return []string{"WAIVED: " + name + ": time. Certificates need only have been valid when the document says that it was made: it may be years old."}
	}
	if p.AnyAge {
		s = append(s, "WAIVED: "+name+": age of the document.")
	}
	return s
}

// explainRegisters has a sentence for each rule.
func (p *Policy) explainRegisters() []string {
	name := p.Kind.String()
	by := map[string][]string{}
	var s []string
	for _, i := range p.Ordered() {
		r := p.PCRs[i]
		if r.Rule == Listed {
			s = append(s, fmt.Sprintf("%s: PCR%d is one of %d given values.", name, i, len(r.Values)))
			continue
		}
		by[r.Rule] = append(by[r.Rule], "PCR"+strconv.Itoa(i))
	}
	for _, rule := range []struct{ word, sentence string }{
		{Release, "%s: what the release computes: %s."},
		{Configuration, "%s: what the configuration document makes of it: %s."},
		{Instance, "%s: the instance that the document names: %s."},
		{Zero, "%s: zero: %s."},
		{Absent, "%s: not in the document: %s."},
		{Any, "WAIVED: %s: any value: %s."},
	} {
		if list := by[rule.word]; len(list) > 0 {
			s = append(s, fmt.Sprintf(rule.sentence, name, strings.Join(list, ", ")))
		}
	}
	if p.Rest == Any {
		return append(s, "WAIVED: "+name+": any value: every other register.")
	}
	return append(s, name+": every other register in the document is as nobody has extended it.")
}

func (p *Policy) explainField(field, risk string, f Field) string {
	name := p.Kind.String()
	switch f.Rule {
	case Any:
		return fmt.Sprintf("WAIVED: %s: %s: %s.", name, field, risk)
	case Listed:
		return fmt.Sprintf("%s: %s is one of %d given values.", name, field, len(f.Values))
	case Absent:
		return fmt.Sprintf("%s: %s is absent.", name, field)
	case Challenge:
		return fmt.Sprintf("%s: %s is the challenge's.", name, field)
	case Transcript:
		return fmt.Sprintf("%s: %s is the hash of the transcript: the session's keys, the release, the configuration.", name, field)
	}
	return fmt.Sprintf("%s: %s is refused whatever it is: the policy has no rule for it.", name, field)
}
