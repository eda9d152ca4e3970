package tdxpolicy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/policy/table"
)

func profiles() []string { return []string{strict, cloud, test} }

func read(text, profile string) (Policy, error) {
	file, err := table.Parse([]byte(text))
	if err != nil {
		return Policy{}, err
	}
	p := Read(file.Table("tdx"), profile)
	file.End()
	return p, file.Close()
}

// keys lists the keys of a section.
func keys(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if key, _, found := strings.Cut(line, " = "); found && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			all = append(all, key)
		}
	}
	return all
}

// with changes the value of a key.
func with(t *testing.T, text, key, value string) string {
	t.Helper()
	// A list may go on in the next line.
	start := strings.Index(text, "\n"+key+" = ")
	if start < 0 {
		t.Fatalf("no key %s", key)
	}
	end := start + 1 + strings.Index(text[start+1:], "\n")
	for strings.HasPrefix(text[end+1:], "  ") {
		end += 1 + strings.Index(text[end+1:], "\n")
	}
	if value == "" {
		return text[:start] + text[end:]
	}
	return text[:start+1] + key + " = " + value + text[end:]
}

// TestFloors: the profiles say what specs/verify.md, section 8, says.
func TestFloors(t *testing.T) {
	want := Policy{
		Quotes: []string{"v4", "v5/1.0", "v5/1.5"}, Series: "standard", EvalNumberMin: 20, Status: []string{"UpToDate"},
		RelaunchAdvised: "refuse", TDAttributes: []uint64{0x10000000}, XFAMRequired: 0x3, XFAMAllowed: 0x6dbe7,
		MRSEAM: Value{Word: "identity"}, MRServiceTD: Value{Word: "zero"}, MRConfigID: Value{Word: "configuration"},
		MROwner: Value{Word: "zero"}, MROwnerConfig: Value{Word: "zero"},
		SMT: "any", CachedKeys: "any", DynamicPlatform: "any", MRTD: Value{Word: "release"},
		RTMR:     [4]Value{{Word: "release"}, {Word: "release"}, {Word: "release"}, {Word: "zero"}},
		EventLog: "required", ReportData: Value{Word: "transcript"},
	}
	got, err := read(Section(strict), strict)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("strict (-want +got):\n%s", diff)
	}
	want.AnyChip, want.RTMR[3].Word = true, "runtime"
	if got, err = read(Section(cloud), cloud); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cloud (-want +got):\n%s", diff)
	}
	if got, err = read(Section(test), test); err != nil {
		t.Fatal(err)
	}
	if got.EvalNumberMin != 17 || got.MRServiceTD.Word != Zero || len(got.Status) != 6 || !got.OutOfDate.Forever {
		t.Errorf("test: got %+v", got)
	}
	if got := Section("staging"); got != "" {
		t.Errorf("section of another profile: got %q", got)
	}
}

// TestEveryKey: a key that is missing, misspelt or of another type is an error
// that names it, in every profile.
func TestEveryKey(t *testing.T) {
	const want = 27
	for _, profile := range profiles() {
		text := Section(profile)
		all := keys(text)
		if len(all) != want {
			t.Errorf("%s: %d keys, want %d: %q", profile, len(all), want, all)
		}
		for _, key := range all {
			for _, value := range []string{"", "1.5", "[]", "false", `"` + strings.Repeat("x", 200) + `"`, "[[]]"} {
				if _, err := read(with(t, text, key, value), profile); err == nil || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: %s = %s: got %v, want an error that names it", profile, key, value, err)
				}
			}
			misspelt := strings.Replace(text, "\n"+key+" = ", "\n"+key+"s = ", 1)
			if _, err := read(misspelt, profile); err == nil {
				t.Errorf("%s: %ss accepted", profile, key)
			}
		}
		if _, err := read(text+"more = 1\n", profile); err == nil {
			t.Errorf("%s: unknown key accepted", profile)
		}
	}
}

// TestRefused: what no file of a profile may say.
func TestRefused(t *testing.T) {
	const all = "strict cloud test"
	const secure = "strict cloud"
	digest := strings.Repeat("00", 48)
	for _, c := range []struct{ profiles, key, value string }{
		{secure, "report_data", `"any"`},
		{secure, "mrtd", `"any"`},
		{secure, "rtmr0", `"any"`},
		{secure, "rtmr1", `"any"`},
		{secure, "rtmr2", `"any"`},
		{secure, "rtmr3", `"any"`},
		{secure, "mrconfigid", `"any"`},
		{secure, "advisories", `"any"`},
		{secure, "relaunch_advised", `"accept"`},
		{"strict", "chips", `"any"`},
		{"strict", "td_attributes", `["0000000000000000"]`},
		{"strict", "td_attributes", `["0000001000000000", "0000004000000000"]`},
		{all, "td_attributes", `["0100001000000000"]`}, // debug
		{all, "td_attributes", `["8000001000000000"]`}, // a bit under debug
		{all, "td_attributes", `["0000003000000000"]`}, // migratable
		{all, "td_attributes", `["00000010000000"]`},
		{all, "td_attributes", `"any"`},
		{all, "mrservicetd", `"any"`},
		{all, "mrservicetd", `["` + digest + `"]`},
		{all, "mrseam", `"any"`},
		{all, "mrtd", `"zero"`},
		{all, "mrtd", `["` + digest + `", "` + digest + `"]`},
		{all, "mrtd", `["` + digest[2:] + `"]`},
		{all, "mrtd", `"` + digest + `"`},
		{all, "rtmr0", `"runtime"`},
		{all, "rtmr3", `"release"`},
		{all, "report_data", `["` + digest + `"]`}, // 48 of 64 bytes
		{all, "report_data", `"release"`},
		{all, "status", `["Revoked"]`},
		{all, "status", `["uptodate"]`},
		{all, "status", `["UpToDate", "UpToDate"]`},
		{all, "status", `"any"`},
		{all, "quotes", `["v3"]`},
		{all, "quotes", `"any"`},
		{all, "series", `"any"`},
		{all, "eval_number_min", `0`},
		{all, "eval_number_min", `-1`},
		{all, "eval_number_min", `"any"`},
		{all, "xfam_required", `"0100000000000000"`},
		{all, "xfam_allowed", `"0100000000000000"`},
		{all, "xfam_allowed", `"any"`},
		{all, "chips", `["07828474603e7019dc930775ffe8cdd2"]`},
		{all, "chips", `["piid:07828474603E7019dc930775ffe8cdd2"]`},
		{all, "chips", `["piid:07828474603e7019dc930775ffe8cd"]`},
		{all, "chips", `["chip:07828474603e7019dc930775ffe8cdd2"]`},
		{all, "smt", `"on"`},
		{all, "event_log", `"refuse"`},
		{all, "advisories", `["SA-00837"]`},
	} {
		for _, profile := range strings.Fields(c.profiles) {
			_, err := read(with(t, Section(profile), c.key, c.value), profile)
			if err == nil || !strings.Contains(err.Error(), "tdx."+c.key) {
				t.Errorf("%s: %s = %s: got %v, want an error that names it", profile, c.key, c.value, err)
			}
		}
	}
}

// TestStatus: a status that is not UpToDate needs whatever makes it a decision.
func TestStatus(t *testing.T) {
	const waiver = `[{ by = "Ada", recovery = 2026-08-11, until = %s, oldest = %s }]`
	lasts := func(until, oldest string) string { return fmt.Sprintf(waiver, until, oldest) }
	for _, c := range []struct {
		name                       string
		status, advisories, by, of string
		ok                         bool
	}{
		{"hardening", "SWHardeningNeeded", `["INTEL-SA-00615"]`, `"nobody"`, `"refuse"`, true},
		{"hardening without an advisory", "SWHardeningNeeded", `"none"`, `"nobody"`, `"refuse"`, false},
		{"configuration by name", "ConfigurationNeeded", `"none"`, `"Ada"`, `"refuse"`, true},
		{"configuration by nobody", "ConfigurationNeeded", `"none"`, `"nobody"`, `"refuse"`, false},
		{"configuration and hardening", "ConfigurationAndSWHardeningNeeded", `["INTEL-SA-00615"]`, `"Ada"`, `"refuse"`, true},
		{"configuration and hardening without an advisory", "ConfigurationAndSWHardeningNeeded", `"none"`, `"Ada"`, `"refuse"`, false},
		{"configuration and hardening by nobody", "ConfigurationAndSWHardeningNeeded", `["INTEL-SA-00615"]`, `"nobody"`, `"refuse"`, false},
		{"out of date without a waiver", "OutOfDate", `"none"`, `"nobody"`, `"refuse"`, false},
		{"waiver without out of date", "UpToDate", `"none"`, `"nobody"`, lasts("2026-08-26", "2025-05-14"), false},
		{"15 days", "OutOfDate", `"none"`, `"nobody"`, lasts("2026-08-26", "2025-05-14"), true},
		{"16 days", "OutOfDate", `"none"`, `"nobody"`, lasts("2026-08-27", "2025-05-14"), false},
		{"until before the recovery", "OutOfDate", `"none"`, `"nobody"`, lasts("2026-08-09", "2025-05-14"), false},
		{"oldest after the recovery", "OutOfDate", `"none"`, `"nobody"`, lasts("2026-08-26", "2026-08-12"), false},
		{"for ever", "OutOfDate", `"none"`, `"nobody"`, `"any"`, false},
		{"out of date and configuration", "OutOfDateConfigurationNeeded", `"none"`, `"Ada"`, lasts("2026-08-20", "2025-05-14"), true},
		{"out of date and configuration by nobody", "OutOfDateConfigurationNeeded", `"none"`, `"nobody"`, lasts("2026-08-20", "2025-05-14"), false},
		{"waiver by nobody", "OutOfDate", `"none"`, `"nobody"`, `[{ recovery = 2026-08-11, until = 2026-08-20, oldest = 2025-05-14 }]`, false},
		{"waiver without an end", "OutOfDate", `"none"`, `"nobody"`, `[{ by = "Ada", recovery = 2026-08-11, oldest = 2025-05-14 }]`, false},
		{"two waivers", "OutOfDate", `"none"`, `"nobody"`, strings.Replace(lasts("2026-08-26", "2025-05-14"), "[", "["+strings.Trim(lasts("2026-08-26", "2025-05-14"), "[]")+", ", 1), false},
	} {
		text := Section(strict)
		for key, value := range map[string]string{"status": `["` + c.status + `"]`, "advisories": c.advisories, "configuration_by": c.by, "out_of_date": c.of} {
			text = with(t, text, key, value)
		}
		if _, err := read(text, strict); (err == nil) != c.ok {
			t.Errorf("%s: got %v, want accepted %t", c.name, err, c.ok)
		}
	}
}

// TestWaiver: dates are whole days, UTC.
func TestWaiver(t *testing.T) {
	text := with(t, Section(strict), "status", `["UpToDate", "OutOfDate"]`)
	text = with(t, text, "out_of_date", `[{ by = "Ada", recovery = 2026-08-11, until = 2026-08-26, oldest = 2025-05-14 }]`)
	p, err := read(text, strict)
	if err != nil {
		t.Fatal(err)
	}
	day := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	want := OutOfDate{By: "Ada", Recovery: day(2026, 8, 11), Until: day(2026, 8, 27), Oldest: day(2025, 5, 14)}
	if diff := cmp.Diff(want, p.OutOfDate); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLists: values are read as they stand in a quote.
func TestLists(t *testing.T) {
	text := with(t, Section(strict), "chips", `["piid:07828474603e7019dc930775ffe8cdd2", "ppid:811dca2a26b952e85bb6448b097ba4fd"]`)
	text = with(t, text, "xfam_allowed", `"e702060000000000"`)
	text = with(t, text, "td_attributes", `["0000005000000080"]`)
	p, err := read(text, strict)
	if err != nil {
		t.Fatal(err)
	}
	want := []Chip{
		{ID: [16]byte{0x07, 0x82, 0x84, 0x74, 0x60, 0x3e, 0x70, 0x19, 0xdc, 0x93, 0x07, 0x75, 0xff, 0xe8, 0xcd, 0xd2}},
		{PPID: true, ID: [16]byte{0x81, 0x1d, 0xca, 0x2a, 0x26, 0xb9, 0x52, 0xe8, 0x5b, 0xb6, 0x44, 0x8b, 0x09, 0x7b, 0xa4, 0xfd}},
	}
	if diff := cmp.Diff(want, p.Chips); diff != "" {
		t.Errorf("chips (-want +got):\n%s", diff)
	}
	// 0x602e7; bits 28, 30 and 63
	if p.XFAMAllowed != 0x602e7 || p.TDAttributes[0] != 1<<28|1<<30|1<<63 {
		t.Errorf("got XFAM %#x, attributes %#x", p.XFAMAllowed, p.TDAttributes)
	}
}

// TestExplain: what a profile does not check is said, and nothing else is called
// waived.
func TestExplain(t *testing.T) {
	machine := []string{"simultaneous multithreading.", "keys of the platform kept at Intel.", "packages that may be exchanged."}
	has := func(s []string, part string) bool {
		return slices.ContainsFunc(s, func(line string) bool { return strings.Contains(line, part) })
	}
	for _, c := range []struct {
		profile string
		waived  int
		says    []string
	}{
		{strict, 3, append(machine, "No machine is accepted", "MRTD) is the release's", "number 20 at least", "RTMR3 is zero")},
		{cloud, 4, append(machine, "any that Intel has certified", "RTMR3 is the replay of the runtime log")},
		{test, 18, append(machine, "The firmware (MRTD) is not checked", "REPORTDATA is not checked", "whatever their date", "without the firmware's event log", "launch again")},
	} {
		p, err := read(Section(c.profile), c.profile)
		if err != nil {
			t.Fatal(err)
		}
		s := p.Explain()
		n := 0
		for _, line := range s {
			if strings.HasPrefix(line, "WAIVED: ") {
				n++
			}
			if !strings.HasSuffix(line, ".") {
				t.Errorf("%s: %q is no sentence", c.profile, line)
			}
		}
		if n != c.waived {
			t.Errorf("%s: %d waivers, want %d:\n%s", c.profile, n, c.waived, strings.Join(s, "\n"))
		}
		for _, part := range c.says {
			if !has(s, part) {
				t.Errorf("%s: nothing says %q:\n%s", c.profile, part, strings.Join(s, "\n"))
			}
		}
	}
	var zero Policy
	s := zero.Explain()
	if has(s, "WAIVED") || !has(s, "TCB status: none") || !has(s, "REPORTDATA has no accepted value") {
		t.Errorf("the zero policy:\n%s", strings.Join(s, "\n"))
	}
}
