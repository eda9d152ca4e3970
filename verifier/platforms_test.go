package verifier

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"safebox/measure/eventlog"
	measuretdx "safebox/measure/tdx"
	"safebox/measure/tpm/golden"
	"safebox/measure/vectortest"
	"safebox/verifier/accept"
	"safebox/verifier/bundle"
	"safebox/verifier/challenge"
	"safebox/verifier/checktest"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/memory"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy"
	"safebox/verifier/publishtest"
	"safebox/verifier/release"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
	"safebox/verifier/transcript"
)

// platformMachine is a machine of a platform under a test authority, and everything
// that a relying party has of it. A test changes what it wants and calls
// verify.
type platformMachine struct {
	platform string
	at       time.Time
	release  *release.Release
	evidence *evidence.Evidence
	policy   string
	config   []byte // configuration document
	memory   []byte
	files    []File
	roots    roots

	// Each platform's: they sign what the transcript says.
	sign func(t testing.TB, m *platformMachine, bound *bound)

	snp       func(*snp.Report)
	noBundle  bool // no endorsements in the evidence
	tdx       func(*tdxtest.Evidence)
	nitro     func(*nitrotest.Evidence)
	authority *snptest.Authority
	last      func(*evidence.Evidence) // after signing
}

// machines are those that pass under the values of profile strict.
func machines() map[string]func(testing.TB) *platformMachine {
	return map[string]func(testing.TB) *platformMachine{
		transcript.SNP: newSNP, transcript.TDX: newTDX,
		transcript.Nitro:    func(t testing.TB) *platformMachine { return newNitro(t, nitro.Enclave) },
		transcript.NitroTPM: func(t testing.TB) *platformMachine { return newNitro(t, nitro.NitroTPM) },
	}
}

// newMachine has the values of profile strict but for two: the release need not
// be published, and with keys made in tests the time can't be now.
func newMachine(t testing.TB, platform string) *platformMachine {
	t.Helper()
	text, err := policy.Profile(policy.Strict, []string{platform})
	if err != nil {
		t.Fatal(err)
	}
	m := &platformMachine{platform: platform, policy: withoutPublication(t, string(text)), memory: []byte{}, at: snptest.At()}
	m.set(t, `profile = "strict"`, `profile = "test"`, `release = "signed"`, `release = "unsigned"`, "max_life = 60", "max_life = 3600")
	if m.release, err = release.Decode(readFile(t, "boot/release.json")); err != nil {
		t.Fatal(err)
	}
	return m
}

// withoutPublication takes the table publication out of a policy.
func withoutPublication(t testing.TB, text string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, "\n[publication]\n")
	_, after, found := strings.Cut(rest, "\n[challenge]\n")
	if !ok || !found {
		t.Fatalf("no table publication before challenge in the policy:\n%s", text)
	}
	return before + "\n[challenge]\n" + after
}

// set replaces text of the policy: old, new, old, new.
func (m *platformMachine) set(t testing.TB, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(m.policy, pairs[i]) {
			t.Fatalf("%q is not in the policy:\n%s", pairs[i], m.policy)
		}
		m.policy = strings.Replace(m.policy, pairs[i], pairs[i+1], 1)
	}
}

// verify signs everything and verifies it.
func (m *platformMachine) verify(t testing.TB) *Result {
	t.Helper()
	in := m.input(t)
	return verify(in, false, m.roots)
}

func (m *platformMachine) input(t testing.TB) Input {
	t.Helper()
	in := captured(t)
	old, err := evidence.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.release.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if in.Bundle, err = bundle.Encode(&bundle.Bundle{Release: text}); err != nil {
		t.Fatal(err)
	}
	in.Challenge, in.Secret = withoutEnrolment(t, in)
	in = withChallenge(func(c *challenge.Challenge, s *challenge.Secret) {
		c.Release = release.Digest(text)
		s.Issued, c.Expires = m.at.Unix()-5, m.at.Unix()+30
	})(t, in)
	m.evidence = &evidence.Evidence{
		Type: evidence.Type, Platform: m.platform, Nonce: old.Nonce, Audience: old.Audience, KEM: old.KEM,
		ReceiptKey: old.ReceiptKey, Release: release.Digest(text), BootSession: old.BootSession, Configuration: m.config,
	}
	v := &verification{evidence: m.evidence}
	v.bind()
	m.sign(t, m, v.transcript)
	if m.last != nil {
		m.last(m.evidence)
	}
	if in.Evidence, err = m.evidence.Encode(); err != nil {
		t.Fatal(err)
	}
	in.Policy, in.At, in.Pin = []byte(m.policy), m.at, nil
	in.Memory, in.Collateral = m.memory, m.files
	return in
}

// milan2 is the launch of dstack/real-milan-2vcpu, whose digest a real
// processor signed.
func milan2(t testing.TB) (release.Launch, string) {
	t.Helper()
	var x struct {
		ID        string `json:"id"`
		CPU       uint32 `json:"vcpu_sig"`
		Features  uint64 `json:"guest_features"`
		Kernel    string `json:"kernel_sha256"`
		Initrd    string `json:"initrd_sha256"`
		CmdLine   string `json:"cmdline"`
		Seed      string `json:"seed"`
		HashTable uint64 `json:"hashes_table_gpa"`
		ResetEIP  uint32 `json:"ap_reset_eip"`
		Sections  []struct{ GPA, Size, Type uint32 }
		Expected  string `json:"expected"`
	}
	vector(t, "snp", "dstack/real-milan-2vcpu", &x)
	s := &release.SNP{
		Seed: x.Seed, ResetEIP: x.ResetEIP, HashTable: release.Area{GPA: x.HashTable, Size: 4096 - x.HashTable%4096},
		KernelSHA256: x.Kernel, InitrdSHA256: x.Initrd,
		Shapes: []release.SNPMachine{{
			Name: "qemu/EPYC/2", VMM: "qemu", VCPUs: 2, CPUSignature: x.CPU, GuestFeatures: x.Features, LaunchDigest: x.Expected,
		}},
	}
	for _, section := range x.Sections {
		s.Sections = append(s.Sections, release.Section{GPA: section.GPA, Size: section.Size, Type: section.Type})
	}
	return release.Launch{Platform: release.PlatformSNP, Firmware: "a.fd", Kernel: "a.kernel", Initrd: "a.initrd", CommandLine: x.CmdLine, SNP: s}, x.Expected
}

func vector(t testing.TB, pkg, id string, into any) {
	t.Helper()
	tt, ok := t.(*testing.T)
	if !ok {
		t.Fatal("no test")
	}
	found := false
	vectortest.Each(tt, os.DirFS("../measure/testdata"), pkg, func(t *testing.T, v vectortest.Vector) {
		if v.ID == id {
			v.Decode(t, into)
			found = true
		}
	})
	if !found {
		t.Fatalf("no vector %s", id)
	}
}

// launch adds a launch and the artifacts and command line that it names.
func (m *platformMachine) launch(l release.Launch, kernel, initrd release.Artifact) {
	zero32, zero48 := strings.Repeat("00", 32), strings.Repeat("00", 48)
	list := []release.Artifact{{Name: "a.fd"}, initrd, kernel}
	list[1].Name, list[2].Name = "a.initrd", "a.kernel"
	for _, a := range list {
		if a.SHA256 == "" {
			a.SHA256 = zero32
		}
		if a.SHA384 == "" {
			a.SHA384 = zero48
		}
		m.release.Artifacts = append(m.release.Artifacts[:len(m.release.Artifacts):len(m.release.Artifacts)], a)
	}
	sortArtifacts(m.release.Artifacts)
	m.release.CommandLines = append(m.release.CommandLines, release.CommandLine{Platform: "vtpm", Form: "test", Text: l.CommandLine})
	m.release.Launches = []release.Launch{l}
}

func sortArtifacts(list []release.Artifact) {
	for i := range list {
		for j := i; j > 0 && list[j].Name < list[j-1].Name; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

func newSNP(t testing.TB) *platformMachine {
	t.Helper()
	m := newMachine(t, transcript.SNP)
	l, digest := milan2(t)
	m.launch(l, release.Artifact{SHA256: l.SNP.KernelSHA256}, release.Artifact{SHA256: l.SNP.InitrdSHA256})
	m.authority = snptest.New(t)
	report := snptest.Genoa()
	m.set(t, `chips = "none"`, fmt.Sprintf(`chips = ["%x"]`, report.ChipID))
	m.sign = func(t testing.TB, m *platformMachine, bound *bound) {
		t.Helper()
		r := report
		r.ReportData, r.HostData = bound.sum, transcript.Config(m.config)
		r.Measurement = [48]byte(unhex(t, digest))
		if m.snp != nil {
			m.snp(&r)
		}
		e := m.authority.Make(t, snptest.Build{Product: snp.Genoa, Report: r})
		m.roots.snp = e.Roots
		m.evidence.SNP = &evidence.SNP{Report: e.Report}
		b, err := e.Set().Encode()
		if err != nil {
			t.Fatal(err)
		}
		if m.noBundle {
			m.files = append(m.files, File{"bundle", b})
		} else {
			m.evidence.SNP.Endorsements = b
		}
	}
	return m
}

func newTDX(t testing.TB) *platformMachine {
	t.Helper()
	m := newMachine(t, transcript.TDX)
	m.at = tdxtest.At()
	m.set(t, `mode = "live"`, `mode = "as-of"`, `time = "authenticated"`, `time = "any"`, `tdx_memory = ["1G", "2G",`, `tdx_memory = ["3G", "2G",`)
	l := launchTDX(t)
	m.launch(l, release.Artifact{}, release.Artifact{SHA384: l.TDX.InitrdSHA384})
	log, registers := bootTDX(t, l)
	e := tdxtest.New(t, tdx.V5Body15)
	m.set(t, `chips = "none"`, tdxChips(t, e))
	m.sign = func(t testing.TB, m *platformMachine, bound *bound) {
		t.Helper()
		b := &e.Quote.Body
		b.ReportData, b.MRConfigID = bound.sum, sha512.Sum384(m.config)
		b.MRTD, b.RTMR = registers[0], [4][48]byte(registers[1:])
		e.EventLog = log
		m.evidence.TDX = &evidence.TDX{EventLog: log}
		if m.tdx != nil {
			m.tdx(e)
		}
		in := e.Input(t)
		m.roots.tdx = func() tdx.Roots { return in.Roots }
		m.evidence.TDX.Quote = in.Quote
		var err error
		if m.evidence.TDX.Endorsements, err = in.Endorsements.Encode(); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// tdxChips is the line of the test authority's own strict policy that lists its
// machine.
func tdxChips(t testing.TB, e *tdxtest.Evidence) string {
	t.Helper()
	for line := range strings.Lines(e.Policy) {
		if strings.HasPrefix(line, "chips = [") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no chips in:\n%s", e.Policy)
	return ""
}

// launchTDX is a launch by the parts of dstack/tdx-lite-hw, whose registers are
// computed for a command line of ours.
func launchTDX(t testing.TB) release.Launch {
	t.Helper()
	var x struct {
		Inputs struct {
			HOB      uint64      `json:"td_hob_gpa"`
			Accepted [][2]uint64 `json:"accepted_ranges"` // start, end
			CFV      string      `json:"cfv_sha384"`
			Kernel   string      `json:"kernel_authenticode_sha384"`
			Initrd   string      `json:"initrd_sha384"`
		} `json:"inputs"`
		Expected struct {
			MRTD  string `json:"mrtd_two_pass"`
			RTMR1 string `json:"rtmr1"`
		} `json:"expected"`
	}
	vector(t, "tdx", "dstack/tdx-lite-hw", &x)
	l := &release.TDX{
		Layout: "l1", CFVSHA384: x.Inputs.CFV, KernelPESHA384: x.Inputs.Kernel, InitrdSHA384: x.Inputs.Initrd,
		Registers: []release.Register{
			{Name: "mrtd", Rule: release.RuleExact, Value: x.Expected.MRTD},
			{Name: "rtmr0", Rule: release.RuleShape},
			{Name: "rtmr1", Rule: release.RuleExact, Value: x.Expected.RTMR1},
			{Name: "rtmr2", Rule: release.RuleExact, Value: strings.Repeat("0a", 48)},
			{Name: "rtmr3", Rule: release.RuleZero, Value: strings.Repeat("00", 48)},
		},
	}
	for _, a := range x.Inputs.Accepted {
		area := release.Area{GPA: a[0], Size: a[1] - a[0]}
		if a[0] == x.Inputs.HOB {
			l.TDHOB = area
		}
		l.Accepted = append(l.Accepted, area)
	}
	launch := release.Launch{Platform: release.PlatformTDX, Firmware: "a.fd", Kernel: "a.kernel", Initrd: "a.initrd", CommandLine: "quiet", TDX: l}
	// The error says what RTMR2 of this command line is.
	_, err := accept.TDX(launch, accept.TDXMachine{Memory: 2 << 30})
	if err == nil {
		t.Fatal("an RTMR2 of another command line: accepted")
	}
	_, want, ok := strings.Cut(err.Error(), "want ")
	if !ok || len(want) < 96 {
		t.Fatal(err)
	}
	l.Registers[3].Value = want[:96]
	return launch
}

// bootTDX is the log and the registers of a machine of 2 GiB whose host gave it
// tables of its own.
func bootTDX(t testing.TB, l release.Launch) ([]byte, [5][48]byte) {
	t.Helper()
	p, err := accept.TDX(l, accept.TDXMachine{
		Memory: 2 << 30, ACPI: &measuretdx.ACPI{Loader: []byte("loader"), RSDP: []byte("rsdp"), Tables: []byte("tables")},
	})
	if err != nil {
		t.Fatal(err)
	}
	log := &eventlog.CCLog{HeaderRegister: 1, Header: eventlog.Header{
		VersionMajor: 2, UintnSize: 2, VendorInfo: []byte{},
		Algorithms: []eventlog.AlgorithmSize{{Algorithm: eventlog.SHA384, Size: 48}},
	}}
	var registers [5][48]byte
	for i, reg := range p.Registers {
		if reg.Value == nil {
			t.Fatalf("%s: %s", reg.Name, reg.Missing)
		}
		registers[i] = *reg.Value
		if i == 0 {
			continue
		}
		for _, e := range reg.Events {
			event := eventlog.Event{PCR: uint32(i), Type: e.Type, Digests: []eventlog.Digest{{Algorithm: eventlog.SHA384, Value: e.Digest[:]}}}
			if e.Type == eventlog.PlatformConfigFlags {
				event.Data = []byte("ACPI DATA")
			}
			log.Events = append(log.Events, event)
		}
	}
	return log.Encode(), registers
}

func newNitro(t testing.TB, kind nitro.Kind) *platformMachine {
	t.Helper()
	platform := transcript.Nitro
	if kind == nitro.NitroTPM {
		platform = transcript.NitroTPM
	}
	m := newMachine(t, platform)
	image := release.Measurement{Platform: "nitro", Boot: "enclave", Bank: "sha384"}
	for i := range 3 {
		value := fmt.Sprintf("%x", sha512.Sum384([]byte{byte(i)}))
		image.Registers = append(image.Registers, release.Register{Name: fmt.Sprintf("pcr%d", i), Rule: release.RuleExact, Value: value})
	}
	m.release.Measurements = append(m.release.Measurements, image)
	e := nitrotest.New(t, kind, policy.Strict)
	m.at = e.At
	m.set(t, `instances = "none"`, fmt.Sprintf(`instances = [%q]`, e.Policy.Instances[0]))
	m.sign = func(t testing.TB, m *platformMachine, bound *bound) {
		t.Helper()
		nonce := bound.input.Nonce
		e.Document.Nonce, e.Document.UserData = nonce[:], bound.sum[:]
		runtime := []evidence.RuntimeEvent{{Kind: evidence.KindConfig, Digest: transcript.Config(m.config)}}
		m.evidence.Nitro = &evidence.Nitro{Runtime: runtime}
		config := replayRuntime(golden.SHA384, runtime)
		if kind == nitro.Enclave {
			for i, reg := range image.Registers {
				e.Document.PCRs[i] = unhex(t, reg.Value)
			}
			e.Document.PCRs[enclaveConfigPCR] = config
		} else {
			booted, _ := m.release.Measurement("vtpm", "esp", "sha384")
			for _, i := range nitroTPMRegisters() {
				e.Document.PCRs[i] = unhex(t, booted.Registers[i].Value)
			}
			e.Document.PCRs[runtimePCR] = config
		}
		if m.nitro != nil {
			m.nitro(e)
		}
		in := e.Make(t)
		m.roots.nitro = func() nitro.Roots { return in.Roots }
		m.evidence.Nitro.Document = in.Document
	}
	return m
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPlatforms: a machine of each platform passes under the values of profile
// strict, and its claims are those of its evidence.
func TestPlatforms(t *testing.T) {
	for name, make := range machines() {
		t.Run(name, func(t *testing.T) {
			m := make(t)
			r := m.verify(t)
			checktest.Passes(t, r.Verdict)
			if r.Claims == nil || r.Claims.Platform != name || r.Claims.ReceiptKey != m.evidence.ReceiptKey || r.Memory == nil || r.Verdict.Platform != name {
				t.Errorf("claims %+v, memory of %d bytes, platform %s", r.Claims, len(r.Memory), r.Verdict.Platform)
			}
			withDocument := make(t)
			var err error
			if withDocument.config, err = configuration.Default().Encode(); err != nil {
				t.Fatal(err)
			}
			withDocument.set(t, `documents = ["none"]`, `documents = "any"`)
			checktest.Passes(t, withDocument.verify(t).Verdict)
			again := make(t)
			again.memory = r.Memory
			checktest.Passes(t, again.verify(t).Verdict)
		})
	}
}

// TestPinnedRoots: a test authority is nobody to Verify.
func TestPinnedRoots(t *testing.T) {
	for name, want := range map[string]string{transcript.SNP: "SNP-C2", transcript.TDX: "TDX-C1", transcript.Nitro: "NITRO-4", transcript.NitroTPM: "NITRO-4"} {
		in := machines()[name](t).input(t)
		r := Verify(in)
		if c, _ := r.Verdict.Check(want); r.Verdict.OK || r.Claims != nil || c.OK || !c.Reached {
			t.Errorf("%s: %s passed or was not reached:\n%s", name, want, r.Verdict.Text())
		}
	}
}

// TestStrictWantsAPublishedRelease: under profile strict itself a machine with a
// published release passes, and one with release.json alone does not.
func TestStrictWantsAPublishedRelease(t *testing.T) {
	for name, make := range machines() {
		if name == transcript.TDX {
			continue // its authority's time is before this verifier was made
		}
		m := make(t)
		m.set(t, `profile = "test"`, `profile = "strict"`)
		m.policy = string(publishtest.NewPolicy(t).Apply(t, []byte(m.policy)))
		in := m.input(t)
		checktest.Alone(t, verify(in, false, m.roots).Verdict, "REL-3")
		b, err := bundle.Decode(in.Bundle)
		if err != nil {
			t.Fatal(err)
		}
		in.Bundle = publishtest.New(t, b.Release, in.At).Publish(t).Encode(t)
		accepted(t, name, verify(in, false, m.roots))
	}
}

// platformRefusal is a machine with one thing changed that one check of ours
// refuses.
type platformRefusal struct {
	id, name, platform string
	change             func(t testing.TB, m *platformMachine)
}

func platformRefusals() []platformRefusal {
	keys := evidence.RuntimeEvent{Kind: evidence.KindKeys, Digest: [32]byte{7}}
	arrive := func(m *platformMachine) {
		m.last = func(e *evidence.Evidence) { e.Nitro.Runtime = append(e.Nitro.Runtime, keys) }
	}
	return []platformRefusal{
		{"COL-1", "endorsements are no bundle", transcript.SNP, func(_ testing.TB, m *platformMachine) {
			m.noBundle = true
			m.last = func(e *evidence.Evidence) { e.SNP.Endorsements = []byte("x") }
		}},
		{"REL-4", "no launch in the release", transcript.SNP, func(_ testing.TB, m *platformMachine) {
			m.release.Launches = nil
			m.policy = strings.Replace(m.policy, `measurements = "release"`, `measurements = ["`+milanDigest+`"]`, 1)
		}},
		{"REL-4", "a shape that does not follow", transcript.SNP, func(_ testing.TB, m *platformMachine) {
			m.release.Launches[0].SNP.Shapes[0].VCPUs = 3
			m.policy = strings.Replace(m.policy, `measurements = "release"`, `measurements = ["`+milanDigest+`"]`, 1)
		}},
		{"REL-4", "no shapes", transcript.SNP, func(_ testing.TB, m *platformMachine) {
			m.release.Launches[0].SNP.Shapes = []release.SNPMachine{}
			m.policy = strings.Replace(m.policy, `measurements = "release"`, `measurements = ["`+milanDigest+`"]`, 1)
		}},
		{"SNP-M1", "another number of vCPUs", transcript.SNP, func(t testing.TB, m *platformMachine) {
			m.set(t, `snp = "release"`, `snp = ["qemu EPYC-Milan 3-8"]`)
		}},
		{"SNP-M1", "another monitor", transcript.SNP, func(t testing.TB, m *platformMachine) {
			m.set(t, `snp = "release"`, `snp = ["ec2 EPYC-Milan 1-8"]`)
		}},
		{"SNP-D1", "report data of another transcript", transcript.SNP, func(_ testing.TB, m *platformMachine) { m.snp = func(r *snp.Report) { r.ReportData[63] ^= 1 } }},
		{"TIME-1", "nobody witnessed the time", transcript.TDX, func(t testing.TB, m *platformMachine) { m.set(t, `time = "any"`, `time = "authenticated"`) }},
		{"TIME-1", "a time before this verifier", transcript.TDX, func(t testing.TB, m *platformMachine) { m.set(t, `mode = "as-of"`, `mode = "live"`) }},
		{"ROLL-1", "no memory", transcript.TDX, func(_ testing.TB, m *platformMachine) { m.memory = nil }},
		{"ROLL-1", "no memory", transcript.SNP, func(_ testing.TB, m *platformMachine) { m.memory = nil }},
		{"ROLL-1", "newer lists were seen", transcript.SNP, func(t testing.TB, m *platformMachine) { m.memory = raised(t, m, "crl/") }},
		{"ROLL-1", "newer TCB documents were seen", transcript.TDX, func(t testing.TB, m *platformMachine) { m.memory = raised(t, m, "tcb") }},
		{"ROLL-1", "newer lists were seen", transcript.TDX, func(t testing.TB, m *platformMachine) { m.memory = raised(t, m, "crl-time/") }},
		{"TDX-M2", "another memory", transcript.TDX, func(t testing.TB, m *platformMachine) { m.set(t, `"2G", `, "") }},
		{"TDX-M2", "another command line", transcript.TDX, func(_ testing.TB, m *platformMachine) {
			m.tdx = func(e *tdxtest.Evidence) { e.Quote.Body.RTMR[2][0] ^= 1 }
		}},
		{"TDX-M1", "another firmware", transcript.TDX, func(_ testing.TB, m *platformMachine) {
			m.tdx = func(e *tdxtest.Evidence) { e.Quote.Body.MRTD[47] ^= 1 }
		}},
		{"TDX-A5", "another configuration", transcript.TDX, func(_ testing.TB, m *platformMachine) {
			m.tdx = func(e *tdxtest.Evidence) { e.Quote.Body.MRConfigID[0] ^= 1 }
		}},
		{"CFG-2", "a configuration event in RTMR3's log", transcript.TDX, func(t testing.TB, m *platformMachine) {
			m.last = func(e *evidence.Evidence) {
				e.TDX.Runtime = []evidence.RuntimeEvent{{Kind: evidence.KindConfig}}
			}
		}},
		{"CFG-2", "keys arrived, though a fresh machine is wanted", transcript.TDX, func(t testing.TB, m *platformMachine) {
			m.set(t, `rtmr3 = "zero"`, `rtmr3 = "runtime"`)
			m.tdx = func(e *tdxtest.Evidence) {
				e.UseRuntime([48]byte(transcript.KeysEvent(golden.SHA384, keys.Digest)))
				m.evidence.TDX.Runtime = []evidence.RuntimeEvent{keys}
			}
		}},
		{"CFG-2", "log of another configuration", transcript.Nitro, func(_ testing.TB, m *platformMachine) {
			m.last = func(e *evidence.Evidence) { e.Nitro.Runtime[0].Digest[0] ^= 1 }
		}},
		{"CFG-2", "keys that no register has", transcript.NitroTPM, func(t testing.TB, m *platformMachine) {
			m.set(t, `state = "fresh"`, `state = "working"`, `15 = "configuration"`, `15 = "any"`)
			arrive(m)
		}},
		{"CFG-2", "keys that no register has", transcript.Nitro, func(t testing.TB, m *platformMachine) {
			m.set(t, `state = "fresh"`, `state = "working"`)
			arrive(m)
		}},
		{"NITRO-9", "another image", transcript.Nitro, func(_ testing.TB, m *platformMachine) {
			m.nitro = func(e *nitrotest.Evidence) { e.Document.PCRs[0] = bytes.Repeat([]byte{1}, 48) }
		}},
		{"NITRO-9", "another initrd", transcript.NitroTPM, func(_ testing.TB, m *platformMachine) {
			m.nitro = func(e *nitrotest.Evidence) { e.Document.PCRs[9] = bytes.Repeat([]byte{1}, 48) }
		}},
		{"NITRO-10", "user data of another transcript", transcript.Nitro, func(_ testing.TB, m *platformMachine) {
			m.nitro = func(e *nitrotest.Evidence) { e.Document.UserData = make([]byte, 64) }
		}},
	}
}

// milanDigest is the launch digest that a real Milan signed (vectors,
// dstack/real-milan-2vcpu, expected).
const milanDigest = "@milan@"

// raised is the memory of an accepted run with every value of a kind of key
// raised by one.
func raised(t testing.TB, m *platformMachine, prefix string) []byte {
	t.Helper()
	r := m.verify(t)
	checktest.Passes(t, r.Verdict)
	old, err := memory.Decode(r.Memory)
	if err != nil {
		t.Fatal(err)
	}
	seen := raise(t, r.Memory, old, prefix)
	next := &memory.Memory{}
	if err := next.Merge(seen, time.Time{}); err != nil {
		t.Fatal(err)
	}
	b, err := next.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPlatformRefusals: exactly the check that is there for it fails.
func TestPlatformRefusals(t *testing.T) {
	_, digest := milan2(t)
	for _, r := range platformRefusals() {
		t.Run(r.platform+" "+r.id+" "+r.name, func(t *testing.T) {
			m := machines()[r.platform](t)
			r.change(t, m)
			m.policy = strings.ReplaceAll(m.policy, milanDigest, digest)
			result := m.verify(t)
			if result.Claims != nil || result.Memory != nil {
				t.Error("claims or memory of a refused machine")
			}
			checktest.Alone(t, result.Verdict, r.id)
		})
	}
}
