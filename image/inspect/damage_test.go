package inspect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"safebox/image/inspect/tree"
	"safebox/verifier/dsse"
)

// TestDamagedEvidence: what begins like a format is read as it, strictly, and
// the reader's error says what is wrong.
func TestDamagedEvidence(t *testing.T) {
	cut := func(name string, n int) []byte { return realFile(t, name)[:n] }
	set := func(name string, at int, value byte) []byte {
		b := bytes.Clone(realFile(t, name))
		b[at] = value
		return b
	}
	const (
		report = "snp/ms-tav/milan_attestation_report.bin"
		quote  = "tdx/dcap-qvl/tdx_quote"
		gce    = "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb"
		hcl    = "vtpm/trustee/az-snp-vtpm/hcl-report.bin"
	)
	tcb := string(realFile(t, "tdx/go-tdx-guest/sample_tcbInfo_response"))
	receipt := string(file(t, "../../verifier/receipt/testdata/receipt.json"))
	for name, tt := range map[string]struct {
		b    []byte
		kind string
		want string
	}{
		"report of a version to come": {set(report, 0, 6), "SNP report", "version at 0x0: got 6"},
		"report, reserved byte":       {set(report, 0x4c, 1), "SNP report", "reserved at 0x4c"},
		"report, policy":              {set(report, 0x0a, 1), "SNP report", "guest policy"},
		"report, too short":           {cut(report, 1183), "", "not recognised"},
		"report, no version":          {set(report, 0, 0), "", "not recognised"},
		"quote of a version to come":  {set(quote, 0, 6), "TDX quote", "version: got 6"},
		"quote of an unknown key":     {set(quote, 2, 9), "", "not recognised"},
		"quote, cut":                  {cut(quote, 4000), "TDX quote", "parsing TD quote: "},
		"quote, header alone":         {cut(quote, 48), "TDX quote", "parsing TD quote: "},
		"quote, less than a header":   {cut(quote, 47), "", "not recognised"},
		"SGX quote of another vendor": {set("tdx/dcap-qvl/sgx_quote", 12, 0), "", "not recognised"},
		"document, cut":               {cut("docs/evervault_ga_valid.cbor", 500), "Nitro document", "decoding attestation document: "},
		"document of a TPM, cut":      {append(cut("docs/evervault_ga_valid.cbor", 500), "nitrotpm_pcrs"...), "NitroTPM document", "decoding attestation document: "},
		"text about documents":        {[]byte("a document has nitrotpm_pcrs"), "", "not recognised"},
		"text about a release":        {append([]byte("release.json\x00"), make([]byte, 500)...), "", "not recognised"},
		"receipt of another document": {dsse.Sign(dsse.TypeReceipt, receiptPayload(t, "safebox/receipt/v1", "safebox/receipt/v2"), ed25519.NewKeyFromSeed(make([]byte, 32))), "receipt", `type: got "safebox/receipt/v2"`},
		"document, tagged":            {append([]byte("\xd2"), cut("docs/evervault_ga_valid.cbor", 500)...), "Nitro document", "decoding attestation document: "},
		"HCL report, magic alone":     {cut(hcl, 4), "HCL report", "parsing HCL report: length"},
		"HCL report, kind":            {set(hcl, 1224, 3), "HCL report", "kind at 0x4c8: got 3"},
		"TPM quote, cut":              {cut("vtpm/trustee/az-snp-vtpm/tpm-quote.msg", 60), "TPM quote", "inspecting TPM quote: "},
		"attestation, cut":            {cut(gce, 400), "TPM evidence", "parsing TPM evidence: "},
		"attestation of no key":       {set(gce, 4, 2), "", "not recognised"},
		"Azure, without a quote":      {[]byte(`{"hcl_report":"AAAA"}`), "TPM evidence", "parsing TPM evidence: "},
		"plain, without a key":        {[]byte(`{"ak_public":"AAAA","tpm_quote":{}}`), "TPM evidence", "parsing TPM evidence: "},
		"JSON with a report":          {[]byte(`{"report":"all is well"}`), "", "not recognised"},
		"certificate, cut":            {cut("snp/go-sev-guest/vcek.der", 1000), "certificates", "inspecting certificates: "},
		"certificate, PEM, cut":       {cut("snp/ms-tav/milan_vcek.pem", 500), "certificates", "inspecting certificates: PEM at 0"},
		"list, cut":                   {cut("tdx/go-tdx-guest/pckcrl", 1000), "revocation list", "inspecting revocation list: "},
		"TCB info, short signature":   {[]byte(tcb[:len(tcb)-5] + `"}`), "TCB info", "signature: got 63 bytes, want 64"},
		"TCB info, one member more":   {[]byte(strings.Replace(tcb, `{"tcbInfo"`, `{"x":1,"tcbInfo"`, 1)), "TCB info", "got 3 members"},
		"QE identity without a body":  {[]byte(`{"enclaveIdentity":1,"signature":"00"}`), "QE identity", "inspecting QE identity: "},
		"collateral of nothing":       {[]byte(`{"tcb_info":"{}"}`), "collateral", "inspecting collateral: "},
		"bundle of collateral":        {[]byte(`{"type":"safebox/collateral/v1"}`), "collateral bundle", "decoding collateral bundle: "},
		"memory with a space":         {[]byte(`{"seen":[],"type": "safebox/memory/v1"}`), "", "not recognised"},
		"memory of nothing":           {[]byte(`{"type":"safebox/memory/v1"}`), "rollback memory", "decoding rollback memory: "},
		"evidence of nothing":         {[]byte(`{"type":"safebox/evidence/v1"}`), "evidence", "inspecting evidence: "},
		"challenge of nothing":        {[]byte(`{"type":"safebox/challenge/v1"}`), "challenge", "inspecting challenge: "},
		"manifest of nothing":         {[]byte(`{"type":"safebox/manifest/v1"}`), "object manifest", "decoding manifest: "},
		"receipt, payload":            {[]byte(strings.Replace(receipt, `{"payload":"`, `{"payload":"!`, 1)), "receipt", "inspecting receipt: "},
		"receipt, another type":       {[]byte(strings.Replace(receipt, "receipt.v1", "receipt.v2", 1)), "", "not recognised"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Kind(tt.b); got != tt.kind {
				t.Errorf("kind: got %q, want %q", got, tt.kind)
			}
			if _, err := Bytes(tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// receiptPayload is the document of receipt.json with one change.
func receiptPayload(t *testing.T, old, with string) []byte {
	t.Helper()
	b, err := dsse.Payload(file(t, "../../verifier/receipt/testdata/receipt.json"), dsse.TypeReceipt, 1<<16)
	if err != nil || bytes.Count(b, []byte(old)) != 1 {
		t.Fatalf("got %q and error %v, want one %q in it", b, err, old)
	}
	return bytes.Replace(b, []byte(old), []byte(with), 1)
}

// hostileCertificate is self-signed and named by what a terminal obeys.
func hostileCertificate(t testing.TB, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestHostileText: names out of a file reach neither text nor JSON as something
// that a terminal obeys.
func TestHostileText(t *testing.T) {
	for _, evil := range []string{"\x1b]0;owned\x07", "\u009b31m", "\u202e", "\x7f", "a\r\nverified yes"} {
		t.Run(strconv.Quote(evil), func(t *testing.T) { hostileText(t, evil) })
	}
}

func hostileText(t *testing.T, evil string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"id": evil, "fmspc": evil, "tcbLevels": []any{map[string]any{"tcbStatus": evil, "advisoryIDs": []any{evil}}},
		"tdxModuleIdentities": []any{map[string]any{"id": evil}},
	})
	if err != nil {
		t.Fatal(err)
	}
	intel := []byte(`{"tcbInfo":` + string(body) + `,"signature":"` + strings.Repeat("ab", 64) + `"}`)
	for kind, b := range map[string][]byte{"certificates": hostileCertificate(t, evil), "TCB info": intel} {
		r := describe(t, b, kind)
		harmless(t, r)
		var text bytes.Buffer
		if err := r.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		escaped := strings.Trim(strconv.Quote(evil), `"`)
		if kind == "certificates" {
			escaped = strings.ReplaceAll(escaped, ";", `\\;`) // RFC 2253, section 2.4, in a quoted text
		}
		if !strings.Contains(text.String(), escaped) {
			t.Errorf("%s: got %s, want %s in it", kind, &text, escaped)
		}
	}
}

// harmless checks that every rune of a report can be shown, but for images,
// whose names JSON alone escapes.
func harmless(t *testing.T, r *Report) {
	t.Helper()
	if slices.ContainsFunc(images(), func(f tree.Format) bool { return f.Kind == r.Kind }) {
		return
	}
	var walk func(items []Item)
	walk = func(items []Item) {
		for _, i := range items {
			for _, s := range []string{i.Name, i.Value} {
				if n := strings.IndexFunc(s, func(c rune) bool { return !strconv.IsPrint(c) }); n >= 0 {
					t.Errorf("%s: got %q, want nothing that a terminal obeys", i.Name, s)
				}
			}
			walk(i.Items)
		}
	}
	walk(r.Items)
}

// FuzzEvidence: like FuzzBytes, from what machines, vendors and owners write.
func FuzzEvidence(f *testing.F) {
	for kind, names := range realFiles() {
		if kind == "" || strings.Contains(kind, "event log") {
			continue
		}
		for _, name := range names[:min(len(names), 3)] {
			f.Add(realFile(f, name))
		}
	}
	f.Add(sharedEvidence(f))
	f.Add(file(f, "../../verifier/receipt/testdata/receipt.json"))
	f.Add(file(f, "../../verifier/testdata/vtpm/challenge.json"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Bytes(b)
		if err != nil {
			return
		}
		if r.Kind != Kind(b) {
			t.Errorf("kind: got %q and %q", r.Kind, Kind(b))
		}
		harmless(t, r)
		notice := r.Kind != "challenge" && r.Kind != "rollback memory"
		if notice && !slices.ContainsFunc(images(), func(f tree.Format) bool { return f.Kind == r.Kind }) && r.Items[0].Name != "verified" {
			t.Errorf("%s: got %q first, want that nothing is verified", r.Kind, r.Items[0].Name)
		}
		if limit := 64 * (len(b) + 1024); size(r.Items) > limit {
			t.Errorf("%s: got %d bytes of items from %d, want at most %d", r.Kind, size(r.Items), len(b), limit)
		}
	})
}

// size is that of all names and values.
func size(items []Item) int {
	n := 0
	for _, i := range items {
		n += len(i.Name) + len(i.Value) + size(i.Items)
	}
	return n
}
