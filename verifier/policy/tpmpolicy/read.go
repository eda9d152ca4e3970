package tpmpolicy

import (
	"encoding/hex"
	"math"
	"slices"

	"safebox/verifier/policy/table"
)

// Limits of the table.
const (
	lastPCR      = 23 // of a PC Client TPM (PTP 1.05, section 4.6)
	maxText      = 256
	maxExtraData = 64 // bytes: the largest digest that a TPM2B_DATA was made for
	maxCount     = math.MaxUint32
)

// Profiles whose files may not waive what only profile test may.
const (
	strict = "strict"
	cloud  = "cloud"
)

// Read reads every key of the table and refuses what the profile may not say.
func Read(t *table.Table, profile string) Policy {
	p := Policy{}
	p.readKeys(t)
	p.readInstances(t)
	p.readQuote(t)
	p.readLog(t)
	p.readRegisters(t)
	t.End()
	p.checkProfile(t, profile)
	return p
}

func (p *Policy) readKeys(t *table.Table) {
	p.AttestationKeys = t.Choices("attestation_keys", Hardware, Certificate, Pinned)
	pins, word := t.HexList("pins", 32, None)
	if word == "" {
		p.Pins = digests(pins)
	}
	if (word == None) == p.Accepts(Pinned) {
		t.Fail("pins", "want a list of keys if attestation_keys has %q, and %q if not", Pinned, None)
	}
	roots, word := t.TablesOr("roots", None)
	for i, r := range roots {
		root := Root{Subject: r.Text("subject", maxText)}
		copy(root.SHA256[:], r.Hex("sha256", 32))
		r.End()
		if slices.ContainsFunc(p.Roots, func(o Root) bool { return o.SHA256 == root.SHA256 }) {
			r.Fail("sha256", "entry %d: got %x twice", i, root.SHA256)
		}
		p.Roots = append(p.Roots, root)
	}
	if (word == None) == p.Accepts(Certificate) {
		t.Fail("roots", "want a list of roots if attestation_keys has %q, and %q if not", Certificate, None)
	}
	p.CertificateUsage = t.Choice("certificate_usage", UsageAIK, UsageSignature)
	p.AnyCRL = t.Choice("crl", Required, Any) == Any
}

func (p *Policy) readInstances(t *table.Table) {
	list, word := t.TablesOr("instances", Any)
	p.AnyInstance = word == Any
	for _, entry := range list {
		i := Instance{
			Project: entry.Text("project", maxText),
			Zone:    entry.Text("zone", maxText),
			Name:    entry.Text("name", maxText),
		}
		i.ProjectNumber = numberOrAny(entry, "project_number")
		i.ID = numberOrAny(entry, "id")
		entry.End()
		p.Instances = append(p.Instances, i)
	}
	p.AnyProduction = t.Choice("production", Required, Any) == Any
}

// numberOrAny gives -1 for Any.
func numberOrAny(t *table.Table, key string) int64 {
	n, unchecked := t.NumberOrAny(key, 0, math.MaxInt64)
	if unchecked {
		return -1
	}
	return n
}

func (p *Policy) readQuote(t *table.Table) {
	list, word := t.Texts("extra_data", 2*maxExtraData, Transcript, Any)
	p.Transcript, p.AnyExtraData = word == Transcript, word == Any
	for _, s := range list {
		b, err := hex.DecodeString(s)
		if err != nil || hex.EncodeToString(b) != s {
			t.Fail("extra_data", "got %.100q, want %q, %q or a list of 1 to %d bytes each in lower-case hex", s, Transcript, Any, maxExtraData)
		}
		p.ExtraData = append(p.ExtraData, b)
	}
	p.Banks = t.Choices("banks", "sha256", "sha384")
	p.PCRs = t.Numbers("pcrs", 0, lastPCR)
	p.AnyClock = t.Choice("clock", "safe", Any) == Any
	p.Resets, p.AnyResets = t.NumberOrAny("resets", 0, maxCount)
	p.Restarts, p.AnyRestarts = t.NumberOrAny("restarts", 0, maxCount)
}

func (p *Policy) readLog(t *table.Table) {
	p.AnyEventLog = t.Choice("event_log", Required, Any) == Any
	p.Explained = t.Numbers("explained", 0, lastPCR)
	for _, n := range p.Explained {
		if !slices.Contains(p.PCRs, n) {
			t.Fail("explained", "%d is not among pcrs: what is not quoted cannot be compared", n)
		}
	}
	p.Events = t.Choice("events", Appliance, Any)
	p.AnyDigests = t.Choice("digests", Required, Any) == Any
	p.SecureBoot = t.Choice("secure_boot", On, Off, Any)
	list, word := t.TablesOr("variables", Any)
	p.AnyVariables = word == Any
	for _, entry := range list {
		v := Variable{Name: entry.Choice("name", "PK", "KEK", "db", "dbx")}
		values, _ := entry.HexList("sha256", 32)
		v.Values = digests(values)
		entry.End()
		if slices.ContainsFunc(p.Variables, func(o Variable) bool { return o.Name == v.Name }) {
			entry.Fail("name", "got %q twice", v.Name)
		}
		p.Variables = append(p.Variables, v)
	}
	if p.SecureBoot == Off && !p.AnyVariables {
		t.Fail("variables", "want %q: with secure_boot = %q no keys are enrolled", Any, Off)
	}
}

func (p *Policy) readRegisters(t *table.Table) {
	list, word := t.TablesOr("registers", Release, Any)
	p.ReleaseRegisters, p.AnyRegisters = word == Release, word == Any
	size := 32
	if len(p.Banks) > 0 && p.Banks[0] == "sha384" {
		size = 48
	}
	for _, entry := range list {
		r := Register{Index: int(entry.Number("index", 0, lastPCR))}
		r.Values, _ = entry.HexList("values", size)
		entry.End()
		switch {
		case !slices.Contains(p.PCRs, r.Index):
			entry.Fail("index", "%d is not among pcrs: what is not quoted cannot be compared", r.Index)
		case slices.ContainsFunc(p.Registers, func(o Register) bool { return o.Index == r.Index }):
			entry.Fail("index", "got %d twice", r.Index)
		}
		p.Registers = append(p.Registers, r)
	}
}

// checkProfile refuses a file that promises more by its name than it asks for.
func (p *Policy) checkProfile(t *table.Table, profile string) {
	if profile != strict && profile != cloud {
		return
	}
	const rule = "want another value than %q in profile %s; only profile test may say it"
	switch {
	case p.AnyExtraData:
		t.Fail("extra_data", rule, Any, profile)
	case p.AnyRegisters:
		t.Fail("registers", rule, Any, profile)
	case p.AnyCRL:
		t.Fail("crl", rule, Any, profile)
	case p.AnyDigests:
		t.Fail("digests", rule, Any, profile)
	case p.AnyClock:
		t.Fail("clock", rule, Any, profile)
	case profile == strict && p.AnyEventLog:
		t.Fail("event_log", "want %q in profile %s", Required, profile)
	case profile == strict && p.Events == Any:
		t.Fail("events", "want %q in profile %s", Appliance, profile)
	case p.AnyProduction:
		t.Fail("production", rule, Any, profile)
	case profile == strict && p.SecureBoot == On && p.AnyVariables:
		t.Fail("variables", "want values in profile %s: with secure_boot = %q and any keys whoever enrols keys boots what he likes", profile, On)
	case profile == strict && p.SecureBoot == Any:
		t.Fail("secure_boot", "want %q or %q in profile %s", On, Off, profile)
	}
}

func digests(list [][]byte) [][32]byte {
	out := make([][32]byte, len(list))
	for i, b := range list {
		copy(out[i][:], b)
	}
	return out
}
