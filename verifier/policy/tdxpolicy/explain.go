package tdxpolicy

import (
	"fmt"
	"strings"
)

// waived begins the sentence about what is not checked.
const waived = "WAIVED: "

// Explain says in plain sentences what the policy accepts and what it waives.
func (p *Policy) Explain() []string {
	s := []string{
		fmt.Sprintf("Quotes of TDX guests: %s.", orNone(p.Quotes)),
		fmt.Sprintf("Intel's TCB documents are of series %q and have evaluation number %d at least.", p.Series, p.EvalNumberMin),
		fmt.Sprintf("TCB status: %s.", orNone(p.Status)),
	}
	s = append(s, p.explainStatus()...)
	s = append(s, p.explainGuest()...)
	s = append(s, p.explainMachine()...)
	return append(s, p.explainMeasurements()...)
}

func (p *Policy) explainStatus() []string {
	var s []string
	if p.AnyAdvisory {
		s = append(s, waived+"Intel's advisories are not looked at.")
	} else {
		s = append(s, fmt.Sprintf("Advisories that may apply to the platform: %s.", orNone(p.Advisories)))
	}
	if p.ConfigurationBy != "" {
		s = append(s, fmt.Sprintf(waived+"platforms that need configuration, by %s.", p.ConfigurationBy))
	}
	switch w := p.OutOfDate; {
	case w.Forever:
		s = append(s, waived+"platforms that are out of date, whatever their date.")
	case !w.Until.IsZero():
		s = append(s, fmt.Sprintf(waived+"platforms that are out of date since the TCB recovery of %s, before %s, with levels of %s and later, by %s.",
			w.Recovery.Format(dateOnly), w.Until.Format(dateOnly), w.Oldest.Format(dateOnly), w.By))
	default:
		s = append(s, "Platforms that are out of date are refused.")
	}
	if p.RelaunchAdvised == Accept {
		return append(s, waived+"guests that Intel advises to launch again.")
	}
	return append(s, "Guests that Intel advises to launch again are refused.")
}

func (p *Policy) explainGuest() []string {
	attributes := make([]string, len(p.TDAttributes))
	for i, a := range p.TDAttributes {
		attributes[i] = fmt.Sprintf("%#x", a)
	}
	return []string{
		fmt.Sprintf("TD attributes are %s; debug and migratable guests are refused.", orNone(attributes)),
		fmt.Sprintf("Extended features hold %#x and nothing outside %#x.", p.XFAMRequired, p.XFAMAllowed),
		p.MRSEAM.explain("The TDX module (MRSEAM)"),
		p.MRServiceTD.explain("The digest of service TDs (MRSERVICETD)"),
		p.MRConfigID.explain("MRCONFIGID"),
		p.MROwner.explain("MROWNER"),
		p.MROwnerConfig.explain("MROWNERCONFIG"),
	}
}

func (p *Policy) explainMachine() []string {
	var s []string
	switch {
	case p.AnyChip:
		s = append(s, waived+"the machine may be any that Intel has certified; evidence relayed from a broken one would pass.")
	case len(p.Chips) == 0:
		s = append(s, "No machine is accepted: chips lists none.")
	default:
		s = append(s, fmt.Sprintf("The machine is one of the %d listed.", len(p.Chips)))
	}
	for _, f := range []struct{ word, what string }{
		{p.SMT, "simultaneous multithreading"},
		{p.CachedKeys, "keys of the platform kept at Intel"},
		{p.DynamicPlatform, "processor packages that may be exchanged"},
	} {
		switch f.word {
		case Any:
			s = append(s, waived+f.what+".")
		case Off:
			s = append(s, "Refused: "+f.what+".")
		}
	}
	return s
}

func (p *Policy) explainMeasurements() []string {
	s := []string{p.MRTD.explain("The firmware (MRTD)")}
	for i := range p.RTMR {
		s = append(s, p.RTMR[i].explain(fmt.Sprintf("RTMR%d", i)))
	}
	if p.EventLog == Any {
		s = append(s, waived+"evidence may come without the firmware's event log.")
	} else {
		s = append(s, "The firmware's event log must be there and replay to RTMR0, 1 and 2.")
	}
	return append(s, p.ReportData.explain("REPORTDATA"))
}

// explain says what a field must hold.
func (v *Value) explain(what string) string {
	switch v.Word {
	case Any:
		return waived + what + " is not checked."
	case Zero:
		return what + " is zero."
	case Release:
		return what + " is the release's."
	case Configuration:
		return what + " is the digest of the configuration document."
	case Transcript:
		return what + " is the hash of the challenge's transcript."
	case Identity:
		return what + " is by its signer and SVN one of Intel's signed TCB info."
	case Runtime:
		return what + " is the replay of the runtime log."
	}
	if len(v.List) == 0 {
		return what + " has no accepted value."
	}
	values := make([]string, len(v.List))
	for i, b := range v.List {
		values[i] = fmt.Sprintf("%x", b)
	}
	return what + " is " + strings.Join(values, " or ") + "."
}

const dateOnly = "2006-01-02"

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
