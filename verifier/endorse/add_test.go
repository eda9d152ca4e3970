package endorse

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"
)

// forms gives DER in the forms in which it travels.
func forms(der []byte, block string) map[string][]byte {
	quoted := fmt.Appendf(nil, `{"a":{"b":[1,"x",{"c":%q}]}}`, hex.EncodeToString(der))
	numbers := []byte(strings.ReplaceAll(fmt.Sprintf(`{"data":%v}`, der), " ", ","))
	text := base64.StdEncoding.EncodeToString(der)
	var wrapped strings.Builder
	for len(text) > 64 {
		wrapped.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	return map[string][]byte{
		"PEM":            pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}),
		"PEM with CRLF":  bytes.ReplaceAll(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}), []byte("\n"), []byte("\r\n")),
		"hex":            []byte(hex.EncodeToString(der) + "\n"),
		"upper hex":      []byte(strings.ToUpper(hex.EncodeToString(der))),
		"base64":         []byte(base64.StdEncoding.EncodeToString(der)),
		"base64 in rows": []byte(wrapped.String() + text + "\r\n"),
		"hex in JSON":    quoted,
		"list of bytes":  numbers,
	}
}

// TestAddRefuses: what is ignored says why, and adds nothing.
func TestAddRefuses(t *testing.T) {
	der := read(t, "snp/trustee/test-vlek.der")
	crl := read(t, "tdx/go-tdx-guest/rootcrl.der")
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	signature := strings.Repeat("ab", 64)
	deep := strings.Repeat(`{"a":`, 10) + `"` + hex.EncodeToString(der) + `"` + strings.Repeat("}", 10)
	for name, c := range map[string]struct {
		file  string
		found string
		why   string
	}{
		"empty":                       {"", "", "empty"},
		"blank":                       {" \n", "", "not recognised"},
		"zeros":                       {string(make([]byte, 100)), "", "not recognised"},
		"too long":                    {strings.Repeat("x", MaxFile+1), "", "want at most 8388608"},
		"cut certificate":             {string(der[:len(der)-1]), "", "DER: asn1: syntax error: data truncated"},
		"certificate and a byte":      {string(der) + "x", "", "trailing data"},
		"list and a byte":             {string(crl) + "x", "", "nothing after them"},
		"two certificates":            {string(der) + string(der), "", "trailing data"},
		"broken certificate":          {string(der[:40]) + "\xff" + string(der[41:]), "", "parsing certificate"},
		"a public key":                {string(unbase64(t, publicKey)), "", "neither a certificate nor a revocation list"},
		"text, then PEM":              {"subject=x\n" + block, "", "not recognised"},
		"PEM, then text":              {block + "x", "1 certificate", fmt.Sprintf("PEM at %d: text that is no PEM block, nothing after it was read", len(block))},
		"broken PEM, then PEM":        {strings.Replace(block, "MII", "M!I", 1) + block, "", "PEM at 0: malformed block"},
		"key in PEM":                  {strings.ReplaceAll(block, "CERTIFICATE", "PRIVATE KEY"), "", `block "PRIVATE KEY" is neither`},
		"broken certificate in PEM":   {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der[1:]})), "", "parsing certificate"},
		"JSON cut":                    {`{"tcbInfo":{}`, "", "JSON: "},
		"JSON and more":               {`{"a":1} {}`, "", "trailing data"},
		"JSON, no UTF-8":              {"{\"a\":\"\xff\"}", "", "of UTF-8"},
		"JSON too long":               {`{"a":"` + strings.Repeat("x", maxJSON) + `"}`, "", "want at most 2097152 of UTF-8"},
		"member twice":                {`{"tcbInfo":{},"tcbInfo":{},"signature":"` + signature + `"}`, "", `member "tcbInfo" twice`},
		"member twice, escaped":       {`{"tcbInfo":{},"tcb\u0049nfo":{},"signature":"` + signature + `"}`, "", `member "tcbInfo" twice`},
		"signature twice":             {`{"tcbInfo":{},"signature":"` + signature + `","signature":"` + signature + `"}`, "", `member "signature" twice`},
		"other member":                {`{"tcbInfo":{},"signature":"` + signature + `","x":1}`, "", "got 3 members"},
		"no signature":                {`{"tcbInfo":{},"x":"` + signature + `"}`, "", "tcbInfo: got 2 members, want it and signature alone"},
		"identity without signature":  {`{"enclaveIdentity":{}}`, "", "enclaveIdentity: got 1 members"},
		"signature of 63 bytes":       {`{"tcbInfo":{},"signature":"` + signature[2:] + `"}`, "", "signature: got 63 bytes, want 64"},
		"signature of 65 bytes":       {`{"tcbInfo":{},"signature":"ab` + signature + `"}`, "", "signature: got 65 bytes, want 64"},
		"signature no hex":            {`{"tcbInfo":{},"signature":"` + signature[1:] + `x"}`, "", "signature: encoding/hex"},
		"signature no string":         {`{"tcbInfo":{},"signature":1}`, "", "want one as a string of hex"},
		"body no object":              {`{"tcbInfo":[],"signature":"` + signature + `"}`, "", "want a JSON object"},
		"body too long":               {`{"tcbInfo":{"a":"` + strings.Repeat("x", MaxBody) + `"},"signature":"` + signature + `"}`, "", "body: got"},
		"combined without signature":  {`{"tcb_info":"{}"}`, "", "tcb_info: signature: want one"},
		"combined with an object":     {`{"tcb_info":{},"tcb_info_signature":"` + signature + `"}`, "", "want a string that holds the signed object"},
		"combined with no JSON":       {`{"qe_identity":"{","qe_identity_signature":"` + signature + `"}`, "", "qe_identity: body: want a JSON object"},
		"combined, space before":      {`{"qe_identity":" {}","qe_identity_signature":"` + signature + `"}`, "", "qe_identity: body: want a JSON object"},
		"certificate ten deep":        {deep, "", "JSON without endorsements"},
		"bytes above 255":             {strings.ReplaceAll(strings.ReplaceAll(fmt.Sprintf(`{"d":%v}`, der), " ", ","), "[48,130", "[304,130"), "", "JSON without endorsements"},
		"no bundle":                   {`{"type":"safebox/collateral/v1"}`, "", "decoding collateral bundle"},
		"another document of our own": {`{"type":"safebox/receipt/v1"}`, "", "JSON without endorsements"},
	} {
		var s Set
		s.Add(name, []byte(c.file))
		if got := s.Files[0]; got.Found != c.found || !strings.Contains(got.Why, c.why) || got.Why == "" || s.text() != c.found {
			t.Errorf("%s: got found %q, why %q, set %q, want %q, %q", name, got.Found, got.Why, s.text(), c.found, c.why)
		}
	}
}

// publicKey is a SubjectPublicKeyInfo: ak_public of vtpm/trustee/tpm_evidence.json begins so.
const publicKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	n := 4 + int(b[2])<<8 + int(b[3])
	return append(b, make([]byte, n-len(b))...)
}

// TestExactMember: white space and escapes around and in the body stay as they
// were received.
func TestExactMember(t *testing.T) {
	const body = "{ \"b\" : \"\\u0041\\/\",\n\t\"a\": 1.0e2 }"
	signature := strings.Repeat("AB", 64)
	combined, err := json.Marshal(map[string]string{"tcb_info": body, "tcb_info_signature": signature})
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"service's":       `{"tcbInfo":` + body + `,"signature":"` + signature + `"}`,
		"signature first": "\n{\t\"signature\" : \"" + signature + "\" ,\n \"tcbInfo\"\r\n:  " + body + "\n } \n",
		"combined":        string(combined),
	} {
		var s Set
		s.Add(name, []byte(file))
		if len(s.TCBInfos) != 1 || string(s.TCBInfos[0].Body) != body || !bytes.Equal(s.TCBInfos[0].Signature, bytes.Repeat([]byte{0xab}, 64)) || len(s.Identities) != 0 {
			t.Errorf("%s: got %q, %+v", name, s.TCBInfos, s.Files)
		}
		if again := decode(t, encode(t, &s)); string(again.TCBInfos[0].Body) != body {
			t.Errorf("%s: got %q after the bundle", name, again.TCBInfos[0].Body)
		}
	}
}

// TestLimits: a file of a million certificates costs little, and one that holds
// more than a set may hold adds nothing.
func TestLimits(t *testing.T) {
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: read(t, "snp/trustee/test-vlek.der")})
	values := func(v string, n int) []byte { return []byte(`{"a":[` + strings.Repeat(v+",", n) + v + `]}`) }
	quoted, err := json.Marshal(string(block))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file []byte
		why  string
	}{
		"blocks":         {bytes.Repeat(block, MaxFile/len(block)), "blocks, want at most 320"},
		"begin lines":    {bytes.Repeat([]byte("-----BEGIN CERTIFICATE-----\n"), 290_000), "blocks, want at most 320"},
		"PEM in JSON":    {values(string(quoted), 400), "more than 320 certificates and revocation lists in one file"},
		"objects":        {values("{}", 600_000), "more than 4096 JSON values in one file"},
		"strings":        {values(`""`, 600_000), "more than 4096 JSON values in one file"},
		"lists":          {values("[]", 600_000), "more than 4096 JSON values in one file"},
		"depth of lists": {[]byte(`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}"), "JSON without endorsements"},
	} {
		var s Set
		begin := time.Now()
		s.Add(name, c.file)
		if f := s.Files[0]; f.Found != "" || !strings.Contains(f.Why, c.why) || s.text() != "" {
			t.Errorf("%s: got %+v, %s", name, f, s.text())
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// TestSetLimits: a set that is full takes no more, and stays as it was.
func TestSetLimits(t *testing.T) {
	info := func(i int, name string) []byte {
		return fmt.Appendf(nil, `{"%s":{"n":%d},"signature":"%s"}`, name, i, strings.Repeat("ab", 64))
	}
	var s Set
	for i := range MaxSigned {
		s.Add("info", info(i, "tcbInfo"))
		s.Add("identity", info(i, "enclaveIdentity"))
	}
	s.Add("again", info(0, "tcbInfo"))
	if f := s.Files[len(s.Files)-1]; f.Found != "1 TCB info" || f.Why != "" {
		t.Errorf("one that is there already: got %+v", f)
	}
	for _, name := range []string{"tcbInfo", "enclaveIdentity"} {
		s.Add("more", info(MaxSigned, name))
		if f := s.Files[len(s.Files)-1]; f.Found != "" || !strings.Contains(f.Why, "got 65 with those of other files, want at most 64") {
			t.Errorf("one too many: got %+v", f)
		}
	}
	if got := s.text(); got != "64 TCB infos, 64 QE identities" {
		t.Errorf("got %s", got)
	}
}

// TestSetLimitOfCertificates: by certificates that differ in their last byte,
// which is their signature's.
func TestSetLimitOfCertificates(t *testing.T) {
	der, crl := read(t, "snp/trustee/test-vlek.der"), read(t, "tdx/go-tdx-guest/rootcrl.der")
	var s Set
	for i := range MaxCertificates + 1 {
		b := bytes.Clone(der)
		b[len(b)-1], b[len(b)-2] = byte(i), byte(i>>8)
		s.Add("certificate", b)
	}
	if f := s.Files[MaxCertificates]; len(s.Certificates) != MaxCertificates || !strings.Contains(f.Why, "too many certificates: got 257") {
		t.Errorf("got %d, %+v", len(s.Certificates), f)
	}
	for i := range MaxCRLs + 1 {
		b := bytes.Clone(crl)
		b[len(b)-1] = byte(i)
		s.Add("list", b)
	}
	if f := s.Files[len(s.Files)-1]; len(s.CRLs) != MaxCRLs || !strings.Contains(f.Why, "too many revocation lists: got 65") {
		t.Errorf("got %d, %+v", len(s.CRLs), f)
	}
	if _, err := s.Encode(); err != nil {
		t.Errorf("a full set: %v", err)
	}
}

// FuzzAdd: whatever a file holds, what is taken from it survives the bundle.
func FuzzAdd(f *testing.F) {
	for name := range expected() {
		if b := read(f, name); len(b) < 64<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Set
		s.Add("x", b)
		file := s.Files[0]
		if len(s.Files) != 1 || file.Found != s.text() || file.Found == "" && file.Why == "" {
			t.Fatalf("got %+v of a set of %q", s.Files, s.text())
		}
		bundle := encode(t, &s)
		if again := encode(t, decode(t, bundle)); !bytes.Equal(again, bundle) {
			t.Fatalf("got %s, then %s", bundle, again)
		}
	})
}
