package verifier

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/memory"
	"safebox/verifier/policy"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/transcript"
	"safebox/verifier/verdict"
)

// made is when this verifier was last changed: a time before it is no time at
// which it can have run (specs/verify.md, section 5.2).
func made() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// vendor is what was found of documents of vendors and of time.
type vendor struct {
	endorsements *endorse.Set
	collateral   string         // digest of all of them
	memory       *memory.Memory // nil if none was given, or unreadable says why
	unreadable   error
	remembered   []byte
}

func vendorDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"COL-1", "documents of vendors are readable", "format-collateral.md",
			"make the collateral bundle again: safebox collateral fetch",
		),
		check.Define(
			"TIME-1", "time of the verification is one that can be", "verify.md 5.2; format-policy.md: collateral.mode, collateral.time",
			"set the clock, or give the time with --at; about the past only a policy of mode \"as-of\" answers",
		),
	}
}

func memoryDefinitions() []check.Definition {
	return []check.Definition{check.Define(
		"ROLL-1", "no document is older than one seen before", "verify.md 5.2; format-memory.md",
		"ROLLBACK: somebody gives you old documents: fetch them again; without a memory file give --memory FILE",
	)}
}

// readCollateral: COL-1. What the evidence and the bundle bring counts as much
// as what the relying party has: vendors signed it, and the rules of time are the policy's.
func (v *verification) readCollateral() {
	set := &endorse.Set{}
	for _, f := range v.in.Collateral {
		set.Add(f.Name, f.Bytes)
	}
	if v.bundle != nil {
		for _, f := range v.bundle.Collateral {
			set.Add("bundle: "+f.Name, f.Bytes)
		}
	}
	v.endorsements = set
	const want = "certificates, lists and bundles that decode"
	if b := endorsementsOf(v.evidence); len(b) > 0 {
		if _, err := endorse.Decode(b); err != nil {
			v.log.Fail("COL-1", want, "endorsements in the evidence: "+err.Error())
		} else {
			set.Add("evidence", b)
		}
	}
	if len(set.Certificates)+len(set.CRLs)+len(set.TCBInfos)+len(set.Identities) == 0 {
		v.log.Pass("COL-1", want, "no documents")
		return
	}
	got := fmt.Sprintf("%d certificates, %d revocation lists, %d TCB infos, %d QE identities",
		len(set.Certificates), len(set.CRLs), len(set.TCBInfos), len(set.Identities)) + leftOut(set.Files)
	b, err := set.Encode()
	v.log.Check("COL-1", err, want, got)
	if err == nil {
		v.collateral = canon.Octets32(sha256.Sum256(b)).String()
	}
}

// leftOut names what was given and not understood, whole or in part: a list that
// was damaged on the way is missing in all that follows.
func leftOut(files []endorse.File) string {
	const most = 4
	var text strings.Builder
	n := 0
	for _, f := range files {
		if f.Why == "" {
			continue
		}
		if n++; n <= most {
			fmt.Fprintf(&text, "; left out of %.80q: %.200s", f.Name, f.Why)
		}
	}
	if n > most {
		fmt.Fprintf(&text, "; and of %d more", n-most)
	}
	return text.String()
}

// rules are the rules of time; without a policy they refuse everything.
func (v *verification) rules() chain.Rules {
	if v.policy == nil {
		return chain.Rules{}
	}
	return v.policy.Collateral.Rules(v.in.At)
}

// checkTime: TIME-1.
func (v *verification) checkTime() {
	if v.policy == nil {
		return
	}
	c := v.policy.Collateral
	got := v.in.At.UTC().Format(time.RFC3339)
	if v.in.At.IsZero() {
		v.log.Fail("TIME-1", "a time", "no time")
		return
	}
	if c.Mode == policy.Grace {
		v.log.Waive(fmt.Sprintf("lists of vendors that expired less than %v ago", c.Grace),
			fmt.Sprintf("collateral.mode = %q in the policy, by %s and %s", c.Mode, c.WaivedBy[0], c.WaivedBy[1]))
	}
	switch {
	case c.Mode != policy.AsOf:
		v.log.Record("TIME-1", !v.in.At.Before(made()), "a time from "+made().Format(time.RFC3339)+", when this verifier was made", got)
	case c.AnyTime:
		v.log.Pass("TIME-1", "any time", got)
		v.log.Waive("time of the verification", "collateral.time = \"any\" in the policy: nobody has witnessed it")
	default:
		v.log.Record("TIME-1", v.witnessed() || v.published != nil && v.published.Authenticated,
			"a time that the evidence's own signer states, or that two witnesses of the release's log cover", got)
	}
}

// witnessed reports whether the evidence carries a signed time that the
// platform's own check (NITRO-5) holds against the time of the verification, from
// both sides.
func (v *verification) witnessed() bool {
	platform := ""
	switch {
	case v.raw != nil:
		platform = v.raw.Platform
	case v.evidence != nil:
		platform = v.evidence.Platform
	}
	var p nitropolicy.Policy
	switch platform {
	case transcript.Nitro:
		p = v.policy.Nitro
	case transcript.NitroTPM:
		p = v.policy.NitroTPM
	}
	return (p.Time == nitropolicy.Live || p.Time == nitropolicy.At) && !p.AnyAge
}

// checkMemory: ROLL-1. It is the last check: it is about what the others have
// seen.
func (v *verification) checkMemory() {
	if v.policy == nil {
		return
	}
	const want = "numbers and times from those seen before on"
	if v.in.Memory == nil {
		v.log.Record("ROLL-1", v.policy.Collateral.AnyMemory, want, "no memory")
		if v.policy.Collateral.AnyMemory {
			v.log.Waive("age of documents against those seen before", "collateral.memory = \"any\" in the policy, and no memory was given")
		}
		return
	}
	if v.memory == nil {
		v.log.Fail("ROLL-1", want, v.unreadable.Error())
		return
	}
	m := v.memory
	seen := v.log.Observations()
	got := fmt.Sprintf("%d numbers", len(seen))
	if len(v.in.Memory) == 0 {
		got += ", compared with none: the memory begins here"
	}
	v.log.Check("ROLL-1", m.Check(seen, v.rememberedTime(m)), want, got)
	if err := m.Merge(seen, time.Time{}); err != nil { // what was signed proves the time: it is among the numbers seen
		v.log.Fail("ROLL-1", want, err.Error())
		return
	}
	if err := v.rememberTree(); err != nil {
		v.log.Fail("ROLL-1", want, err.Error())
		return
	}
	var err error
	if v.remembered, err = m.Encode(); err != nil {
		v.log.Fail("ROLL-1", want, err.Error())
	}
}

// rememberTree merges the tree of the log. If anything about it did not hold,
// the verdict is a refusal, and nothing of this is kept.
func (v *verification) rememberTree() error {
	p := v.published
	if p == nil || p.Origin == "" || !v.log.Passed("LOG-8") { // which has all entries
		return nil
	}
	// The number tlog-size says the same, but a memory need not have both.
	if old, known := v.memory.Tree(p.Origin); known && p.Size < old.Size {
		return fmt.Errorf("ROLLBACK: log %s of %d entries, seen with %d", p.Origin, p.Size, old.Size)
	}
	return v.memory.MergeTree(p.Origin, memory.Tree{Size: p.Size, Root: p.Root})
}

// rememberedTime is the time to hold against the memory: a question about the
// past is no rollback of the clock.
func (v *verification) rememberedTime(m *memory.Memory) time.Time {
	latest, ok := m.Highest(memory.TimeKey)
	if past := time.Unix(int64(latest), 0); ok && v.policy.Collateral.Mode == policy.AsOf && v.in.At.Before(past) {
		return past
	}
	return v.in.At
}

// openMemory reads the memory, if there is one; an empty file is one that
// begins.
func (v *verification) openMemory() {
	switch {
	case v.in.Memory == nil:
	case len(v.in.Memory) == 0:
		v.memory = &memory.Memory{}
	default:
		v.memory, v.unreadable = memory.Decode(v.in.Memory)
	}
}

// describe adds what was used to the verdict.
func (v *verification) describe(out *verdict.Verdict) { out.Collateral = v.collateral }
