package snppolicy

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/table"
)

// Profiles of policies.
const (
	strict = "strict"
	cloud  = "cloud"
	test   = "test"
)

// Bounds of texts, in bytes.
const (
	maxName = 64
	maxCSP  = 128
)

// reader reads one table under the rules of its profile.
type reader struct {
	*table.Table
	profile string
}

// Read reads every key of the table [snp]. In the profiles strict and cloud it
// refuses values that waive what only the profile test may waive.
func Read(t *table.Table, profile string) Policy {
	r := reader{t, profile}
	var p Policy
	r.products(&p)
	r.guest(&p)
	r.idBlock(&p)
	r.platform(&p)
	r.machine(&p)
	r.cpus(&p)
	r.End()
	return p
}

// testOnly refuses a value that only the profile test may have.
func (r reader) testOnly(key string, waived bool) {
	if waived && r.profile != test {
		r.Fail(key, "waives what only profile %q may waive", test)
	}
}

// notStrict refuses a value that a policy for one's own machines can't have.
func (r reader) notStrict(key string, waived bool) {
	if waived && r.profile == strict {
		r.Fail(key, "waives what profile %q may not waive", strict)
	}
}

func (r reader) products(p *Policy) {
	p.Products = r.Choices("products", Milan, Genoa, Turin)
	p.Milan = r.Choice("milan", Refuse, Listed, Any)
	r.testOnly("milan", p.Milan == Any)
	if named := slices.Contains(p.Products, Milan); named != (p.Milan != Refuse) {
		r.Fail("milan", "got %q, but products %s %s", p.Milan, map[bool]string{true: "lists", false: "does not list"}[named], Milan)
	}
	p.Versions = r.Numbers("versions", 2, 5)
	r.testOnly("versions", slices.Contains(p.Versions, 2))
	p.SigningKeys = r.Choices("signing_keys", VCEK, VLEK)
	r.notStrict("signing_keys", slices.Contains(p.SigningKeys, VLEK))
	p.VMPLs = r.Numbers("vmpls", 0, 3)
}

func (r reader) guest(p *Policy) {
	p.ReportData = r.values("report_data", 64, Transcript, Any)
	r.testOnly("report_data", p.ReportData.Word == Any)
	p.Measurements = r.values("measurements", 48, Release, Any)
	r.testOnly("measurements", p.Measurements.Word == Any)
	p.HostData = r.values("host_data", 32, Configuration, Zero, Any)
	r.testOnly("host_data", p.HostData.Word == Any)
	p.ABI, p.AnyABI = r.version("policy_abi", 2, Any)
	p.SMT = r.Choice("smt", Refuse, Accept) == Accept
}

func (r reader) idBlock(p *Policy) {
	p.IDBlock = r.Choice("id_block", Forbid, Require, Any)
	r.testOnly("id_block", p.IDBlock == Any)
	p.IDKeys = r.values("id_keys", 48, None, Any)
	r.testOnly("id_keys", p.IDKeys.Word == Any)
	p.AuthorKeys = r.values("author_keys", 48, None, Any)
	r.testOnly("author_keys", p.AuthorKeys.Word == Any)
	p.FamilyIDs = r.values("family_ids", 16, Zero, Any)
	p.ImageIDs = r.values("image_ids", 16, Zero, Any)
	svn, unchecked := r.NumberOrAny("guest_svn", 0, math.MaxUint32)
	p.GuestSVN, p.AnyGuestSVN = uint32(svn), unchecked

	switch p.IDBlock {
	case Forbid:
		// Without an ID block these fields are zero: anything else can't be meant.
		for key, v := range map[string]Values{"id_keys": p.IDKeys, "author_keys": p.AuthorKeys} {
			if v.Word != None {
				r.Fail(key, "want %q: id_block is %q", None, Forbid)
			}
		}
		if p.FamilyIDs.Word != Zero || p.ImageIDs.Word != Zero || p.AnyGuestSVN || p.GuestSVN != 0 {
			r.Fail("id_block", "want family_ids and image_ids %q and guest_svn 0 with %q", Zero, Forbid)
		}
	case Any:
		// A host would leave the block out, and these would not be looked at.
		if p.FamilyIDs.List != nil || p.ImageIDs.List != nil || p.GuestSVN != 0 {
			r.Fail("id_block", "want %q where family_ids, image_ids or guest_svn ask for something", Require)
		}
	case Require:
		if p.IDKeys.Word == None {
			r.Fail("id_keys", "got %q, want a list: id_block is %q", None, Require)
		}
	}
}

func (r reader) platform(p *Policy) {
	p.AnyECC = r.Choice("ecc", Require, Any) == Any
	p.AnyAliasCheck = r.Choice("alias_check", Require, Any) == Any
	r.testOnly("alias_check", p.AnyAliasCheck)
	p.AnyCRL = r.Choice("crl", Require, Any) == Any
	r.testOnly("crl", p.AnyCRL)
	p.Provisional = r.Choice("provisional", Refuse, Accept) == Accept
	r.notStrict("provisional", p.Provisional)
}

func (r reader) machine(p *Policy) {
	p.MaskedChip = r.Choice("masked_chip", Refuse, Accept) == Accept
	r.notStrict("masked_chip", p.MaskedChip)
	p.Chips = r.values("chips", 64, None, Any)
	r.notStrict("chips", p.Chips.Word == Any)
	if p.Milan == Listed && p.Chips.Word == Any {
		r.Fail("chips", "got %q, want a list: milan is %q", Any, Listed)
	}
	for i, b := range p.Chips.List {
		if bytes.Equal(b, make([]byte, len(b))) {
			r.Fail("chips", "entry %d is zero: that is a chip ID that was masked", i)
		}
	}
	names, word := r.Texts("csps", maxCSP, None)
	p.CSPs.Word = word
	for _, name := range names {
		p.CSPs.List = append(p.CSPs.List, []byte(name))
	}
}

// values reads an expectation: a word or a list of values.
func (r reader) values(key string, size int, words ...string) Values {
	list, word := r.HexList(key, size, words...)
	return Values{Word: word, List: list}
}

// version reads a version of the given number of parts, or a word.
func (r reader) version(key string, parts int, words ...string) (v Version, unchecked bool) {
	form := "major.minor.build"
	if parts == 2 {
		form = "major.minor"
	}
	s := r.Text(key, 16)
	if slices.Contains(words, s) {
		return Version{}, true
	}
	fields := strings.Split(s, ".")
	numbers := make([]uint8, 3)
	ok := len(fields) == parts
	for i := 0; ok && i < parts; i++ {
		n, err := strconv.ParseUint(fields[i], 10, 8)
		ok = err == nil && strconv.FormatUint(n, 10) == fields[i]
		numbers[i] = uint8(n)
	}
	v = Version{numbers[0], numbers[1], numbers[2]}
	if !ok || v == (Version{}) {
		r.Fail(key, "got %q, want %s in decimal, above zero%s", s, form, orWords(words))
	}
	return v, false
}

func orWords(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return fmt.Sprintf(", or %q", words[0])
}

func (r reader) cpus(p *Policy) {
	list, word := r.TablesOr("cpus", Any)
	p.AnyCPU = word == Any
	r.testOnly("cpus", p.AnyCPU)
	for _, t := range list {
		c := reader{t, r.profile}.cpu()
		if p.Find(c.Family, c.Model, c.Stepping) != nil {
			t.Fail("cpuid", "got %s twice", c.CPUID())
		}
		p.CPUs = append(p.CPUs, c)
	}
}

func (r reader) cpu() CPU {
	c := CPU{Name: r.Text("name", maxName)}
	r.cpuid(&c)
	if c.Product == Turin {
		c.FMC = r.version8("fmc")
	}
	c.Bootloader, c.TEE = r.version8("bootloader"), r.version8("tee")
	c.SNP, c.Microcode = r.version8("snp"), r.version8("microcode")
	c.Firmware, _ = r.version("firmware", 3)
	bits, unchecked := r.NumberOrAny("mitigations", 1, math.MaxInt64)
	c.Mitigations, c.AnyMitigations = uint64(bits), unchecked
	r.notStrict("mitigations", unchecked)
	names, _ := r.Texts("guest_policy", maxName, None)
	for _, name := range names {
		c.GuestPolicy |= r.bit(name)
	}
	r.End()
	return c
}

func (r reader) version8(key string) uint8 { return uint8(r.Number(key, 0, math.MaxUint8)) }

// cpuid reads family, model and stepping, such as 19/A1/2.
func (r reader) cpuid(c *CPU) {
	s := r.Text("cpuid", 16)
	fields := strings.Split(s, "/")
	numbers := make([]uint8, 3)
	ok := len(fields) == len(numbers)
	for i := 0; ok && i < len(numbers); i++ {
		n, err := strconv.ParseUint(fields[i], 16, 8)
		ok, numbers[i] = err == nil, uint8(n)
	}
	c.Family, c.Model, c.Stepping = numbers[0], numbers[1], numbers[2]
	c.Product = Product(c.Family, c.Model)
	if !ok || c.CPUID() != s || c.Stepping > 0xf || c.Product == "" {
		r.Fail("cpuid", "got %q, want family/model/stepping of Milan, Genoa or Turin in upper-case hex, such as 19/11/1", s)
	}
}

// bit is a bit that the guest policy can be asked to have: those that narrow
// what the host may do.
func (r reader) bit(name string) idblock.Policy {
	const narrowing = idblock.SingleSocket | idblock.MemAES256XTS | idblock.RAPLDisabled | idblock.CiphertextHidingDRAM | idblock.PageSwapDisabled
	var names []string
	for _, b := range idblock.PolicyBits() {
		if !narrowing.Has(b.Mask) {
			continue
		}
		if b.Name == name {
			return b.Mask
		}
		names = append(names, b.Name)
	}
	r.Fail("guest_policy", "got %q, want %q or bits of %s", name, None, strings.Join(names, ", "))
	return 0
}
