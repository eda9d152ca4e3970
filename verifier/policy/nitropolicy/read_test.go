package nitropolicy

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/policy/table"
)

// parse reads a table by itself.
func parse(text string, kind Kind, profile string) (Policy, error) {
	root, err := table.Parse([]byte(text))
	if err != nil {
		return Policy{}, err
	}
	p := Read(root.Table(kind.table()), kind, profile)
	root.End()
	return p, root.Close()
}

// set gives a key of a section another value, and wants the key to be there
// once.
func set(t *testing.T, section, key, value string) string {
	t.Helper()
	var out []string
	seen := 0
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, key+" = ") {
			seen++
			line = ""
			if value != "" {
				line = key + " = " + value + "\n"
			}
		}
		out = append(out, line)
	}
	if seen != 1 {
		t.Fatalf("key %s: found %d times", key, seen)
	}
	return strings.Join(out, "")
}

func keys(kind Kind) []string {
	list := []string{"time", "max_age", "skew", "crl", "instances", "nonce", "user_data", "public_key", "rest"}
	if kind == Enclave {
		list = append(list, "debug")
	}
	for _, i := range Named(kind) {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// TestKeys: every key must be there, of its type, with a value that is known.
func TestKeys(t *testing.T) {
	for _, kind := range []Kind{Enclave, NitroTPM} {
		for _, profile := range []string{strict, cloud, test} {
			section := Section(kind, profile)
			for _, key := range keys(kind) {
				for _, value := range []string{"", `"everything"`, `""`, "[]", "true", "-1", `["everything"]`, "[1]", "{}"} {
					if key == "instances" && value == `["everything"]` {
						value = `["i-everything"]`
					}
					if _, err := parse(set(t, section, key, value), kind, profile); err == nil || !strings.Contains(err.Error(), key) {
						t.Errorf("%v %s: %s = %s: got %v, want an error that names the key", kind, profile, key, value, err)
					}
				}
				misspelt := strings.Replace(section, "\n"+key+" = ", "\n"+key+"x = ", 1)
				if _, err := parse(misspelt, kind, profile); err == nil {
					t.Errorf("%v %s: %sx: accepted", kind, profile, key)
				}
			}
			if _, err := parse(section+"\nmore = 1\n", kind, profile); err == nil || !strings.Contains(err.Error(), "more") {
				t.Errorf("%v %s: an unknown register: got %v", kind, profile, err)
			}
			if _, err := parse(strings.Replace(section, "\ntime", "\nmore = 1\ntime", 1), kind, profile); err == nil {
				t.Errorf("%v %s: an unknown key: accepted", kind, profile)
			}
		}
	}
}

// TestTables: the two kinds do not read each other's tables.
func TestTables(t *testing.T) {
	for _, profile := range []string{strict, cloud, test} {
		text := strings.ReplaceAll(Section(Enclave, profile), "[nitro", "[nitrotpm")
		if _, err := parse(text, NitroTPM, profile); err == nil {
			t.Errorf("%s: an enclave's table: accepted as a NitroTPM's", profile)
		}
		text = strings.ReplaceAll(Section(NitroTPM, profile), "[nitrotpm", "[nitro")
		if _, err := parse(text, Enclave, profile); err == nil {
			t.Errorf("%s: a NitroTPM's table: accepted as an enclave's", profile)
		}
	}
}

// TestProfiles: what only profile test may say.
func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		key, value string
	}{
		{Enclave, "time", `"self"`},
		{NitroTPM, "time", `"self"`},
		{Enclave, "max_age", `"any"`},
		{Enclave, "max_age", `3601`},
		{NitroTPM, "max_age", `"any"`},
		{Enclave, "debug", `"accept"`},
		{Enclave, "nonce", `"any"`},
		{NitroTPM, "nonce", `"any"`},
		{Enclave, "user_data", `"any"`},
		{NitroTPM, "user_data", `"any"`},
		{NitroTPM, "4", `"any"`},
		{NitroTPM, "4", `"configuration"`},
		{NitroTPM, "4", `"zero"`},
		{NitroTPM, "12", `"any"`},
		{NitroTPM, "12", `"configuration"`},
	} {
		for _, profile := range []string{strict, cloud, "another"} {
			name := profile
			if profile == "another" {
				name = strict
			}
			text := set(t, Section(c.kind, name), c.key, c.value)
			if _, err := parse(text, c.kind, profile); err == nil || !strings.Contains(err.Error(), "profile "+profile) || !strings.Contains(err.Error(), c.key) {
				t.Errorf("%v %s: %s = %s: got %v, want an error that names the key and the profile", c.kind, profile, c.key, c.value, err)
			}
		}
		if _, err := parse(set(t, Section(c.kind, test), c.key, c.value), c.kind, test); err != nil {
			t.Errorf("%v test: %s = %s: %v", c.kind, c.key, c.value, err)
		}
	}
}

// TestImage: an enclave's image must be named by 0, or by 1 and 2; its signer is
// not enough (specs/nitro.md, section 4.4, step 9).
func TestImage(t *testing.T) {
	value := `["` + strings.Repeat("ab", 48) + `"]`
	for _, c := range []struct {
		pcr0, pcr1, pcr2, pcr8 string
		ok                     bool
	}{
		{`"release"`, `"any"`, `"any"`, `"any"`, true},
		{value, `"any"`, `"any"`, `"any"`, true},
		{`"any"`, `"release"`, value, `"any"`, true},
		{`"any"`, `"release"`, `"any"`, value, false},
		{`"any"`, `"any"`, `"release"`, value, false},
		{`"any"`, `"any"`, `"any"`, value, false},
		{`"any"`, `"any"`, `"any"`, `"release"`, false},
		{`"configuration"`, `"any"`, `"any"`, value, false},
	} {
		text := Section(Enclave, strict)
		for key, value := range map[string]string{"0": c.pcr0, "1": c.pcr1, "2": c.pcr2, "8": c.pcr8} {
			text = set(t, text, key, value)
		}
		if _, err := parse(text, Enclave, strict); (err == nil) != c.ok {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

// TestWords: words that only some registers may have.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		key, value string
		ok         bool
	}{
		{Enclave, "4", `"instance"`, true},
		{Enclave, "3", `"instance"`, false},
		{NitroTPM, "4", `"instance"`, false},
		{Enclave, "0", `"zero"`, false},
		{Enclave, "1", `"zero"`, false},
		{Enclave, "2", `"zero"`, false},
		{Enclave, "3", `"zero"`, true},
		{Enclave, "8", `"absent"`, false},
		{Enclave, "16", `"absent"`, true},
		{Enclave, "17", `"zero"`, true},
		{NitroTPM, "15", `"absent"`, false},
		{NitroTPM, "0", `"zero"`, false},
		{NitroTPM, "0", `["` + strings.Repeat("ab", 48) + `"]`, false},
		{NitroTPM, "1", `"release"`, false},
		{NitroTPM, "1", `["` + strings.Repeat("ab", 48) + `"]`, false},
		{NitroTPM, "13", `"zero"`, true},
		{Enclave, "8", `["` + strings.Repeat("ab", 48) + `", "` + strings.Repeat("cd", 48) + `"]`, true},
		{Enclave, "8", `["` + strings.Repeat("ab", 48) + `", "` + strings.Repeat("ab", 48) + `"]`, false},
		{Enclave, "8", `["` + strings.Repeat("AB", 48) + `"]`, false},
		{Enclave, "8", `["` + strings.Repeat("ab", 47) + `"]`, false},
		{Enclave, "8", `["` + strings.Repeat("ab", 49) + `"]`, false},
		{Enclave, "skew", "300", true},
		{Enclave, "skew", "301", false},
		{Enclave, "max_age", "10800", true},
		{Enclave, "max_age", "10801", false},
		{Enclave, "max_age", "0", false},
		{Enclave, "instances", `["i-0a22e5c5f24d22174"]`, true},
		{Enclave, "instances", `["i-0a22e5c5f24d22174", "i-0a22e5c5f24d22174"]`, false},
		{Enclave, "instances", `["i-0A22e5c5f24d22174"]`, false},
		{Enclave, "instances", `["i-0a22e5c5"]`, false},
		{Enclave, "instances", `["any"]`, false},
		{Enclave, "nonce", `"transcript"`, false},
		{Enclave, "user_data", `"challenge"`, false},
		{Enclave, "nonce", `"absent"`, false},
		{Enclave, "nonce", `["00", "0001"]`, true},
		{Enclave, "nonce", `["00", "00"]`, false},
		{Enclave, "nonce", `["0"]`, false},
		{Enclave, "nonce", `["AB"]`, false},
		{Enclave, "public_key", `["` + strings.Repeat("ab", 1024) + `"]`, true},
		{Enclave, "public_key", `["` + strings.Repeat("ab", 1025) + `"]`, false},
		{Enclave, "crl", `"none"`, false},
	} {
		if _, err := parse(set(t, Section(c.kind, test), c.key, c.value), c.kind, test); (err == nil) != c.ok {
			t.Errorf("%v: %s = %.60s: got %v, want it accepted: %t", c.kind, c.key, c.value, err, c.ok)
		}
	}
}

// TestRead: every value arrives where it belongs.
func TestRead(t *testing.T) {
	text := `[nitro]
time = "at"
max_age = 60
skew = 7
crl = "any"
debug = "accept"
instances = ["i-0a22e5c5f24d22174"]
nonce = ["0102"]
user_data = "transcript"
public_key = "absent"
[nitro.pcrs]
0 = "release"
1 = "any"
2 = "any"
3 = "zero"
4 = "instance"
8 = ["` + strings.Repeat("ab", 48) + `"]
16 = "configuration"
17 = "absent"
20 = "any"
rest = "unused"
`
	got, err := parse(text, Enclave, test)
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(strings.Repeat("ab", 48))
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{
		Kind: Enclave, Time: "at", MaxAge: time.Minute, Skew: 7 * time.Second, AnyCRL: true, AcceptDebug: true,
		Instances: []string{"i-0a22e5c5f24d22174"},
		PCRs: map[int]Register{
			0: {Rule: "release"}, 1: {Rule: "any"}, 2: {Rule: "any"}, 3: {Rule: "zero"}, 4: {Rule: "instance"},
			8: {Rule: "listed", Values: [][48]byte{[48]byte(value)}}, 16: {Rule: "configuration"}, 17: {Rule: "absent"}, 20: {Rule: "any"},
		},
		Rest:  "unused",
		Nonce: Field{Rule: "listed", Values: [][]byte{{1, 2}}}, UserData: Field{Rule: "transcript"}, PublicKey: Field{Rule: "absent"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestExplain: every "any" of a table is a sentence that begins with WAIVED and
// names it.
func TestExplain(t *testing.T) {
	for _, kind := range []Kind{Enclave, NitroTPM} {
		section := Section(kind, strict)
		for key, word := range map[string]string{"nonce": "nonce", "user_data": "user_data", "public_key": "public_key", "instances": "instance", "max_age": "age", "rest": "other register", "5": "PCR5", "11": "PCR11"} {
			text := section
			if key == "5" || key == "11" {
				text = strings.Replace(text, "\nrest = ", "\nrest_ = ", 1)
				if kind == Enclave {
					text += key + ` = "any"` + "\n"
				} else {
					text = set(t, text, key, `"any"`)
				}
				text = strings.Replace(text, "\nrest_ = ", "\nrest = ", 1)
			} else {
				text = set(t, text, key, `"any"`)
			}
			p, err := parse(text, kind, test)
			if err != nil {
				t.Fatal(err)
			}
			said := false
			for _, s := range p.Explain() {
				said = said || strings.HasPrefix(s, "WAIVED: ") && strings.Contains(s, word)
			}
			if !said {
				t.Errorf("%v: %s = any: not said:\n%s", kind, key, strings.Join(p.Explain(), "\n"))
			}
		}
		for _, s := range (&Policy{Kind: kind}).Explain() {
			if strings.HasPrefix(s, "WAIVED: ") {
				t.Errorf("%v: the zero policy says %q", kind, s)
			}
		}
	}
	p, err := parse(set(t, set(t, Section(Enclave, test), "debug", `"accept"`), "time", `"self"`), Enclave, test)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(p.Explain(), "\n")
	for _, want := range []string{"WAIVED: Nitro enclave: debug mode", "WAIVED: Nitro enclave: time"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said:\n%s", want, all)
		}
	}
}

// TestReasons: each number of a section stands under a comment with its source.
func TestReasons(t *testing.T) {
	for _, kind := range []Kind{Enclave, NitroTPM} {
		section := Section(kind, strict)
		for _, want := range []string{"specs/nitro.md 4.4, step 5", "specs/nitro.md 4.3", "specs/verify.md 7.2", "specs/protocol.md, section 2"} {
			if !strings.Contains(section, want) {
				t.Errorf("%v: no source %q:\n%s", kind, want, section)
			}
		}
	}
}
