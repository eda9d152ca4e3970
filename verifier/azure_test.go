package verifier

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"safebox/verifier/endorse"
	"safebox/verifier/policy"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/tpm/tpmtest"
	"safebox/verifier/transcript"
)

// paravisor is a machine on Azure under test authorities, and what a relying
// party has of it: the evidence of its TPM, whose hardware report verifies for
// itself, and the values of profile cloud with its registers and measurements
// listed. A test changes what it wants.
type paravisor struct {
	kind   azure.Kind
	report func(*snp.Report)       // before it is signed
	quote  func(*tdxtest.Evidence) // likewise
	wrong  bool                    // the hardware binds other claims
	alone  bool                    // the policy accepts no processor's platform
	policy []string                // changes of its text: from, to, from, to
}

// verify makes the evidence and verifies it.
func (p *paravisor) verify(t testing.TB) *Result {
	t.Helper()
	made := tpmtest.OnAzure(t, p.kind).Inputs()
	e, err := cloud.Decode(made.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	data := e.Azure.Report.ReportData()
	if p.wrong {
		data[31] ^= 1
	}
	var file map[string]any
	if err := json.Unmarshal(made.Evidence, &file); err != nil {
		t.Fatal(err)
	}
	in := RawInput{Platform: transcript.VTPM, Data: []byte("session"), At: snptest.At()}
	in.Memory = []byte{}
	r := pinnedRoots()
	var set *endorse.Set
	var changes []string
	if p.kind == azure.SNP {
		set, changes = p.signSNP(t, file, data, &r)
	} else {
		set, changes = p.signTDX(t, file, data, &r)
		in.At = tdxtest.At()
	}
	b, err := set.Encode()
	if err != nil {
		t.Fatal(err)
	}
	in.Collateral = []File{{Name: "collateral", Bytes: b}}
	if in.Evidence, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	in.Policy = p.text(t, made.Expected.Registers[1], changes)
	return verifyRaw(in, r)
}

// text is the policy.
func (p *paravisor) text(t testing.TB, registers map[int][]byte, changes []string) []byte {
	t.Helper()
	platforms := []string{transcript.VTPM, behind(p.kind)}
	if p.alone {
		platforms, changes = platforms[:1], nil
	}
	b, err := policy.Profile(policy.Cloud, platforms)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for index, value := range registers {
		list = append(list, fmt.Sprintf(`{index = %d, values = ["%x"]}`, index, value))
	}
	before, table, _ := strings.Cut(string(b), "[vtpm.quote]")
	table = replaceAll(t, table, []string{`registers = "release"`, "registers = [" + strings.Join(list, ", ") + "]"})
	return []byte(replaceAll(t, before+"[vtpm.quote]"+table, append(changes, p.policy...)))
}

func replaceAll(t testing.TB, text string, changes []string) string {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%q is not in the policy:\n%s", changes[i], text)
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return text
}

// signSNP puts a report and its certificate into the file. It gives the other
// endorsements and the changes of the policy.
func (p *paravisor) signSNP(t testing.TB, file map[string]any, data [64]byte, r *roots) (*endorse.Set, []string) {
	t.Helper()
	e := snptest.New(t).Report(t, data, func(r *snp.Report) {
		r.HostData = [32]byte{}
		if p.report != nil {
			p.report(r)
		}
	})
	r.snp = e.Roots
	blob, err := base64.URLEncoding.DecodeString(file["hcl_report"].(string))
	if err != nil {
		t.Fatal(err)
	}
	copy(blob[32:], e.Report) // verify.md 4: the hardware report is at 0x20
	file["hcl_report"] = base64.URLEncoding.EncodeToString(blob)
	file["vcek"] = base64.URLEncoding.EncodeToString(e.Leaf.Raw)
	set := e.Set()
	set.Certificates = set.Certificates[1:] // the leaf comes in the file
	return set, []string{
		`measurements = "release"`, fmt.Sprintf(`measurements = ["%x"]`, snptest.Genoa().Measurement),
		`host_data = "configuration"`, `host_data = "zero"`,
	}
}

// signTDX does the same for a TD quote. The profile is test for the time of
// tdxtest alone.
func (p *paravisor) signTDX(t testing.TB, file map[string]any, data [64]byte, r *roots) (*endorse.Set, []string) {
	t.Helper()
	e := tdxtest.New(t, tdx.V4)
	b := &e.Quote.Body
	b.ReportData, b.MRConfigID = data, [48]byte{}
	changes := []string{
		`profile = "cloud"`, `profile = "test"`, `mode = "live"`, `mode = "as-of"`, `time = "authenticated"`, `time = "any"`,
		`event_log = "required"`, `event_log = "any"`, `mrconfigid = "configuration"`, `mrconfigid = "zero"`,
		`mrtd = "release"`, fmt.Sprintf(`mrtd = ["%x"]`, b.MRTD), `rtmr3 = "runtime"`, `rtmr3 = "zero"`,
	}
	for i := range 3 {
		changes = append(changes, fmt.Sprintf(`rtmr%d = "release"`, i), fmt.Sprintf(`rtmr%d = ["%x"]`, i, b.RTMR[i]))
	}
	if p.quote != nil {
		p.quote(e)
	}
	in := e.Input(t)
	r.tdx = func() tdx.Roots { return in.Roots }
	file["td_quote"] = base64.URLEncoding.EncodeToString(in.Quote)
	return in.Endorsements, changes
}

// TestParavisor: the checks of TPM and processor together. Who binds a key in
// another report than one that the policy accepts for itself has bound nothing.
func TestParavisor(t *testing.T) {
	const bound = "TPM-H1 TPM-K1"
	vmpl := func(n uint32) func(*snp.Report) { return func(r *snp.Report) { r.VMPL = n } }
	anyData := []string{`profile = "cloud"`, `profile = "test"`, "report_data = \"transcript\"  # of", "report_data = \"any\"  # of"}
	for name, c := range map[string]struct {
		machine paravisor
		fails   string
	}{
		"SEV-SNP":                  {paravisor{kind: azure.SNP}, ""},
		"TDX":                      {paravisor{kind: azure.TDX}, ""},
		"SEV-SNP, other claims":    {paravisor{kind: azure.SNP, wrong: true}, "SNP-D1 " + bound},
		"TDX, other claims":        {paravisor{kind: azure.TDX, wrong: true}, "TDX-D1 " + bound},
		"SEV-SNP, no such table":   {paravisor{kind: azure.SNP, alone: true}, "SNP-"},
		"SEV-SNP, not measured":    {paravisor{kind: azure.SNP, report: func(r *snp.Report) { r.Measurement[47] ^= 1 }}, "SNP-M1 " + bound},
		"SEV-SNP, debug":           {paravisor{kind: azure.SNP, report: func(r *snp.Report) { r.Policy |= 1 << 19 }}, "SNP-P1 " + bound},
		"TDX, not measured":        {paravisor{kind: azure.TDX, quote: func(e *tdxtest.Evidence) { e.Quote.Body.RTMR[3][0] = 1 }}, "TDX-M2 " + bound},
		"SEV-SNP, guest's own":     {paravisor{kind: azure.SNP, report: vmpl(2)}, "SNP-F4 " + bound},
		"SEV-SNP, guest's allowed": {paravisor{kind: azure.SNP, report: vmpl(2), policy: []string{"vmpls = [0]", "vmpls = [0, 2]"}}, bound},
		"SEV-SNP, any data":        {paravisor{kind: azure.SNP, wrong: true, policy: anyData}, bound},
		"TDX, any data": {paravisor{kind: azure.TDX, wrong: true, policy: []string{
			"\nreport_data = \"transcript\"\n", "\nreport_data = \"any\"\n",
		}}, bound},
	} {
		t.Run(name, func(t *testing.T) {
			v := c.machine.verify(t).Verdict
			var failed []string
			for _, k := range v.Checks {
				if !k.OK {
					failed = append(failed, k.ID)
				}
			}
			got := strings.Join(failed, " ")
			if c.machine.alone { // all of the processor's, and what rests on them
				ok := strings.HasPrefix(got, c.fails) && strings.HasSuffix(got, bound) && len(failed) > 20
				if v.OK || !ok {
					t.Errorf("got %t, failed %q", v.OK, got)
				}
				return
			}
			if v.OK != (c.fails == "") || got != c.fails {
				t.Errorf("got %t, failed %q, want %q", v.OK, got, c.fails)
			}
		})
	}
}
