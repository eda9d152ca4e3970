package endorse

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// text64 is a 64-byte signature in base64.
func text64(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 64)) }

// TestForm is docs/format-collateral.md: the bundle of nothing, and one with
// each kind, written by hand.
func TestForm(t *testing.T) {
	const empty = `{"certificates":[],"crls":[],"qe_identities":[],"tcb_infos":[],"type":"safebox/collateral/v1"}`
	if got := string(encode(t, &Set{})); got != empty {
		t.Errorf("got %s", got)
	}
	cert, crl := read(t, "snp/trustee/test-vlek.der"), read(t, "tdx/go-tdx-guest/rootcrl.der")
	var s Set
	s.Add("crl", crl)
	s.Add("cert", cert)
	s.TCBInfos = []Signed{{Body: []byte(`{"a": 1}`), Signature: bytes.Repeat([]byte{1}, 64)}}
	s.Identities = []Signed{{Body: []byte(`{}`), Signature: bytes.Repeat([]byte{2}, 64)}}
	want := fmt.Sprintf(`{"certificates":["%s"],"crls":["%s"],"qe_identities":[{"body":"{}","signature":"%s"}],"tcb_infos":[{"body":"{\"a\": 1}","signature":"%s"}],"type":"safebox/collateral/v1"}`,
		base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(crl), text64(2), text64(1))
	if got := string(encode(t, &s)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	s.Certificates = append(s.Certificates, s.Certificates[0])
	s.TCBInfos = append(s.TCBInfos, s.TCBInfos[0])
	if got := string(encode(t, &s)); got != want {
		t.Errorf("with duplicates: got %s", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const format = `{"certificates":[%s],"crls":[%s],"qe_identities":[%s],"tcb_infos":[%s],"type":"safebox/collateral/v1"}`
	quote := func(b []byte) string { return `"` + base64.StdEncoding.EncodeToString(b) + `"` }
	signed := func(body string, b byte) string {
		return fmt.Sprintf(`{"body":"%s","signature":"%s"}`, body, text64(b))
	}
	bundle := func(certs, crls, identities, infos string) string {
		return fmt.Sprintf(format, certs, crls, identities, infos)
	}
	milan, vlek := read(t, "snp/go-sev-guest/vcek.der"), read(t, "snp/trustee/test-vlek.der")
	if bytes.Compare(vlek, milan) > 0 {
		vlek, milan = milan, vlek
	}
	crl, pck := read(t, "tdx/go-tdx-guest/rootcrl.der"), read(t, "tdx/go-tdx-guest/pckcrl")
	if bytes.Compare(crl, pck) > 0 {
		crl, pck = pck, crl
	}
	good := bundle(quote(vlek)+","+quote(milan), quote(crl)+","+quote(pck), signed("{}", 1)+","+signed("{}", 2), signed("{ }", 9)+","+signed("{}", 1))
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	many := func(n int, f func(int) string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = f(i)
		}
		return strings.Join(out, ",")
	}
	for name, c := range map[string]struct{ bundle, want string }{
		"nothing":               {"", "EOF"},
		"another type":          {strings.Replace(good, "/v1", "/v2", 1), `type: got "safebox/collateral/v2"`},
		"no type":               {strings.Replace(good, `,"type":"safebox/collateral/v1"`, "", 1), "not in canonical form"},
		"a list is null":        {strings.Replace(bundle("", "", "", ""), `"crls":[]`, `"crls":null`, 1), "a list is null"},
		"a list is missing":     {strings.Replace(bundle("", "", "", ""), `"crls":[],`, "", 1), "not in canonical form"},
		"space":                 {good + " ", "not in canonical form"},
		"trailing":              {good + "{}", "trailing data"},
		"unknown member":        {strings.Replace(good, `"type"`, `"more":1,"type"`, 1), "unknown field"},
		"member twice":          {strings.Replace(good, `"crls":`, `"crls":[],"crls":`, 1), "not in canonical form"},
		"no certificate":        {bundle(`""`, "", "", ""), "certificate 0: parsing certificate: got 0 bytes"},
		"null certificate":      {bundle(`null`, "", "", ""), "certificate 0: parsing certificate: got 0 bytes"},
		"certificate and byte":  {bundle(quote(append(bytes.Clone(vlek), 0)), "", "", ""), "certificate 0: "},
		"list as certificate":   {bundle(quote(crl), "", "", ""), "certificate 0: "},
		"certificate as list":   {bundle("", quote(vlek), "", ""), "revocation list 0: "},
		"certificates unsorted": {bundle(quote(milan)+","+quote(vlek), "", "", ""), "certificate 1: not above"},
		"certificate twice":     {bundle(quote(vlek)+","+quote(vlek), "", "", ""), "certificate 1: not above"},
		"lists unsorted":        {bundle("", quote(pck)+","+quote(crl), "", ""), "revocation list 1: not above"},
		"list twice":            {bundle("", quote(pck)+","+quote(pck), "", ""), "revocation list 1: not above"},
		"infos unsorted":        {bundle("", "", "", signed("{}", 1)+","+signed("{ }", 1)), "TCB info 1: not above"},
		"info twice":            {bundle("", "", "", signed("{}", 1)+","+signed("{}", 1)), "TCB info 1: not above"},
		"signatures unsorted":   {bundle("", "", signed("{}", 2)+","+signed("{}", 1), ""), "QE identity 1: not above"},
		"body no object":        {bundle("", "", "", signed("[]", 1)), "TCB info 0: body: want a JSON object"},
		"body no JSON":          {bundle("", "", signed("{", 1), ""), "QE identity 0: body: want a JSON object"},
		"empty body":            {bundle("", "", signed("", 1), ""), "QE identity 0: body: want a JSON object"},
		"two bodies":            {bundle("", "", signed("{}{}", 1), ""), "QE identity 0: body: want a JSON object"},
		"short signature":       {bundle("", "", `{"body":"{}","signature":"AAAA"}`, ""), "signature: got 3 bytes"},
		"long body":             {bundle("", "", "", signed("{"+strings.Repeat(" ", MaxBody)+"}", 1)), "body: got 262146 bytes"},
		"too long":              {strings.Repeat(" ", MaxBundle+1), "want at most 2097152"},
		"65 lists":              {bundle("", many(65, func(int) string { return `""` }), "", ""), "revocation lists: got 65"},
		"257 certificates":      {bundle(many(257, func(int) string { return `""` }), "", "", ""), "certificates: got 257"},
		"65 infos":              {bundle("", "", "", many(65, func(i int) string { return signed("{}", byte(i)) })), "TCB infos: got 65"},
		"65 identities":         {bundle("", "", many(65, func(i int) string { return signed("{}", byte(i)) }), ""), "QE identities: got 65"},
	} {
		if s, err := Decode([]byte(c.bundle)); err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	signature := make([]byte, 64)
	for name, s := range map[string]*Set{
		"no signature":    {TCBInfos: []Signed{{Body: []byte("{}")}}},
		"no body":         {Identities: []Signed{{Signature: signature}}},
		"body no UTF-8":   {Identities: []Signed{{Body: []byte("{\"a\":\"\xff\"}"), Signature: signature}}},
		"65 lists":        {CRLs: lists(65)},
		"longer than all": {CRLs: []*x509.RevocationList{{Raw: make([]byte, MaxBundle)}}},
	} {
		if b, err := s.Encode(); err == nil || b != nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func lists(n int) []*x509.RevocationList {
	var out []*x509.RevocationList
	for i := range n {
		out = append(out, &x509.RevocationList{Raw: []byte{byte(i)}})
	}
	return out
}

// FuzzDecode: one form for each set.
func FuzzDecode(f *testing.F) {
	// Small ones: the longer a seed, the less is tried in the same time.
	for _, name := range []string{"nitro/root.pem", "tdx/go-tdx-guest/rootcrl.der", "tdx/go-tdx-guest/sample_qeIdentity_response", "INDEX.md"} {
		var s Set
		s.Add(name, read(f, name))
		f.Add(encode(f, &s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		if !json.Valid(b) || !bytes.Equal(encode(t, s), b) {
			t.Fatalf("accepted another form: %s", b)
		}
	})
}
