package nitropolicy

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"time"

	"safebox/verifier/policy/table"
)

// test is the only profile that may waive what decides.
const test = "test"

// Read reads the table of a kind. In any profile but test it refuses values
// that leave open whose code it was, when, or for whom.
func Read(t *table.Table, kind Kind, profile string) Policy {
	p := Policy{Kind: kind}
	p.Time = t.Choice("time", Live, At, Self)
	age, unlimited := t.NumberOrAny("max_age", 1, maxAge)
	p.MaxAge, p.AnyAge = time.Duration(age)*time.Second, unlimited
	p.Skew = time.Duration(t.Number("skew", 0, maxSkew)) * time.Second
	p.AnyCRL = t.Choice("crl", Any) == Any
	if kind == Enclave {
		p.AcceptDebug = t.Choice("debug", "refuse", "accept") == "accept"
	}
	p.readInstances(t, profile)
	p.readRegisters(t.Table("pcrs"), profile)
	p.Nonce = readField(t, "nonce", Challenge, Any)
	p.UserData = readField(t, "user_data", Transcript, Any)
	p.PublicKey = readField(t, "public_key", Absent, Any)
	if profile != test {
		p.refuseWaivers(t, profile)
	}
	t.End()
	return p
}

func (p *Policy) readInstances(t *table.Table, profile string) {
	list, word := t.Texts("instances", instanceIDLength, None, Any)
	form := regexp.MustCompile(`^i-[0-9a-f]{17}$`)
	for _, id := range list {
		if !form.MatchString(id) {
			t.Fail("instances", "got %q, want i- and 17 lower-case hexadecimal digits", id)
		}
	}
	p.Instances, p.AnyInstance = list, word == Any
	if p.AnyInstance && profile == strict {
		t.Fail("instances", "got %q, which profile %q may not say: list your machines", Any, strict)
	}
}

// readRegisters reads the rules of registers: one for each of Named, and for
// others if the file has them. The key of a register is its number.
func (p *Policy) readRegisters(t *table.Table, profile string) {
	p.PCRs = make(map[int]Register, p.Kind.Registers())
	for i := range p.Kind.Registers() {
		key := strconv.Itoa(i)
		if !slices.Contains(Named(p.Kind), i) && !t.Has(key) {
			continue
		}
		if p.Kind == NitroTPM && i <= lastFirmwarePCR {
			p.PCRs[i] = Register{Rule: t.Choice(key, Any)}
			continue
		}
		p.PCRs[i] = readRegister(t, key, p.words(i))
	}
	p.Rest = t.Choice("rest", Unused, Any)
	if profile != test {
		p.refuseOpen(t, profile)
	}
	t.End()
}

// words lists what may stand for a register instead of values.
func (p *Policy) words(i int) []string {
	list := []string{Any, Release, Configuration}
	if p.Kind == NitroTPM {
		return append(list, Zero)
	}
	switch {
	case i <= 2: // zero is an enclave in debug mode: the key debug says so
		return list
	case i == instancePCR:
		return append(list, Instance)
	case i >= firstOwnPCR: // the guest locks them, or not
		return append(list, Zero, Absent)
	}
	return append(list, Zero)
}

func readRegister(t *table.Table, key string, words []string) Register {
	list, word := t.HexList(key, 48, words...)
	if word != "" {
		return Register{Rule: word}
	}
	r := Register{Rule: Listed}
	for _, b := range list {
		if len(b) == 48 { // else the table has its error already
			r.Values = append(r.Values, [48]byte(b))
		}
	}
	return r
}

// refuseOpen refuses rules of registers under which anybody's code passes
// (specs/nitro.md: 4.4, step 9, and 7.1).
func (p *Policy) refuseOpen(t *table.Table, profile string) {
	pinned := func(i int) bool { r := p.PCRs[i].Rule; return r == Release || r == Listed }
	const rule = "want %s in profile %s: else anybody's code passes; only profile test may say otherwise"
	switch {
	case p.Kind == Enclave && !pinned(0) && (!pinned(1) || !pinned(2)):
		t.Fail("0", rule, `"release" or values for 0, or for both 1 and 2 (8 alone accepts every image ever signed)`, profile)
	case p.Kind == NitroTPM && !pinned(bootPCR):
		t.Fail("4", rule, `"release" or values`, profile)
	case p.Kind == NitroTPM && !pinned(overridesPCR) && p.PCRs[overridesPCR].Rule != Zero:
		t.Fail("12", rule, `"zero", "release" or values`, profile)
	}
}

// refuseWaivers refuses a table that promises more by its profile than it asks
// for.
func (p *Policy) refuseWaivers(t *table.Table, profile string) {
	const rule = "want %s in profile %s; only profile test may say otherwise"
	switch {
	case p.Time == Self:
		t.Fail("time", rule, `"live" or "at"`, profile)
	case p.AnyAge || p.MaxAge > maxStrictAge*time.Second:
		t.Fail("max_age", "want 1 to %d seconds in profile %s; only profile test may say otherwise", maxStrictAge, profile)
	case p.AcceptDebug:
		t.Fail("debug", rule, `"refuse"`, profile)
	case p.Nonce.Rule == Any:
		t.Fail("nonce", rule, `"challenge" or values`, profile)
	case p.UserData.Rule == Any:
		t.Fail("user_data", rule, `"transcript" or values`, profile)
	}
}

// readField reads one of the words or a list of values in hex, each 1 to
// maxField bytes.
func readField(t *table.Table, key string, words ...string) Field {
	list, word := t.Texts(key, 2*maxField, words...)
	if word != "" {
		return Field{Rule: word}
	}
	f := Field{Rule: Listed}
	for _, s := range list {
		b, err := hex.DecodeString(s)
		if err != nil || hex.EncodeToString(b) != s || slices.ContainsFunc(f.Values, func(o []byte) bool { return bytes.Equal(o, b) }) {
			t.Fail(key, "got %.100q, want 1 to %d bytes of lower-case hex, each once", s, maxField)
		}
		f.Values = append(f.Values, b)
	}
	return f
}
