package snp_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
	"safebox/verifier/verdict"
)

// realInput is genuine evidence of Turin with a chain that is kept.
func realInput(t testing.TB, name string) snp.Input {
	t.Helper()
	for _, r := range reals() {
		if r.name == name {
			return input(t, &r, readPolicy(t, "test", "test"))
		}
	}
	t.Fatalf("no evidence %q", name)
	return snp.Input{}
}

// TestBitFlips flips each bit of the signed region of genuine reports.
func TestBitFlips(t *testing.T) {
	for _, name := range []string{"ms-tav turin"} {
		in := realInput(t, name)
		kept, err := snp.OpenChain(in)
		if err != nil {
			t.Fatal(err)
		}
		in.Chain = kept
		good := in.Report
		flips, bySignature := 0, 0
		for bit := range 0x2a0 * 8 {
			in.Report = bytes.Clone(good)
			in.Report[bit/8] ^= 1 << (bit % 8)
			_, v := verify(in)
			flips++
			if v.OK {
				t.Fatalf("%s: accepted with bit %d of byte %#x flipped", name, bit%8, bit/8)
			}
			for _, c := range v.Failed() {
				if c.ID == "SNP-S1" && c.Reached {
					bySignature++
				}
			}
		}
		// Report data, measurement, host data and IDs, 296 bytes, are refused by
		// nothing but the signature; others earlier.
		if flips != 5376 || bySignature < 296*8 {
			t.Errorf("%s: %d flips, %d refused by the signature", name, flips, bySignature)
		}
	}
}

// TestSignatureFlips flips each bit of the signature and what follows it.
func TestSignatureFlips(t *testing.T) {
	in := realInput(t, "ms-tav milan")
	good := in.Report
	var err error
	if in.Chain, err = snp.OpenChain(in); err != nil {
		t.Fatal(err)
	}
	for bit := 0x2a0 * 8; bit < snp.Size*8; bit += 3 {
		in.Report = bytes.Clone(good)
		in.Report[bit/8] ^= 1 << (bit % 8)
		if _, v := verify(in); v.OK {
			t.Fatalf("accepted with bit %d of byte %#x flipped", bit%8, bit/8)
		}
	}
}

func synthetic(t testing.TB, product snp.Product, r snp.Report, profile string) (*snptest.Evidence, snp.Input) {
	t.Helper()
	e := snptest.New(t).Make(t, snptest.Build{Product: product, Report: r})
	p := snptest.ReadPolicy(t, profile, edits(profile)...)
	return e, snptest.Input(&r, e, p)
}

func edits(profile string) []string {
	if profile == "strict" {
		return []string{`chips = "none"`, `chips = ["` + strings.Repeat("ab", 64) + `"]`}
	}
	return nil
}

// TestTimes moves the time of the verdict to the ends of each object: in it is
// accepted, a second out of it refused.
func TestTimes(t *testing.T) {
	a := snptest.New(t)
	near := func(name string, build snptest.Build, edge time.Time, after bool, id string) {
		t.Run(name, func(t *testing.T) {
			e := a.Make(t, build)
			in := snptest.Input(&build.Report, e, snptest.ReadPolicy(t, "cloud"))
			in.Rules = chain.Rules{At: edge, AnyAgeCRL: true}
			if _, v := verify(in); !v.OK {
				t.Fatalf("at the edge:\n%s", v.Text())
			}
			in.Rules.At = edge.Add(-time.Second)
			if after {
				in.Rules.At = edge.Add(time.Second)
			}
			if _, v := verify(in); v.OK || failed(v, id) == "" {
				t.Fatalf("a second beyond:\n%s", v.Text())
			}
		})
	}
	at := snptest.At()
	from, until := at.AddDate(0, 0, -1), at.AddDate(0, 0, 1)
	window := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
	base := snptest.Build{Product: snp.Genoa, Report: snptest.Genoa()}
	leaf, intermediate, root, list := base, base, base, base
	leaf.Leaf, intermediate.Intermediate, root.Root = window, window, window
	list.CRL = func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = from, until }
	for _, c := range []struct {
		name  string
		build snptest.Build
		id    string
	}{{"VCEK", leaf, "SNP-C3"}, {"ASK", intermediate, "SNP-C3"}, {"ARK", root, "SNP-C3"}, {"list", list, "SNP-C5"}} {
		near(c.name+" begins", c.build, from, false, c.id)
		near(c.name+" ends", c.build, until, true, c.id)
	}
}

// TestRealTimes: the windows of INDEX.md, to the second of the certificates.
func TestRealTimes(t *testing.T) {
	for _, c := range []struct{ name, from, until string }{
		{"ms-tav milan", "2026-02-05T01:04:33Z", "2033-02-05T01:04:33Z"},
		{"ms-tav turin", "2026-02-05T01:04:33Z", "2033-02-05T01:04:33Z"},
		{"ms-tav genoa", "2026-02-05T02:05:07Z", "2033-02-05T02:05:07Z"},
		{"trustee VLEK", "2024-12-10T22:14:21Z", "2025-12-10T22:14:21Z"},
	} {
		in := realInput(t, c.name)
		for _, at := range []struct {
			text  string
			moved time.Duration
			ok    bool
		}{{c.from, 0, true}, {c.from, -time.Second, false}, {c.until, 0, true}, {c.until, time.Second, false}} {
			moment, err := time.Parse(time.RFC3339, at.text)
			if err != nil {
				t.Fatal(err)
			}
			in.Rules.At = moment.Add(at.moved)
			if _, v := verify(in); v.OK != at.ok || !at.ok && failed(v, "SNP-C3") == "" {
				t.Errorf("%s at %v: ok %t", c.name, in.Rules.At, v.OK)
			}
		}
	}
}

// failed gives what a check that failed got, empty if it did not.
func failed(v *verdict.Verdict, id string) string {
	for _, c := range v.Failed() {
		if c.ID == id && c.Reached {
			return c.Got
		}
	}
	return ""
}

// TestZero: each part of the input, left out, is a refusal.
func TestZero(t *testing.T) {
	_, good := synthetic(t, snp.Genoa, snptest.Genoa(), "cloud")
	if _, v := verify(good); !v.OK {
		t.Fatal(v.Text())
	}
	for _, c := range []struct {
		name string
		zero func(in *snp.Input)
		ids  []string
	}{
		{"policy", func(in *snp.Input) { in.Policy = nil }, []string{"SNP-F1", "SNP-F3", "SNP-F4", "SNP-D1", "SNP-M1", "SNP-M2", "SNP-M3", "SNP-P1", "SNP-T2", "SNP-I1", "SNP-B4"}},
		{"empty policy", func(in *snp.Input) { in.Policy = &snppolicy.Policy{} }, []string{"SNP-F1", "SNP-F3", "SNP-F4", "SNP-D1", "SNP-M1", "SNP-M2", "SNP-M3", "SNP-P1", "SNP-T2", "SNP-I1", "SNP-B4"}},
		{"rules", func(in *snp.Input) { in.Rules = chain.Rules{} }, []string{"SNP-C3"}},
		{"roots", func(in *snp.Input) { in.Roots = snp.Roots{} }, []string{"SNP-C1"}},
		{"expected", func(in *snp.Input) { in.Expected = snp.Expected{} }, []string{"SNP-D1", "SNP-M1", "SNP-M2"}},
		{"endorsements", func(in *snp.Input) { in.Endorsements = nil }, []string{"SNP-C2"}},
		{"certificates that are none", func(in *snp.Input) {
			in.Endorsements = &endorse.Set{Certificates: []*x509.Certificate{{}, {}}, CRLs: []*x509.RevocationList{{}}}
		}, []string{"SNP-C2"}},
		{"report", func(in *snp.Input) { in.Report = nil }, []string{"SNP-F1"}},
		{"report of zeros", func(in *snp.Input) { in.Report = make([]byte, snp.Size) }, []string{"SNP-F1"}},
		{"all", func(in *snp.Input) { *in = snp.Input{} }, []string{"SNP-F1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := good
			c.zero(&in)
			_, v := verify(in)
			if v.OK {
				t.Fatal("accepted")
			}
			for _, id := range c.ids {
				if failed(v, id) == "" {
					t.Errorf("%s did not fail:\n%s", id, v.Text())
				}
			}
		})
	}
}

// TestZeroLists: a policy that was made by hand and lists nothing refuses
// wherever a list belongs.
func TestZeroLists(t *testing.T) {
	_, good := synthetic(t, snp.Genoa, snptest.Genoa(), "cloud")
	for _, c := range []struct {
		id   string
		zero func(p *snppolicy.Policy)
	}{
		{"SNP-F1", func(p *snppolicy.Policy) { p.Versions = nil }},
		{"SNP-F3", func(p *snppolicy.Policy) { p.SigningKeys = nil }},
		{"SNP-F4", func(p *snppolicy.Policy) { p.VMPLs = nil }},
		{"SNP-B4", func(p *snppolicy.Policy) { p.Products = nil }},
		{"SNP-D1", func(p *snppolicy.Policy) { p.ReportData = snppolicy.Values{} }},
		{"SNP-D1", func(p *snppolicy.Policy) { p.ReportData = snppolicy.Values{Word: "release"} }},
		{"SNP-M1", func(p *snppolicy.Policy) { p.Measurements = snppolicy.Values{} }},
		{"SNP-M1", func(p *snppolicy.Policy) { p.Measurements = snppolicy.Values{Word: "nonsense"} }},
		{"SNP-M2", func(p *snppolicy.Policy) { p.HostData = snppolicy.Values{} }},
		{"SNP-M3", func(p *snppolicy.Policy) { p.IDBlock = "" }},
		{"SNP-P1", func(p *snppolicy.Policy) { p.AnyABI = false }},
		{"SNP-T2", func(p *snppolicy.Policy) { p.CPUs = nil }},
		{"SNP-T3", func(p *snppolicy.Policy) { p.CPUs[0].AnyMitigations = false }},
		{"SNP-I1", func(p *snppolicy.Policy) { p.Chips = snppolicy.Values{} }},
		{"SNP-I1", func(p *snppolicy.Policy) { p.Chips = snppolicy.Values{Word: "none"} }},
	} {
		p := *good.Policy
		p.CPUs = append([]snppolicy.CPU{}, p.CPUs...)
		c.zero(&p)
		in := good
		in.Policy = &p
		if _, v := verify(in); v.OK || failed(v, c.id) == "" {
			t.Errorf("%s did not fail:\n%s", c.id, v.Text())
		}
	}
	// A firmware floor that nobody gave is not reached, which is a refusal too.
	p := *good.Policy
	p.CPUs = append([]snppolicy.CPU{}, p.CPUs...)
	p.CPUs[0].Firmware = snppolicy.Version{}
	good.Policy = &p
	if _, v := verify(good); v.OK {
		t.Error("accepted without a firmware floor")
	}
}

// TestChain: a chain that was kept changes no verdict, and none of another
// machine, root or list counts.
func TestChain(t *testing.T) {
	a := snptest.New(t)
	p := snptest.ReadPolicy(t, "cloud")
	build := snptest.Build{Product: snp.Genoa, Report: snptest.Genoa()}
	one, two := a.Make(t, build), a.Make(t, build)
	in := snptest.Input(&build.Report, one, p)
	kept, err := snp.OpenChain(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snp.OpenChain(snp.Input{Report: one.Report, Policy: p}); err == nil || !strings.Contains(err.Error(), "SNP-C1") {
		t.Errorf("chain without roots: %v", err)
	}
	_, plain := verify(in)
	in.Chain = kept
	_, cached := verify(in)
	if diff := cmp.Diff(plain, cached); diff != "" || !plain.OK {
		t.Errorf("verdict with a kept chain:\n%s", diff)
	}

	// A certificate whose signature is broken, in place of the kept one.
	for _, c := range []struct {
		name   string
		change func(in *snp.Input)
		id     string
	}{
		{"another leaf, broken", func(in *snp.Input) { in.Endorsements.Certificates[0] = spoiled(t, two.Leaf) }, "SNP-C2"},
		{"another intermediate, broken", func(in *snp.Input) { in.Endorsements.Certificates[1] = spoiled(t, one.Intermediate) }, "SNP-C2"},
		{"another root is pinned", func(in *snp.Input) { in.Roots = snp.PinnedRoots() }, "SNP-C2"},
		{"no list", func(in *snp.Input) { in.Endorsements.CRLs = nil }, "SNP-C5"},
		{"another list, broken", func(in *snp.Input) { in.Endorsements.CRLs[0] = spoiledList(t, two.CRL) }, "SNP-C5"},
		{"list ended", func(in *snp.Input) { in.Rules.At = one.CRL.NextUpdate.Add(time.Second); in.Rules.AnyAgeCRL = true }, "SNP-C3 SNP-C5"},
		{"list too old", func(in *snp.Input) { in.Rules.MaxAgeCRL = time.Hour }, "SNP-C5"},
		{"leaf ended", func(in *snp.Input) { in.Rules.At = one.Leaf.NotAfter.Add(time.Second) }, "SNP-C3"},
		{"empty chain", func(in *snp.Input) { in.Chain = &snp.Chain{} }, ""},
	} {
		in := in
		in.Endorsements = one.Set()
		c.change(&in)
		_, v := verify(in)
		in.Chain = nil
		if _, plain := verify(in); !cmp.Equal(plain, v) {
			t.Errorf("%s: another verdict without the kept chain:\n%s", c.name, cmp.Diff(plain, v))
		}
		if c.id == "" {
			if !v.OK {
				t.Errorf("%s: refused:\n%s", c.name, v.Text())
			}
			continue
		}
		ok := false
		for _, id := range strings.Fields(c.id) {
			ok = ok || failed(v, id) != ""
		}
		if v.OK || !ok {
			t.Errorf("%s: want %s:\n%s", c.name, c.id, v.Text())
		}
	}
}

// spoiled breaks the signature within a certificate and reads it again.
func spoiled(t *testing.T, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	der := bytes.Clone(c.Raw)
	der[len(der)-9] ^= 1
	bad, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

func spoiledList(t *testing.T, l *x509.RevocationList) *x509.RevocationList {
	t.Helper()
	der := bytes.Clone(l.Raw)
	der[len(der)-9] ^= 1
	bad, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

func waives(v *verdict.Verdict, text string) bool {
	for _, w := range v.Waived {
		if strings.Contains(w.What, text) {
			return true
		}
	}
	return false
}

// TestWaived: what the profile test does not check is written into the verdict.
func TestWaived(t *testing.T) {
	_, v := verify(realInput(t, "trustee VLEK"))
	for _, what := range []string{
		"report data", "launch measurement", "host data", "ID block", "revocation of SEV-VLEK-Milan", "machine that made the report",
		"which machine made the report", "lowest versions", "firmware that the host can still take back", "simultaneous multithreading",
	} {
		if !waives(v, what) {
			t.Errorf("%q is not among what is waived: %v", what, v.Waived)
		}
	}
	_, v = verify(func() snp.Input { _, in := synthetic(t, snp.Turin, snptest.Turin(), "cloud"); return in }())
	for _, what := range []string{"which machine made the report", "lowest ABI"} {
		if !waives(v, what) {
			t.Errorf("%q is not among what is waived: %v", what, v.Waived)
		}
	}
}

// TestTogether: policy checks are all made, whatever failed before.
func TestTogether(t *testing.T) {
	r := snptest.Genoa()
	r.Policy |= 1 << 19
	r.Platform |= 1 << 8
	r.Launch.Raw[6]--
	r.ReportIDMA[0] = 0
	_, in := synthetic(t, snp.Genoa, r, "cloud")
	in.Roots = snp.Roots{}
	in.Expected.ReportData[0] ^= 1
	_, v := verify(in)
	for _, id := range []string{"SNP-C1", "SNP-D1", "SNP-M4", "SNP-P1", "SNP-P2", "SNP-T2"} {
		if failed(v, id) == "" {
			t.Errorf("%s did not fail", id)
		}
	}
	for _, c := range v.Checks {
		if reached := c.Reached; c.ID == "SNP-S1" && reached {
			t.Error("SNP-S1 was made without a chain")
		}
	}
}

// TestCurrentFloor: the current TCB has the floor too. Alone it can't be below
// it, as SNP-T1 wants it to be over the committed one.
func TestCurrentFloor(t *testing.T) {
	r := snptest.Genoa()
	r.Current.Raw[6]--
	_, in := synthetic(t, snp.Genoa, r, "cloud")
	_, v := verify(in)
	if got := failed(v, "SNP-T2"); !strings.Contains(got, "current: SNP 0x1a below 0x1b") {
		t.Errorf("got %q", got)
	}
	if failed(v, "SNP-T1") == "" {
		t.Error("SNP-T1 did not fail")
	}
	r = snptest.Genoa()
	r.CurrentFirmware.Build = 37
	_, in = synthetic(t, snp.Genoa, r, "cloud")
	_, v = verify(in)
	if got := failed(v, "SNP-T4"); !strings.Contains(got, "current below 1.55.38") || !strings.Contains(got, "committed over current") {
		t.Errorf("got %q", got)
	}
}

// TestTurinMeetsFloors: INDEX.md says that the genuine Turin report meets the
// floors of verify.md 8, and needs the waiver of SMT.
func TestTurinMeetsFloors(t *testing.T) {
	in := realInput(t, "ms-tav turin")
	in.Policy = readPolicy(t, "strict", "strict")
	_, v := verify(in)
	for _, id := range []string{"SNP-F1", "SNP-F2", "SNP-F3", "SNP-F4", "SNP-C1", "SNP-C2", "SNP-C3", "SNP-C4", "SNP-T1", "SNP-T2", "SNP-T3", "SNP-T4", "SNP-M4"} {
		if failed(v, id) != "" {
			t.Errorf("%s: %s", id, failed(v, id))
		}
	}
	for _, id := range []string{"SNP-C5", "SNP-P1", "SNP-P2", "SNP-I1", "SNP-M3"} {
		if failed(v, id) == "" {
			t.Errorf("%s did not fail", id)
		}
	}
	if got := failed(v, "SNP-P2"); !strings.HasSuffix(got, "; SMT is on") {
		t.Errorf("SNP-P2: got %q, want SMT alone", got)
	}
	in.Policy = readPolicy(t, "strict", "strict", `smt = "refuse"`, `smt = "accept"`)
	_, v = verify(in)
	if failed(v, "SNP-P1") != "" || failed(v, "SNP-P2") != "" {
		t.Errorf("with SMT: %s", v.Text())
	}
}

// TestOldReportsMissFloors: INDEX.md says that no other genuine report meets
// them.
func TestOldReportsMissFloors(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"ms-tav milan", "SNP 0x18 below 0x1d"},
		{"ms-tav genoa", "SNP 0x17 below 0x1b"},
		{"dstack", "SNP 0x17 below 0x1d"},
		{"Azure Genoa", "SNP 0x17 below 0x1b"},
		{"trustee e2e", "CPUID 19/A0/2"},
	} {
		in := realInput(t, c.name)
		in.Policy = readPolicy(t, "cloud", "cloud")
		_, v := verify(in)
		if got := failed(v, "SNP-T2"); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, got, c.want)
		}
	}
}

// TestFormatError: Decode tells the check that refuses.
func TestFormatError(t *testing.T) {
	good := realInput(t, "ms-tav genoa").Report
	bad := bytes.Clone(good)
	bad[0x4c] = 1
	for _, c := range []struct {
		in         []byte
		check, msg string
	}{
		{good[:1183], "SNP-F1", "decoding report: got 1183 bytes, want 1184"},
		{bad, "SNP-F2", "decoding report: reserved at 0x4c: got 0x1, want 0"},
	} {
		_, err := snp.Decode(c.in)
		var f *snp.FormatError
		if !errors.As(err, &f) || f.Check != c.check || f.Error() != c.msg {
			t.Errorf("got %v, want %s of %s", err, c.msg, c.check)
		}
	}
}

// TestSet: evidence that went through the endorsements' own reader, and with
// certificates of other machines beside it.
func TestSet(t *testing.T) {
	a := snptest.New(t)
	build := snptest.Build{Product: snp.Turin, Report: snptest.Turin()}
	e := a.Make(t, build)
	otherBuild := build
	otherBuild.Report.ChipID[0] ^= 1
	newer := build
	newer.Report.Reported.Raw[7]++
	set := &endorse.Set{}
	for _, der := range [][]byte{a.Make(t, otherBuild).Leaf.Raw, a.Make(t, newer).Leaf.Raw, e.Root.Raw, e.Intermediate.Raw, e.Leaf.Raw, e.CRL.Raw, read(t, "snp/ms-tav/turin_vcek.pem")} {
		set.Add("file", der)
	}
	in := snptest.Input(&build.Report, e, snptest.ReadPolicy(t, "cloud"))
	in.Endorsements = set
	if _, v := verify(in); !v.OK {
		t.Error(v.Text())
	}
}
