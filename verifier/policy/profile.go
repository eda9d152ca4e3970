package policy

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
)

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
}

func profileValues(name string) (values, error) {
	switch name {
	case Strict:
		return values{
			about:   "Machines of your own: hardware TPMs of the vendors you name, signed releases.",
			release: Signed, life: 60, documents: `["none"]`, state: Fresh, disk: Any, clock: "safe", softwareRoots: "refuse", kind: Hardware,
		}, nil
	case Cloud:
		return values{
			about:   "Machines of a provider: its TPMs' root, signed releases, more time for the answer.",
			release: Signed, life: 600, documents: `["none"]`, state: Working, disk: Any, clock: "safe", softwareRoots: "refuse", kind: Hardware,
		}, nil
	case Test:
		return values{
			about:   "FOR TESTS ONLY: software TPMs and unsigned releases.",
			release: Unsigned, life: 3600, documents: `"any"`, state: Working, disk: Any, clock: Any, softwareRoots: "accept", kind: Software,
		}, nil
	}
	return values{}, fmt.Errorf("making policy: profile: got %q, want %s, %s or %s", name, Strict, Cloud, Test)
}

// Profile writes a commented policy that Parse accepts: one of the profiles,
// with the given authorities of TPMs, which are software in profile test and
// hardware in the others. Without authorities no machine passes.
func Profile(name string, roots ...*x509.Certificate) ([]byte, error) {
	v, err := profileValues(name)
	if err != nil {
		return nil, err
	}
	if len(roots) > maxList {
		return nil, fmt.Errorf("making policy: %d roots, want at most %d", len(roots), maxList)
	}
	var b strings.Builder
	fmt.Fprintf(&b, template, v.about, name, review, v.release, v.life, v.documents, v.state, v.disk, v.clock, v.softwareRoots)
	if len(roots) == 0 {
		b.WriteString(noRoots)
	}
	for _, root := range roots {
		writeRoot(&b, v.kind, root)
	}
	file := []byte(b.String())
	if _, err := Parse(file); err != nil {
		return nil, fmt.Errorf("making policy: %w", err)
	}
	return file, nil
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
roots = []
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

platforms = ["vtpm"]

# "signed": the bundle must hold a signed release. "unsigned" (profile test only):
# release.json alone will do; you vouch for its digest yourself.
release = "%s"

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

[vtpm]
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
