package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/policy/publication"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/policy/table"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/transcript"
)

// Limits of numbers and texts.
const (
	maxLife    = 7 * 24 * 3600       // seconds
	maxGrace   = 7 * 24 * 3600       // seconds (specs/verify.md, section 5.2)
	maxAge     = 2 * 365 * 24 * 3600 // seconds
	maxSubject = 256                 // bytes
	maxName    = 64                  // bytes
	waivers    = 2                   // persons who must agree to a grace
)

// The natural lives of vendors' documents (specs/verify.md, section 5.2).
const (
	lifeTCB = 30 * 24 * time.Hour
	lifeCRL = 366 * 24 * time.Hour
)

// Parse reads a policy file. Errors name the key and, where there is one, the
// line.
func Parse(b []byte) (*Policy, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("parsing policy: got %d bytes, want at most %d", len(b), MaxSize)
	}
	t, err := table.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("parsing policy: %w", err)
	}
	p := read(t)
	if err := t.Close(); err != nil {
		return nil, fmt.Errorf("parsing policy: %w", err)
	}
	return p, nil
}

// read reads the whole file, in the order in which it is written.
func read(t *table.Table) *Policy {
	p := &Policy{}
	t.Choice("type", Type)
	p.Profile = t.Choice("profile", Strict, Cloud, Test)
	p.Review = t.Date("review")
	p.AnyReview = t.Choice("stale", "refuse", Any) == Any
	p.Platforms = t.Choices("platforms", transcript.VTPM, transcript.SNP, transcript.TDX, transcript.Nitro, transcript.NitroTPM)
	readRelease(t, p)

	challenge := t.Table("challenge")
	p.MaxLife, p.AnyLife = challenge.NumberOrAny("max_life", 1, maxLife)
	challenge.End()

	configuration := t.Table("configuration")
	p.Documents, p.AnyDocument = readDocuments(configuration)
	p.State = configuration.Choice("state", Fresh, Working)
	configuration.End()

	p.Collateral = readCollateral(t.Table("collateral"))
	readPlatforms(t, p)
	t.End()
	checkProfile(t, p)
	return p
}

// readRelease reads who must have published a release, if anybody must.
func readRelease(t *table.Table, p *Policy) {
	p.Release = t.Choice("release", Signed, Unsigned)
	switch {
	case p.Release == Signed:
		p.Publication = publication.Read(t.Table("publication"), p.Profile)
	case p.Profile != Test:
		t.Fail("release", onlyTest, Signed, p.Profile)
	case t.Has("publication"):
		t.Fail("publication", "release is %q: nothing here would count", Unsigned)
	}
}

// readPlatforms reads the table of each platform that the policy accepts, and
// of no other.
func readPlatforms(t *table.Table, p *Policy) {
	if p.Accepts(transcript.VTPM) {
		vtpm := t.Table("vtpm")
		p.Quote = tpmpolicy.Read(vtpm.Table("quote"), p.Profile)
		p.VTPM = readVTPM(vtpm)
	}
	if p.Accepts(transcript.SNP) || p.Accepts(transcript.TDX) {
		p.Shapes = readShapes(t.Table("shapes"), p)
	}
	if p.Accepts(transcript.SNP) {
		p.SNP = snppolicy.Read(t.Table("snp"), p.Profile)
	}
	if p.Accepts(transcript.TDX) {
		p.TDX = tdxpolicy.Read(t.Table("tdx"), p.Profile)
	}
	if p.Accepts(transcript.Nitro) {
		p.Nitro = nitropolicy.Read(t.Table("nitro"), nitropolicy.Enclave, p.Profile)
	}
	if p.Accepts(transcript.NitroTPM) {
		p.NitroTPM = nitropolicy.Read(t.Table("nitrotpm"), nitropolicy.NitroTPM, p.Profile)
	}
}

func readCollateral(t *table.Table) Collateral {
	var c Collateral
	c.Mode = t.Choice("mode", Live, Grace, AsOf)
	c.Grace = seconds(t.Number("grace", 0, maxGrace))
	if (c.Grace > 0) != (c.Mode == Grace) {
		t.Fail("grace", "got %v in mode %s, want 1 to %d seconds in mode %s and 0 in the others", c.Grace, c.Mode, maxGrace, Grace)
	}
	var word string
	c.WaivedBy, word = t.Texts("waived_by", maxName, Nobody)
	if (word == Nobody) == (c.Mode == Grace) || word == "" && len(c.WaivedBy) != waivers {
		t.Fail("waived_by", "got %q in mode %s, want %d persons in mode %s and %q in the others", c.WaivedBy, c.Mode, waivers, Grace, Nobody)
	}
	age, unchecked := t.NumberOrAny("max_age_tcb", 1, maxAge)
	c.MaxAgeTCB, c.AnyAgeTCB = seconds(age), unchecked
	age, unchecked = t.NumberOrAny("max_age_crl", 1, maxAge)
	c.MaxAgeCRL, c.AnyAgeCRL = seconds(age), unchecked
	c.AnyTime = t.Choice("time", "authenticated", Any) == Any
	c.AnyMemory = t.Choice("memory", "required", Any) == Any
	t.End()
	return c
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func readVTPM(t *table.Table) VTPM {
	var v VTPM
	for _, name := range t.Choices("banks", "sha256", "sha384") {
		bank, err := golden.ParseBank(name)
		if err != nil {
			t.Fail("banks", "%v", err)
		}
		v.Banks = append(v.Banks, bank)
	}
	v.PCRs = t.Numbers("pcrs", 0, lastPCR)
	for _, n := range requiredPCRs() {
		if !slices.Contains(v.PCRs, n) {
			t.Fail("pcrs", "lacks %d: a release has a rule for it", n)
		}
	}
	v.Boots = t.Choices("boots", "esp", "kernel")
	v.AnyDisk = t.Choice("disk", "fixed", Any) == Any
	if !v.AnyDisk && !slices.Contains(v.PCRs, diskPCR) {
		t.Fail("pcrs", "lacks %d: disk is fixed", diskPCR)
	}
	v.AnyClock = t.Choice("clock", "safe", Any) == Any
	v.SoftwareAccept = t.Choice("software_roots", "refuse", "accept") == "accept"
	roots, _ := t.TablesOr("roots", Nobody)
	for i, root := range roots {
		v.Roots = append(v.Roots, readRoot(root))
		if slices.ContainsFunc(v.Roots[:i], func(o Root) bool { return o.SHA256 == v.Roots[i].SHA256 }) {
			root.Fail("sha256", "got %v twice", v.Roots[i].SHA256)
		}
	}
	t.End()
	return v
}

func readRoot(t *table.Table) Root {
	root := Root{Kind: t.Choice("kind", Hardware, Software)}
	copy(root.SHA256[:], t.Hex("sha256", len(root.SHA256)))
	root.Subject = t.Text("subject", maxSubject)
	t.End()
	return root
}

// readDocuments reads Any or a list of NoDocument and SHA-256 digests.
func readDocuments(t *table.Table) (list []string, unchecked bool) {
	const key = "documents"
	list, word := t.Texts(key, 64, Any)
	for _, s := range list {
		if s != NoDocument && !digest(s) {
			t.Fail(key, "got %q, want %q or a SHA-256 in lower-case hex, each once", s, NoDocument)
		}
	}
	return list, word == Any
}

// onlyTest is the error about a value that profile test alone may have.
const onlyTest = "want %q in profile %s; only profile test may say otherwise"

// checkProfile refuses a file that promises more by its name than it asks for.
func checkProfile(t *table.Table, p *Policy) {
	outOfDate := slices.ContainsFunc(p.TDX.Status, func(s string) bool { return strings.HasPrefix(s, "OutOfDate") })
	if outOfDate && p.Collateral.Mode == Grace {
		t.Fail("collateral", "mode %s together with an OutOfDate status in tdx: old collateral could hide why it is out of date", Grace)
	}
	if p.Profile == Test {
		return
	}
	switch {
	case p.VTPM.SoftwareAccept:
		t.Fail("vtpm.software_roots", onlyTest, "refuse", p.Profile)
	case p.AnyReview:
		t.Fail("stale", onlyTest, "refuse", p.Profile)
	case p.AnyLife:
		t.Fail("challenge.max_life", "want a number of seconds in profile %s", p.Profile)
	case p.Collateral.AnyAgeTCB:
		t.Fail("collateral.max_age_tcb", "want a number of seconds in profile %s", p.Profile)
	case p.Collateral.AnyAgeCRL:
		t.Fail("collateral.max_age_crl", "want a number of seconds in profile %s", p.Profile)
	case p.Collateral.MaxAgeTCB > lifeTCB:
		t.Fail("collateral.max_age_tcb", "got %v, want at most %v in profile %s: such documents live no longer", p.Collateral.MaxAgeTCB, lifeTCB, p.Profile)
	case p.Collateral.MaxAgeCRL > lifeCRL:
		t.Fail("collateral.max_age_crl", "got %v, want at most %v in profile %s: such lists live no longer", p.Collateral.MaxAgeCRL, lifeCRL, p.Profile)
	case p.Collateral.AnyTime:
		t.Fail("collateral.time", onlyTest, "authenticated", p.Profile)
	}
}
