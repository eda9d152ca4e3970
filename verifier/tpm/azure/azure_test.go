package azure

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"safebox/verifier/tpm"
	"safebox/verifier/tpm/jsontree"
)

const folder = "../../testdata/evidence/vtpm/trustee/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(folder + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parse reads a file of evidence.
func parse(b []byte) (*Evidence, error) {
	o, err := jsontree.Parse(b)
	if err != nil {
		return nil, err
	}
	return Decode(o)
}

// checkQuote checks the TPM's quote by the key of the claims.
func checkQuote(t *testing.T, name string, r *Report, q Quote, extra []byte) {
	t.Helper()
	if err := tpm.PlainRSASSA(tpm.AlgSHA256, q.Signature).Verify(r.Claims.AK, q.Message); err != nil {
		t.Errorf("%s: signature: %v", name, err)
	}
	a, err := tpm.DecodeAttest(q.Message)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(a.PCRs) != 24 || !bytes.Equal(a.ExtraData, extra) {
		t.Errorf("%s: got registers %v, extra data %x", name, a.PCRs, a.ExtraData)
	}
	if err := a.CheckDigest(q.PCRs); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// TestRealEvidence: the facts of INDEX.md, and of a program of its own (Python)
// that read the same files.
func TestRealEvidence(t *testing.T) {
	for _, c := range []struct {
		name    string
		version int
		kind    Kind
		id      string
		extra   []byte
	}{
		{"az-snp-vtpm/evidence-genoa.json", 0, SNP, "390CBCF5-6C67-4D9B-98EF-C3F1699CC8FC", unhex(t,
			"0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d950f")},
		{"az-tdx-vtpm/evidence-v0.json", 0, TDX, "6332533D-5649-4D02-8AA7-8F64B7C3EE21", []byte("challenge")},
		{"az-tdx-vtpm/evidence-v1.json", 1, TDX, "6332533D-5649-4D02-8AA7-8F64B7C3EE21", []byte("challenge")},
	} {
		e, err := parse(read(t, c.name))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if claims := e.Report.Claims; e.Version != c.version || e.Hardware.Kind != c.kind || claims.VMUniqueID != c.id || !claims.SecureBoot ||
			len(claims.AKUses) != 1 || claims.AKUses[0] != "sign" {
			t.Errorf("%s: got %+v, claims %+v", c.name, e.Hardware.Kind, claims)
		}
		checkQuote(t, c.name, e.Report, e.Quote, c.extra)
		// report_data: SEV-SNP report at 0x50, TD quote v4 at 48 + 520.
		data, at := e.Report.ReportData(), 0x50
		if got, err := e.Hardware.ReportData(); err != nil || got != data {
			t.Errorf("%s: got report_data %x, %v, want %x", c.name, got, err, data)
		}
		if c.kind == TDX {
			at = 48 + 520
			if td := read(t, "az-tdx-vtpm/td-quote.bin"); !bytes.Equal(td, e.Hardware.Report) {
				t.Errorf("%s: got another TD quote than td-quote.bin", c.name)
			}
		} else if vcek := read(t, "az-snp-vtpm/vcek-genoa.pem"); !bytes.Equal(vcek, e.Hardware.VCEK) {
			t.Errorf("%s: got another certificate than vcek-genoa.pem", c.name)
		}
		if !bytes.Equal(e.Hardware.Report[at:at+64], data[:]) {
			t.Errorf("%s: report_data: got %x, want %x", c.name, e.Hardware.Report[at:at+64], data)
		}
	}
}

// TestReportData reads it out of a real TD quote of version 5; the value is a
// dump (Python) of its bytes from 48 + 6 + 520 on.
func TestReportData(t *testing.T) {
	b, err := os.ReadFile("../../testdata/evidence/tdx/trustee/tdx_quote_5.dat")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Hardware{Kind: TDX, Report: b}.ReportData()
	want := unhex(t, "6d6ab13b046cff606ac0074be13981b07b6325dba10b5facc96febf551c0c3be2b75f92fe1f88f4bb996969ad0174b4b7a70261b7b85c844f4b33a4674fd049f")
	if err != nil || !bytes.Equal(got[:], want) {
		t.Errorf("version 5: got %x, %v", got, err)
	}
	b[0] = 3
	for name, h := range map[string]Hardware{
		"version 3":     {Kind: TDX, Report: b},
		"no quote":      {Kind: TDX},
		"short quote 4": {Kind: TDX, Report: append([]byte{4, 0}, make([]byte, 629)...)},
		"short quote 5": {Kind: TDX, Report: append([]byte{5, 0}, make([]byte, 635)...)},
		"short report":  {Kind: SNP, Report: make([]byte, 0x8f)},
	} {
		if got, err := h.ReportData(); err == nil {
			t.Errorf("%s: got %x", name, got)
		}
	}
}

// TestRealParts: the files that are parts of evidence belong together, and
// evidence made of them is read like the whole files.
func TestRealParts(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		size int // of the claims, by a dump of the file
	}{
		{"az-snp-vtpm", SNP, 1110},
		{"az-tdx-vtpm", TDX, 1201},
	} {
		blob := read(t, c.name+"/hcl-report.bin")
		r, err := DecodeReport(blob)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if r.Kind != c.kind || len(r.claims) != c.size || r.ReportData() != padded(sha256.Sum256(blob[claimsOffset:claimsOffset+c.size])) {
			t.Errorf("%s: got %v, %d bytes of claims", c.name, r.Kind, len(r.claims))
		}
		quote := read(t, c.name+"/tpm-quote-v1.json")
		file := fmt.Appendf(nil, `{"version":1,"tpm_quote":%s,"hcl_report":%q,"%s":"AAAA"}`, quote,
			base64.URLEncoding.EncodeToString(blob), map[Kind]string{SNP: "vcek", TDX: "td_quote"}[c.kind])
		e, err := parse(file)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		checkQuote(t, c.name, e.Report, e.Quote, []byte("challenge"))
		// quote.bin is the same quote as a Rust program keeps it: u64 lengths in
		// little endian before the signature, the message and the registers.
		raw := read(t, c.name+"/quote.bin")
		want := sizedLE(sizedLE(nil, e.Quote.Signature), e.Quote.Message)
		want = binary.LittleEndian.AppendUint64(want, uint64(len(e.Quote.PCRs)))
		if want = append(want, bytes.Join(e.Quote.PCRs, nil)...); !bytes.Equal(raw, want) {
			t.Errorf("%s: quote.bin: got %d other bytes", c.name, len(raw))
		}
		if c.kind == SNP {
			if e, err := parse(bytes.Replace(file, []byte(`"version":1`), []byte(`"version":2`), 1)); err != nil || e.Version != 2 {
				t.Errorf("version 2: got %+v, %v", e, err)
			}
		}
	}
}

func padded(sum [32]byte) (data [64]byte) {
	copy(data[:], sum[:])
	return data
}

func sizedLE(b, v []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(v))), v...)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReportRefuses(t *testing.T) {
	good := read(t, "az-tdx-vtpm/hcl-report.bin")
	set := func(off int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[off:], v)
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":                {nil, "length"},
		"header only":          {good[:claimsOffset-1], "length"},
		"too long":             {append(bytes.Clone(good), make([]byte, maxReport)...), "length"},
		"signature":            {set(0, 'h'), "signature"},
		"version 0":            {set(4, 0), "version"},
		"version 3":            {set(4, 3), "version"},
		"size":                 {set(8, 0), "size"},
		"request type":         {set(12, 3), "request type"},
		"reserved":             {set(31, 1), "reserved"},
		"bytes after TDREPORT": {set(0x20+1183, 1), "TDREPORT"},
		"data size":            {set(0x4c0, 0), "data size"},
		"data version":         {set(0x4c4, 2), "data version"},
		"kind 3":               {set(0x4c8, 3), "kind"},
		"SHA-384":              {set(0x4cc, 2), "hash"},
		"no claims":            {set(0x4d0, 0, 0), "claims size"},
		"claims beyond":        {set(0x4d0, 0xff, 0xff, 0xff, 0xff), "claims size"},
		"claims cut":           {good[:claimsOffset+1200], "claims size"},
		"trailing byte":        {set(2599, 1), "reserved"},
	} {
		if r, err := DecodeReport(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, r, err, c.want)
		}
	}
}

func TestClaimsRefuse(t *testing.T) {
	r, err := DecodeReport(read(t, "az-tdx-vtpm/hcl-report.bin"))
	if err != nil {
		t.Fatal(err)
	}
	good := string(r.claims)
	for name, c := range map[string]struct{ from, to string }{
		"no JSON":            {`{"keys"`, `("keys"`},
		"key twice":          {`HCLEkPub`, `HCLAkPub`},
		"no attestation key": {`HCLAkPub`, `HclAkPub`},
		"name twice":         {`"kid":"HCLAkPub"`, `"kid":"HCLAkPub","kid":"HCLAkPub"`},
		"other kty":          {`"kty":"RSA"`, `"kty":"EC"`},
		"exponent 3":         {`"AQAB"`, `"Aw"`},
		"no modulus":         {`"n":`, `"m":`},
		"short modulus":      {`"n":"`, `"n":"AAAA","x":"`},
		"padded modulus":     {`XFokejUbMn3iX3wIef--D6Xq2w"`, `XFokejUbMn3iX3wIef--D6Xq2w=="`},
		"no uses":            {`"key_ops":["sign"]`, `"key_ops":[]`},
		"no configuration":   {`"vm-configuration"`, `"configuration"`},
		"secure-boot a text": {`"secure-boot":true`, `"secure-boot":"true"`},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good {
			t.Fatalf("%s: nothing changed", name)
		}
		if got, err := decodeClaims([]byte(bad)); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func TestEvidenceRefuses(t *testing.T) {
	v1 := string(read(t, "az-tdx-vtpm/evidence-v1.json"))
	v0 := string(read(t, "az-tdx-vtpm/evidence-v0.json"))
	snp := string(read(t, "az-snp-vtpm/evidence-genoa.json"))
	for name, c := range map[string]struct{ file, from, to string }{
		"version 2 of TDX":      {v1, `"version": 1`, `"version": 2`},
		"version 0":             {v1, `"version": 1`, `"version": 0`},
		"version a text":        {v1, `"version": 1`, `"version": "1"`},
		"unknown name":          {v1, `"version": 1`, `"more": 1, "version": 1`},
		"unknown name in quote": {v1, `"tpm_quote": {`, `"tpm_quote": {"more": 1,`},
		"no TD quote":           {v1, `"td_quote"`, `"quote"`},
		"hex in upper case":     {v1, `"ff54`, `"FF54`},
		"octet 256":             {v0, `[162,`, `[256,`},
		"octet -1":              {v0, `[162,`, `[-1,`},
		"octet 1.0":             {v0, `[162,`, `[1.0,`},
		"octet 1e1":             {v0, `[162,`, `[1e1,`},
		"SNP report in TDX":     {v0, `"td_quote"`, `"vcek"`},
		"TDX forms mixed":       {v0, `"hcl_report"`, `"report"`},
		"SNP without its VCEK":  {snp, `"vcek"`, `"vcek2"`},
		"base64 of RFC 4648, 4": {v1, `-`, `+`},
	} {
		bad := strings.Replace(c.file, c.from, c.to, 1)
		if bad == c.file {
			t.Fatalf("%s: nothing changed", name)
		}
		if e, err := parse([]byte(bad)); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
	var tree map[string]any
	if err := json.Unmarshal([]byte(v1), &tree); err != nil {
		t.Fatal(err)
	}
	q := tree["tpm_quote"].(map[string]any)
	all := q["pcrs"].([]any)
	for name, pcrs := range map[string][]any{
		"23 registers":       all[:23],
		"register too short": append(append([]any{}, all[:23]...), "00"),
		"25 registers":       append(append([]any{}, all...), all[0]),
	} {
		q["pcrs"] = pcrs
		b, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := parse(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
}

// FuzzReport: what decodes is found again at its place, byte for byte.
func FuzzReport(f *testing.F) {
	f.Add(read(f, "az-snp-vtpm/hcl-report.bin"))
	f.Add(read(f, "az-tdx-vtpm/hcl-report.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		le := binary.LittleEndian
		again := append([]byte("HCLA"), b[4:8]...)
		again = le.AppendUint32(again, uint32(claimsOffset+len(r.claims)))
		again = append(le.AppendUint32(again, 2), make([]byte, 16)...)
		again = append(again, r.Hardware...)
		again = append(again, make([]byte, dataOffset-len(again))...)
		for _, v := range []uint32{uint32(dataHeader + len(r.claims)), 1, uint32(r.Kind), 1, uint32(len(r.claims))} {
			again = le.AppendUint32(again, v)
		}
		again = append(again, r.claims...)
		again = append(again, make([]byte, len(b)-len(again))...)
		if !bytes.Equal(again, b) {
			t.Error("decoded to something else")
		}
		if r.Claims.AK == nil || r.Claims.AK.N.BitLen() < 2048 {
			t.Errorf("got key %+v", r.Claims.AK)
		}
	})
}

// FuzzEvidence: every form decodes or is refused, within bounded memory.
func FuzzEvidence(f *testing.F) {
	for _, name := range []string{"az-snp-vtpm/evidence-genoa.json", "az-tdx-vtpm/evidence-v0.json", "az-tdx-vtpm/evidence-v1.json", "tpm_evidence.json"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := parse(b)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(256<<10+128*len(b)) {
			t.Errorf("%d bytes took %d", len(b), got)
		}
		if err != nil {
			return
		}
		if e.Report == nil || e.Report.Kind != e.Hardware.Kind || len(e.Quote.PCRs) != 24 || e.Hardware.Kind == SNP && len(e.Hardware.Report) != 1184 {
			t.Errorf("got %+v", e)
		}
	})
}
