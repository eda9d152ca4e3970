package policy

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/policy/publication"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/transcript"
)

// maxRoots bounds the authorities of TPMs in a policy.
const maxRoots = 64

// review is the date until which the profiles' choices were thought over.
const review = "2027-05-31"

// values are what differs between the profiles.
type values struct {
	about         string
	release       string
	life          int
	documents     string
	state         string
	disk          string
	clock         string
	softwareRoots string
	kind          string
	mode          string
	ages          string
	time          string
	memory        string
}

func profileValues(name string) (values, error) {
	switch name {
	case Strict:
		return values{
			about:   "Machines of your own: hardware TPMs of the vendors you name, published releases.",
			release: Signed, life: 60, documents: `["none"]`, state: Fresh, disk: Any, clock: "safe", softwareRoots: "refuse", kind: Hardware,
			mode: Live, ages: vendorAges, time: "authenticated", memory: "required",
		}, nil
	case Cloud:
		return values{
			about:   "Machines of a provider: its TPMs' root, published releases, more time for the answer.",
			release: Signed, life: 600, documents: `["none"]`, state: Working, disk: Any, clock: "safe", softwareRoots: "refuse", kind: Hardware,
			mode: Live, ages: vendorAges, time: "authenticated", memory: "required",
		}, nil
	case Test:
		return values{
			about:   "FOR TESTS ONLY: software TPMs and unsigned releases.",
			release: Unsigned, life: 3600, documents: `"any"`, state: Working, disk: Any, clock: Any, softwareRoots: "accept", kind: Software,
			mode: AsOf, ages: anyAges, time: Any, memory: Any,
		}, nil
	}
	return values{}, fmt.Errorf("making policy: profile: got %q, want %s, %s or %s", name, Strict, Cloud, Test)
}

// Profile writes a commented policy that Parse accepts: one of the profiles,
// for some platforms, with the given authorities of TPMs, which are software
// in profile test and hardware in the others. Without authorities no machine
// with a TPM alone passes.
//
// Who must have published a release is said by nobody: in profiles strict and
// cloud every release is refused until somebody is named.
func Profile(name string, platforms []string, roots ...*x509.Certificate) ([]byte, error) {
	return profile(name, platforms, nil, roots)
}

// Published is Profile for releases that these have published. Profile test
// then wants signed releases as the others do.
func Published(name string, platforms []string, by publication.Values, roots ...*x509.Certificate) ([]byte, error) {
	return profile(name, platforms, &by, roots)
}

func profile(name string, platforms []string, by *publication.Values, roots []*x509.Certificate) ([]byte, error) {
	v, err := profileValues(name)
	if err != nil {
		return nil, err
	}
	section := ""
	switch {
	case by != nil && name == Test:
		v.about, v.release = "FOR TESTS ONLY: software TPMs.", Signed
	case by == nil && v.release == Signed:
		by = &publication.Values{}
	}
	if by != nil {
		if section, err = publication.Section(*by); err != nil {
			return nil, err
		}
	}
	if len(roots) > maxRoots {
		return nil, fmt.Errorf("making policy: %d roots, want at most %d", len(roots), maxRoots)
	}
	var b strings.Builder
	fmt.Fprintf(&b, template, v.about, name, review, strings.Join(quoted(platforms), ", "), v.release, section, v.life, v.documents, v.state,
		v.mode, v.ages, v.time, v.memory)
	writeShapes(&b, platforms)
	for _, p := range platforms {
		b.WriteByte('\n')
		switch p {
		case transcript.VTPM:
			writeVTPM(&b, name, v, roots)
		case transcript.SNP:
			b.WriteString(snppolicy.Section(name))
		case transcript.TDX:
			b.WriteString(tdxpolicy.Section(name))
		case transcript.Nitro:
			b.WriteString(nitropolicy.Section(nitropolicy.Enclave, name))
		case transcript.NitroTPM:
			b.WriteString(nitropolicy.Section(nitropolicy.NitroTPM, name))
		}
	}
	file := []byte(b.String())
	if _, err := Parse(file); err != nil {
		return nil, fmt.Errorf("making policy: %w", err)
	}
	return file, nil
}

func writeShapes(b *strings.Builder, platforms []string) {
	snp, tdx := slices.Contains(platforms, transcript.SNP), slices.Contains(platforms, transcript.TDX)
	if snp || tdx {
		b.WriteString(shapesTemplate)
	}
	if snp {
		b.WriteString(snpShapes)
	}
	if tdx {
		b.WriteString(tdxShapes)
	}
}

func writeVTPM(b *strings.Builder, name string, v values, roots []*x509.Certificate) {
	fmt.Fprintf(b, vtpmTemplate, v.disk, v.clock, v.softwareRoots)
	if len(roots) == 0 {
		b.WriteString(noRoots)
	}
	for _, root := range roots {
		writeRoot(b, v.kind, root)
	}
	b.WriteByte('\n')
	b.WriteString(tpmpolicy.Section(name))
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return out
}

func writeRoot(b *strings.Builder, kind string, root *x509.Certificate) {
	b.WriteString("\n[[vtpm.roots]]\n")
	if kind == Software {
		b.WriteString(softwareWarning)
	}
	fmt.Fprintf(b, "kind = %q\nsubject = %s\nsha256 = \"%x\"\n", kind, basicString(root.Subject.String()), sha256.Sum256(root.Raw))
}

// basicString writes a TOML basic string (TOML 1.0, "String").
func basicString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

const noRoots = `
# No root is named: every machine is refused until you name one
# (safebox policy init --tpm-root PEM).
roots = "none"
`

const softwareWarning = `# THIS ROOT IS SOFTWARE. Whoever runs the host of this TPM can read its keys,
# reset its registers and let it say anything: evidence under this root proves
# that the protocol works, and nothing about the machine. Never for real data.
`

const template = `# Safebox policy: what a machine must prove before it gets a key.
# %s
# Every key must be there; "any" says that something is not checked.
# safebox policy check FILE says in plain sentences what it accepts.

type = "safebox/policy/v1"
profile = "%s"

# After this day the policy is refused, unless stale = "any".
review = %s
stale = "refuse"

# Each platform here has a table below, and no other has one.
platforms = [%s]

# "signed": the bundle must prove that the release was published, as the table
# publication says. "unsigned" (profile test only): release.json alone will do, and
# you vouch for its digest yourself; nobody can grant keys under such a policy.
release = "%s"
%s
[challenge]
# Longest time between making a challenge and its end, in seconds, or "any".
max_life = %d

[configuration]
# Configuration documents of the instance: "none" (the built-in defaults), the
# SHA-256 of a document, or "any" for every document that is well formed.
documents = %s
# "fresh": no keys have reached the machine since its boot. "working": they may
# have, and each arrival stands in register 15.
state = "%s"

# Time, and the documents of vendors that change: CRLs, Intel's TCB info and QE
# identity (specs/verify.md, section 5.2).
[collateral]
# "live": all of them are valid at the time of the verification. "grace": they may
# have expired up to grace seconds ago (at most 7 days), because the two persons of
# waived_by said so. "as-of": a time in the past is asked about.
mode = "%s"
grace = 0
waived_by = "none"
%s# In mode as-of the time must be witnessed ("authenticated"), or "any" time is believed.
time = "%s"
# The file of --memory knows the newest documents ever seen: "required", or "any".
memory = "%s"
`

// Ages in seconds: a week for Intel's 30-day documents, as other brokers chose
// (specs/verify.md, section 5.2), 30 days for yearly CRLs.
const (
	vendorAges = `# Oldest documents in seconds: TCB info, QE identity and PCK CRL (7 days), other CRLs (30 days).
max_age_tcb = 604800
max_age_crl = 2592000
`
	anyAges = `max_age_tcb = "any"
max_age_crl = "any"
`
)

// The table of shapes.
const (
	shapesTemplate = `
# Which machines' measurements count as the release's: the registers of
# confidential VMs depend on the machine's shape, which the host chooses.
[shapes]
`
	snpShapes = `# "release": the shapes that release.json lists, or a list of VMM, CPU type and
# vCPUs such as ["qemu EPYC-v4 1-64"].
snp = "release"
`
	tdxShapes = `# Memory of TDX machines, in M or G (2^20, 2^30 bytes).
tdx_memory = ["1G", "2G", "4G", "8G", "16G", "32G", "64G"]
# The host makes the ACPI tables: their digests are taken from the machine's log.
tdx_acpi = "any"
`
)

// vtpmTemplate is the table of our own evidence of machines with a TPM.
const vtpmTemplate = `[vtpm]
banks = ["sha256", "sha384"]  # each must be quoted
pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]  # exactly these must be quoted
boots = ["esp", "kernel"]  # from the disk's system partition, by QEMU -kernel
# PCR 5 holds the partition table: "fixed" as in the release, or "any" for
# disks that may be resized.
disk = "%s"
# "safe": the TPM knows that its clock was never set back. For some seconds
# after a power cut it does not. Or "any": nothing here rests on that clock.
clock = "%s"
software_roots = "%s"
`
