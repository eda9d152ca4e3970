package page

import (
	"strconv"
	"strings"
	"time"

	"safebox/verifier/verdict"
)

// summary writes what was decided and why, for somebody who reads no further.
func (w *writer) summary(v *verdict.Verdict) {
	if accepted(v) {
		w.raw(`<header class="verdict ok">`, passed.sign(), "<div>\n<h1>Accepted</h1>\n<p class=\"lead\">")
		w.acceptance(v)
	} else {
		w.raw(`<header class="verdict bad">`, failed.sign(), "<div>\n<h1>Refused</h1>\n<p class=\"lead\">")
		w.refusal(v)
	}
	w.raw("</p>\n<dl class=\"facts\">\n<div><dt>Platform</dt><dd>")
	w.platform(v.Platform)
	w.raw("</dd></div>\n<div><dt>Checked as of</dt><dd>")
	w.moment(v.At)
	w.raw("</dd></div>\n<div><dt>Policy</dt><dd>")
	w.short(v.Profile)
	w.raw("</dd></div>\n<div><dt>Checks</dt><dd>")
	w.counts(v)
	w.raw("</dd></div>\n</dl>\n</div></header>\n")
}

// acceptance says no more than the verdict does: without a release or a
// challenge nothing is said about what runs, or when.
func (w *writer) acceptance(v *verdict.Verdict) {
	if v.Release != "" && v.Challenge != "" {
		w.raw("Your policy trusts this machine with your data: ")
	} else {
		w.raw("Your policy accepts this evidence: ")
	}
	if len(v.Checks) == 1 {
		w.raw("the only check passed.")
	} else {
		w.raw("all ")
		w.number(len(v.Checks))
		w.raw(" checks passed.")
	}
	if v.Release == "" {
		w.raw(" It was not compared with a release.")
	}
	if v.Challenge == "" {
		w.raw(" It answers no challenge of Safebox: unless you chose its data, it may be a recording.")
	}
	if n := len(v.Waived); n > 0 {
		w.raw(" <a href=\"#waived\">")
		w.count(n, "thing was", "things were")
		w.raw(" not checked</a>: is that what you want?")
	}
}

// refusal names the first check that failed by itself, and counts the rest.
func (w *writer) refusal(v *verdict.Verdict) {
	w.raw("Don’t give your data to this machine: ")
	var first *verdict.Check
	fails, unreached := 0, 0
	for i, c := range v.Checks {
		switch stateOf(c) {
		case failed:
			if fails == 0 {
				first = &v.Checks[i]
			}
			fails++
		case notReached:
			unreached++
		}
	}
	if first == nil {
		w.raw("the verdict is no acceptance, and no check in it says why. Treat it as a refusal.")
		return
	}
	w.raw("nothing shows that “")
	w.short(first.Name)
	w.raw("” (<a href=\"#failed\">")
	w.id(first.ID)
	w.raw("</a>).")
	if fails > 1 {
		w.raw(" ")
		w.count(fails-1, "more check failed", "more checks failed")
		w.raw(".")
	}
	if unreached > 0 {
		w.raw(" ")
		w.count(unreached, "check was", "checks were")
		w.raw(" not reached because of that.")
	}
}

// counts says how many checks ended how.
func (w *writer) counts(v *verdict.Verdict) {
	var n [passed + 1]int
	for _, c := range v.Checks {
		n[stateOf(c)]++
	}
	w.number(n[passed] + n[open])
	w.raw(" passed, ")
	w.number(n[failed])
	w.raw(" failed, ")
	w.number(n[notReached])
	w.raw(" not reached")
	if n[open] > 0 {
		w.raw("; ")
		w.count(n[open], "leaves something open", "leave something open")
	}
}

// platform writes the platform by the name that its maker gave it.
func (w *writer) platform(name string) {
	switch name {
	case "snp":
		w.raw("AMD SEV-SNP")
	case "tdx":
		w.raw("Intel TDX")
	case "nitro":
		w.raw("AWS Nitro Enclaves")
	case "nitrotpm":
		w.raw("AWS NitroTPM")
	case "vtpm":
		w.raw("virtual TPM (vTPM)")
	case "":
		w.raw(`<span class="none">could not be read</span>`)
	default:
		w.short(name)
	}
}

// moment writes the time of the verdict for people, in UTC like the verdict.
func (w *writer) moment(at string) {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		w.short(at)
		return
	}
	w.text(t.UTC().Format("2 January 2006, 15:04:05 UTC"))
}

// files writes the digests by which this verdict can be told from another.
func (w *writer) files(v *verdict.Verdict) {
	w.raw("<section aria-labelledby=\"files\">\n<h2 id=\"files\">What was checked</h2>\n",
		"<p>SHA-256 of each file, and what the verdict says about itself. The same files and the same time give the same verdict anywhere.</p>\n<dl class=\"digests\">\n")
	for _, f := range append([]digest{
		{"Evidence", v.Evidence},
		{"Policy", v.Policy},
		{"Challenge", v.Challenge},
		{"Bundle", v.Bundle},
		{"Documents of vendors", v.Collateral},
		{"Release", v.Release},
		{"Way of booting", v.Boot},
		{"Time", v.At},
		{"Format", v.Type},
	}, publication(v.Published)...) {
		w.raw("<div><dt>", f.name, "</dt><dd class=\"value\">")
		w.text(f.value)
		w.raw("</dd></div>\n")
	}
	w.raw("</dl>\n</section>\n")
}

// digest is a row of files.
type digest struct {
	name  literal
	value string
}

// publication are the rows about how the release was published.
func publication(p *verdict.Published) []digest {
	if p == nil {
		return nil
	}
	return []digest{
		{"Version of the release", p.Version + ", security version " + strconv.FormatInt(p.SVN, 10)},
		{"Log of releases", p.Origin + ", " + strconv.FormatInt(p.Size, 10) + " entries, all of them checked"},
		{"Root of the log", p.Root},
		{"Witnessed at", p.Time},
		{"Rebuilt by", strings.Join(p.Rebuilt, ", ")},
	}
}

// waivers writes what nobody checked, and by whose decision.
func (w *writer) waivers(list []verdict.Waiver) {
	w.raw("<section aria-labelledby=\"waived\">\n<h2 id=\"waived\">What was not checked</h2>\n")
	if len(list) == 0 {
		w.raw("<p>Nothing was waived: every check in this verdict counted.</p>\n</section>\n")
		return
	}
	w.raw("<p>An acceptance says nothing about these. Each was decided as it says.</p>\n<ul class=\"waived\">\n")
	for _, x := range list {
		w.raw("<li><strong>")
		w.text(x.What)
		w.raw("</strong> <span class=\"by\">decided by: ")
		w.text(x.Reason)
		w.raw("</span></li>\n")
	}
	w.raw("</ul>\n</section>\n")
}
