package tpmpolicy

import (
	"fmt"
	"strconv"
	"strings"
)

// waived begins a sentence about what nobody checks.
const waived = "WAIVED: "

// Explain says in plain sentences what the table accepts. What is not checked
// begins with "WAIVED: ".
func (p *Policy) Explain() []string {
	out := p.explainKeys()
	out = append(out, p.explainInstances()...)
	out = append(out, p.explainQuote()...)
	out = append(out, p.explainLog()...)
	return append(out, p.explainRegisters())
}

func (p *Policy) explainKeys() []string {
	var out []string
	for _, ground := range p.AttestationKeys {
		switch ground {
		case Hardware:
			out = append(out, "A TPM's attestation key is believed when a report of SEV-SNP or TDX, verified as the policy's own table for it says, binds it.")
		case Pinned:
			out = append(out, fmt.Sprintf("A TPM's attestation key is believed when it is one of %d that the policy names.", len(p.Pins)))
		case Certificate:
			for _, r := range p.Roots {
				out = append(out, fmt.Sprintf("A TPM's attestation key is believed when it has a certificate under %q (SHA-256 %x).", r.Subject, r.SHA256))
			}
			out = append(out, waived+"that the host cannot reach a TPM whose key has only a certificate: such a TPM is software of its provider.")
		}
	}
	if len(p.AttestationKeys) == 0 {
		out = append(out, "No attestation key is believed: every quote is refused.")
	}
	if !p.Accepts(Certificate) {
		return out
	}
	if p.CertificateUsage == UsageAIK {
		out = append(out, "Such a certificate must be for an attestation key by its extended key usage.")
	} else {
		out = append(out, "Such a certificate must be for signatures and nothing else by its key usage; it need not say that the key attests.")
	}
	if p.AnyCRL {
		return append(out, waived+"revocation of attestation keys' certificates.")
	}
	return append(out, "Each issuer's revocation list must be there and not name the certificate.")
}

func (p *Policy) explainInstances() []string {
	if !p.Accepts(Certificate) {
		return nil
	}
	var out []string
	for _, i := range p.Instances {
		out = append(out, fmt.Sprintf("The certificate may name instance %s (id %s) of project %s (number %s) in zone %s.",
			i.Name, anyNumber(i.ID), i.Project, anyNumber(i.ProjectNumber), i.Zone))
	}
	if p.AnyInstance {
		out = append(out, waived+"which project, zone and instance of Google Compute Engine the certificate names.")
	}
	if p.AnyProduction {
		return append(out, waived+"whether Google calls the machine a production one.")
	}
	return append(out, "A certificate of Google Compute Engine must say that the machine is a production one.")
}

func anyNumber(n int64) string {
	if n < 0 {
		return Any
	}
	return strconv.FormatInt(n, 10)
}

func (p *Policy) explainQuote() []string {
	var out []string
	switch {
	case p.Transcript:
		out = append(out, "The quote's extra data must be the one expected of this session.")
	case p.AnyExtraData:
		out = append(out, waived+"the quote's extra data, which must only not be empty: an old quote passes.")
	default:
		out = append(out, fmt.Sprintf("The quote's extra data must be one of %d values.", len(p.ExtraData)))
	}
	out = append(out, fmt.Sprintf("Quoted must be the banks %s and in each exactly the registers %s.", strings.Join(p.Banks, " and "), numbers(p.PCRs)))
	if p.AnyClock {
		out = append(out, waived+"whether the TPM's clock was ever set back.")
	}
	if p.AnyResets {
		out = append(out, waived+"how often the TPM was reset.")
	} else {
		out = append(out, fmt.Sprintf("The TPM must have been reset %d times or more.", p.Resets))
	}
	if p.AnyRestarts {
		return append(out, waived+"how often the TPM was resumed since its reset.")
	}
	return append(out, fmt.Sprintf("The TPM must have been resumed %d times or fewer since its reset.", p.Restarts))
}

func (p *Policy) explainLog() []string {
	var out []string
	if p.AnyEventLog {
		out = append(out, waived+"the event log, where there is none: nothing explains the registers then.")
	}
	out = append(out, fmt.Sprintf("An event log must explain the registers %s.", numbers(p.Explained)))
	if rest := p.Unexplained(); len(rest) > 0 {
		out = append(out, waived+fmt.Sprintf("what was extended into the registers %s: no log need explain it.", numbers(rest)))
	}
	if p.Events == Any {
		out = append(out, waived+"which events the log holds.")
	} else {
		out = append(out, "The log may hold only the events of an appliance.")
	}
	if p.AnyDigests {
		out = append(out, waived+"whether the data of events is what was measured.")
	} else {
		out = append(out, "The data of events must be what was measured, where their type says so.")
	}
	switch p.SecureBoot {
	case On:
		out = append(out, "Secure Boot must be on.")
	case Off:
		out = append(out, "Secure Boot must be off, without any keys enrolled.")
	default:
		out = append(out, waived+"whether Secure Boot is on.")
	}
	for _, v := range p.Variables {
		out = append(out, fmt.Sprintf("Variable %s must have one of %d values.", v.Name, len(v.Values)))
	}
	if p.AnyVariables && p.SecureBoot != Off {
		out = append(out, waived+"whose keys Secure Boot trusts.")
	}
	return out
}

func (p *Policy) explainRegisters() string {
	switch {
	case p.ReleaseRegisters:
		return "The registers must have the release's values."
	case p.AnyRegisters:
		return waived + "the values of the registers: any software passes."
	}
	var list []int
	for _, r := range p.Registers {
		list = append(list, r.Index)
	}
	return fmt.Sprintf("The registers %s must have values that the policy lists.", numbers(list))
}

// Unexplained lists the quoted registers that no log need explain.
func (p *Policy) Unexplained() []int {
	var rest []int
	for _, n := range p.PCRs {
		found := false
		for _, e := range p.Explained {
			found = found || e == n
		}
		if !found {
			rest = append(rest, n)
		}
	}
	return rest
}

func numbers(list []int) string {
	text := make([]string, len(list))
	for i, n := range list {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, ", ")
}
