package pcs_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/pcs/pcstest"
)

// TestRealPCKCertificates: what "openssl asn1parse" finds in the leaf of every
// quote of the vectors.
func TestRealPCKCertificates(t *testing.T) {
	for name, want := range map[string]string{
		"dcap-qvl/sgx_quote":                      "D04EC06D4E6D92DC90D0AD3CF5EE2DDF 0B0B0202FF0100000000000000000000 13 0000 00A067110000 standard - -",
		"dcap-qvl/tdx_quote":                      "811DCA2A26B952E85BB6448B097BA4FD 03030202040100050000000000000000 11 0000 B0C06F000000 scalable 07828474603E7019DC930775FFE8CDD2 {true true true}",
		"dcap-qvl/tdx_quote_outdated":             "66498C9263C04ED2F0657C530AC2B0CB 03030202040100030000000000000000 13 0000 90C06F000000 scalable AF8DE677B5F3D6D0C3A71B288BFDDA89 {true false true}",
		"dstack/quote-report.json":                "897D3EB76EA887B783F9AD3D0771034B 04040202040100050000000000000000 13 0000 90C06F000000 scalable AF3B9E752EE6E3F88EB745536AE57B0D {true true true}",
		"dstack/tdx-lite-attestation.json":        "40DEAAC75F87CF05E92FBF18224AA576 04040202040100050000000000000000 13 0000 90C06F000000 scalable 527BF28ABBD440A096EEB745E033813D {true false true}",
		"dstack/tdx-lite-getquote.json":           "40DEAAC75F87CF05E92FBF18224AA576 04040202040100050000000000000000 13 0000 90C06F000000 scalable 527BF28ABBD440A096EEB745E033813D {true false true}",
		"go-tdx-guest/ccel/cos-113-tdx-quote.dat": "8EBF889447FD60AB1913348582EB509E 07070202030100030000000000000000 11 0000 00806F050000 scalable 2838C0BD430C08EE2406CDA161D54C63 {true false true}",
		"go-tdx-guest/tdx_prod_quote_SPR_E4.dat":  "089DDFDB9C0359C82A3BC7719239574E 03030202020100020000000000000000 11 0000 50806F000000 scalable 8C314D17D205DFAFCBECBB00FC87EFF7 {true false true}",
		"trustee/tdx_quote_4.dat":                 "DF4C32A9D8D86009AAF380EC43CFCEFB 05050D02030100030000000000000000 11 0000 50806F000000 scalable 021AC64D355BA904E2D5948D228D5482 {true true true}",
		"trustee/tdx_quote_5.dat":                 "F06984C8D9343452B997C48B36D6E678 01010202030100030000000000000000 13 0000 90C06F000000 scalable 6A9EA3B8D9E734495DC40B70F595F961 {true true true}",
	} {
		p, err := pcs.ParseSGXExtension(leaf(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(p); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
}

func describe(p *pcs.PCK) string {
	piid, configuration := "-", "-"
	if p.PIID != nil {
		piid = fmt.Sprintf("%X", p.PIID[:])
	}
	if p.Configuration != nil {
		configuration = fmt.Sprint(*p.Configuration)
	}
	return fmt.Sprintf("%X %X %d %X %X %s %s %s", p.PPID, p.Components, p.PCESVN, p.PCEID, p.FMSPC, p.Type, piid, configuration)
}

// certificateWith makes a certificate, as parsed, with extensions.
func certificateWith(extensions ...pkix.Extension) *x509.Certificate {
	return &x509.Certificate{Extensions: extensions}
}

func TestExtensionOfTests(t *testing.T) {
	for _, processor := range []bool{false, true} {
		e := pcstest.NewPCKExtension()
		e.Processor, e.CachedKeys, e.Type = processor, true, 2
		p, err := pcs.ParseSGXExtension(certificateWith(pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}}, e.Extension(t)))
		if err != nil {
			t.Fatal(err)
		}
		want := "7465737420706C6174666F726D204944 03030202040100050000000000000000 13 0000 90C06F000000 scalable with integrity 7465737420696E7374616E6365204944 {false true false}"
		if processor {
			want = "7465737420706C6174666F726D204944 03030202040100050000000000000000 13 0000 90C06F000000 scalable with integrity - -"
		}
		if got := describe(p); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestExtensionRefused changes one thing of a good extension.
func TestExtensionRefused(t *testing.T) {
	cases := map[string]func(*pcstest.PCKExtension){
		"PPID of 15 bytes":           func(e *pcstest.PCKExtension) { e.PPID = e.PPID[:15] },
		"PPID of 17 bytes":           func(e *pcstest.PCKExtension) { e.PPID = append(e.PPID, 0) },
		"component 256":              func(e *pcstest.PCKExtension) { e.Components[15] = 256 },
		"negative component":         func(e *pcstest.PCKExtension) { e.Components[15] = -1 },
		"15 components":              func(e *pcstest.PCKExtension) { e.LeaveOutTCB = 16 },
		"17 components":              func(e *pcstest.PCKExtension) { e.Components = append(e.Components, 0) },
		"PCESVN 65536":               func(e *pcstest.PCKExtension) { e.PCESVN = 65536 },
		"negative PCESVN":            func(e *pcstest.PCKExtension) { e.PCESVN = -13 },
		"no PCESVN":                  func(e *pcstest.PCKExtension) { e.LeaveOutTCB = 17 },
		"no CPUSVN":                  func(e *pcstest.PCKExtension) { e.LeaveOutTCB = 18 },
		"CPUSVN of 15 bytes":         func(e *pcstest.PCKExtension) { e.CPUSVN = e.CPUSVN[:15] },
		"CPUSVN unlike components":   func(e *pcstest.PCKExtension) { e.CPUSVN[0]++ },
		"components unlike CPUSVN":   func(e *pcstest.PCKExtension) { e.Components[15]++ },
		"PCEID of 3 bytes":           func(e *pcstest.PCKExtension) { e.PCEID = []byte{0, 0, 0} },
		"FMSPC of 5 bytes":           func(e *pcstest.PCKExtension) { e.FMSPC = e.FMSPC[:5] },
		"SGX type 3":                 func(e *pcstest.PCKExtension) { e.Type = 3 },
		"PIID of 8 bytes":            func(e *pcstest.PCKExtension) { e.PIID = e.PIID[:8] },
		"empty PIID":                 func(e *pcstest.PCKExtension) { e.PIID = nil },
		"no PPID":                    func(e *pcstest.PCKExtension) { e.LeaveOut = 1 },
		"no TCB":                     func(e *pcstest.PCKExtension) { e.LeaveOut = 2 },
		"no PCEID":                   func(e *pcstest.PCKExtension) { e.LeaveOut = 3 },
		"no FMSPC":                   func(e *pcstest.PCKExtension) { e.LeaveOut = 4 },
		"no SGX type":                func(e *pcstest.PCKExtension) { e.LeaveOut = 5 },
		"configuration without PIID": func(e *pcstest.PCKExtension) { e.LeaveOut = 6 },
		"PIID without configuration": func(e *pcstest.PCKExtension) { e.LeaveOut = 7 },
		"unknown member 8":           func(e *pcstest.PCKExtension) { e.More = append(e.More, pcstest.Member(t, []byte{1}, 8)) },
		"PCEID twice":                func(e *pcstest.PCKExtension) { e.More = append(e.More, pcstest.Member(t, e.PCEID, 3)) },
		"unknown member of the TCB":  func(e *pcstest.PCKExtension) { e.TCBMore = append(e.TCBMore, pcstest.Member(t, 0, 2, 19)) },
		"PCESVN twice":               func(e *pcstest.PCKExtension) { e.TCBMore = append(e.TCBMore, pcstest.Member(t, 13, 2, 17)) },
		"Processor CA, FMSPC twice": func(e *pcstest.PCKExtension) {
			e.Processor = true
			e.More = append(e.More, pcstest.Member(t, e.FMSPC, 4))
		},
		"Processor CA, unknown member": func(e *pcstest.PCKExtension) { e.Processor = true; e.More = append(e.More, pcstest.Member(t, true, 9)) },
	}
	for name, change := range cases {
		e := pcstest.NewPCKExtension()
		change(e)
		if _, err := pcs.ParseSGXExtension(certificateWith(e.Extension(t))); err == nil {
			t.Errorf("%s: accepted", name)
		} else if !strings.HasPrefix(err.Error(), "parsing SGX extension: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExtensionStrictDER changes the encoding of a good extension, with the
// lengths around it mended, in ways that change no value.
func TestExtensionStrictDER(t *testing.T) {
	good := pcstest.NewPCKExtension().DER(t)
	cases := map[string][]byte{
		"empty":                    {},
		"nothing in it":            {0x30, 0x00},
		"byte after":               append(bytes.Clone(good), 0),
		"cut":                      good[:len(good)-1],
		"set":                      append([]byte{0x31}, good[1:]...),
		"indefinite length":        append(append([]byte{0x30, 0x80}, good[4:]...), 0, 0),
		"length in 3 bytes":        append([]byte{0x30, 0x83, 0}, good[2:]...),
		"length over what is left": append([]byte{0x30, 0x82, 0xff, 0xff}, good[4:]...),
	}
	replace := func(old, changed string) func([]byte) []byte {
		return func(m []byte) []byte { return replaceOnce(t, m, old, changed) }
	}
	null := func(m []byte) []byte { return append([]byte{0x30, m[1] + 2}, append(m[2:], 5, 0)...) }
	for _, c := range []struct {
		name   string
		arcs   []int
		change func(member []byte) []byte
	}{
		{"boolean 01", []int{7, 3}, replace("010100", "010101")},
		{"boolean of 2 bytes", []int{7, 3}, func(m []byte) []byte { return replaceOnce(t, m, "0101", "01020000")[:len(m)+1] }},
		{"integer for a boolean", []int{7, 3}, replace("010100", "020100")},
		{"length in one byte more", []int{3}, func(m []byte) []byte { return append([]byte{0x30, 0x81}, m[1:]...) }},
		{"length in two bytes more", []int{3}, func(m []byte) []byte { return append([]byte{0x30, 0x82, 0}, m[1:]...) }},
		{"integer with a zero before", []int{2, 17}, func(m []byte) []byte { return longer(replaceOnce(t, m, "02010d", "0202000d")) }},
		{"empty integer", []int{2, 16}, func(m []byte) []byte { m = replaceOnce(t, m, "020100", "0200"); m[1]--; return m }},
		{"integer for an enumerated", []int{5}, replace("0a0101", "020101")},
		{"enumerated for an integer", []int{2, 17}, replace("02010d", "0a010d")},
		{"integer for an octet string", []int{3}, replace("04020000", "02020000")},
		{"other OID", []int{3}, replace("f84d010d01", "f84d010d02")},
		{"other last arc", []int{3}, replace("010d0103", "010d0104")},
		{"OID with a zero before", []int{3}, func(m []byte) []byte { return longer(replaceOnce(t, m, "060a2a", "060b802a")) }},
		{"null after an octet string", []int{4}, null},
		{"null after an enumerated", []int{5}, null},
		{"null after an integer", []int{2, 17}, null},
		{"null after a boolean", []int{7, 2}, null},
		{"fourth member of the configuration", []int{7, 3}, func(m []byte) []byte { return append(m, pcstest.Member(t, false, 7, 4).FullBytes...) }},
		{"two members changed places", []int{7, 2}, replace("010d010702", "010d010703")},
		{"member left out of the configuration", []int{7, 1}, func([]byte) []byte { return nil }},
	} {
		e, found := pcstest.NewPCKExtension(), 0
		e.Rewrite = func(m []byte, arcs ...int) []byte {
			if !slices.Equal(arcs, c.arcs) {
				return m
			}
			found++
			return c.change(m)
		}
		cases[c.name] = e.DER(t)
		if found != 1 {
			t.Fatalf("%s: member %v was written %d times", c.name, c.arcs, found)
		}
	}
	for name, changed := range cases {
		if _, err := pcs.ParseSGXExtension(certificateWith(pkix.Extension{Id: pcstest.OID(), Value: changed})); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := pcs.ParseSGXExtension(certificateWith()); err == nil {
		t.Error("certificate without the extension: accepted")
	}
	e := pkix.Extension{Id: pcstest.OID(), Value: good}
	if _, err := pcs.ParseSGXExtension(certificateWith(e, e)); err == nil {
		t.Error("extension twice: accepted")
	}
}

// replaceOnce changes the only occurrence of some bytes, in hexadecimal digits.
func replaceOnce(t testing.TB, in []byte, old, changed string) []byte {
	t.Helper()
	return unhexed(t, pcstest.Edit(t, hex.EncodeToString(in), old, changed))
}

func unhexed(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// longer mends the length of a member that has become longer by a byte.
func longer(member []byte) []byte {
	member[1]++
	return member
}
