package publication

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// waived begins the sentence about what is not checked.
const waived = "WAIVED: "

// Explain says in plain sentences what the policy accepts and what it waives.
func (p *Policy) Explain() []string {
	s := []string{
		p.explainSigners(),
		fmt.Sprintf("Its security version must be %d or higher, and nothing in the log may revoke it: one signer's word is enough for that.", p.SVNFloor),
	}
	s = append(s, p.explainRebuilders()...)
	return append(s, p.explainLog()...)
}

func (p *Policy) explainSigners() string {
	var names []string
	for _, s := range p.Signers {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return "No signer of releases is named, so every release is refused."
	}
	return fmt.Sprintf("The release must be signed by %d of %d: %s.", p.Signatures, len(names), quoted(names))
}

func (p *Policy) explainRebuilders() []string {
	var names, both []string
	for _, r := range p.Rebuilders {
		if slices.Contains(names, r.Operator) {
			continue
		}
		names = append(names, r.Operator)
		if slices.ContainsFunc(p.Signers, func(s Signer) bool { return s.Name == r.Operator }) {
			both = append(both, r.Operator)
		}
	}
	if len(names) == 0 {
		return []string{"No rebuilder is named, so every release is refused."}
	}
	s := []string{fmt.Sprintf("%d of %d operators must have rebuilt it byte for byte, and none may have got anything else: %s.",
		p.Rebuilds, len(names), quoted(names))}
	if p.Rebuilds < leastRebuilds {
		s = append(s, waived+"rebuilds by two operators: one may err or lie.")
	}
	if len(both) > 0 {
		s = append(s, waived+"independence of a rebuild: "+quoted(both)+" both signs and rebuilds.")
	}
	return s
}

func (p *Policy) explainLog() []string {
	if p.Log == nil {
		return []string{"No log is named, so every release is refused."}
	}
	var logs, witnesses []string
	for _, log := range p.Log.Logs() {
		logs = append(logs, log.Name)
	}
	for _, w := range p.Log.Witnesses() {
		witnesses = append(witnesses, w.Name)
	}
	s := []string{"All records must be in the log " + quoted(logs) + ", whose entries travel with the release, all of them."}
	if p.Log.QuorumNone() {
		s = append(s, waived+"nobody witnesses the log: it can show everybody another one.")
	} else {
		s = append(s, fmt.Sprintf("The quorum of its witnesses %s must have cosigned it.", quoted(witnesses)))
	}
	if p.AnyAge {
		s = append(s, waived+"the log's state may have any age: what was revoked since is not noticed.")
	} else {
		s = append(s, "They must have done so in the last "+days(p.MaxAge)+": what is revoked is noticed after that time at the latest.")
	}
	if alone := lone(p.Log); alone != "" {
		s = append(s, waived+fmt.Sprintf("a second witness: %q alone is a quorum, and may lie together with the log.", alone))
	}
	return s
}

// days writes a time that people think of in days.
func days(d time.Duration) string {
	if d >= 2*day*time.Second && d%(day*time.Second) == 0 {
		return fmt.Sprintf("%d days", d/(day*time.Second))
	}
	return d.String()
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}
