package tpmpolicy

import (
	"fmt"
	"strings"
	"testing"

	"safebox/verifier/policy/table"
)

// parse reads the table out of a file, as package policy does.
func parse(t testing.TB, section, profile string) (Policy, error) {
	t.Helper()
	file, err := table.Parse([]byte(section))
	if err != nil {
		return Policy{}, err
	}
	vtpm := file.Table("vtpm")
	p := Read(vtpm.Table("quote"), profile)
	vtpm.End()
	file.End()
	return p, file.Close()
}

func TestSections(t *testing.T) {
	for _, profile := range []string{"strict", "cloud", "test"} {
		p, err := parse(t, Section(profile), profile)
		if err != nil {
			t.Errorf("%s: %v", profile, err)
			continue
		}
		if !p.Accepts(Hardware) || len(p.PCRs) != 24 || len(p.Banks) != 1 {
			t.Errorf("%s: got %+v", profile, p)
		}
		waivers := 0
		for _, s := range p.Explain() {
			if strings.HasPrefix(s, waived) {
				waivers++
			}
			if !strings.HasSuffix(s, ".") {
				t.Errorf("%s: no sentence: %q", profile, s)
			}
		}
		// By reading the profiles: strict waives the reset count and register 10;
		// cloud besides them the log and its events.
		if want := map[string]int{"strict": 2, "cloud": 4}[profile]; want != 0 && waivers != want {
			t.Errorf("%s: got %d waivers, want %d: %q", profile, waivers, want, p.Explain())
		}
	}
}

// TestProfilesAreStrict: what only profile test may say is refused in the
// others, and each profile's own file in a stricter one.
func TestProfilesAreStrict(t *testing.T) {
	for _, c := range []struct{ profile, from, to, want string }{
		{"strict", `extra_data = "transcript"`, `extra_data = "any"`, "extra_data"},
		{"cloud", `extra_data = "transcript"`, `extra_data = "any"`, "extra_data"},
		{"cloud", `registers = "release"`, `registers = "any"`, "registers"},
		{"cloud", `crl = "required"`, `crl = "any"`, "crl"},
		{"cloud", `digests = "required"`, `digests = "any"`, "digests"},
		{"cloud", `clock = "safe"`, `clock = "any"`, "clock"},
		{"strict", `event_log = "required"`, `event_log = "any"`, "event_log"},
		{"strict", `events = "appliance"`, `events = "any"`, "events"},
		{"strict", `secure_boot = "off"`, `secure_boot = "any"`, "secure_boot"},
		{"strict", `secure_boot = "off"`, `secure_boot = "on"`, "variables"},
		{"strict", `production = "required"`, `production = "any"`, "production"},
		{"cloud", `production = "required"`, `production = "any"`, "production"},
	} {
		changed := strings.Replace(Section(c.profile), c.from, c.to, 1)
		if changed == Section(c.profile) {
			t.Fatalf("%s: nothing changed by %q", c.profile, c.from)
		}
		if _, err := parse(t, changed, c.profile); err == nil || !strings.Contains(err.Error(), "key vtpm.quote."+c.want+":") {
			t.Errorf("%s with %s: got %v, want an error about %s", c.profile, c.to, err, c.want)
		}
		if _, err := parse(t, changed, "test"); err != nil {
			t.Errorf("test with %s: %v", c.to, err)
		}
	}
	if _, err := parse(t, Section("test"), "strict"); err == nil {
		t.Error("the profile test as strict: accepted")
	}
}

// TestEveryKeyIsMandatory: without any of its keys a table is refused, and with
// a misspelt one too.
func TestEveryKeyIsMandatory(t *testing.T) {
	keys := 0
	for _, profile := range []string{"strict", "test"} {
		lines := strings.Split(Section(profile), "\n")
		for i, line := range lines {
			name, _, found := strings.Cut(line, " = ")
			if !found || strings.HasPrefix(line, "#") {
				continue
			}
			keys++
			left := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "\n")
			if _, err := parse(t, left, profile); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s without %s: got %v", profile, name, err)
			}
			lines[i] = name + "x" + line[len(name):]
			if _, err := parse(t, strings.Join(lines, "\n"), profile); err == nil {
				t.Errorf("%s with %sx: accepted", profile, name)
			}
			lines[i] = line
		}
	}
	if want := 20 + 19 + 4; keys != want { // the keys of template, and the four of two roots in place of a word
		t.Errorf("got %d keys, want %d", keys, want)
	}
}

func TestReadRefuses(t *testing.T) {
	strictFile, testFile := Section("strict"), Section("test")
	for name, c := range map[string]struct{ file, from, to, want string }{
		"no ground":              {strictFile, `["hardware"]`, `[]`, "attestation_keys"},
		"unknown ground":         {strictFile, `["hardware"]`, `["trust"]`, "attestation_keys"},
		"pinned without pins":    {strictFile, `["hardware"]`, `["pinned"]`, "pins"},
		"pins without pinned":    {strictFile, `pins = "none"`, fmt.Sprintf(`pins = ["%064d"]`, 0), "pins"},
		"certificate, no root":   {strictFile, `["hardware"]`, `["certificate"]`, "roots"},
		"root, no certificate":   {testFile, `["hardware", "certificate"]`, `["hardware"]`, "roots"},
		"root twice":             {testFile, "594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2", "9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf", "sha256"},
		"extra data empty":       {strictFile, `= "transcript"`, `= ` + `[""]`, "extra_data"},
		"extra data upper case":  {strictFile, `= "transcript"`, `= ` + `["AB"]`, "extra_data"},
		"extra data too long":    {strictFile, `= "transcript"`, `= ` + `["` + strings.Repeat("ab", 65) + `"]`, "extra_data"},
		"SHA-1":                  {strictFile, `["sha256"]`, `["sha1"]`, "banks"},
		"explained, not quoted":  {strictFile, "22, 23]\nclock", "22]\nclock", "explained"},
		"variables with off":     {strictFile, `variables = "any"`, `variables = [{name = "db", sha256 = ["` + strings.Repeat("0", 64) + `"]}]`, "variables"},
		"variable twice":         {testFile, `variables = "any"`, `variables = [{name = "db", sha256 = ["` + strings.Repeat("0", 64) + `"]}, {name = "db", sha256 = ["` + strings.Repeat("1", 64) + `"]}]`, "name"},
		"register not quoted":    {testFile, `registers = "any"`, `registers = [{index = 24, values = ["` + strings.Repeat("0", 64) + `"]}]`, "index"},
		"register twice":         {testFile, `registers = "any"`, `registers = [{index = 4, values = ["` + strings.Repeat("0", 64) + `"]}, {index = 4, values = ["` + strings.Repeat("1", 64) + `"]}]`, "index"},
		"register of wrong size": {testFile, `registers = "any"`, `registers = [{index = 4, values = ["` + strings.Repeat("0", 96) + `"]}]`, "values"},
		"negative resets":        {strictFile, `resets = "any"`, `resets = -1`, "resets"},
		"instances empty":        {strictFile, `instances = "any"`, `instances = []`, "instances"},
	} {
		changed := strings.Replace(c.file, c.from, c.to, 1)
		if changed == c.file {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := parse(t, changed, "test"); err == nil || !strings.Contains(err.Error(), "."+c.want) {
			t.Errorf("%s: got %v, want an error about %s", name, err, c.want)
		}
	}
}

// TestEverything reads a table with every list written out.
func TestEverything(t *testing.T) {
	pin, value := strings.Repeat("01", 32), strings.Repeat("02", 48)
	file := strings.NewReplacer(
		`["hardware"]`, `["pinned", "certificate"]`,
		`pins = "none"`, `pins = ["`+pin+`"]`,
		`roots = "none"`, `roots = [{subject = "CN=Root", sha256 = "`+pin+`"}]`,
		`instances = "any"`, `instances = [{project = "p", project_number = 7, zone = "z", name = "any", id = "any"}]`,
		`"transcript"`, `["9009", "00"]`,
		`["sha256"]`, `["sha384", "sha256"]`,
		`resets = "any"`, `resets = 3`,
		`secure_boot = "off"`, `secure_boot = "on"`,
		`variables = "any"`, `variables = [{name = "dbx", sha256 = ["`+pin+`"]}]`,
		`registers = "release"`, `registers = [{index = 4, values = ["`+value+`"]}]`,
	).Replace(Section("strict"))
	p, err := parse(t, file, "strict")
	if err != nil {
		t.Fatal(err)
	}
	var ones [32]byte
	for i := range ones {
		ones[i] = 1
	}
	switch {
	case len(p.Pins) != 1 || p.Pins[0] != ones, len(p.Roots) != 1 || p.Roots[0] != Root{"CN=Root", ones}:
		t.Errorf("keys: got %+v", p)
	case len(p.Instances) != 1 || p.Instances[0] != Instance{Project: "p", ProjectNumber: 7, Zone: "z", Name: Any, ID: -1}:
		t.Errorf("instances: got %+v", p.Instances)
	case len(p.ExtraData) != 2 || string(p.ExtraData[0]) != "\x90\x09" || p.Transcript || p.AnyExtraData:
		t.Errorf("extra data: got %x", p.ExtraData)
	case p.AnyResets || p.Resets != 3 || p.AnyRestarts || p.Restarts != 0:
		t.Errorf("counts: got %+v", p)
	case p.SecureBoot != On || len(p.Variables) != 1 || p.Variables[0].Name != "dbx" || p.Variables[0].Values[0] != ones:
		t.Errorf("Secure Boot: got %+v", p)
	case len(p.Registers) != 1 || p.Registers[0].Index != 4 || len(p.Registers[0].Values[0]) != 48:
		t.Errorf("registers: got %+v", p.Registers)
	}
	text := strings.Join(p.Explain(), "\n")
	for _, want := range []string{"one of 1 that the policy names", "CN=Root", "any (id any) of project p (number 7) in zone z", "one of 2 values", "sha384 and sha256", "reset 3 times or more", "Secure Boot must be on", "dbx", "registers 4 must"} {
		if !strings.Contains(text, want) {
			t.Errorf("explanation lacks %q:\n%s", want, text)
		}
	}
}
