package differential

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"safebox/verifier"
	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
	"safebox/verifier/transcript"
)

// tdxCase is a genuine quote, at a time of INDEX.md.
type tdxCase struct {
	name  string
	quote []byte
	files []verifier.File
	at    time.Time
}

// Quotes and collateral of the vectors.
const (
	dcapQuote      = "tdx/dcap-qvl/tdx_quote"
	dcapCollateral = "tdx/dcap-qvl/tdx_quote_collateral.json"
	dcapSGX        = "tdx/dcap-qvl/sgx_quote_collateral.json"
	tcbSigning2018 = "../../tdx/testdata/tcb-signing-2018.pem"
)

// tdxReals lists the quotes of the vectors.
func tdxReals(t testing.TB) []tdxCase {
	t.Helper()
	spr := read(t, "tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat")
	sprFiles := files(t, "tdx/go-tdx-guest/sample_tcbInfo_response", "tdx/go-tdx-guest/sample_qeIdentity_response", "tdx/go-tdx-guest/pckcrl", "tdx/go-tdx-guest/rootcrl.der", tcbSigning2018)
	var full, lite struct{ Quote string }
	members(t, read(t, "tdx/dstack/quote-report.json"), &full)
	members(t, read(t, "tdx/dstack/tdx-lite-getquote.json"), &lite)
	var packed struct{ Attestation string }
	members(t, read(t, "tdx/dstack/tdx-lite-attestation.json"), &packed)
	return []tdxCase{
		{"dcap", read(t, dcapQuote), files(t, dcapCollateral), day(t, "2025-07-01")},
		{"dcap without collateral", read(t, dcapQuote), nil, day(t, "2025-07-01")},
		{"dcap with collateral for SGX", read(t, dcapQuote), files(t, dcapSGX), day(t, "2025-07-01")},
		{"outdated", read(t, "tdx/dcap-qvl/tdx_quote_outdated"), files(t, "tdx/dcap-qvl/tdx_quote_outdated_collateral.json"), day(t, "2026-03-01")},
		{"sgx", read(t, "tdx/dcap-qvl/sgx_quote"), files(t, dcapSGX), day(t, "2025-07-01")},
		{"spr with text behind it", spr, sprFiles, day(t, "2023-07-01")},
		{"spr", bytes.TrimSuffix(spr, []byte("\nextra bytes(only for testing purpose)\n")), sprFiles, day(t, "2023-07-01")},
		{"td report", read(t, "tdx/go-tdx-guest/report.dat"), nil, day(t, "2023-07-01")},
		{"cos", read(t, "tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat"), nil, day(t, "2024-07-03")},
		{"debug", read(t, "tdx/trustee/tdx_quote_4.dat"), nil, day(t, "2023-02-08")},
		{"service TD", read(t, "tdx/trustee/tdx_quote_5.dat"), nil, day(t, "2024-03-19")},
		{"dstack", unhex(t, full.Quote), nil, day(t, "2025-09-17")},
		{"dstack lite", unhex(t, lite.Quote), nil, day(t, "2026-04-16")},
		{"dstack attestation", unhex(t, packed.Attestation)[4:][:5006], nil, day(t, "2026-04-16")},
		{"azure version 1", hardware(t, "vtpm/trustee/az-tdx-vtpm/evidence-v1.json").Report, nil, day(t, "2024-01-01")},
		{"azure", hardware(t, "vtpm/trustee/az-tdx-vtpm/evidence-v0.json").Report, nil, day(t, "2024-01-01")},
	}
}

func (c *tdxCase) input(p *tdxpolicy.Policy) tdx.Input {
	own := *p // a case may change its own
	return tdx.Input{
		Quote: c.quote, Endorsements: setOf(c.files), Policy: &own, Roots: tdx.PinnedRoots(), Rules: chain.Rules{At: c.at, AnyAgeTCB: true},
	}
}

// tdxChange is one thing that differs from genuine evidence.
type tdxChange struct {
	name   string
	change func(in *tdx.Input)
}

// TestTDX compares on genuine quotes and their mutants, and on quotes of a test
// authority.
func TestTDX(t *testing.T) {
	pairs := slices.Concat(tdxRealPairs(t), tdxMadePairs(t))
	compare(t, "go-tdx-guest", pairs, least{25, 199})
}

func tdxRealPairs(t *testing.T) []pair {
	t.Helper()
	text, p := profileTest(t, transcript.TDX)
	var pairs []pair
	for _, c := range tdxReals(t) {
		in := c.input(&p.TDX)
		service := serviceOf(in)
		pairs = append(pairs, pair{"real/" + c.name, ourTDX(in), theirTDX(in, service)}, pair{"default/" + c.name, ourTDX(in), theirTDXDefault(in)})
		raw := verifier.VerifyRaw(verifier.RawInput{
			Platform: transcript.TDX, Evidence: c.quote, Policy: text, Vendor: verifier.Vendor{Collateral: c.files}, At: c.at,
		})
		if got, want := ofVerdict(raw.Verdict), ourTDX(in); got != want {
			t.Errorf("%s: VerifyRaw %v, tdx.Verify %v", c.name, got, want)
		}
		if !ourTDX(in).accepted() {
			continue
		}
		for _, m := range slices.Concat(quoteChanges(t, in), tdxTimes(t, in), collateralChanges(t, in), tdxPolicyChanges(t, in)) {
			in := c.input(&p.TDX)
			m.change(&in)
			pairs = append(pairs, pair{"real/" + c.name + "/" + m.name, ourTDX(in), theirTDX(in, service)})
		}
	}
	return pairs
}

// Offsets in a quote of version 4 (verify.md 2.1): the signature data begins
// after header, body and size.
const (
	tdxSigned    = 48 + 584
	tdxSignature = tdxSigned + 4
	tdxQEReport  = tdxSignature + 64 + 64 + 6
	tdxAuth      = tdxQEReport + 384 + 64
)

// quoteChanges are a bit in each stretch of 64 bytes of what is signed, in each
// of 32 of what certifies it, and in each certificate.
func quoteChanges(t testing.TB, in tdx.Input) []tdxChange {
	t.Helper()
	var list []tdxChange
	set := func(name string, b []byte) {
		list = append(list, tdxChange{name, func(in *tdx.Input) { in.Quote = b }})
	}
	end := tdxSignature + int(binary.LittleEndian.Uint32(in.Quote[tdxSigned:]))
	for at := 0; at < tdxSigned; at += 64 {
		place := min(at+at/64*5%64, tdxSigned-1)
		set(fmt.Sprintf("bit at %#x", place), flip(in.Quote, place, at/64%8))
	}
	for _, h := range []struct {
		name string
		at   int
	}{{"version", 0}, {"key type", 2}, {"TEE type", 4}, {"reserved of the header", 8}, {"QE vendor", 12}, {"user data of the QE", 28}, {"size of the signature data", tdxSigned}} {
		set("header: "+h.name, flip(in.Quote, h.at, 0))
	}
	for at := tdxSignature; at < tdxAuth+64; at += 32 {
		set(fmt.Sprintf("certification, bit at %#x", at+5), flip(in.Quote, at+5, at/32%8))
	}
	pemAt := bytes.Index(in.Quote, []byte("-----BEGIN"))
	for at := pemAt + 40; at < end-40; at += 256 {
		set(fmt.Sprintf("certificates, bit at %#x", at), flip(in.Quote, at, 0))
	}
	set("nothing", nil)
	set("half", in.Quote[:len(in.Quote)/2])
	set("byte less of the signature data", in.Quote[:end-1])
	set("no padding", in.Quote[:end])
	set("more padding", with(in.Quote, make([]byte, 100)...))
	set("trailing byte", with(in.Quote[:end], 0xa5))
	set("trailing byte behind the padding", with(in.Quote, 0xa5))
	return append(list, chainChanges(t, in)...)
}

// chainChanges are other orders and contents of the chain in the quote.
func chainChanges(t testing.TB, in tdx.Input) []tdxChange {
	t.Helper()
	c := quoteChain(in.Quote)
	if len(c) != 3 {
		t.Fatalf("%d certificates in the quote", len(c))
	}
	var list []tdxChange
	for _, order := range []struct {
		name  string
		chain []*x509.Certificate
		tail  string
	}{
		{"root first", []*x509.Certificate{c[2], c[1], c[0]}, "\x00"},
		{"intermediate last", []*x509.Certificate{c[0], c[2], c[1]}, "\x00"},
		{"no root", c[:2], "\x00"},
		{"root twice", []*x509.Certificate{c[0], c[1], c[2], c[2]}, "\x00"},
		{"leaf twice", []*x509.Certificate{c[0], c[0], c[2]}, "\x00"},
		{"without the NUL at its end", c, ""},
		{"text behind it", c, "text"},
		{"two NULs at its end", c, "\x00\x00"},
	} {
		q, err := tdx.Decode(in.Quote)
		if err != nil {
			t.Fatal(err)
		}
		q.Data.Chain = append(pemOf(order.chain...), order.tail...)
		list = append(list, tdxChange{"chain: " + order.name, func(in *tdx.Input) { in.Quote = q.Encode() }})
	}
	return list
}

// tdxTimes are the edges of the validity of each certificate, list and
// document.
func tdxTimes(t testing.TB, in tdx.Input) []tdxChange {
	t.Helper()
	type window struct{ from, until time.Time }
	windows := map[string]window{}
	for _, c := range slices.Concat(quoteChain(in.Quote), in.Endorsements.Certificates) {
		windows["certificate "+c.Subject.CommonName] = window{c.NotBefore, c.NotAfter}
	}
	for _, l := range in.Endorsements.CRLs {
		windows["list of "+l.Issuer.CommonName] = window{l.ThisUpdate, l.NextUpdate}
	}
	for name, s := range map[string]endorse.Signed{"TCB info": in.Endorsements.TCBInfos[0], "QE identity": in.Endorsements.Identities[0]} {
		var dates struct{ IssueDate, NextUpdate time.Time }
		members(t, s.Body, &dates)
		windows[name] = window{dates.IssueDate, dates.NextUpdate}
	}
	var list []tdxChange
	for _, name := range sorted(windows) {
		w := windows[name]
		for _, edge := range []struct {
			name string
			at   time.Time
		}{
			{" begins in a second", w.from.Add(-time.Second)},
			{" begins now", w.from},
			{" ends now", w.until},
			{" ended a second ago", w.until.Add(time.Second)},
		} {
			list = append(list, tdxChange{name + edge.name, func(in *tdx.Input) { in.Rules.At = edge.at }})
		}
	}
	return list
}

// collateralChanges are documents changed, exchanged and missing.
func collateralChanges(t testing.TB, in tdx.Input) []tdxChange {
	t.Helper()
	set := func(name string, change func(s *endorse.Set)) tdxChange {
		return tdxChange{"collateral: " + name, func(in *tdx.Input) { change(in.Endorsements) }}
	}
	sgx, late := setOf(files(t, dcapSGX)), setOf(files(t, "tdx/dcap-qvl/tdx_quote_outdated_collateral.json"))
	byName := func(s *endorse.Set, name string) {
		s.CRLs = slices.DeleteFunc(s.CRLs, func(l *x509.RevocationList) bool { return l.Issuer.CommonName == name })
	}
	edited := func(s []endorse.Signed, old, text string) []endorse.Signed {
		return []endorse.Signed{{Body: bytes.Replace(s[0].Body, []byte(old), []byte(text), 1), Signature: s[0].Signature}}
	}
	return []tdxChange{
		set("no TCB info", func(s *endorse.Set) { s.TCBInfos = nil }),
		set("no QE identity", func(s *endorse.Set) { s.Identities = nil }),
		set("no PCK CRL", func(s *endorse.Set) { byName(s, "Intel SGX PCK Platform CA") }),
		set("no root CRL", func(s *endorse.Set) { byName(s, "Intel SGX Root CA") }),
		set("no signer", func(s *endorse.Set) { s.Certificates = nil }),
		set("TCB info of SGX", func(s *endorse.Set) { s.TCBInfos = sgx.TCBInfos }),
		set("QE identity of SGX", func(s *endorse.Set) { s.Identities = sgx.Identities }),
		set("TCB info of another platform", func(s *endorse.Set) { s.TCBInfos = late.TCBInfos }),
		set("QE identity of later", func(s *endorse.Set) { s.Identities = late.Identities }),
		set("root CRL of later", func(s *endorse.Set) {
			byName(s, "Intel SGX Root CA")
			s.CRLs = append(s.CRLs, late.CRLs...)
		}),
		set("TCB info with one status changed", func(s *endorse.Set) { s.TCBInfos = edited(s.TCBInfos, "OutOfDate", "UpToDate") }),
		set("TCB info with white space", func(s *endorse.Set) { s.TCBInfos = edited(s.TCBInfos, `":`, `": `) }),
		set("TCB info with the QE identity's signature", func(s *endorse.Set) { s.TCBInfos[0].Signature = s.Identities[0].Signature }),
		set("TCB info, bit of its signature", func(s *endorse.Set) { s.TCBInfos[0].Signature = flip(s.TCBInfos[0].Signature, 40, 3) }),
		set("QE identity, bit of its signature", func(s *endorse.Set) { s.Identities[0].Signature = flip(s.Identities[0].Signature, 9, 0) }),
		{"no root pinned", func(in *tdx.Input) { in.Roots = tdx.Roots{SGX: nil} }},
	}
}

// tdxPolicyChanges are policies that ask for what is there, or for something
// else.
func tdxPolicyChanges(t testing.TB, in tdx.Input) []tdxChange {
	t.Helper()
	q, err := tdx.Decode(in.Quote)
	if err != nil {
		t.Fatal(err)
	}
	policy := func(name string, change func(p *tdxpolicy.Policy)) tdxChange {
		return tdxChange{"policy: " + name, func(in *tdx.Input) { change(in.Policy) }}
	}
	b := &q.Body
	var list []tdxChange
	for _, f := range []struct {
		name  string
		value []byte
		of    func(p *tdxpolicy.Policy) *tdxpolicy.Value
	}{
		{"MRTD", b.MRTD[:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MRTD }},
		{"MRSEAM", b.MRSEAM[:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MRSEAM }},
		{"MRCONFIGID", b.MRConfigID[:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MRConfigID }},
		{"MROWNER", b.MROwner[:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MROwner }},
		{"MROWNERCONFIG", b.MROwnerConfig[:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MROwnerConfig }},
		{"RTMR0", b.RTMR[0][:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[0] }},
		{"RTMR1", b.RTMR[1][:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[1] }},
		{"RTMR2", b.RTMR[2][:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[2] }},
		{"RTMR3", b.RTMR[3][:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[3] }},
		{"report data", b.ReportData[:], func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.ReportData }},
	} {
		list = append(list,
			policy(f.name+" that is there", func(p *tdxpolicy.Policy) {
				*f.of(p) = tdxpolicy.Value{List: [][]byte{flip(f.value, 0, 7), f.value}}
			}),
			policy("another "+f.name, func(p *tdxpolicy.Policy) {
				*f.of(p) = tdxpolicy.Value{List: [][]byte{flip(f.value, len(f.value)-1, 0), flip(f.value, 0, 0)}}
			}))
	}
	return append(list,
		policy("other TD attributes", func(p *tdxpolicy.Policy) { p.TDAttributes = []uint64{uint64(b.TDAttributes) ^ 1<<28} }),
		policy("MRTD that nobody gave", func(p *tdxpolicy.Policy) { p.MRTD = tdxpolicy.Value{Word: tdxpolicy.Release} }),
		policy("report data that nobody gave", func(p *tdxpolicy.Policy) { p.ReportData = tdxpolicy.Value{Word: tdxpolicy.Transcript} }),
		policy("evaluation number 18", func(p *tdxpolicy.Policy) { p.EvalNumberMin = 18 }),
		policy("other forms of quotes", func(p *tdxpolicy.Policy) { p.Quotes = []string{tdxpolicy.V5Body10, tdxpolicy.V5Body15} }),
		policy("a machine that is another", func(p *tdxpolicy.Policy) { p.AnyChip, p.Chips = false, []tdxpolicy.Chip{{}} }),
		policy("SMT off", func(p *tdxpolicy.Policy) { p.SMT = tdxpolicy.Off }),
		policy("event log", func(p *tdxpolicy.Policy) { p.EventLog = tdxpolicy.Required }),
		policy("XFAM without AMX", func(p *tdxpolicy.Policy) { p.XFAMAllowed &^= 3 << 17 }),
	)
}
