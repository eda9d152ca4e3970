package tdxpolicy

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"safebox/verifier/policy/table"
)

// Profiles of policies.
const (
	strict = "strict"
	cloud  = "cloud"
	test   = "test"
)

// Statuses of TCB levels that a policy may accept (Intel PCS API version 4, TCB
// info, tcbStatus). Revoked is none of them.
const (
	upToDate               = "UpToDate"
	swHardening            = "SWHardeningNeeded"
	configuration          = "ConfigurationNeeded"
	configurationHardening = "ConfigurationAndSWHardeningNeeded"
	outOfDate              = "OutOfDate"
	outOfDateConfiguration = "OutOfDateConfigurationNeeded"
)

// Bits of TD attributes that no policy accepts (Intel TDX Module ABI Reference,
// ATTRIBUTES).
const (
	underDebug    = 0xff    // TUD, with DEBUG: the host reads the guest
	migratable    = 1 << 29 // MIGRATABLE
	septVEDisable = 1 << 28 // SEPT_VE_DISABLE
)

// xfamAlways are the features that every TD has: x87 and SSE (TDX Module ABI
// Reference, XFAM, fixed to 1).
const xfamAlways = 0x3

// maxGrace is the longest life of a waiver of OutOfDate after the TCB recovery
// (specs/verify.md 2.2).
const maxGrace = 15 * 24 * time.Hour

// reader reads one table under the rules of its profile.
type reader struct {
	*table.Table
	profile string
}

// Read reads every key of the table [tdx]. In the profiles strict and cloud it
// refuses values that waive what only the profile test may waive.
func Read(t *table.Table, profile string) Policy {
	r := reader{t, profile}
	p := Policy{
		Quotes:        r.Choices("quotes", V4, V5Body10, V5Body15),
		Series:        r.Choice("series", Standard, Early),
		EvalNumberMin: uint32(r.Number("eval_number_min", 1, 1<<20)),
	}
	r.status(&p)
	for _, b := range r.hexes("td_attributes", 8) {
		p.TDAttributes = append(p.TDAttributes, r.attributes(b))
	}
	p.XFAMRequired, p.XFAMAllowed = r.mask("xfam_required"), r.mask("xfam_allowed")
	if p.XFAMRequired&xfamAlways != xfamAlways {
		r.Fail("xfam_required", "got %016x, want bits 0 and 1 (x87, SSE) among them: every TD has them", p.XFAMRequired)
	}
	if p.XFAMRequired&^p.XFAMAllowed != 0 {
		r.Fail("xfam_allowed", "it lacks bits %#x, which xfam_required wants", p.XFAMRequired&^p.XFAMAllowed)
	}
	p.MRSEAM = r.value("mrseam", 48, Identity)
	p.MRServiceTD = Value{Word: r.Choice("mrservicetd", Zero)}
	p.MRConfigID = r.waivable("mrconfigid", 48, Configuration, Zero)
	p.MROwner = r.value("mrowner", 48, Zero, Any)
	p.MROwnerConfig = r.value("mrownerconfig", 48, Zero, Any)
	r.machine(&p)
	p.MRTD = r.waivable("mrtd", 48, Release)
	for i, key := range []string{"rtmr0", "rtmr1", "rtmr2"} {
		p.RTMR[i] = r.waivable(key, 48, Release)
	}
	p.RTMR[3] = r.waivable("rtmr3", 48, Runtime, Zero)
	p.EventLog = r.Choice("event_log", Required, Any)
	p.ReportData = r.waivable("report_data", 64, Transcript)
	r.End()
	return p
}

// value reads an expectation: a word or a list of values.
func (r reader) value(key string, size int, words ...string) Value {
	list, word := r.HexList(key, size, words...)
	return Value{Word: word, List: list}
}

// waivable reads an expectation that only the profile test may waive.
func (r reader) waivable(key string, size int, words ...string) Value {
	v := r.value(key, size, append(words, Any)...)
	if v.Word == Any {
		r.testOnly(key, Any)
	}
	return v
}

func (r reader) testOnly(key, got string) {
	if r.profile != test {
		r.Fail(key, "got %q, which only profile %q may say", got, test)
	}
}

func (r reader) hexes(key string, size int) [][]byte {
	list, _ := r.HexList(key, size)
	return list
}

// mask reads 8 bytes as they stand in a quote.
func (r reader) mask(key string) uint64 {
	b := r.Hex(key, 8)
	if len(b) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// attributes refuses TD attributes that make every other check worthless.
func (r reader) attributes(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	a := binary.LittleEndian.Uint64(b)
	switch {
	case a&underDebug != 0:
		r.Fail("td_attributes", "got %x, a debug TD (bits 0 to 7): the host reads it, no profile accepts it", b)
	case a&migratable != 0:
		r.Fail("td_attributes", "got %x, a migratable TD (bit 29): no profile accepts it", b)
	case a&septVEDisable == 0 && r.profile == strict:
		r.Fail("td_attributes", "got %x without SEPT_VE_DISABLE (bit 28), which profile %q wants", b, strict)
	}
	return a
}

// status reads what TCB statuses are accepted and by whom they are waived.
func (r reader) status(p *Policy) {
	p.Status = r.Choices("status", upToDate, swHardening, configuration, configurationHardening, outOfDate, outOfDateConfiguration)
	var word string
	p.Advisories, word = r.Texts("advisories", 32, "none", Any)
	if p.AnyAdvisory = word == Any; p.AnyAdvisory {
		r.testOnly("advisories", Any)
	}
	for _, a := range p.Advisories {
		if !strings.HasPrefix(a, "INTEL-SA-") {
			r.Fail("advisories", "got %q, want names such as INTEL-SA-00837", a)
		}
	}
	if p.ConfigurationBy = r.Text("configuration_by", 100); p.ConfigurationBy == "nobody" {
		p.ConfigurationBy = ""
	}
	has := func(list ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(p.Status, s) })
	}
	if has(configuration, configurationHardening, outOfDateConfiguration) && p.ConfigurationBy == "" {
		r.Fail("configuration_by", "got nobody, want who accepts that platforms need configuration: status says so")
	}
	if has(swHardening, configurationHardening) && !p.AnyAdvisory && len(p.Advisories) == 0 {
		r.Fail("advisories", "got none, want those that are accepted: status accepts SWHardeningNeeded")
	}
	p.OutOfDate = r.outOfDate()
	if waived := p.OutOfDate != (OutOfDate{}); waived != has(outOfDate, outOfDateConfiguration) && !r.Failed() {
		r.Fail("out_of_date", "it must be a waiver if status lists OutOfDate or OutOfDateConfigurationNeeded, and %q if not", Refuse)
	}
	p.RelaunchAdvised = r.Choice("relaunch_advised", Refuse, Accept)
	if p.RelaunchAdvised == Accept {
		r.testOnly("relaunch_advised", Accept)
	}
}

// outOfDate reads a word or the waiver's table.
func (r reader) outOfDate() OutOfDate {
	const key = "out_of_date"
	list, word := r.TablesOr(key, Refuse, Any)
	switch {
	case word == Any:
		r.testOnly(key, Any)
		return OutOfDate{Forever: true, By: "this policy, for tests"}
	case word == Refuse || len(list) == 0:
		return OutOfDate{}
	case len(list) > 1:
		r.Fail(key, "got %d waivers, want 1", len(list))
		return OutOfDate{}
	}
	t := list[0]
	w := OutOfDate{
		By: t.Text("by", 100), Recovery: day(t.Date("recovery")), Until: t.Date("until"), Oldest: day(t.Date("oldest")),
	}
	if w.Until.After(w.Recovery.Add(maxGrace+24*time.Hour)) || w.Until.Before(w.Recovery) {
		t.Fail("until", "got a day more than 15 days after recovery, or before it")
	}
	if w.Oldest.After(w.Recovery) {
		t.Fail("oldest", "got a day after recovery: levels of that date are not out of date by it")
	}
	t.End()
	return w
}

// day is the first moment of the day of which after is the end.
func day(after time.Time) time.Time { return after.AddDate(0, 0, -1) }

// machine reads what is known of the processor.
func (r reader) machine(p *Policy) {
	list, word := r.Texts("chips", 5+32, "none", Any)
	if p.AnyChip = word == Any; p.AnyChip && r.profile == strict {
		r.Fail("chips", "got %q, which profile %q may not say: list your machines", Any, strict)
	}
	for _, text := range list {
		kind, id, _ := strings.Cut(text, ":")
		b, err := hex.DecodeString(id)
		if err != nil || len(b) != 16 || kind != "piid" && kind != "ppid" || hex.EncodeToString(b) != id {
			r.Fail("chips", "got %q, want piid: or ppid: and 16 bytes of lower-case hex", text)
			continue
		}
		p.Chips = append(p.Chips, Chip{PPID: kind == "ppid", ID: [16]byte(b)})
	}
	p.SMT = r.Choice("smt", Off, Any)
	p.CachedKeys = r.Choice("cached_keys", Off, Any)
	p.DynamicPlatform = r.Choice("dynamic_platform", Off, Any)
}
