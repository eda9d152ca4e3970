package pcs_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/pcs/pcstest"
)

// openTCBInfo signs and opens a TCB info of tests.
func openTCBInfo(t testing.TB, info *pcstest.TCBInfo) *pcs.TCBInfo {
	t.Helper()
	signer := pcstest.NewSigner(t)
	opened, err := pcs.OpenTCBInfo(pcstest.Sign(t, signer.Key, info.JSON()), signer.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func openIdentity(t testing.TB, q *pcstest.Identity) *pcs.Identity {
	t.Helper()
	signer := pcstest.NewSigner(t)
	opened, err := pcs.OpenIdentity(pcstest.Sign(t, signer.Key, q.JSON()), signer.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func parsePCK(t testing.TB, e *pcstest.PCKExtension) *pcs.PCK {
	t.Helper()
	p, err := pcs.ParseSGXExtension(certificateWith(e.Extension(t)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// svn makes a TEE_TCB_SVN of hexadecimal digits, zeros after them.
func svn(t testing.TB, digits string) (s [16]byte) {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) > 16 {
		t.Fatalf("%q: %v", digits, err)
	}
	copy(s[:], b)
	return s
}

// TestRealMatches compares machines of the vectors with TCB infos of their FMSPC.
// The SVNs are those of INDEX.md and of "openssl asn1parse", the levels were read
// with Python's json; what matches was worked out by hand from them.
func TestRealMatches(t *testing.T) {
	for _, c := range []struct {
		quote, info, svn string
		platform, module string // how Match.String or the error begins
		behind           string // is in the platform's
	}{
		// INDEX.md: "platform UpToDate, module TDX_01"
		{"dcap-qvl/tdx_quote", "dcap-qvl/tdx_quote_collateral.json", "060103", "UpToDate: TCB level 1 of 2, of 2024-03-13", "UpToDate: TCB level 1 of 2, of 2024-03-13", ""},
		// INDEX.md: "no matching TCB level"; SEAMLDR has 3, every level wants 5
		{"dcap-qvl/tdx_quote_outdated", "dcap-qvl/tdx_quote_outdated_collateral.json", "070103", "platform: no TCB level matches", "UpToDate: TCB level 1 of 3", "SGX TCB component 8 is 3, want 5 (OS/VMM: SEAMLDR ACM)"},
		// the same machine type, a later microcode and module
		{"dstack/quote-report.json", "dcap-qvl/tdx_quote_outdated_collateral.json", "0b0104", "UpToDate: TCB level 1 of 3, of 2024-11-13", "UpToDate: TCB level 1 of 3", ""},
		{"dstack/tdx-lite-getquote.json", "dcap-qvl/tdx_quote_outdated_collateral.json", "0c0104", "UpToDate: TCB level 1 of 3, of 2024-11-13", "UpToDate: TCB level 1 of 3", ""},
		// a late microcode update that was not loaded: level 2 wants component 3 at 2
		{"dstack/quote-report.json", "dcap-qvl/tdx_quote_outdated_collateral.json", "050102", "OutOfDate: TCB level 2 of 3, of 2024-03-13; open: INTEL-SA-01036, INTEL-SA-01079", "OutOfDate: TCB level 2 of 3, of 2024-03-13; open: INTEL-SA-01036, INTEL-SA-01099; TDX module TDX_01 has ISVSVN 5, want 6", "TDX TCB component 3 is 2, want 3 (OS/VMM: TDX Late Microcode Update)"},
		// INDEX.md: "no TCB level matches its own tcbInfo"
		{"go-tdx-guest/tdx_prod_quote_SPR_E4.dat", "go-tdx-guest/sample_tcbInfo_response", "030004", "platform: no TCB level matches", "UpToDate", "SGX TCB component 1 is 3, want 5 (BIOS: Early Microcode Update)"},
	} {
		info, err := pcs.OpenTCBInfo(tcbInfoOf(t, c.info), intelSigner(t))
		if err != nil {
			t.Fatal(err)
		}
		pck, err := pcs.ParseSGXExtension(leaf(t, c.quote))
		if err != nil {
			t.Fatal(err)
		}
		if err := info.CheckPlatform(pck); err != nil {
			t.Errorf("%s: %v", c.quote, err)
		}
		m, err := info.MatchPlatform(pck, svn(t, c.svn))
		if got := said(m, err); !strings.HasPrefix(got, c.platform) || !strings.Contains(got, c.behind) {
			t.Errorf("%s: platform %s, want %s ... %s", c.quote, got, c.platform, c.behind)
		}
		if c.behind == "" && m.Behind != "" {
			t.Errorf("%s: behind by %s at the best level", c.quote, m.Behind)
		}
		m, own, err := info.MatchModule(svn(t, c.svn))
		if got := said(m, err); !strings.HasPrefix(got, c.module) || own != (c.svn[2:4] != "00") {
			t.Errorf("%s: module %s, own %t, want %s", c.quote, got, own, c.module)
		}
		if err := info.CheckModule(svn(t, c.svn), [48]byte{}, [8]byte{}); err != nil {
			t.Errorf("%s: %v", c.quote, err)
		}
	}
}

func said(m pcs.Match, err error) string {
	if err != nil {
		return err.Error()
	}
	return m.String()
}

// TestCheckPlatform: FMSPC and PCEID are compared as bytes, in whichever case the
// TCB info writes them.
func TestCheckPlatform(t *testing.T) {
	pck := parsePCK(t, pcstest.NewPCKExtension())
	for _, c := range [][3]string{
		{"90C06F000000", "0000", ""},
		{"90c06F000000", "0000", ""},
		{"90C06F000001", "0000", "FMSPC 90C06F000000 of the PCK certificate, TCB info is of 90C06F000001"},
		{"B0C06F000000", "0000", "FMSPC"},
		{"90C06F000000", "0001", "PCEID 0000 of the PCK certificate, TCB info is of 0001"},
		{"90C06F000000", "0100", "PCEID"},
	} {
		info := pcstest.NewTCBInfo(issued, next)
		info.FMSPC, info.PCEID = c[0], c[1]
		checkError(t, c[0]+" "+c[1], openTCBInfo(t, info).CheckPlatform(pck), c[2])
	}
}

// TestCheckModule: which identity counts, and how it is compared.
func TestCheckModule(t *testing.T) {
	made := pcstest.NewTCBInfo(issued, next)
	made.Module.MRSigner = strings.Repeat("aa", 48)
	made.Modules[0].MRSigner = strings.Repeat("bb", 48)                                       // TDX_03
	made.Modules[0].Attributes, made.Modules[0].Mask = "0100000000000010", "0F000000000000F0" // by nibbles
	made.Modules[1].ID = "TDX_0b"
	info := openTCBInfo(t, made)
	signer := func(b byte) (s [48]byte) { copy(s[:], bytes.Repeat([]byte{b}, 48)); return s }
	for _, c := range []struct {
		svn        string
		signer     [48]byte
		attributes [8]byte
		want       string
	}{
		{"0700", signer(0xaa), [8]byte{}, ""},
		{"0700", signer(0xbb), [8]byte{}, "TDX_00: MRSIGNERSEAM bb"},
		{"0700", signer(0xaa), [8]byte{7: 0x80}, "SEAMATTRIBUTES 0000000000000080"},
		{"0703", signer(0xbb), [8]byte{1, 0, 0, 0, 0, 0, 0, 0x10}, ""},
		{"0703", signer(0xaa), [8]byte{1, 0, 0, 0, 0, 0, 0, 0x10}, "TDX_03: MRSIGNERSEAM aa"},
		{"0703", signer(0xbb), [8]byte{}, "SEAMATTRIBUTES"},
		{"0703", signer(0xbb), [8]byte{3, 0, 0, 0, 0, 0, 0, 0x10}, "SEAMATTRIBUTES"},
		{"0703", signer(0xbb), [8]byte{0x11, 0, 0, 0, 0, 0, 0, 0x10}, "zero elsewhere"},
		{"0703", signer(0xbb), [8]byte{1, 0, 0, 0, 1, 0, 0, 0x10}, "zero elsewhere"},
		{"070b", signer(0), [8]byte{}, ""},
		{"070b", [48]byte{47: 1}, [8]byte{}, "TDX_0B: MRSIGNERSEAM"},
		{"0701", signer(0xaa), [8]byte{}, "TDX module TDX_01 is not in this TCB info (evaluation number 21)"},
		{"0730", signer(0xbb), [8]byte{}, "TDX_30 is not in"},
	} {
		checkError(t, c.svn, info.CheckModule(svn(t, c.svn), c.signer, c.attributes), c.want)
	}
	if _, own, err := info.MatchModule(svn(t, "0701")); err == nil || !own {
		t.Errorf("level of a module that is not there: %v", err)
	}
}

// TestEveryComponent lowers each component of a platform at the best level by 1,
// and raises it: no component is left out, and none has to be equal.
func TestEveryComponent(t *testing.T) {
	made := pcstest.NewTCBInfo(issued, next)
	for i := range made.Levels[0].SGX {
		made.Levels[0].SGX[i], made.Levels[0].TDX[i] = 9, 9
		made.Levels[1].SGX[i], made.Levels[1].TDX[i] = 1, 1
	}
	info := openTCBInfo(t, made)
	full := func() (*pcstest.PCKExtension, [16]byte) {
		e, s := pcstest.NewPCKExtension(), [16]byte{}
		for i := range s {
			e.SetComponent(i, 9)
			s[i] = 9
		}
		return e, s
	}
	rank := func(e *pcstest.PCKExtension, s [16]byte) (int, string) {
		m, err := info.MatchPlatform(parsePCK(t, e), s)
		if err != nil {
			t.Fatal(err)
		}
		return m.Rank, m.Behind
	}
	for i := range 16 {
		e, s := full()
		e.SetComponent(i, 8)
		if r, why := rank(e, s); r != 2 || !strings.HasPrefix(why, "SGX TCB component "+itoa(uint16(i+1))+" is 8, want 9") {
			t.Errorf("SGX component %d too low: level %d, %q", i, r, why)
		}
		e.SetComponent(i, 255)
		if r, why := rank(e, s); r != 1 || why != "" {
			t.Errorf("SGX component %d high: level %d, %q", i, r, why)
		}
		e, s = full()
		if i < 2 {
			continue // the module's: TestModuleComponentsSkipped
		}
		s[i] = 8
		if r, why := rank(e, s); r != 2 || !strings.HasPrefix(why, "TDX TCB component "+itoa(uint16(i+1))+" is 8, want 9") {
			t.Errorf("TDX component %d too low: level %d, %q", i, r, why)
		}
		s[i] = 255
		if r, why := rank(e, s); r != 1 || why != "" {
			t.Errorf("TDX component %d high: level %d, %q", i, r, why)
		}
	}
	e, s := full()
	e.PCESVN = 12
	if r, why := rank(e, s); r != 2 || !strings.HasPrefix(why, "PCESVN is 12, want 13") {
		t.Errorf("PCESVN too low: level %d, %q", r, why)
	}
	e.PCESVN = 300
	if r, _ := rank(e, s); r != 1 {
		t.Errorf("PCESVN high: level %d", r)
	}
}

// TestBehindTheBest: what is too low is said of the best level, not of the next.
func TestBehindTheBest(t *testing.T) {
	made := pcstest.NewTCBInfo(issued, next)
	made.Levels = slices.Insert(made.Levels, 1, made.Levels[0])
	made.Levels[0].SGX[5] = 9
	pck := pcstest.NewPCKExtension()
	pck.PCESVN = 12
	m, err := openTCBInfo(t, made).MatchPlatform(parsePCK(t, pck), svn(t, "070102"))
	if err != nil || m.Rank != 3 || m.Of != 3 || !strings.HasPrefix(m.Behind, "SGX TCB component 6 is 1, want 9") {
		t.Errorf("%v, %v", m, err)
	}
}

// TestModuleComponentsSkipped: components 0 and 1 count for the platform's level
// only if TEE_TCB_SVN[1] is 0.
func TestModuleComponentsSkipped(t *testing.T) {
	info := openTCBInfo(t, pcstest.NewTCBInfo(issued, next)) // best level: 5 0 2
	pck := parsePCK(t, pcstest.NewPCKExtension())
	for digits, want := range map[string]int{
		"050002": 1, "040002": 0, "ff0002": 1, "050001": 0,
		"000102": 1, "040102": 1, "050101": 0, "000302": 1,
	} {
		m, err := info.MatchPlatform(pck, svn(t, digits))
		if m.Rank != want || (err == nil) != (want > 0) {
			t.Errorf("%s: level %d, %v, want %d", digits, m.Rank, err, want)
		}
	}
}

// TestMatchModule walks over the SVNs of a module with levels 7 and 4.
func TestMatchModule(t *testing.T) {
	info := openTCBInfo(t, pcstest.NewTCBInfo(issued, next))
	for digits, want := range map[string]string{
		"0701": "UpToDate: TCB level 1 of 2, of 2026-05-13",
		"ff01": "UpToDate: TCB level 1 of 2",
		"0601": "OutOfDate: TCB level 2 of 2, of 2024-11-13; open: INTEL-SA-01397; TDX module TDX_01 has ISVSVN 6, want 7",
		"0401": "OutOfDate: TCB level 2 of 2",
		"0301": "TDX module TDX_01: no TCB level matches: ISVSVN is 3, the best level (of 2026-05-13) wants 7 and the lowest 4",
		"0001": "TDX module TDX_01: no TCB level matches",
		"0303": "UpToDate: TCB level 1 of 1",
		"0203": "TDX module TDX_03: no TCB level matches",
		"0702": "TDX module TDX_02 is not in this TCB info",
		"0000": "UpToDate",
	} {
		m, _, err := info.MatchModule(svn(t, digits))
		if got := said(m, err); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", digits, got, want)
		}
	}
}

// TestZeroTCBInfo: one that nobody opened matches nothing.
func TestZeroTCBInfo(t *testing.T) {
	var info pcs.TCBInfo
	pck := parsePCK(t, pcstest.NewPCKExtension())
	if info.CheckPlatform(pck) == nil {
		t.Error("platform accepted")
	}
	if m, err := info.MatchPlatform(pck, svn(t, "ffffff")); err == nil || m.Status != 0 {
		t.Errorf("platform matches %v", m)
	}
	if m, _, err := info.MatchModule(svn(t, "ffffff")); err == nil || m.Status != 0 {
		t.Errorf("module matches %v", m)
	}
	if s, _ := info.RelaunchAdvised(pck, svn(t, "0701"), svn(t, "0701"), pcs.UpToDate); s != 0 {
		t.Errorf("relaunch: %s", s)
	}
	var q pcs.Identity
	if _, err := q.Match(new([pcs.ReportSize]byte)); err == nil {
		t.Error("quoting enclave matches")
	}
}

// report makes a report of Intel's quoting enclave: the fields where the SDM's
// REPORT structure has them.
func report(svn uint16) *[pcs.ReportSize]byte {
	var r [pcs.ReportSize]byte
	r[48], r[56] = 0x15, 0xe7 // INIT, MODE64BIT, PROVISIONKEY; XFRM
	signer, _ := hex.DecodeString("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
	copy(r[128:], signer)
	binary.LittleEndian.PutUint16(r[256:], 2)
	binary.LittleEndian.PutUint16(r[258:], svn)
	return &r
}

// TestQuotingEnclave changes one bit of every byte of a good report: exactly the
// bytes that Intel describes count. The mask FB FF.. 00.. of ATTRIBUTES leaves bit
// 2 of byte 0 and all of XFRM open.
func TestQuotingEnclave(t *testing.T) {
	q := openIdentity(t, pcstest.NewIdentity(issued, next))
	if err := q.Check(report(4)); err != nil {
		t.Fatal(err)
	}
	for i := range pcs.ReportSize {
		for bit := range 8 {
			r := report(4)
			r[i] ^= 1 << bit
			want := ""
			switch {
			case i >= 16 && i < 20:
				want = "MISCSELECT"
			case i == 48 && bit == 2:
			case i >= 48 && i < 56:
				want = "ATTRIBUTES"
			case i >= 128 && i < 160:
				want = "MRSIGNER"
			case i == 256 || i == 257:
				want = "ISVPRODID"
			}
			checkError(t, "byte "+itoa(uint16(i)), q.Check(r), want)
		}
	}
	for n, want := range map[uint16]string{
		4: "UpToDate: TCB level 1 of 2", 5: "UpToDate", 65535: "UpToDate",
		3: "OutOfDate: TCB level 2 of 2, of 2023-08-09; open: INTEL-SA-00837; quoting enclave has ISVSVN 3, want 4", 2: "OutOfDate",
		1: "quoting enclave: no TCB level matches: ISVSVN is 1", 0: "quoting enclave: no TCB level matches",
		256: "UpToDate", 0x0104: "UpToDate",
	} {
		m, err := q.Match(report(n))
		if got := said(m, err); !strings.HasPrefix(got, want) {
			t.Errorf("ISVSVN %d: %s, want %s", n, got, want)
		}
	}
}

// TestMiscSelectMask: MISCSELECT under a mask that is not full.
func TestMiscSelectMask(t *testing.T) {
	made := pcstest.NewIdentity(issued, next)
	made.MiscSelect, made.MiscMask = "01000000", "0F000000"
	q := openIdentity(t, made)
	for _, c := range []struct {
		got  [4]byte
		want string
	}{{[4]byte{1}, ""}, {[4]byte{0xf1, 0xff, 0xff, 0xff}, ""}, {[4]byte{}, "MISCSELECT"}, {[4]byte{3}, "MISCSELECT"}, {[4]byte{0, 0, 0, 1}, "MISCSELECT"}} {
		r := report(4)
		copy(r[16:], c.got[:])
		checkError(t, hex.EncodeToString(c.got[:]), q.Check(r), c.want)
	}
}
