package bootreport

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRealReports: values that the reports of real boots must hold, known
// from elsewhere: PCR 0, 2, 7 from specs/image.md 2.5, 2.6 and the firmware's
// logs in measure/eventlog/testdata, PCR 12 of a planted credential not zero.
func TestRealReports(t *testing.T) {
	const (
		firmware  = "0101271704ccc2360ddbb08438d591c23fb8a0a9cb0cebc60cefea7868833f8e"
		separator = "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"
		noKeys    = "b5710bf57d25623e4019027da116821fa99f5c81e9e38b87671cc574f9281439"
	)
	zero := strings.Repeat("0", 64)
	for name, refusals := range map[string][]string{
		"honest.json":     {},
		"credential.json": {"credentials", "initramfs-entry", "pcr12-injected"},
	} {
		r, err := Decode(read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids := []string{}
		for _, x := range r.Refusals {
			ids = append(ids, x.ID)
		}
		if d := cmp.Diff(refusals, ids); d != "" {
			t.Errorf("%s: refusals: %s", name, d)
		}
		p := r.Banks[0].PCRs
		if p[0] != firmware || p[2] != separator || p[7] != noKeys {
			t.Errorf("%s: PCR 0, 2, 7 are %s, %s, %s", name, p[0], p[2], p[7])
		}
		if (p[12] == zero) != (len(refusals) == 0) {
			t.Errorf("%s: PCR 12 is %s", name, p[12])
		}
		if r.Kernel != "6.12.107+deb13-cloud-amd64" || r.Form != "uki" || len(r.Steps) != 12 {
			t.Errorf("%s: kernel %q, form %q, %d steps", name, r.Kernel, r.Form, len(r.Steps))
		}
		// The guest encodes as Encode does, but for the newline of HTTP.
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(append(again, '\n'), read(t, name)) {
			t.Errorf("%s: encodes differently", name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(read(t, "honest.json"))
	change := func(old, changed string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("report has no %s", old)
		}
		return strings.Replace(good, old, changed, 1)
	}
	steps := strings.Repeat(`{"name":"x","start_us":0,"duration_us":0,"detail":""},`, MaxSteps+1)
	refusals := strings.Repeat(`{"id":"x","detail":""},`, MaxRefusals+1)
	tests := []struct{ name, in, want string }{
		{"empty", "", "EOF"},
		{"null", "null", `type "", want`},
		{"array", "[]", "cannot unmarshal"},
		{"cut", good[:len(good)/2], "unexpected EOF"},
		{"trailing bytes", good + "x", "trailing data"},
		{"two reports", good + good, "trailing data"},
		{"unknown field", change(`"platform":`, `"plat":1,"platform":`), `unknown field "plat"`},
		{"unknown field of a step", change(`"start_us":`, `"x":1,"start_us":`), `unknown field "x"`},
		{"other type", change(Type, "safebox/boot-report/v2"), `v2", want`},
		{"bank twice", change(`"sha384"`, `"sha256"`), `bank "sha256" twice`},
		{"unknown bank", change(`"sha384"`, `"sha1"`), `bank "sha1", want`},
		{"short value", change("0101271704", "01012717"), "pcr0 is"},
		{"upper case", change("b5710bf57d", "B5710BF57D"), "pcr7 is"},
		{"no hex", change("0101271704", "010127170x"), "pcr0 is"},
		{"long command line", change(`"command_line":"`, `"command_line":"`+strings.Repeat("x", MaxText)), "command line of"},
		{"many steps", change(`"steps":[`, `"steps":[`+steps), "steps, want at most 256"},
		{"many refusals", change(`"refusals":[`, `"refusals":[`+refusals[:len(refusals)-1]), "refusals, want at most 64"},
		{"event log", change(`"event_log":"`, `"event_log":"`+strings.Repeat("AAAA", MaxEventLog/3)), "event log of"},
		{"too large", strings.Repeat(" ", MaxSize) + good, "want at most 4194304"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want %q", err, tt.want)
			}
		})
	}
}

// TestEncodeRefuses: what Decode would refuse is not sent.
func TestEncodeRefuses(t *testing.T) {
	for name, r := range map[string]*Report{
		"no type":   {},
		"bad bank":  {Type: Type, Banks: []Bank{{Algorithm: "sha256"}}},
		"too large": {Type: Type, Steps: []Step{{Detail: strings.Repeat("<", MaxSize/6)}}}, // < becomes six bytes
	} {
		if _, err := r.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"honest.json", "credential.json"} {
		// Real, with less of everything that repeats: the fuzzer spends its
		// time on making large inputs small.
		r, err := Decode(read(f, name))
		if err != nil {
			f.Fatal(err)
		}
		r.Steps, r.Sysctls, r.Banks, r.EventLog = r.Steps[:1], r.Sysctls[:1], r.Banks[:1], r.EventLog[:32]
		r.CommandLine = r.CommandLine[:32]
		b, err := r.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"type":"safebox/boot-report/v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		once, err := r.Encode()
		if err != nil {
			if len(b) < MaxSize/6 {
				t.Fatalf("decoded, but: %v", err)
			}
			return
		}
		if !json.Valid(once) {
			t.Fatal("not JSON")
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r, again) {
			t.Error(cmp.Diff(r, again))
		}
	})
}
