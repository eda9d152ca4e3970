package snppolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/table"
)

func parse(text, profile string) (Policy, error) {
	root, err := table.Parse([]byte(text))
	if err != nil {
		return Policy{}, err
	}
	p := Read(root.Table("snp"), profile)
	root.End()
	return p, root.Close()
}

func profiles() []string { return []string{strict, cloud, test} }

// TestProfiles: each profile's text is read, and says what verify.md 8 says.
func TestProfiles(t *testing.T) {
	for _, name := range profiles() {
		p, err := parse(Section(name), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.AnyCPU != (name == test) || p.AnyCRL != (name == test) || p.SMT != (name != strict) || p.Provisional != (name != strict) {
			t.Errorf("%s: %+v", name, p)
		}
		if len(p.Explain()) < 10 {
			t.Errorf("%s: explained by %q", name, p.Explain())
		}
	}
	if Section("else") != "" {
		t.Error("a section for no profile")
	}
}

// TestFloors: the numbers of verify.md 8, entry by entry.
func TestFloors(t *testing.T) {
	version := func(build uint8) Version { return Version{1, 55, build} }
	want := []CPU{
		{Name: "Genoa B1", Product: Genoa, Family: 0x19, Model: 0x11, Stepping: 1, Bootloader: 10, SNP: 0x1b, Microcode: 0x56, Firmware: version(38), Mitigations: 0x16},
		{Name: "Genoa-X B2", Product: Genoa, Family: 0x19, Model: 0x11, Stepping: 2, Bootloader: 10, SNP: 0x1b, Microcode: 0x51, Firmware: version(38), Mitigations: 0x16},
		{Name: "Turin C1", Product: Turin, Family: 0x1a, Model: 0x02, Stepping: 1, FMC: 1, Bootloader: 1, TEE: 1, SNP: 4, Microcode: 0x51, Firmware: version(0), Mitigations: 0x16},
		{Name: "Milan B1", Product: Milan, Family: 0x19, Model: 0x01, Stepping: 1, Bootloader: 4, SNP: 0x1d, Microcode: 222, Firmware: version(22), Mitigations: 0x16},
		{Name: "Milan-X B2", Product: Milan, Family: 0x19, Model: 0x01, Stepping: 2, Bootloader: 4, SNP: 0x1d, Microcode: 71, Firmware: version(22), Mitigations: 0x16},
	}
	p, err := parse(Section(strict), strict)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.CPUs); diff != "" {
		t.Errorf("strict (-want +got):\n%s", diff)
	}
	for i := range want {
		if want[i].Product != Turin {
			want[i].Mitigations, want[i].AnyMitigations = 0, true
		}
	}
	if p, err = parse(Section(cloud), cloud); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.CPUs); diff != "" {
		t.Errorf("cloud (-want +got):\n%s", diff)
	}
}

// TestStrict: verify.md 8, the rest.
func TestStrict(t *testing.T) {
	got, err := parse(Section(strict), strict)
	if err != nil {
		t.Fatal(err)
	}
	got.CPUs = nil
	want := Policy{
		Products: []string{Genoa, Turin}, Milan: Refuse, Versions: []int{3, 4, 5}, SigningKeys: []string{VCEK}, VMPLs: []int{0},
		ReportData: Values{Word: Transcript}, Measurements: Values{Word: Release}, HostData: Values{Word: Configuration},
		IDBlock: Forbid, IDKeys: Values{Word: None}, AuthorKeys: Values{Word: None}, FamilyIDs: Values{Word: Zero}, ImageIDs: Values{Word: Zero},
		AnyABI: true, Chips: Values{Word: None}, CSPs: Values{Word: None},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryKey: a key that is missing, misspelt, empty or of another type is an
// error that names it.
func TestEveryKey(t *testing.T) {
	for _, profile := range profiles() {
		lines := strings.Split(Section(profile), "\n")
		for i, line := range lines {
			key, value, found := strings.Cut(line, " = ")
			if !found || strings.HasPrefix(line, "#") {
				continue
			}
			with := func(text ...string) string {
				return strings.Join(append(append(append([]string{}, lines[:i]...), text...), lines[i+1:]...), "\n")
			}
			for name, text := range map[string]string{
				"missing":  with(),
				"misspelt": with(key + "s_ = " + value),
				"empty":    with(key + " = []"),
				"nothing":  with(key + ` = ""`),
				"a date":   with(key + " = 2026-11-21"),
				"unknown":  with(line, `more = "any"`),
			} {
				if _, err := parse(text, profile); err == nil {
					t.Errorf("%s: %s %s: accepted", profile, key, name)
				} else if !strings.Contains(err.Error(), key) && name != "unknown" && name != "misspelt" {
					t.Errorf("%s: %s %s: error does not name it: %v", profile, key, name, err)
				}
			}
		}
	}
}

// edit is a change of a profile's text and the error that it must give; empty:
// it is accepted.
type edit struct {
	profile, old, new, want string
}

func edits() []edit {
	const zero64 = "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	id48 := strings.Repeat("ab", 48)
	return []edit{
		// What only profile test may waive.
		{strict, `versions = [3, 4, 5]`, `versions = [2, 3]`, "snp.versions: waives what only profile"},
		{cloud, `versions = [3, 4, 5]`, `versions = [2, 3]`, "snp.versions: waives"},
		{strict, `report_data = "transcript"`, `report_data = "any"`, "snp.report_data: waives what only"},
		{cloud, `report_data = "transcript"`, `report_data = "any"`, "snp.report_data: waives what only"},
		{strict, `measurements = "release"`, `measurements = "any"`, "snp.measurements: waives what only"},
		{cloud, `measurements = "release"`, `measurements = "any"`, "snp.measurements: waives what only"},
		{strict, `host_data = "configuration"`, `host_data = "any"`, "snp.host_data: waives what only"},
		{cloud, `host_data = "configuration"`, `host_data = "any"`, "snp.host_data: waives what only"},
		{strict, `alias_check = "require"`, `alias_check = "any"`, "snp.alias_check: waives what only"},
		{cloud, `alias_check = "require"`, `alias_check = "any"`, "snp.alias_check: waives what only"},
		{strict, `crl = "require"`, `crl = "any"`, "snp.crl: waives what only"},
		{cloud, `crl = "require"`, `crl = "any"`, "snp.crl: waives what only"},
		{strict, `id_block = "forbid"`, `id_block = "any"`, "snp.id_block: waives what only"},
		{cloud, `id_block = "forbid"`, `id_block = "any"`, "snp.id_block: waives what only"},
		{cloud, `id_keys = "none"`, `id_keys = "any"`, "snp.id_keys: waives what only"},
		{cloud, `author_keys = "none"`, `author_keys = "any"`, "snp.author_keys: waives what only"},
		{cloud, `products = ["Genoa", "Turin"]` + "\n" + `milan = "refuse"`, `products = ["Milan"]` + "\n" + `milan = "any"`, "snp.milan: waives what only"},
		// What profile strict may not waive.
		{strict, `chips = "none"`, `chips = "any"`, "snp.chips: waives what profile"},
		{strict, `masked_chip = "refuse"`, `masked_chip = "accept"`, "snp.masked_chip: waives what profile"},
		{strict, `provisional = "refuse"`, `provisional = "accept"`, "snp.provisional: waives what profile"},
		{strict, `signing_keys = ["VCEK"]`, `signing_keys = ["VCEK", "VLEK"]`, "snp.signing_keys: waives what profile"},
		{strict, `mitigations = 0x16`, `mitigations = "any"`, "snp.cpus.mitigations: waives what profile"},
		{strict, `smt = "refuse"`, `smt = "accept"`, ""},
		{strict, `ecc = "require"`, `ecc = "any"`, ""},
		{cloud, `masked_chip = "refuse"`, `masked_chip = "accept"`, ""},
		// Milan.
		{strict, `milan = "refuse"`, `milan = "listed"`, `snp.milan: got "listed", but products does not list Milan`},
		{strict, `products = ["Genoa", "Turin"]`, `products = ["Milan", "Turin"]`, `snp.milan: got "refuse", but products lists Milan`},
		{cloud, `products = ["Genoa", "Turin"]` + "\n" + `milan = "refuse"`, `products = ["Milan"]` + "\n" + `milan = "listed"`, `snp.chips: got "any", want a list: milan is "listed"`},
		{strict, `products = ["Genoa", "Turin"]` + "\n" + `milan = "refuse"`, `products = ["Milan"]` + "\n" + `milan = "listed"`, ""},
		// ID block.
		{strict, `id_block = "forbid"`, `id_block = "require"`, `snp.id_keys: got "none", want a list`},
		{strict, `id_keys = "none"`, `id_keys = ["` + id48 + `"]`, `snp.id_keys: want "none"`},
		{strict, `author_keys = "none"`, `author_keys = ["` + id48 + `"]`, `snp.author_keys: want "none"`},
		{strict, `family_ids = "zero"`, `family_ids = "any"`, "snp.id_block: want family_ids"},
		{test, `guest_svn = "any"`, `guest_svn = 1`, "snp.id_block: want \"require\""},
		{test, `image_ids = "any"`, `image_ids = ["00112233445566778899aabbccddeeff"]`, "snp.id_block: want \"require\""},
		{test, `family_ids = "any"`, `family_ids = ["00112233445566778899aabbccddeeff"]`, "snp.id_block: want \"require\""},
		{strict, `image_ids = "zero"`, `image_ids = "any"`, "snp.id_block: want family_ids"},
		{strict, `guest_svn = 0`, `guest_svn = 1`, "snp.id_block: want family_ids"},
		{strict, `guest_svn = 0`, `guest_svn = "any"`, "snp.id_block: want family_ids"},
		{strict, `id_block = "forbid"` + "\n" + `id_keys = "none"`, `id_block = "require"` + "\n" + `id_keys = ["` + id48 + `"]`, ""},
		// Values.
		{strict, `chips = "none"`, `chips = ["` + zero64 + `"]`, "snp.chips: entry 0 is zero"},
		{strict, `chips = "none"`, `chips = ["` + strings.Repeat("ab", 8) + `"]`, "snp.chips: got"},
		{strict, `vmpls = [0]`, `vmpls = [4]`, "snp.vmpls: got 4"},
		{strict, `versions = [3, 4, 5]`, `versions = [3, 6]`, "snp.versions: got 6"},
		{strict, `policy_abi = "any"`, `policy_abi = "1.55"`, ""},
		{strict, `policy_abi = "any"`, `policy_abi = "0.0"`, "snp.policy_abi: got"},
		{strict, `policy_abi = "any"`, `policy_abi = "1.256"`, "snp.policy_abi: got"},
		{strict, `policy_abi = "any"`, `policy_abi = "1.05"`, "snp.policy_abi: got"},
		{strict, `policy_abi = "any"`, `policy_abi = "1.55.1"`, "snp.policy_abi: got"},
		{strict, `firmware = "1.55.38"`, `firmware = "any"`, "snp.cpus.firmware: got"},
		{strict, `firmware = "1.55.38"`, `firmware = "0.0.0"`, "snp.cpus.firmware: got"},
		{strict, `mitigations = 0x16`, `mitigations = 0`, "snp.cpus.mitigations: got 0"},
		{strict, `microcode = 0x56`, `microcode = 256`, "snp.cpus.microcode: got 256"},
		{strict, `microcode = 0x56`, `microcode = "any"`, "snp.cpus.microcode: got"},
		{strict, `cpuid = "19/11/1"`, `cpuid = "19/11/2"`, "snp.cpus.cpuid: got 19/11/2 twice"},
		{strict, `cpuid = "19/11/1"`, `cpuid = "19/20/1"`, "snp.cpus.cpuid: got"},
		{strict, `cpuid = "19/11/1"`, `cpuid = "19/1a/1"`, "snp.cpus.cpuid: got"},
		{strict, `cpuid = "19/11/1"`, `cpuid = "19/11/10"`, "snp.cpus.cpuid: got"},
		{strict, `cpuid = "19/11/1"`, `cpuid = "19/11"`, "snp.cpus.cpuid: got"},
		{strict, `cpuid = "19/11/1"`, `cpuid = "1A/11/1"`, "snp.cpus.fmc: missing"},
		{strict, `cpuid = "1A/02/1"`, `cpuid = "19/02/1"`, "snp.cpus.fmc: unknown"},
		{strict, `guest_policy = "none"`, `guest_policy = ["DEBUG"]`, "snp.cpus.guest_policy: got"},
		{strict, `guest_policy = "none"`, `guest_policy = ["SMT"]`, "snp.cpus.guest_policy: got"},
		{strict, `guest_policy = "none"`, `guest_policy = ["RAPL_DIS", "SINGLE_SOCKET"]`, ""},
		{cloud, `csps = "none"`, `csps = ["CN=a", "CN=a"]`, "snp.csps: got"},
	}
}

func TestRules(t *testing.T) {
	for _, e := range edits() {
		text := Section(e.profile)
		if !strings.Contains(text, e.old) {
			t.Fatalf("%q is not in %s", e.old, e.profile)
		}
		_, err := parse(strings.Replace(text, e.old, e.new, 1), e.profile)
		switch {
		case e.want == "" && err != nil:
			t.Errorf("%s: %s: %v", e.profile, e.new, err)
		case e.want != "" && (err == nil || !strings.Contains(err.Error(), e.want)):
			t.Errorf("%s: %s: got %v, want %q", e.profile, e.new, err, e.want)
		}
	}
	text := strings.Split(Section(strict), "\n# Lowest versions")[0]
	if _, err := parse(text+"\ncpus = \"any\"\n", strict); err == nil || !strings.Contains(err.Error(), "snp.cpus: waives what only") {
		t.Errorf("no floors in strict: %v", err)
	}
}

// TestTestIsNoOtherProfile: a file that waives all can't call itself another.
func TestTestIsNoOtherProfile(t *testing.T) {
	for _, name := range []string{strict, cloud, ""} {
		if _, err := parse(Section(test), name); err == nil {
			t.Errorf("accepted as %q", name)
		}
	}
	if _, err := parse(Section(cloud), strict); err == nil {
		t.Error("cloud accepted as strict")
	}
}

// TestExplain: what is waived begins with the word, and only that.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		profile string
		waived  []string
		plain   []string
	}{
		{
			strict,
			[]string{"the guest policy may ask for any ABI", "Genoa B1 may see and move ciphertext", "Turin C1 may see"},
			[]string{"No machine is accepted", "Simultaneous multithreading must be off", "REPORT_DATA is the hash", "An ID block is refused", "AMD's revocation list must be there", "Genoa B1 (CPUID 19/11/1): firmware 1.55.38, bootloader 0xa", "Turin C1 (CPUID 1A/02/1): firmware 1.55.0, FMC 0x1", "have bits 0x16: reports of version 5 only"},
		},
		{
			cloud,
			[]string{"a VLEK stands for any machine", "the machine may be any that AMD made", "simultaneous multithreading may be on", "firmware that the host has not committed", "the mitigation vectors of Genoa B1"},
			[]string{"Providers whose VLEK is accepted: none", "Mitigation vectors of Turin C1 have bits 0x16"},
		},
		{
			test,
			[]string{"Milan is accepted on any machine", "reports of version 2, which", "REPORT_DATA is not checked", "The launch measurement is not checked", "HOST_DATA is not checked", "an ID block may be there or not", "FAMILY_ID is not checked", "GUEST_SVN is not checked", "memory that does not correct", "aliased memory", "AMD's revocation list need not", "hosts may hide", "firmware and microcode may be of any version"},
			[]string{"Guests that may be debugged or migrated", `Providers whose VLEK is accepted: "CN=cc-us-east-2.amazonaws.com"`},
		},
	} {
		p, err := parse(Section(c.profile), c.profile)
		if err != nil {
			t.Fatal(err)
		}
		find := func(text string) string {
			for _, s := range p.Explain() {
				if strings.Contains(s, text) {
					return s
				}
			}
			return ""
		}
		for _, text := range c.waived {
			if s := find(text); !strings.HasPrefix(s, waived) {
				t.Errorf("%s: %q: got %q, want it waived", c.profile, text, s)
			}
		}
		for _, text := range c.plain {
			if s := find(text); s == "" || strings.HasPrefix(s, waived) {
				t.Errorf("%s: %q: got %q, want it plain", c.profile, text, s)
			}
		}
	}
	var zero Policy
	for _, s := range zero.Explain() {
		if strings.HasPrefix(s, waived) {
			t.Errorf("the zero policy waives: %s", s)
		}
	}
}

// TestBits: all bits that narrow can be asked for, and are named.
func TestBits(t *testing.T) {
	text := strings.Replace(Section(strict), `guest_policy = "none"`, `guest_policy = ["SINGLE_SOCKET", "MEM_AES_256_XTS", "RAPL_DIS", "CIPHERTEXT_HIDING_DRAM", "PAGE_SWAP_DISABLE"]`, 1)
	p, err := parse(text, strict)
	if err != nil {
		t.Fatal(err)
	}
	// AMD 56860, 4.3: bits 20, 22, 23, 24, 25.
	if got := p.CPUs[0].GuestPolicy; got != idblock.Policy(1<<20|1<<22|1<<23|1<<24|1<<25) {
		t.Errorf("got %#x", uint64(got))
	}
	if got := p.CPUs[0].Bits(); got != "SINGLE_SOCKET, MEM_AES_256_XTS, RAPL_DIS, CIPHERTEXT_HIDING_DRAM, PAGE_SWAP_DISABLE" {
		t.Errorf("got %q", got)
	}
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		a, b  Version
		below bool
	}{
		{Version{1, 55, 38}, Version{1, 55, 38}, false},
		{Version{1, 55, 37}, Version{1, 55, 38}, true},
		{Version{1, 54, 99}, Version{1, 55, 0}, true},
		{Version{0, 99, 99}, Version{1, 0, 0}, true},
		{Version{2, 0, 0}, Version{1, 99, 99}, false},
		{Version{1, 56, 0}, Version{1, 55, 99}, false},
	} {
		if got := c.a.Below(c.b); got != c.below {
			t.Errorf("%v below %v: got %t", c.a, c.b, got)
		}
	}
}
