package pcs_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"safebox/verifier/endorse"
	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/pcs/pcstest"
)

const (
	issued = "2026-11-20T10:00:00Z"
	next   = "2026-12-20T10:00:00Z"
)

// openers of the two kinds of documents, each with a good one.
type kind struct {
	name string
	good string
	open func(s endorse.Signed, signer *x509.Certificate) error
}

func kinds() []kind {
	return []kind{
		{"TCB info", pcstest.NewTCBInfo(issued, next).JSON(), func(s endorse.Signed, c *x509.Certificate) error {
			_, err := pcs.OpenTCBInfo(s, c)
			return err
		}},
		{"identity", pcstest.NewIdentity(issued, next).JSON(), func(s endorse.Signed, c *x509.Certificate) error {
			_, err := pcs.OpenIdentity(s, c)
			return err
		}},
	}
}

// TestMembersRequired takes every member that the PCS API lists as required away
// from where it is, at every depth, and writes every member twice.
func TestMembersRequired(t *testing.T) {
	signer := pcstest.NewSigner(t)
	required := map[string][]string{
		"TCB info": {
			`"id":"TDX",`, `"version":3,`, `"issueDate":"` + issued + `",`, `"nextUpdate":"` + next + `",`, `"fmspc":"90C06F000000",`, `"pceId":"0000",`,
			`"tcbType":0,`, `"tcbEvaluationDataNumber":21,`,
			`"tdxModule":{"mrsigner":"` + strings.Repeat("00", 48) + `","attributes":"0000000000000000","attributesMask":"FFFFFFFFFFFFFFFF"},`,
			`"id":"TDX_03",`, `"isvsvn":3`, `"pcesvn":5,`, `"tcb":{"isvsvn":7},`,
		},
		"identity": {
			`"id":"TD_QE",`, `"version":2,`, `"issueDate":"` + issued + `",`, `"nextUpdate":"` + next + `",`, `"tcbEvaluationDataNumber":21,`,
			`"miscselect":"00000000",`, `"miscselectMask":"FFFFFFFF",`, `"attributes":"11000000000000000000000000000000",`,
			`"attributesMask":"FBFFFFFFFFFFFFFF0000000000000000",`, `"mrsigner":"DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5",`,
			`"isvprodid":2,`, `"isvsvn":4`, `"tcbDate":"2026-05-13T00:00:00Z",`, `"tcb":{"isvsvn":2},`, `,"tcbStatus":"UpToDate"`,
		},
	}
	for _, k := range kinds() {
		if err := k.open(pcstest.Sign(t, signer.Key, k.good), signer.Certificate); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		for _, member := range required[k.name] {
			without := pcstest.Edit(t, k.good, member, "")
			if err := k.open(pcstest.Sign(t, signer.Key, without), signer.Certificate); err == nil || !strings.Contains(err.Error(), "no member") {
				t.Errorf("%s without %s: %v", k.name, member, err)
			}
			double := strings.Trim(member, ",")
			twice := pcstest.Edit(t, k.good, member, strings.Replace(member, double, double+","+double, 1))
			if err := k.open(pcstest.Sign(t, signer.Key, twice), signer.Certificate); err == nil || !strings.Contains(err.Error(), "twice") {
				t.Errorf("%s with two %s: %v", k.name, member, err)
			}
		}
	}
}

// TestEveryMemberRequired renames every member of both documents, wherever it
// is. Two may be absent (PCS API version 4): advisoryIDs and tdxModuleIdentities.
func TestEveryMemberRequired(t *testing.T) {
	signer, optional := pcstest.NewSigner(t), map[string]bool{"advisoryIDs": true, "tdxModuleIdentities": true}
	for _, k := range kinds() {
		all := regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatchIndex(k.good, -1)
		for _, m := range all {
			name, want := k.good[m[2]:m[3]], "no member"
			if optional[name] {
				want = ""
			}
			renamed := k.good[:m[2]] + "x" + k.good[m[2]:]
			checkError(t, fmt.Sprintf("%s, %s at %d renamed", k.name, name, m[2]), k.open(pcstest.Sign(t, signer.Key, renamed), signer.Certificate), want)
		}
		if len(all) < 20 {
			t.Errorf("%s: only %d members", k.name, len(all))
		}
	}
}

// TestEdits changes one place of a good document. want is part of the error;
// empty if the document stays good.
func TestEdits(t *testing.T) {
	signer := pcstest.NewSigner(t)
	edits := map[string][][3]string{
		"TCB info": {
			{`"id":"TDX"`, `"id":"SGX"`, `want "TDX"`},
			{`"id":"TDX"`, `"id":"tdx"`, `want "TDX"`},
			{`"id":"TDX"`, `"id":null`, "no"},
			{`"version":3`, `"version":2`, "2, want 3"},
			{`"version":3`, `"version":4`, "4, want 3"},
			{`"version":3`, `"version":"3"`, "no integer"},
			{`"version":3`, `"version":3.0`, "no integer"},
			{`"version":3`, `"version":3e0`, "no integer"},
			{`"version":3`, `"version":03`, "no integer"},
			{`"version":3`, `"version":-3`, "no integer"},
			{`"version":3`, `"Version":3`, "no member"},
			{`"tcbType":0`, `"tcbType":1`, "1, want 0"},
			{`"tcbEvaluationDataNumber":21`, `"tcbEvaluationDataNumber":4294967296`, "no integer"},
			{`"tcbEvaluationDataNumber":21`, `"tcbEvaluationDataNumber":4294967295`, ""},
			{`"fmspc":"90C06F000000"`, `"fmspc":"90c06f000000"`, ""},
			{`"fmspc":"90C06F000000"`, `"fmspc":"90C06F0000"`, "12 hexadecimal digits"},
			{`"fmspc":"90C06F000000"`, `"fmspc":"90C06F00000000"`, "12 hexadecimal digits"},
			{`"fmspc":"90C06F000000"`, `"fmspc":"90C06F00000g"`, "12 hexadecimal digits"},
			{`"fmspc":"90C06F000000"`, `"fmspc":"90C06F00000\u0030"`, ""},
			{`"pceId":"0000"`, `"pceId":"00000"`, "4 hexadecimal digits"},
			{issued, "2026-11-20T10:00:00+00:00", "want the form"},
			{issued, "2026-11-20T11:00:00+01:00", "want the form"},
			{issued, "2026-11-20T10:00:00.5Z", "want the form"},
			{issued, "2026-11-20T10:00:00,5Z", "want the form"},
			{issued, "2026-11-20T1:00:00Z", "want the form"},
			{issued, "2026-11-20 10:00:00Z", "want the form"},
			{issued, "2026-11-20t10:00:00Z", "want the form"},
			{issued, "2026-11-31T10:00:00Z", "want the form"},
			{issued, "2026-11-20T24:00:00Z", "want the form"},
			{issued, "2026-11-20", "want the form"},
			{issued, next, "is not before"},
			{next, "2026-11-20T09:59:59Z", "is not before"},
			{`"tdxModuleIdentities":[{"id":"TDX_03"`, `"tdxModuleIdentities":[{"id":"TDX_1"`, "two hexadecimal digits"},
			{`"id":"TDX_03"`, `"id":"TDX_0x"`, "two hexadecimal digits"},
			{`"id":"TDX_03"`, `"id":"SGX_03"`, "two hexadecimal digits"},
			{`"id":"TDX_03"`, `"id":"TDX_01"`, "TDX_01 twice"},
			{`"id":"TDX_03"`, `"id":"TDX_0a"`, ""},
			{`"tcb":{"isvsvn":3}`, `"tcb":{"isvsvn":256}`, "no integer"},
			{`"tcb":{"isvsvn":4}`, `"tcb":{"isvsvn":7}`, "not in descending order"},
			{`"tcb":{"isvsvn":4}`, `"tcb":{"isvsvn":8}`, "not in descending order"},
			{`"pcesvn":5`, `"pcesvn":13`, "not in descending order"},
			{`"pcesvn":5`, `"pcesvn":14`, "not in descending order"},
			{`"pcesvn":5`, `"pcesvn":65536`, "no integer"},
			{`[{"svn":3},{"svn":3},{"svn":2},{"svn":2},{"svn":4},{"svn":1},{"svn":0},{"svn":5},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0}],"pcesvn":5`, `[{"svn":3},{"svn":3},{"svn":3},{"svn":2},{"svn":4},{"svn":1},{"svn":0},{"svn":5},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0},{"svn":0}],"pcesvn":5`, "not in descending order"},
			{`{"svn":0}],"pcesvn":5`, `{"svn":256}],"pcesvn":5`, "no integer"},
			{`{"svn":0}],"pcesvn":5`, `{"svn":0},{"svn":0}],"pcesvn":5`, "17 TCB components"},
			{`,{"svn":0}],"pcesvn":5`, `],"pcesvn":5`, "15 TCB components"},
			{`{"svn":0}],"pcesvn":5`, `{}],"pcesvn":5`, `no member "svn"`},
			{`{"svn":0}],"pcesvn":5`, `0],"pcesvn":5`, "no"},
			{`{"svn":0}],"pcesvn":5`, `{"svn":0,"category":"BIOS"}],"pcesvn":5`, ""},
			{`{"svn":0}],"pcesvn":5`, `{"svn":0,"type":7}],"pcesvn":5`, "no"},
			{`{"svn":0}],"pcesvn":5`, `{"svn":0,"type":"é"}],"pcesvn":5`, "printable ASCII"},
			{`"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"OutOfDate"`, `"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"Unknown"`, "is not known"},
			{`"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"OutOfDate"`, `"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"TDRelaunchAdvised"`, "not one that a level"},
			{`"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"OutOfDate"`, `"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"ConfigurationNeeded"`, ""},
			{`{"isvsvn":3},"tcbDate":"2026-05-13T00:00:00Z","tcbStatus":"UpToDate"`, `{"isvsvn":3},"tcbDate":"2026-05-13T00:00:00Z","tcbStatus":"SWHardeningNeeded"`, "not one that a level"},
			{`{"isvsvn":3},"tcbDate":"2026-05-13T00:00:00Z","tcbStatus":"UpToDate"`, `{"isvsvn":3},"tcbDate":"2026-05-13T00:00:00Z","tcbStatus":"Revoked"`, ""},
			{`["INTEL-SA-00106","INTEL-SA-00115"]`, `[]`, ""},
			{`["INTEL-SA-00106","INTEL-SA-00115"]`, `["INTEL\nSA"]`, "printable ASCII"},
			{`["INTEL-SA-00106","INTEL-SA-00115"]`, `["` + strings.Repeat("x", 65) + `"]`, "at most 64"},
			{`["INTEL-SA-00106","INTEL-SA-00115"]`, `["INTEL-SA-00106"`, "no"},
			{`["INTEL-SA-00106","INTEL-SA-00115"]`, `"INTEL-SA-00106"`, "no"},
		},
		"identity": {
			{`"id":"TD_QE"`, `"id":"QE"`, `want "TD_QE"`},
			{`"id":"TD_QE"`, `"id":"QVE"`, `want "TD_QE"`},
			{`"version":2`, `"version":1`, "1, want 2"},
			{`"version":2`, `"version":3`, "3, want 2"},
			{`"isvprodid":2`, `"isvprodid":65536`, "no integer"},
			{`"miscselect":"00000000"`, `"miscselect":"0000000"`, "8 hexadecimal digits"},
			{`"isvsvn":4`, `"isvsvn":65536`, "no integer"},
			{`"isvsvn":4`, `"isvsvn":65535`, ""},
			{`"isvsvn":2`, `"isvsvn":4`, "not in descending order"},
			{`"isvsvn":2`, `"isvsvn":5`, "not in descending order"},
			{`"tcbStatus":"OutOfDate"`, `"tcbStatus":"ConfigurationNeeded"`, "not one that a level"},
			{`"tcbStatus":"OutOfDate"`, `"tcbStatus":"OutOfDateConfigurationNeeded"`, "not one that a level"},
			{`"tcbStatus":"OutOfDate"`, `"tcbStatus":"revoked"`, "is not known"},
			{`"tcbStatus":"OutOfDate"`, `"tcbStatus":"Revoked"`, ""},
			{next, issued, "is not before"},
		},
	}
	for _, k := range kinds() {
		for _, e := range edits[k.name] {
			body := pcstest.Edit(t, k.good, e[0], e[1])
			checkError(t, k.name+" with "+e[1], k.open(pcstest.Sign(t, signer.Key, body), signer.Certificate), e[2])
		}
	}
}

func checkError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Errorf("%s: %v, want it accepted", what, err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// TestJSONStrict: what both kinds of documents have in common. An unknown member
// is allowed, whatever it holds, as long as it is JSON without a name twice.
func TestJSONStrict(t *testing.T) {
	signer := pcstest.NewSigner(t)
	extras := [][2]string{
		{`,"later":{"a":[1,-2.5e+3,true,false,null,"\"\\\u00e9",{}, []]}`, ""},
		{`,"ID":"x"`, ""},
		{` , "later" : 1 `, ""},
		{`,"later":{"a":1,"a":2}`, `member "a" twice`},
		{`,"later":{"a":1,"\u0061":2}`, `member "a" twice`},
		{`,"later":[[{"b":0,"c":1,"b":0}]]`, `member "b" twice`},
		{`,"\u0069d":"TDX"`, `member "id" twice`},
		{`,"later":1,"later":1`, `member "later" twice`},
		{`,"later":`, "no value"},
		{`,"later":01`, "no value"},
		{`,"later":1.`, "no value"},
		{`,"later":+1`, "no value"},
		{`,"later":NaN`, "no value"},
		{`,"later":True`, "no value"},
		{`,"later":'x'`, "no value"},
		{`,"later":"x`, "does not end"},
		{`,"later":"\x"`, "string"},
		{`,"later":"\u12"`, "string"},
		{",\"later\":\"a\nb\"", "control character"},
		{`,"later":[1,]`, "no value"},
		{`,"later":[,1]`, "no value"},
		{`,"later":[1 2]`, "no"},
		{`,"later":{"a" 1}`, "no"},
		{`,"later":{"a":1,}`, "no"},
		{`,"later":{1:1}`, "no"},
		{`,`, "no"},
		{`,"later":` + strings.Repeat("[", 15) + strings.Repeat("]", 15), ""},
		{`,"later":` + strings.Repeat("[", 16) + strings.Repeat("]", 16), "nested deeper"},
		{`,"later":` + strings.Repeat("[", 100000), "nested deeper"},
		{",\"later\":\"\xff\"", "not UTF-8"},
		{",\"later\":\"\xed\xa0\x80\"", "not UTF-8"},
		{many(64), "over 64 members"},
		{`,"later":{` + many(65)[1:] + `}`, "over 64 members"},
		{`,"later":{` + many(64)[1:] + `}`, ""},
		{`}`, "after the document"},
		{`}{"later":1`, "after the document"},
		{`,"later":"` + strings.Repeat("x", 256<<10) + `"`, "want at most"},
	}
	for _, k := range kinds() {
		for _, e := range extras {
			body := k.good[:len(k.good)-1] + e[0] + "}"
			checkError(t, k.name+" with "+e[0][:min(len(e[0]), 40)], k.open(pcstest.Sign(t, signer.Key, body), signer.Certificate), e[1])
		}
		checkError(t, "white space around", k.open(pcstest.Sign(t, signer.Key, " \r\n\t"+k.good+"\n"), signer.Certificate), "")
		for _, body := range []string{"", "null", "[]", "[" + k.good + "]", "\ufeff" + k.good, k.good + "x", k.good + "\x00", "{}", "{", `{"id"`, `{"id":`, `{"`, `{"id":"TDX",`} {
			if err := k.open(pcstest.Sign(t, signer.Key, body), signer.Certificate); err == nil {
				t.Errorf("%s %q: accepted", k.name, body[:min(len(body), 20)])
			}
		}
		for cut := range k.good {
			if err := k.open(pcstest.Sign(t, signer.Key, k.good[:cut]), signer.Certificate); err == nil {
				t.Errorf("%s, cut after %d bytes: accepted", k.name, cut)
			}
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"later%d":0`, i)
	}
	return b.String()
}

// TestEmptyLists: a document without levels says nothing.
func TestEmptyLists(t *testing.T) {
	signer := pcstest.NewSigner(t)
	open := func(body string) error {
		_, err := pcs.OpenTCBInfo(pcstest.Sign(t, signer.Key, body), signer.Certificate)
		return err
	}
	info := pcstest.NewTCBInfo(issued, next)
	info.Levels = nil
	checkError(t, "no levels", open(info.JSON()), "tcbLevels: empty")
	info = pcstest.NewTCBInfo(issued, next)
	info.Modules[1].Levels = nil
	checkError(t, "module without levels", open(info.JSON()), "tcbLevels: empty")
	info = pcstest.NewTCBInfo(issued, next)
	info.Modules = []pcstest.Module{}
	checkError(t, "empty list of modules", open(info.JSON()), "tdxModuleIdentities: empty")
	info.Modules = nil
	checkError(t, "no list of modules", open(info.JSON()), "")
	body := pcstest.Edit(t, info.JSON(), `"attributesMask":"FFFFFFFFFFFFFFFF"}`, `"attributesMask":"FFFFFFFFFFFFFFFF","tcbLevels":[{"tcb":{"isvsvn":0},"tcbDate":"2018-01-04T00:00:00Z","tcbStatus":"UpToDate"}]}`)
	checkError(t, "levels in tdxModule", open(body), "tdxModule has levels")
	q := pcstest.NewIdentity(issued, next)
	q.Levels = nil
	_, err := pcs.OpenIdentity(pcstest.Sign(t, signer.Key, q.JSON()), signer.Certificate)
	checkError(t, "identity without levels", err, "tcbLevels: empty")
}

// TestSigner: only a TCB signing certificate signs, even if another one's key
// made the signature.
func TestSigner(t *testing.T) {
	change := func(f func(c *x509.Certificate)) *x509.Certificate {
		c := pcstest.SignerTemplate()
		f(c)
		return c
	}
	for name, signer := range map[string]pcstest.Signer{
		"root's name": pcstest.SignerOf(t, change(func(c *x509.Certificate) { c.Subject.CommonName = "Intel SGX Root CA" }), elliptic.P256()),
		"PCK's name":  pcstest.SignerOf(t, change(func(c *x509.Certificate) { c.Subject.CommonName = "Intel SGX PCK Certificate" }), elliptic.P256()),
		"longer name": pcstest.SignerOf(t, change(func(c *x509.Certificate) { c.Subject.CommonName += " 2" }), elliptic.P256()),
		"CA":          pcstest.SignerOf(t, change(func(c *x509.Certificate) { c.IsCA = true }), elliptic.P256()),
		"key usage":   pcstest.SignerOf(t, change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), elliptic.P256()),
		"P-224":       pcstest.SignerOf(t, pcstest.SignerTemplate(), elliptic.P224()),
		"nobody":      {Key: pcstest.NewSigner(t).Key},
		"other key":   {Key: pcstest.NewSigner(t).Key, Certificate: pcstest.NewSigner(t).Certificate},
	} {
		for _, k := range kinds() {
			if err := k.open(pcstest.Sign(t, signer.Key, k.good), signer.Certificate); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("%s, %s: %v", k.name, name, err)
			}
		}
	}
}
