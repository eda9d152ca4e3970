package tdx_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
)

func sum256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestFlips: no bit of header and body can be changed. Every bit of two real
// quotes is tried against the reader and the quote's own signature.
func TestFlips(t *testing.T) {
	for _, c := range []struct {
		name   string
		signed int // bytes of header and body (A.3): 48 + 584; version 5: 48 + 6 + 648
	}{
		{"dcap-qvl/tdx_quote", 632},
		{"dcap-qvl/tdx_quote_outdated", 702},
	} {
		quote := read(t, c.name)
		genuine, err := tdx.Decode(quote)
		if err != nil {
			t.Fatal(err)
		}
		if err := tdx.CheckSignature(genuine); err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * c.signed {
			changed := slices.Clone(quote)
			changed[bit/8] ^= 1 << (bit % 8)
			if q, err := tdx.Decode(changed); err == nil && tdx.CheckSignature(q) == nil {
				t.Errorf("%s: bit %d of byte %#x changed and not seen", c.name, bit%8, bit/8)
			}
		}
	}
}

// TestFlipsWhole: so does the whole verification see one bit of every byte, in
// quotes that it accepts otherwise: of version 4 with Intel's collateral, and of
// version 5 with a test's.
func TestFlipsWhole(t *testing.T) {
	real4 := input(t, read(t, "dcap-qvl/tdx_quote"), "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
	test5 := tdxtest.New(t, tdx.V5Body15).Input(t)
	for _, c := range []struct {
		name   string
		in     tdx.Input
		signed int
	}{{"version 4", real4, 632}, {"version 5", test5, 702}} {
		quote := c.in.Quote
		checktest.Passes(t, tdxtest.Verdict(c.in))
		for i := range c.signed {
			c.in.Quote = slices.Clone(quote)
			c.in.Quote[i] ^= 1 << (i % 8)
			if tdxtest.Verdict(c.in).OK {
				t.Errorf("%s: byte %#x changed and accepted", c.name, i)
			}
		}
	}
}

// TestFlipsOfTheRest: neither can sizes, signatures, keys, reports and padding
// be changed, nor the letters of the chain, of which every third is tried.
func TestFlipsOfTheRest(t *testing.T) {
	const chain = 632 + 4 + 128 + 6 + 384 + 64 + 2 + 32 + 6 // after what stands before it
	quote := read(t, "dcap-qvl/tdx_quote")
	in := input(t, quote, "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
	for i := 632; i < len(quote); i++ {
		if i > chain && i < len(quote)-70 && i%3 != 0 {
			continue
		}
		in.Quote = slices.Clone(quote)
		in.Quote[i] ^= 0x80
		if v := tdxtest.Verdict(in); v.OK {
			t.Errorf("byte %#x changed and accepted", i)
		}
	}
}

// TestCollateralWindow: Intel's documents of 2025-06-19 count from the second of
// the newest to the second at which the first expires (their dates are in the
// JSON and, by OpenSSL, in the CRL).
func TestCollateralWindow(t *testing.T) {
	for at, want := range map[string]string{
		"2025-06-19T10:00:34Z": "TDX-C2 TDX-C3", // a second before the PCK CRL
		"2025-06-19T10:00:35Z": "TDX-C3",
		"2025-06-19T10:32:26Z": "TDX-C3", // a second before the QE identity
		"2025-06-19T10:32:27Z": "",
		"2025-07-19T10:00:35Z": "",
		"2025-07-19T10:00:36Z": "TDX-C2", // a second after the PCK CRL
		"2025-07-19T10:16:03Z": "TDX-C2",
		"2025-07-19T10:16:04Z": "TDX-C2 TDX-C3", // a second after the TCB info
		"2026-04-03T11:21:58Z": "TDX-C2 TDX-C3",
		"2032-02-06T23:25:52Z": "TDX-C1 TDX-C3", // a second after the PCK certificate
		"2025-02-06T23:25:50Z": "TDX-C1 TDX-C3", // a second before it
	} {
		in := input(t, read(t, "dcap-qvl/tdx_quote"), "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		in.Rules.At = when
		if got := failed(tdxtest.Verdict(in)); got != want {
			t.Errorf("%s: failed %q, want %q", at, got, want)
		}
	}
}

// TestTimeEdges: every synthetic object counts at its first and its last second.
func TestTimeEdges(t *testing.T) {
	second := func(at time.Time) string { return at.Format(time.RFC3339) }
	at := tdxtest.At()
	for name, change := range map[string]func(e *tdxtest.Evidence){
		"root begins":         func(e *tdxtest.Evidence) { e.Templates.Root.NotBefore = at },
		"root ends":           func(e *tdxtest.Evidence) { e.Templates.Root.NotAfter = at },
		"intermediate begins": func(e *tdxtest.Evidence) { e.Templates.Intermediate.NotBefore = at },
		"intermediate ends":   func(e *tdxtest.Evidence) { e.Templates.Intermediate.NotAfter = at },
		"leaf begins":         func(e *tdxtest.Evidence) { e.Templates.PCK.NotBefore = at },
		"leaf ends":           func(e *tdxtest.Evidence) { e.Templates.PCK.NotAfter = at },
		"signer begins":       func(e *tdxtest.Evidence) { e.Templates.TCB.NotBefore = at },
		"signer ends":         func(e *tdxtest.Evidence) { e.Templates.TCB.NotAfter = at },
		"root's list begins":  func(e *tdxtest.Evidence) { e.Templates.RootCRL.ThisUpdate = at },
		"root's list ends":    func(e *tdxtest.Evidence) { e.Templates.RootCRL.NextUpdate = at },
		"PCK list begins":     func(e *tdxtest.Evidence) { e.Templates.PCKCRL.ThisUpdate = at },
		"PCK list ends":       func(e *tdxtest.Evidence) { e.Templates.PCKCRL.NextUpdate = at },
		"PCK list a week old": func(e *tdxtest.Evidence) { e.Templates.PCKCRL.ThisUpdate = at.AddDate(0, 0, -7) },
		"TCB info begins":     func(e *tdxtest.Evidence) { e.Info.IssueDate = second(at) },
		"TCB info ends":       func(e *tdxtest.Evidence) { e.Info.NextUpdate = second(at) },
		"TCB info a week old": func(e *tdxtest.Evidence) { e.Info.IssueDate = second(at.AddDate(0, 0, -7)) },
		"QE identity begins":  func(e *tdxtest.Evidence) { e.Identity.IssueDate = second(at) },
		"QE identity ends":    func(e *tdxtest.Evidence) { e.Identity.NextUpdate = second(at) },
		"QE identity a week":  func(e *tdxtest.Evidence) { e.Identity.IssueDate = second(at.AddDate(0, 0, -7)) },
	} {
		t.Run(name, func(t *testing.T) {
			e := tdxtest.New(t, tdx.V4)
			change(e)
			checktest.Passes(t, tdxtest.Verdict(e.Input(t)))
		})
	}
}

// TestZero: whatever is left out refuses, and no check of the policy passes by
// the policy's silence.
func TestZero(t *testing.T) {
	const byPolicy = "TDX-F1 TDX-C4 TDX-T4 TDX-A1 TDX-A2 TDX-A3 TDX-A4 TDX-A5 TDX-A6 TDX-M1 TDX-M2 TDX-D1"
	for _, form := range tdxtest.Forms() {
		for name, c := range map[string]struct {
			change func(in *tdx.Input)
			want   string
		}{
			"nothing given":   {func(in *tdx.Input) { *in = tdx.Input{} }, "TDX-F1"},
			"zero policy":     {func(in *tdx.Input) { in.Policy = new(tdxpolicy.Policy) }, byPolicy},
			"no policy":       {func(in *tdx.Input) { in.Policy = nil }, byPolicy},
			"zero roots":      {func(in *tdx.Input) { in.Roots = tdx.Roots{} }, "TDX-C1"},
			"zero rules":      {func(in *tdx.Input) { in.Rules = chain.Rules{} }, "TDX-C1 TDX-C3"},
			"no limit of age": {func(in *tdx.Input) { in.Rules.MaxAgeTCB = 0 }, "TDX-C2 TDX-C3"},
			"no endorsements": {func(in *tdx.Input) { in.Endorsements = nil }, "TDX-C2 TDX-C3"},
			"empty set":       {func(in *tdx.Input) { in.Endorsements = new(endorse.Set) }, "TDX-C2 TDX-C3"},
			"nils in the set": {func(in *tdx.Input) {
				in.Endorsements.Certificates[0], in.Endorsements.CRLs[0] = nil, nil
			}, "TDX-C2 TDX-C3"},
			"no expectations": {func(in *tdx.Input) { in.Expected = tdx.Expected{} }, "TDX-A5 TDX-M1 TDX-M2 TDX-D1"},
			"Intel's root":    {func(in *tdx.Input) { in.Roots = tdx.PinnedRoots() }, "TDX-C1 TDX-C3"},
		} {
			in := tdxtest.New(t, form).Input(t)
			c.change(&in)
			if v := tdxtest.Verdict(in); failed(v) != c.want || v.OK {
				t.Errorf("%v, %s: failed %q, want %q", form, name, failed(v), c.want)
			}
		}
	}
}

// TestNobody: where nobody gave an expectation the verdict says so.
func TestNobody(t *testing.T) {
	in := tdxtest.New(t, tdx.V4).Input(t)
	in.Expected = tdx.Expected{}
	for _, c := range tdxtest.Verdict(in).Failed() {
		if !strings.Contains(c.Want, "which nobody gave") {
			t.Errorf("%s: want %q, which does not say that nobody gave it", c.ID, c.Want)
		}
	}
}

// TestRecorded: a verdict records every check or says that it was not reached,
// and what a policy waives is told.
func TestRecorded(t *testing.T) {
	log := check.New()
	tdx.Verify(input(t, read(t, "dcap-qvl/tdx_quote"), "2025-07-01", "dcap-qvl/tdx_quote_collateral.json"), log)
	v := log.Verdict(tdx.Definitions())
	if len(v.Checks) != 22 { // table 2.2 of specs/verify.md
		t.Errorf("%d checks, want 22", len(v.Checks))
	}
	var waived []string
	for _, w := range v.Waived {
		waived = append(waived, w.What)
	}
	for _, want := range []string{"MRTD", "RTMR0", "RTMR1", "RTMR2", "RTMR3", "REPORTDATA", "MRCONFIGID", "MROWNER", "MROWNERCONFIG", "machine", "event log (CCEL)", "service TDs", "Intel's advisories"} {
		if !slices.Contains(waived, want) {
			t.Errorf("%s is not checked and nobody says so: %q", want, waived)
		}
	}
	keys := map[string]uint64{}
	for _, o := range log.Observations() {
		keys[o.Key] = max(keys[o.Key], o.Value)
	}
	// Numbers and dates of the documents: tcbEvaluationDataNumber 17, issueDate
	// 2025-06-19T10:16:03Z and 10:32:27Z.
	for key, want := range map[string]uint64{
		"tcb-eval/standard": 17, "tcb-time/standard/b0c06f000000": 1750328163, "tcb-time/standard/qe-identity": 1750329147,
	} {
		if keys[key] != want {
			t.Errorf("%s: got %d, want %d", key, keys[key], want)
		}
	}
	lists := 0
	for key := range keys {
		if strings.HasPrefix(key, "crl/") {
			lists++
		}
	}
	if lists != 2 {
		t.Errorf("numbers of %d lists noted, want those of 2", lists)
	}
}

// TestTold: statuses that a policy forgives are in the verdict, by name and date.
func TestTold(t *testing.T) {
	found := map[string]string{}
	for _, p := range tdxtest.Positives() {
		for _, w := range p.Run(t).Waived {
			found[w.What] = w.Reason
		}
	}
	for what, want := range map[string]string{
		"TCB status SWHardeningNeeded":               "accepted by the policy",
		"TCB status ConfigurationNeeded":             "accepted by operator of the test",
		"TCB status OutOfDate":                       "accepted by operator of the test before 2026-11-02, for the TCB recovery of 2026-10-17",
		"TCB status OutOfDateConfigurationNeeded":    "accepted by operator of the test before 2026-11-04, for the TCB recovery of 2026-10-20",
		"relaunch of the guest, which Intel advises": "tdx.relaunch_advised = \"accept\" in the policy",
		"expiry of PCK CRL":                          "it expired 1h0m0s before the time of the verdict, within the grace of 2h0m0s",
		"expiry of QE identity":                      "it expired 1h0m0s before the time of the verdict, within the grace of 2h0m0s",
	} {
		if found[what] != want {
			t.Errorf("%s: got %q, want %q", what, found[what], want)
		}
	}
}

// TestEqual: the order of what was found does not change a verdict.
func TestEqual(t *testing.T) {
	in := tdxtest.New(t, tdx.V5Body15).Input(t)
	one := tdxtest.Verdict(in)
	slices.Reverse(in.Endorsements.Certificates)
	slices.Reverse(in.Endorsements.CRLs)
	other := tdxtest.Verdict(in)
	if one.Text() != other.Text() || !one.OK {
		t.Errorf("verdicts differ:\n%s\n%s", one.Text(), other.Text())
	}
}

// TestHuge: a file of 100 MB is refused by its size.
func TestHuge(t *testing.T) {
	in := tdxtest.New(t, tdx.V4).Input(t)
	huge := append(in.Quote, make([]byte, 100<<20)...)
	allocated := testing.AllocsPerRun(3, func() {
		if _, err := tdx.Decode(huge); err == nil {
			t.Error("accepted")
		}
	})
	if allocated > 20 {
		t.Errorf("%v allocations to refuse it", allocated)
	}
}

// TestEncode: a decoded quote has the bytes that it was decoded from.
func TestEncode(t *testing.T) {
	for _, name := range []string{"dcap-qvl/tdx_quote", "dcap-qvl/tdx_quote_outdated", "go-tdx-guest/ccel/cos-113-tdx-quote.dat", "trustee/tdx_quote_4.dat", "trustee/tdx_quote_5.dat"} {
		b := read(t, name)
		q, err := tdx.Decode(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(q.Encode(), b) {
			t.Errorf("%s: encodes to other bytes", name)
		}
	}
}
