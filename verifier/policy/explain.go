package policy

import (
	"fmt"
	"strings"
	"time"

	"safebox/verifier/transcript"
)

// Explain says in plain sentences what the policy accepts and what it waives,
// one a line.
func (p *Policy) Explain() []string {
	s := []string{
		fmt.Sprintf("This is a policy of profile %s for platform %s, reviewed until %s.",
			p.Profile, strings.Join(p.Platforms, " and "), p.Review.AddDate(0, 0, -1).Format("2006-01-02")),
	}
	s = append(s, p.explainRelease()...)
	s = append(s, p.explainConfiguration()...)
	s = append(s, p.Collateral.explain()...)
	s = append(s, p.Shapes.explain(p)...)
	if p.Accepts(transcript.VTPM) {
		s = append(append(s, p.VTPM.explain()...), about("Raw evidence of a TPM", p.Quote.Explain())...)
	}
	if p.Accepts(transcript.SNP) {
		s = append(s, about("SEV-SNP", p.SNP.Explain())...)
	}
	if p.Accepts(transcript.TDX) {
		s = append(s, about("TDX", p.TDX.Explain())...)
	}
	if p.Accepts(transcript.Nitro) {
		s = append(s, p.Nitro.Explain()...)
	}
	if p.Accepts(transcript.NitroTPM) {
		s = append(s, p.NitroTPM.Explain()...)
	}
	return s
}

// waived begins a sentence about what is not checked.
const waived = "WAIVED: "

// about says of each sentence which table it is about.
func about(table string, sentences []string) []string {
	out := make([]string, len(sentences))
	for i, s := range sentences {
		if rest, ok := strings.CutPrefix(s, waived); ok {
			out[i] = waived + table + ": " + rest
		} else {
			out[i] = table + ": " + s
		}
	}
	return out
}

// days writes a time that people think of in days.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

func (c Collateral) explain() []string {
	var s []string
	switch c.Mode {
	case Live:
		s = append(s, "Documents of vendors must be valid at the time of the verification, which is now.")
	case Grace:
		s = append(s, fmt.Sprintf("WAIVED: lists of vendors may have expired up to %s ago: %s said so.", days(c.Grace), strings.Join(c.WaivedBy, " and ")))
	case AsOf:
		s = append(s, "The verification is about a time in the past.")
	}
	if c.AnyAgeTCB {
		s = append(s, "WAIVED: TCB info, QE identity and PCK CRL may have any age: an old one hides what was found since.")
	} else {
		s = append(s, fmt.Sprintf("TCB info, QE identity and PCK CRL may be at most %s old.", days(c.MaxAgeTCB)))
	}
	if c.AnyAgeCRL {
		s = append(s, "WAIVED: other revocation lists may have any age.")
	} else {
		s = append(s, fmt.Sprintf("Other revocation lists may be at most %s old.", days(c.MaxAgeCRL)))
	}
	if c.AnyTime {
		s = append(s, "WAIVED: nobody need have witnessed the time that is asked about.")
	}
	if c.AnyMemory {
		s = append(s, "WAIVED: the rollback memory may be missing: documents older than ones seen before are then not noticed.")
	} else {
		s = append(s, "The rollback memory (--memory) is required: nothing older than what it knows is accepted.")
	}
	return s
}

func (p *Policy) explainRelease() []string {
	var s []string
	if p.AnyReview {
		s = append(s, "WAIVED: it is accepted after its review date too.")
	}
	if p.Release == Signed {
		s = append(s, "The release must be published: signed, rebuilt by others, and all of that in a witnessed log.")
		s = append(s, p.Publication.Explain()...)
	} else {
		s = append(s, "WAIVED: the release need not be signed, rebuilt or logged: whoever gives you its digest decides what runs.")
	}
	if p.AnyLife {
		return append(s, "WAIVED: a challenge may live for any time.")
	}
	return append(s, fmt.Sprintf("A challenge may live for at most %d seconds.", p.MaxLife))
}

func (p *Policy) explainConfiguration() []string {
	var s []string
	if p.AnyDocument {
		s = append(s, "WAIVED: every well-formed configuration document is accepted.")
	}
	for _, d := range p.Documents {
		if d == NoDocument {
			s = append(s, "A machine without a configuration document is accepted.")
		} else {
			s = append(s, "A machine with the configuration document of SHA-256 "+d+" is accepted.")
		}
	}
	if p.State == Fresh {
		return append(s, "No keys may have reached the machine since its boot.")
	}
	return append(s, "Keys may have reached the machine before: register 15 tells which.")
}

func (v *VTPM) explain() []string {
	var banks []string
	for _, b := range v.Banks {
		banks = append(banks, b.String())
	}
	s := []string{
		fmt.Sprintf("The TPM must quote exactly the registers %s in the banks %s, and they must be those of the release booted by %s, with Secure Boot off: the registers say what ran.",
			strings.Trim(fmt.Sprint(v.PCRs), "[]"), strings.Join(banks, " and "), strings.Join(v.Boots, " or ")),
		"WAIVED: registers 1 and 10 may have any value: the host decides the first, the second follows from others.",
	}
	if v.AnyDisk {
		s = append(s, "WAIVED: register 5 may have any value: the disk may have been resized.")
	}
	if v.AnyClock {
		s = append(s, "WAIVED: the TPM's clock may have been set back.")
	}
	if len(v.Roots) == 0 {
		s = append(s, "No root of TPMs is named, so every machine is refused.")
	}
	for _, r := range v.Roots {
		s = append(s, v.explainRoot(r))
	}
	return s
}

func (v *VTPM) explainRoot(r Root) string {
	name := fmt.Sprintf("%q (SHA-256 %v)", r.Subject, r.SHA256)
	switch {
	case r.Kind == Hardware:
		return "TPMs certified by " + name + " are accepted as hardware."
	case v.SoftwareAccept:
		return "WAIVED: software TPMs certified by " + name + " are accepted: their host can make them say anything."
	}
	return "Software TPMs certified by " + name + " are refused."
}
