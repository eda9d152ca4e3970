// Package policy is what a relying party accepts: docs/format-policy.md. A
// policy is a TOML file (TOML 1.0) that is read strictly: every key is there,
// none is unknown, and what is not checked is written out as "any". There is no
// default that accepts.
package policy

import (
	"slices"
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/policy/publication"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/policy/table"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/policy/tpmpolicy"
)

// Type is the value of Policy.Type.
const Type = "safebox/policy/v1"

// MaxSize bounds a policy file, in bytes.
const MaxSize = 64 << 10

// Any is written where something is not checked.
const Any = table.Any

// Profiles. strict and cloud are for real data: a file that calls itself so
// and accepts unsigned releases, software roots or a stale review is refused.
const (
	Strict = "strict" // own machines
	Cloud  = "cloud"  // machines of a provider
	Test   = "test"   // software TPMs, unsigned releases
)

// Values of Policy.Release.
const (
	Signed   = "signed"
	Unsigned = "unsigned"
)

// Release is written where the release says what is accepted.
const Release = "release"

// Values of Policy.State.
const (
	Fresh   = "fresh"   // no keys have arrived yet
	Working = "working" // keys may have arrived: the runtime log says which
)

// Nobody is written for a list in which nobody stands: no root of TPMs, no
// persons who waived something.
const Nobody = "none"

// NoDocument stands in Policy.Documents for a machine without a configuration
// document: its defaults hold.
const NoDocument = "none"

// Policy is a policy file, decoded and checked.
type Policy struct {
	Profile   string
	Review    time.Time // first moment after the review date, UTC: from then on the policy is stale
	AnyReview bool      // stale = "any": it is accepted all the same
	Platforms []string
	Release   string // Signed or Unsigned

	Publication publication.Policy // of Signed; that of Unsigned accepts nothing

	MaxLife int64 // of a challenge, seconds; 0 under AnyLife
	AnyLife bool

	Documents   []string // NoDocument or SHA-256 in hex
	AnyDocument bool
	State       string // Fresh or Working

	Collateral Collateral
	Shapes     Shapes

	// Of each platform in Platforms; the others' refuse everything.
	VTPM     VTPM             // our own evidence
	Quote    tpmpolicy.Policy // raw evidence of cloud machines' TPMs
	SNP      snppolicy.Policy
	TDX      tdxpolicy.Policy
	Nitro    nitropolicy.Policy
	NitroTPM nitropolicy.Policy
}

// Accepts reports whether the policy lists a platform.
func (p *Policy) Accepts(platform string) bool { return slices.Contains(p.Platforms, platform) }

// VTPM is what the policy says about machines with a TPM.
type VTPM struct {
	Banks          []golden.Bank // each must be quoted
	PCRs           []int         // a quote must select exactly these, ascending
	Boots          []string      // ways of booting: "esp", "kernel"
	AnyDisk        bool          // disk = "any": PCR 5, the partition table, is not compared
	AnyClock       bool          // clock = "any": a clock that was set back is accepted
	SoftwareAccept bool          // software_roots = "accept"
	Roots          []Root
}

// Root is an authority of TPMs.
type Root struct {
	Kind    string         // Hardware or Software
	SHA256  canon.Octets32 // of the certificate's DER
	Subject string         // for people: what decides is the digest
}

// Kinds of roots.
const (
	Hardware = "hardware"
	Software = "software"
)

// FindRoot finds an authority by its digest.
func (v *VTPM) FindRoot(sum [32]byte) (Root, bool) {
	i := slices.IndexFunc(v.Roots, func(r Root) bool { return r.SHA256 == sum })
	if i < 0 {
		return Root{}, false
	}
	return v.Roots[i], true
}

// requiredPCRs are the registers without which a policy is none: a release has
// a rule for each (specs/protocol.md, section 4).
func requiredPCRs() []int { return []int{0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15} }

// diskPCR holds the partition table (PFP 3.3.4, PCR 5).
const diskPCR = 5

// lastPCR is the last register that a release has a rule for.
const lastPCR = 15

// digest reports whether s is a SHA-256 in lower-case hex.
func digest(s string) bool {
	var d canon.Octets32
	return d.UnmarshalText([]byte(s)) == nil
}
