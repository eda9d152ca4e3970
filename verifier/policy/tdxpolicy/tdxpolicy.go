// Package tdxpolicy is the part of a policy that says what a quote of an Intel
// TDX guest must show: the table [tdx] of the policy file. Reading it is strict:
// every key must be there, and what is not checked is written out as "any".
//
// The floors are those of specs/verify.md, section 8, of 2026-11; each carries
// its source in the text that Section writes.
package tdxpolicy

import "time"

// Words of expectations.
const (
	Any           = "any"           // not checked
	Zero          = "zero"          // zeros
	Release       = "release"       // one of the release's values
	Configuration = "configuration" // the digest of the configuration document
	Transcript    = "transcript"    // the hash of the challenge's transcript
	Identity      = "identity"      // Intel's signed identity of the TDX module
	Runtime       = "runtime"       // the replay of the runtime log
	Required      = "required"      // must be there
	Off           = "off"           // must be off
	Refuse        = "refuse"
	Accept        = "accept"
)

// Forms of quotes.
const (
	V4       = "v4"     // quote version 4, TDX 1.0 body
	V5Body10 = "v5/1.0" // quote version 5, TDX 1.0 body
	V5Body15 = "v5/1.5" // quote version 5, TDX 1.5 body
)

// Series of TCB documents, by the "update" parameter of Intel's service.
const (
	Standard = "standard"
	Early    = "early"
)

// Value is what a field must hold: what Word says, or one of List. The zero
// value is an expectation that nothing meets.
type Value struct {
	Word string
	List [][]byte
}

// Policy is what a quote must show. Its zero value refuses every quote.
type Policy struct {
	Quotes []string // forms that are accepted

	Series          string    // of TCB info and QE identity
	EvalNumberMin   uint32    // floor of tcbEvaluationDataNumber; 0 refuses
	Status          []string  // TCB statuses that are accepted
	AnyAdvisory     bool      // advisories are not looked at
	Advisories      []string  // advisories that are accepted
	ConfigurationBy string    // who accepts ConfigurationNeeded; empty if nobody does
	OutOfDate       OutOfDate // for how long OutOfDate is accepted
	RelaunchAdvised string    // Refuse or Accept

	TDAttributes []uint64 // accepted values, as numbers of little-endian bytes
	XFAMRequired uint64   // features that must be on
	XFAMAllowed  uint64   // features that may be on

	MRSEAM        Value // Identity or digests
	MRServiceTD   Value // Zero
	MRConfigID    Value // Configuration, Zero, Any or digests
	MROwner       Value // Zero, Any or digests
	MROwnerConfig Value // Zero, Any or digests

	AnyChip         bool     // any machine is accepted
	Chips           []Chip   // machines that are accepted
	SMT             string   // Off or Any
	CachedKeys      string   // Off or Any
	DynamicPlatform string   // Off or Any
	MRTD            Value    // Release, Any or digests
	RTMR            [4]Value // 0 to 2: Release, Any or digests; 3: Runtime, Zero, Any or digests
	EventLog        string   // Required or Any
	ReportData      Value    // Transcript, Any or values
}

// Chip names a machine: the first 16 bytes that its certificates carry.
type Chip struct {
	PPID bool // processor's provisioning ID; otherwise the platform instance ID
	ID   [16]byte
}

// OutOfDate is a dated waiver: for how long platforms that a TCB recovery left
// behind are still accepted. The zero value accepts none.
type OutOfDate struct {
	Forever  bool      // no date; for tests only
	By       string    // who decided it
	Recovery time.Time // the day of the TCB recovery event
	Until    time.Time // the first moment at which it no longer holds
	Oldest   time.Time // tcbDate of the oldest level that is accepted
}
