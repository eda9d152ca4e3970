package publishtest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Party is a key and whose it is.
type Party struct {
	Name string // of a signer, or the operator of a rebuilder
	Key  string // as dsse.PublicKey writes it
}

// Policy is the table [publication] of a policy file (docs/format-policy.md).
type Policy struct {
	Signatures, SVNFloor, Rebuilds int64
	MaxAge                         string // seconds, or the word any in quotes
	Signers, Rebuilders            []Party
	Log                            string // C2SP tlog-policy
}

// NewPolicy wants what New gives: the publisher's signature, 2 of 3 rebuilders,
// and 2 of 3 witnesses, within 168 hours (specs/runtime.md, section C4).
func NewPolicy(t testing.TB) *Policy {
	t.Helper()
	p := &Policy{
		Signatures: 1, SVNFloor: 1, Rebuilds: 2, MaxAge: "604800",
		Signers: []Party{{prefix + "publisher", Publisher(t).Public().String()}},
		Log:     LogPolicy(t, "2", WitnessA, WitnessB, WitnessC),
	}
	for i, operator := range []string{OperatorA, OperatorB, OperatorC} {
		p.Rebuilders = append(p.Rebuilders, Party{operator, Rebuilder(t, i).Public().String()})
	}
	return p
}

// LogPolicy is the policy of the log (C2SP tlog-policy): so many of these
// witnesses must have cosigned, a number, any or all.
func LogPolicy(t testing.TB, threshold string, witnesses ...string) string {
	t.Helper()
	_, vkey := LogKeys()
	var b strings.Builder
	fmt.Fprintf(&b, "log %s\n", vkey)
	for _, name := range witnesses {
		_, vkey := WitnessKeys(t, name)
		fmt.Fprintf(&b, "witness %s %s\n", name, vkey)
	}
	fmt.Fprintf(&b, "group %switnesses %s %s\nquorum %switnesses\n", prefix, threshold, strings.Join(witnesses, " "), prefix)
	return b.String()
}

// Text is the table in TOML, after which other tables may follow.
func (p *Policy) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[publication]\nsignatures = %d\nsvn_floor = %d\nrebuilds = %d\nmax_age = %s\nlog = \"\"\"\n%s\"\"\"\n",
		p.Signatures, p.SVNFloor, p.Rebuilds, p.MaxAge, p.Log)
	if len(p.Signers) == 0 {
		b.WriteString("signers = \"none\"\n")
	}
	if len(p.Rebuilders) == 0 {
		b.WriteString("rebuilders = \"none\"\n")
	}
	for _, s := range p.Signers {
		fmt.Fprintf(&b, "[[publication.signers]]\nname = %q\nkey = %q\n", s.Name, s.Key)
	}
	for _, r := range p.Rebuilders {
		fmt.Fprintf(&b, "[[publication.rebuilders]]\noperator = %q\nkey = %q\n", r.Name, r.Key)
	}
	return b.String()
}

// Apply has a policy of profile test demand a signed release.
func (p *Policy) Apply(t testing.TB, file []byte) []byte {
	t.Helper()
	before := []byte("\nrelease = \"unsigned\"\n")
	if bytes.Count(file, before) != 1 {
		t.Fatalf("policy: got %d times %q, want it once", bytes.Count(file, before), before)
	}
	file = bytes.Replace(file, before, []byte("\nrelease = \"signed\"\n"), 1)
	return append(file, p.Text()...)
}
