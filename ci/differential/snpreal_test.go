package differential

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"safebox/measure/snp/idblock"
	"safebox/verifier"
	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
	"safebox/verifier/transcript"
)

// snpCase is genuine evidence, at a time of INDEX.md.
type snpCase struct {
	name   string
	report []byte
	files  []verifier.File
	at     time.Time
}

// Chains that AMD publishes.
const (
	milanChain     = "snp/roots/ask_ark_milan.pem"
	milanVLEKChain = "snp/roots/ask_ark_milan_vlek.pem"
	genoaChain     = "snp/roots/ask_ark_genoa.pem"
)

// snpReals lists the reports of the vectors.
func snpReals(t testing.TB) []snpCase {
	t.Helper()
	azureGenoa := hardware(t, "vtpm/trustee/az-snp-vtpm/evidence-genoa.json")
	e2e, e2eVCEK := trusteeJSON(t, read(t, "snp/trustee/e2e-evidence.json"))
	list := []snpCase{
		{name: "milan", report: read(t, "snp/ms-tav/milan_attestation_report.bin"), files: files(t, "snp/ms-tav/milan_vcek.pem", "snp/ms-tav/milan_ask.pem"), at: day(t, "2026-02-07")},
		{name: "genoa", report: read(t, "snp/ms-tav/genoa_attestation_report.bin"), files: files(t, "snp/ms-tav/genoa_vcek.pem", "snp/ms-tav/genoa_ask.pem"), at: day(t, "2026-02-07")},
		{name: "turin", report: read(t, "snp/ms-tav/turin_attestation_report.bin"), files: files(t, "snp/ms-tav/turin_vcek.pem", "snp/ms-tav/turin_ask.pem"), at: day(t, "2026-02-07")},
		{name: "dstack", report: read(t, "snp/dstack/report.bin"), files: files(t, "snp/dstack/vcek.pem", "snp/dstack/ask.pem"), at: day(t, "2026-06-19")},
		{name: "vlek", report: read(t, "snp/trustee/test-vlek-report.bin"), files: files(t, "snp/trustee/test-vlek.der", milanVLEKChain), at: day(t, "2024-12-12")},
		{name: "siena", report: e2e, files: append(files(t, genoaChain), verifier.File{Name: "VCEK", Bytes: e2eVCEK}), at: day(t, "2026-01-01")},
		{name: "azure", report: azureGenoa.Report, files: append(files(t, genoaChain), verifier.File{Name: "VCEK", Bytes: azureGenoa.VCEK}), at: day(t, "2025-01-26")},
		{name: "debug", report: read(t, "snp/go-sev-guest/attestation.bin"), files: files(t, "snp/go-sev-guest/vcek.der", "snp/go-sev-guest/milan_cert_chain.pem"), at: day(t, "2022-09-26")},
		{name: "azure without a certificate", report: read(t, "vtpm/trustee/az-snp-vtpm/hcl-report.bin")[0x20:][:snp.Size], files: files(t, milanChain), at: day(t, "2023-01-01")},
		{name: "vcek-invalid-legacy", report: read(t, "snp/ms-tav/milan_attestation_report.bin"), files: files(t, "snp/trustee/test-vcek-invalid-legacy.der", milanChain), at: day(t, "2026-02-07")},
		{name: "vcek-invalid-new", report: read(t, "snp/ms-tav/milan_attestation_report.bin"), files: files(t, "snp/trustee/test-vcek-invalid-new.der", milanChain), at: day(t, "2026-02-07")},
		{name: "turin-other-machine", report: read(t, "snp/ms-tav/turin_attestation_report.bin"), files: files(t, "snp/virtee/vcek_turin.der", "snp/virtee/cert_chain_turin"), at: day(t, "2026-02-07")},
	}
	return list
}

func files(t testing.TB, names ...string) []verifier.File {
	t.Helper()
	list := make([]verifier.File, len(names))
	for i, n := range names {
		list[i] = verifier.File{Name: n, Bytes: read(t, n)}
	}
	return list
}

// bytesOf reads bytes that JSON has as a list of numbers.
type bytesOf []byte

// UnmarshalJSON reads the list.
func (b *bytesOf) UnmarshalJSON(text []byte) error {
	var list []uint8
	for _, f := range slices.Collect(splitNumbers(text)) {
		list = append(list, uint8(f))
	}
	*b = list
	return nil
}

// splitNumbers gives the numbers of a JSON array.
func splitNumbers(text []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		n, in := 0, false
		for _, c := range text {
			switch {
			case c >= '0' && c <= '9':
				n, in = 10*n+int(c-'0'), true
			case in:
				if !yield(n) {
					return
				}
				n, in = 0, false
			}
		}
	}
}

// trusteeJSON puts the report together that trustee's evidence has as parsed
// JSON, by the offsets of verify.md 1.1, and gives the certificate beside it.
func trusteeJSON(t testing.TB, b []byte) (report, vcek []byte) {
	t.Helper()
	type tcb struct{ Bootloader, TEE, SNP, Microcode byte }
	type version struct{ Major, Minor, Build byte }
	var e struct {
		Report struct {
			Version    uint32
			Policy     uint64
			VMPL       uint32
			SigAlgo    uint32  `json:"sig_algo"`
			PlatInfo   uint64  `json:"plat_info"`
			Data       bytesOf `json:"report_data"`
			Measured   bytesOf `json:"measurement"`
			Host       bytesOf `json:"host_data"`
			ID         bytesOf `json:"report_id"`
			IDMA       bytesOf `json:"report_id_ma"`
			Chip       bytesOf `json:"chip_id"`
			Family     byte    `json:"cpuid_fam_id"`
			Model      byte    `json:"cpuid_mod_id"`
			Stepping   byte    `json:"cpuid_step"`
			CurrentTCB tcb     `json:"current_tcb"`
			Reported   tcb     `json:"reported_tcb"`
			CommitTCB  tcb     `json:"committed_tcb"`
			Launch     tcb     `json:"launch_tcb"`
			Current    version
			Committed  version
			Signature  struct{ R, S bytesOf }
		} `json:"attestation_report"`
		Chain []struct {
			Data bytesOf `json:"data"`
		} `json:"cert_chain"`
	}
	members(t, b, &e)
	j, raw, le := e.Report, make([]byte, snp.Size), binary.LittleEndian
	le.PutUint32(raw, j.Version)
	le.PutUint64(raw[0x08:], j.Policy)
	le.PutUint32(raw[0x30:], j.VMPL)
	le.PutUint32(raw[0x34:], j.SigAlgo)
	le.PutUint64(raw[0x40:], j.PlatInfo)
	for at, field := range map[int]bytesOf{0x50: j.Data, 0x90: j.Measured, 0xc0: j.Host, 0x140: j.ID, 0x160: j.IDMA, 0x1a0: j.Chip, 0x2a0: j.Signature.R, 0x2e8: j.Signature.S} {
		copy(raw[at:], field)
	}
	for at, v := range map[int]tcb{0x38: j.CurrentTCB, 0x180: j.Reported, 0x1e0: j.CommitTCB, 0x1f0: j.Launch} {
		copy(raw[at:], []byte{v.Bootloader, v.TEE, 0, 0, 0, 0, v.SNP, v.Microcode})
	}
	copy(raw[0x188:], []byte{j.Family, j.Model, j.Stepping})
	copy(raw[0x1e8:], []byte{j.Current.Build, j.Current.Minor, j.Current.Major})
	copy(raw[0x1ec:], []byte{j.Committed.Build, j.Committed.Minor, j.Committed.Major})
	return raw, e.Chain[0].Data
}

func (c *snpCase) input(p *snppolicy.Policy) snp.Input {
	own := *p // a case may change its own
	return snp.Input{
		Report: c.report, Endorsements: setOf(c.files), Rules: chain.Rules{At: c.at, AnyAgeCRL: true}, Policy: &own, Roots: snp.PinnedRoots(),
	}
}

// snpChange is one thing that differs from genuine evidence.
type snpChange struct {
	name   string
	change func(in *snp.Input)
}

// TestSNP compares on genuine reports and their mutants, and on reports of a
// test authority.
func TestSNP(t *testing.T) {
	pairs := slices.Concat(snpRealPairs(t), snpMadePairs(t))
	compare(t, "go-sev-guest", pairs, least{85, 889})
}

func snpRealPairs(t *testing.T) []pair {
	t.Helper()
	text, p := profileTest(t, transcript.SNP)
	var pairs []pair
	add := func(name string, in snp.Input) {
		pairs = append(pairs, pair{"real/" + name, ourSNP(in), theirSNP(in)})
	}
	reals := snpReals(t)
	leaves := map[string]*x509.Certificate{}
	for i := range reals {
		in := reals[i].input(&p.SNP)
		leaves[reals[i].name] = leafOf(in)
	}
	for i := range reals {
		c := &reals[i]
		in := c.input(&p.SNP)
		add(c.name, in)
		raw := verifier.VerifyRaw(verifier.RawInput{
			Platform: transcript.SNP, Evidence: c.report, Policy: text, Vendor: verifier.Vendor{Collateral: c.files}, At: c.at,
		})
		if got, want := ofVerdict(raw.Verdict), ourSNP(in); got != want {
			t.Errorf("%s: VerifyRaw %v, snp.Verify %v", c.name, got, want)
		}
		if !ourSNP(in).accepted() {
			continue
		}
		changes := slices.Concat(reportChanges(in), snpTimes(in), certificateChanges(in, leaves), snpPolicyChanges(in))
		for _, m := range changes {
			in := c.input(&p.SNP)
			m.change(&in)
			add(c.name+"/"+m.name, in)
		}
	}
	return append(pairs, snpDefaultPairs(t, reals[0].input(&p.SNP))...)
}

// snpDefaultPairs are what the library accepts with options that are left out.
func snpDefaultPairs(t *testing.T, in snp.Input) []pair {
	t.Helper()
	debug := snpCase{name: "debug", report: read(t, "snp/go-sev-guest/attestation.bin"), files: files(t, "snp/go-sev-guest/vcek.der", "snp/go-sev-guest/milan_cert_chain.pem"), at: day(t, "2022-09-26")}
	old := debug.input(in.Policy)
	host := in
	host.Report = bytes.Clone(in.Report)
	copy(host.Report[0x30:], []byte{0xff, 0xff, 0xff, 0xff}) // VMPL
	copy(host.Report[0x48:], []byte{7 << 2})                 // signed by nobody
	clear(host.Report[0x180:0x188])                          // reported TCB
	clear(host.Report[0x2a0:])
	return []pair{
		{"default/debug guest, verify without validate", ourSNP(old), run(func() error { return sevVerify(old) })},
		{"default/forged report of the host without a signature, validate without verify", ourSNP(host), run(func() error { return sevValidateDefault(host) })},
	}
}

func leafOf(in snp.Input) *x509.Certificate {
	if c := named(in, "SEV-VLEK"); c != nil {
		return c
	}
	return named(in, "SEV-VCEK")
}

// reportChanges are a bit in each stretch of 64 bytes that is signed, and in
// each of 8 of the signature; lengths.
func reportChanges(in snp.Input) []snpChange {
	var list []snpChange
	set := func(name string, b []byte) {
		list = append(list, snpChange{name, func(in *snp.Input) { in.Report = b }})
	}
	for at := 0; at < 0x2a0; at += 64 {
		place := min(at+at/64*5%64, 0x29f)
		set(fmt.Sprintf("bit at %#x", place), flip(in.Report, place, at/64%8))
	}
	for at := 0x2a0; at < snp.Size; at += 8 {
		part := "signature"
		if at >= 0x2a0+48 && at < 0x2e8 || at >= 0x2e8+48 && at < 0x330 {
			part = "signature, upper part"
		}
		set(fmt.Sprintf("%s, bit at %#x", part, at+3), flip(in.Report, at+3, at/8%8))
	}
	set("nothing", nil)
	set("byte less", in.Report[:snp.Size-1])
	set("trailing zero", with(in.Report, 0))
	set("trailing byte", with(in.Report, 0xa5))
	return append(list, snpChange{"report of another machine", func(in *snp.Input) {
		in.Report = flip(in.Report, 0x1a0, 0)
	}})
}

// snpTimes are the edges of the validity of each certificate.
func snpTimes(in snp.Input) []snpChange {
	var list []snpChange
	certificates := map[string]*x509.Certificate{"leaf": leafOf(in)}
	for _, c := range in.Endorsements.Certificates {
		if c.IsCA && c.Subject.CommonName != c.Issuer.CommonName {
			certificates["intermediate"] = c
		}
	}
	for _, name := range sorted(certificates) {
		c := certificates[name]
		for what, at := range map[string]time.Time{
			" begins in a second": c.NotBefore.Add(-time.Second), " begins now": c.NotBefore,
			" ends now": c.NotAfter, " ended a second ago": c.NotAfter.Add(time.Second),
		} {
			list = append(list, snpChange{name + what, func(in *snp.Input) { in.Rules.At = at }})
		}
	}
	slices.SortFunc(list, func(a, b snpChange) int { return compareText(a.name, b.name) })
	return list
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// certificateChanges are other certificates, and those missing.
func certificateChanges(in snp.Input, leaves map[string]*x509.Certificate) []snpChange {
	leaf := leafOf(in)
	replace := func(name string, drop func(c *x509.Certificate) bool, add ...*x509.Certificate) snpChange {
		return snpChange{name, func(in *snp.Input) {
			in.Endorsements = &endorse.Set{Certificates: append(slices.DeleteFunc(slices.Clone(in.Endorsements.Certificates), drop), add...)}
		}}
	}
	isLeaf := func(c *x509.Certificate) bool { return c.Equal(leaf) }
	isIntermediate := func(c *x509.Certificate) bool { return c.IsCA && c.Subject.CommonName != c.Issuer.CommonName }
	list := []snpChange{
		replace("no leaf", isLeaf),
		replace("no intermediate", isIntermediate),
		replace("no certificate", func(*x509.Certificate) bool { return true }),
		{"certificates in the other order", func(in *snp.Input) {
			list := slices.Clone(in.Endorsements.Certificates)
			slices.Reverse(list)
			in.Endorsements = &endorse.Set{Certificates: list}
		}},
		{"no root pinned", func(in *snp.Input) { in.Roots = snp.Roots{} }},
		{"roots of other products pinned", func(in *snp.Input) {
			in.Roots = snp.Roots{Milan: in.Roots.Turin, Genoa: in.Roots.Milan, Turin: in.Roots.Genoa}
		}},
	}
	for _, name := range slices.Sorted(maps.Keys(leaves)) {
		if other := leaves[name]; other != nil && !other.Equal(leaf) {
			list = append(list, replace("leaf of "+name, isLeaf, other))
		}
	}
	return list
}

// snpPolicyChanges are policies that ask for what is there, or for something
// else.
func snpPolicyChanges(in snp.Input) []snpChange {
	r, err := snp.Decode(in.Report)
	if err != nil {
		panic(err)
	}
	policy := func(name string, change func(p *snppolicy.Policy)) snpChange {
		return snpChange{"policy: " + name, func(in *snp.Input) { change(in.Policy) }}
	}
	var list []snpChange
	for _, f := range []struct {
		name  string
		value []byte
		of    func(p *snppolicy.Policy) *snppolicy.Values
	}{
		{"report data", r.ReportData[:], func(p *snppolicy.Policy) *snppolicy.Values { return &p.ReportData }},
		{"measurement", r.Measurement[:], func(p *snppolicy.Policy) *snppolicy.Values { return &p.Measurements }},
		{"host data", r.HostData[:], func(p *snppolicy.Policy) *snppolicy.Values { return &p.HostData }},
		{"chip", r.ChipID[:], func(p *snppolicy.Policy) *snppolicy.Values { return &p.Chips }},
		{"image ID", r.ImageID[:], func(p *snppolicy.Policy) *snppolicy.Values { return &p.ImageIDs }},
	} {
		list = append(list,
			policy(f.name+" that is there", func(p *snppolicy.Policy) {
				*f.of(p) = snppolicy.Values{List: [][]byte{flip(f.value, 0, 7), f.value}}
			}),
			policy("another "+f.name, func(p *snppolicy.Policy) {
				*f.of(p) = snppolicy.Values{List: [][]byte{flip(f.value, len(f.value)-1, 0), flip(f.value, 0, 0)}}
			}))
	}
	return append(list,
		policy("report data that nobody gave", func(p *snppolicy.Policy) { p.ReportData = snppolicy.Values{Word: snppolicy.Transcript} }),
		policy("measurement that nobody gave", func(p *snppolicy.Policy) { p.Measurements = snppolicy.Values{Word: snppolicy.Release} }),
		policy("host data that nobody gave", func(p *snppolicy.Policy) { p.HostData = snppolicy.Values{Word: snppolicy.Configuration} }),
		policy("other VMPL", func(p *snppolicy.Policy) { p.VMPLs = []int{int(r.VMPL) ^ 2} }),
		policy("VMPL that is there", func(p *snppolicy.Policy) { p.VMPLs = []int{int(r.VMPL)} }),
		policy("other products", func(p *snppolicy.Policy) {
			p.Products = slices.DeleteFunc(slices.Clone(p.Products), func(s string) bool { return s == productOf(in) })
		}),
		policy("other signing key", func(p *snppolicy.Policy) {
			p.SigningKeys = slices.DeleteFunc(slices.Clone(p.SigningKeys), func(s string) bool { return s == r.Signer.SigningKey().String() })
		}),
		policy("other report versions", func(p *snppolicy.Policy) {
			p.Versions = slices.DeleteFunc(slices.Clone(p.Versions), func(n int) bool { return n == int(r.Version) })
		}),
		policy("no SMT", func(p *snppolicy.Policy) { p.SMT = false }),
		policy("committed firmware", func(p *snppolicy.Policy) { p.Provisional = false }),
		policy("memory that corrects errors", func(p *snppolicy.Policy) { p.AnyECC = false }),
		policy("alias check", func(p *snppolicy.Policy) { p.AnyAliasCheck = false }),
		policy("ABI 255.0", func(p *snppolicy.Policy) { p.AnyABI, p.ABI = false, snppolicy.Version{Major: 255} }),
		policy("guest SVN 1", func(p *snppolicy.Policy) { p.AnyGuestSVN, p.GuestSVN = false, r.GuestSVN+1 }),
		policy("ID block", func(p *snppolicy.Policy) { p.IDBlock = snppolicy.Require }),
		policy("ID key", func(p *snppolicy.Policy) {
			p.IDBlock, p.IDKeys = snppolicy.Require, snppolicy.Values{List: [][]byte{{47: 1}}}
		}),
		policy("revocation list", func(p *snppolicy.Policy) { p.AnyCRL = false }),
		policy("floors that are met", func(p *snppolicy.Policy) { p.AnyCPU, p.CPUs = false, []snppolicy.CPU{floor(r)} }),
		policy("floors without this processor", func(p *snppolicy.Policy) { p.AnyCPU, p.CPUs = false, []snppolicy.CPU{{Product: "Genoa"}} }),
		policy("floor of SNP one above", func(p *snppolicy.Policy) {
			c := floor(r)
			c.SNP++
			p.AnyCPU, p.CPUs = false, []snppolicy.CPU{c}
		}),
		policy("floor of the firmware's build one above", func(p *snppolicy.Policy) {
			c := floor(r)
			c.Firmware.Build++
			p.AnyCPU, p.CPUs = false, []snppolicy.CPU{c}
		}),
		policy("guest policy bit that is not there", func(p *snppolicy.Policy) {
			c := floor(r)
			c.GuestPolicy = idblock.RAPLDisabled
			p.AnyCPU, p.CPUs = false, []snppolicy.CPU{c}
		}),
	)
}

func productOf(in snp.Input) string {
	l, err := snp.ParseLeaf(leafOf(in))
	if err != nil {
		panic(err)
	}
	return l.Product.String()
}

// floor is what a report just meets.
func floor(r *snp.Report) snppolicy.CPU {
	c := snppolicy.CPU{
		Name: "this", Product: r.CPUID.Product().String(), Family: r.CPUID.Family, Model: r.CPUID.Model, Stepping: r.CPUID.Stepping,
		FMC: r.Reported.FMC, Bootloader: r.Reported.Bootloader, TEE: r.Reported.TEE, SNP: r.Reported.SNP, Microcode: r.Reported.Microcode,
		Firmware: r.CommittedFirmware, AnyMitigations: true,
	}
	return c
}
