package snptest

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"safebox/measure/snp/idblock"
	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/policy/table"
	"safebox/verifier/snp"
	"safebox/verifier/verdict"
)

// setup is evidence and the policy that it passes or not.
type setup struct {
	build   Build
	profile string   // whose text and rules
	edits   []string // of the policy's text: old, new, old, new
	policy  func(p *snppolicy.Policy)
	input   func(e *Evidence, in *snp.Input)
}

// edit changes the policy's text.
func (s *setup) edit(pairs ...string) { s.edits = append(s.edits, pairs...) }

// replace gives an edit that is there another new text.
func (s *setup) replace(old, text string) {
	for i := 0; i < len(s.edits); i += 2 {
		if s.edits[i] == old {
			s.edits[i+1] = text
		}
	}
}

// lab has one authority for all runs of a list.
type lab struct{ authority *Authority }

func (l *lab) get(t testing.TB) *Authority {
	if l.authority == nil {
		l.authority = New(t)
	}
	return l.authority
}

// run verifies.
func (s *setup) run(t testing.TB, a *Authority) *verdict.Verdict {
	t.Helper()
	p := s.read(t)
	if s.policy != nil {
		s.policy(p)
	}
	e := a.Make(t, s.build)
	in := Input(&s.build.Report, e, p)
	if s.input != nil {
		s.input(e, &in)
	}
	log := check.New()
	snp.Verify(in, log)
	return log.Verdict(snp.Definitions())
}

// Input is the input of a verification that expects what the report says.
func Input(r *snp.Report, e *Evidence, p *snppolicy.Policy) snp.Input {
	expected := *r
	return snp.Input{
		Report: e.Report, Endorsements: e.Set(), Policy: p, Roots: e.Roots(),
		Rules: chain.Rules{At: At(), MaxAgeCRL: 30 * 24 * time.Hour},
		Expected: snp.Expected{
			ReportData: &expected.ReportData, Measurements: [][48]byte{{1}, expected.Measurement}, HostData: &expected.HostData,
		},
	}
}

func (s *setup) read(t testing.TB) *snppolicy.Policy {
	t.Helper()
	return ReadPolicy(t, s.profile, s.edits...)
}

// ReadPolicy reads the table of a profile, with replacements in its text: old,
// new, old, new.
func ReadPolicy(t testing.TB, profile string, edits ...string) *snppolicy.Policy {
	t.Helper()
	text := snppolicy.Section(profile)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("%q is not in the policy", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	root, err := table.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := snppolicy.Read(root.Table("snp"), profile)
	root.End()
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	return &p
}

// Edits that the profiles need before any machine passes.
const (
	noChips = `chips = "none"`
	noCSPs  = `csps = "none"`
)

// chips lists the chip ID of a report.
func chips(r *snp.Report) string { return `chips = ["` + hex.EncodeToString(r.ChipID[:]) + `"]` }

// sienaFloor is a table for Siena as its owner would add it.
const sienaFloor = `
[[snp.cpus]]
name = "Siena"
cpuid = "19/A0/2"
bootloader = 10
tee = 0
snp = 0x1b
microcode = 0x1a
firmware = "1.55.38"
mitigations = 0x16
guest_policy = "none"
`

// genoaTable begins the table before which another is put.
const genoaTable = "[[snp.cpus]]\nname = \"Genoa B1\""

// strictOn is evidence that passes profile strict, with the machine listed.
func strictOn(p snp.Product, r snp.Report) setup {
	s := setup{build: Build{Product: p, Report: r}, profile: "strict"}
	s.edit(noChips, chips(&r))
	if p == snp.Milan {
		s.edit(`products = ["Genoa", "Turin"]`, `products = ["Milan", "Genoa", "Turin"]`, `milan = "refuse"`, `milan = "listed"`)
	}
	return s
}

// cloudOn is evidence that passes profile cloud.
func cloudOn(p snp.Product, r snp.Report) setup {
	return setup{build: Build{Product: p, Report: r}, profile: "cloud"}
}

func genoa() setup { return strictOn(snp.Genoa, Genoa()) }
func turin() setup { return strictOn(snp.Turin, Turin()) }
func milan() setup { return strictOn(snp.Milan, Milan()) }

func siena() setup {
	s := strictOn(snp.Genoa, Siena())
	s.edit(genoaTable, strings.TrimPrefix(sienaFloor, "\n")+"\n"+genoaTable)
	return s
}

// version makes a report one of an older version, which profile cloud accepts of
// Genoa.
func version(n uint32) setup {
	s := cloudOn(snp.Genoa, Genoa())
	r := &s.build.Report
	r.Version, r.LaunchMitigations, r.CurrentMitigations = n, 0, 0
	r.Platform &^= snp.PlatformIOMMUSafe
	return s
}

func vlek(p snp.Product, r snp.Report) setup {
	VLEK(&r)
	r.ChipID = [64]byte{}
	s := cloudOn(p, r)
	s.edit(noCSPs, `csps = ["CN=other.example", "`+CSP+`"]`)
	return s
}

// Digests of the keys of an ID block.
func idKey() [48]byte     { return [48]byte{1, 2, 3} }
func authorKey() [48]byte { return [48]byte{4, 5, 6} }

// withIDBlock is evidence of a guest launched with an ID block.
func withIDBlock() setup {
	s := genoa()
	r := &s.build.Report
	r.IDKeyDigest, r.AuthorKeyDigest = idKey(), authorKey()
	r.Signer |= 1
	r.FamilyID, r.ImageID, r.GuestSVN = [16]byte{7}, [16]byte{8}, 9
	k, a := idKey(), authorKey()
	s.edit(
		`id_block = "forbid"`, `id_block = "require"`,
		`id_keys = "none"`, `id_keys = ["`+hex.EncodeToString(k[:])+`"]`,
		`author_keys = "none"`, `author_keys = ["`+hex.EncodeToString(a[:])+`"]`,
		`family_ids = "zero"`, `family_ids = ["07000000000000000000000000000000"]`,
		`image_ids = "zero"`, `image_ids = ["08000000000000000000000000000000"]`,
		`guest_svn = 0`, `guest_svn = 9`,
	)
	return s
}

// closed is evidence of a guest and a machine with everything that a policy can
// ask for.
func closed() setup {
	s := turin()
	r := &s.build.Report
	r.Policy |= idblock.SingleSocket | idblock.MemAES256XTS | idblock.RAPLDisabled | idblock.CiphertextHidingDRAM | idblock.PageSwapDisabled | 1<<8 | 55
	r.Platform |= snp.PlatformTSME | snp.PlatformRAPLDisabled | snp.PlatformCiphertextHiding
	all := `guest_policy = ["SINGLE_SOCKET", "MEM_AES_256_XTS", "RAPL_DIS", "CIPHERTEXT_HIDING_DRAM", "PAGE_SWAP_DISABLE"]`
	text := snppolicy.Section("strict")
	at := strings.Index(text, `name = "Turin C1"`)
	end := at + strings.Index(text[at:], `guest_policy = "none"`) + len(`guest_policy = "none"`)
	s.edit(text[at:end], strings.Replace(text[at:end], `guest_policy = "none"`, all, 1), `policy_abi = "any"`, `policy_abi = "1.55"`)
	return s
}

// provisional is evidence of firmware that the host has not committed.
func provisional() setup {
	s := cloudOn(snp.Genoa, Genoa())
	r := &s.build.Report
	r.Current.Raw[6]++
	r.CurrentFirmware.Build++
	return s
}

type namedSetup struct {
	name string
	make func() setup
}

// positives are all kinds of evidence that pass.
func positives() []namedSetup {
	return []namedSetup{
		{"strict, Genoa B1", genoa},
		{"strict, Genoa-X B2", func() setup { return strictOn(snp.Genoa, GenoaX()) }},
		{"strict, Siena, with a table of its own", siena},
		{"strict, Turin C1", turin},
		{"strict, HWID within an OCTET STRING", func() setup {
			s := genoa()
			set(append([]byte{4, 64}, s.build.Report.ChipID[:]...), 4)(&s)
			return s
		}},
		{"strict, Milan B1, listed", milan},
		{"strict, Milan-X B2, listed", func() setup { return strictOn(snp.Milan, MilanX()) }},
		{"strict, ID block", withIDBlock},
		{"strict, Turin, all that can be asked for", closed},
		{"strict, SMT accepted", func() setup {
			s := genoa()
			s.edit(`smt = "refuse"`, `smt = "accept"`)
			SMT(&s.build.Report)
			return s
		}},
		{"strict, VMPL 1 behind an SVSM", func() setup {
			s := genoa()
			s.edit(`vmpls = [0]`, `vmpls = [1, 2]`)
			s.build.Report.VMPL = 1
			return s
		}},
		{"cloud, Genoa, version 3", func() setup { return version(3) }},
		{"cloud, Genoa, version 4", func() setup { return version(4) }},
		{"cloud, Genoa, firmware not committed", provisional},
		{"cloud, Turin", func() setup { return cloudOn(snp.Turin, Turin()) }},
		{"cloud, Turin, over its floors, each component another", func() setup {
			s := cloudOn(snp.Turin, Turin())
			SetTCB(&s.build.Report, [8]byte{2, 3, 4, 5, 0, 0, 0, 0x91})
			return s
		}},
		{"cloud, Genoa, over its floors, each component another", func() setup {
			s := cloudOn(snp.Genoa, Genoa())
			SetTCB(&s.build.Report, [8]byte{11, 2, 0, 0, 0, 0, 0x1c, 0x80})
			return s
		}},
		{"cloud, Genoa, VLEK", func() setup { return vlek(snp.Genoa, Genoa()) }},
		{"cloud, Turin, VLEK", func() setup { return vlek(snp.Turin, Turin()) }},
		{"cloud, Genoa, masked chip accepted", func() setup {
			s := cloudOn(snp.Genoa, Genoa())
			s.build.Report.ChipID = [64]byte{}
			s.edit(`masked_chip = "refuse"`, `masked_chip = "accept"`)
			return s
		}},
		{"cloud, Genoa, VLEK that shows its chip ID", shownVLEK},
		{"test, Milan, version 2", func() setup {
			s := setup{build: Build{Product: snp.Milan, Report: Milan()}, profile: "test"}
			s.build.Report.Version = 2
			return s
		}},
	}
}

// shownVLEK is evidence of a provider that does not hide which machine it is.
func shownVLEK() setup {
	s := vlek(snp.Genoa, Genoa())
	s.build.Report.ChipID = Genoa().ChipID
	return s
}

// Positives is evidence that passes, of every product.
func Positives() []checktest.Positive {
	l := &lab{}
	var list []checktest.Positive
	for _, p := range positives() {
		list = append(list, checktest.Positive{Name: p.name, Run: func(t testing.TB) *verdict.Verdict {
			s := p.make()
			return s.run(t, l.get(t))
		}})
	}
	return list
}
