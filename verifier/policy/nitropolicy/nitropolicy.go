// Package nitropolicy is what a relying party asks of an attestation document
// of AWS: the tables [nitro], for enclaves, and [nitrotpm], for instances with
// a NitroTPM, of a policy file (docs/format-policy.md). Both have the same keys,
// but for debug, which only enclaves know.
//
// It implements the choices that specs/nitro.md leaves to the caller: 4.4,
// steps 5 and 8 to 10, and section 7.
package nitropolicy

import (
	"fmt"
	"slices"
	"time"

	"safebox/verifier/policy/table"
)

// Kind is the kind of attestation document. The zero value is none.
type Kind uint8

// The kinds. One is never taken for the other.
const (
	Enclave  Kind = iota + 1 // a Nitro enclave: its registers are "pcrs"
	NitroTPM                 // an instance with a NitroTPM: "nitrotpm_pcrs"
)

// String gives the name that AWS uses.
func (k Kind) String() string {
	switch k {
	case Enclave:
		return "Nitro enclave"
	case NitroTPM:
		return "NitroTPM"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// table is the name of the kind's table.
func (k Kind) table() string {
	if k == Enclave {
		return "nitro"
	}
	return "nitrotpm"
}

// Registers is the number of registers that a document of the kind can hold:
// 0 to 31 of an enclave (specs/nitro.md, section 4.1), 0 to 23 of a TPM
// (section 7).
func (k Kind) Registers() int {
	if k == Enclave {
		return 32
	}
	return 24
}

// Times at which a document is judged (specs/nitro.md, section 4.4, step 5).
// There is no default.
const (
	Live = "live" // now: the caller's time is the clock's, and the document is young
	At   = "at"   // a given moment, for evidence in an archive
	Self = "self" // the document's own: proves only that it was valid once
)

// Values of the keys, besides lists.
const (
	Any           = table.Any
	None          = "none"          // instances: none is accepted until some are listed
	Release       = "release"       // a register: what the release computes
	Configuration = "configuration" // a register: what the configuration document makes of it
	Instance      = "instance"      // PCR4 of an enclave: the instance that module_id names
	Zero          = "zero"          // a register: 48 zero bytes
	Absent        = "absent"        // a register: not locked, so not in the document; a field: null
	Unused        = "unused"        // Rest: as nobody has extended them
	Challenge     = "challenge"     // nonce: the challenge's
	Transcript    = "transcript"    // user_data: the transcript's hash
	Listed        = "listed"        // one of Values
)

// Registers that a rule names.
const (
	instancePCR      = 4  // enclave: the parent instance (specs/nitro.md, section 1.5)
	firstOwnPCR      = 16 // enclave: registers of the guest itself (specs/nitro.md, section 1.5)
	lastFirmwarePCR  = 1  // NitroTPM: 0 and 1 are AWS's and change (specs/nitro.md, section 7)
	bootPCR          = 4  // NitroTPM: what was booted
	overridesPCR     = 12 // NitroTPM: command lines and credentials that override the image's
	lastNamedTPMPCR  = 15 // NitroTPM: the rest is of nobody, or can be reset by software
	maxField         = 1024
	maxAge, maxSkew  = 3 * 3600, 300 // seconds; a leaf lives three hours
	maxStrictAge     = 3600          // seconds, outside profile test
	instanceIDLength = 19            // i- and 17 digits
)

// Policy is a table, decoded and checked. The zero value refuses everything.
type Policy struct {
	Kind Kind

	Time   string        // Live, At or Self
	MaxAge time.Duration // of the document at the time
	AnyAge bool
	Skew   time.Duration // by which the caller's clock may be slow

	AnyCRL      bool // crl = "any", the only value: AWS's guide says to check none
	AcceptDebug bool // debug = "accept": the enclave's memory and console are open to its parent

	Instances   []string // IDs; empty refuses every instance
	AnyInstance bool

	PCRs map[int]Register // every register that has a rule
	Rest string           // the others: Unused or Any

	Nonce     Field // Challenge, Any or Listed
	UserData  Field // Transcript, Any or Listed
	PublicKey Field // Absent, Any or Listed
}

// Register is the rule of one register.
type Register struct {
	Rule   string // Release, Configuration, Instance, Zero, Absent, Any or Listed
	Values [][48]byte
}

// Field is the rule of one optional field.
type Field struct {
	Rule   string
	Values [][]byte
}

// Ordered lists the registers that have a rule, ascending.
func (p *Policy) Ordered() []int {
	var list []int
	for i := range p.PCRs {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

// Named lists the registers that a table must have a rule for.
func Named(kind Kind) []int {
	if kind == Enclave {
		// 0 to 4 and 8 are the loader's (specs/nitro.md, section 1.5), 16 and
		// 17 the Safebox's own (specs/protocol.md, section 3).
		return []int{0, 1, 2, 3, 4, 8, 16, 17}
	}
	var list []int
	for i := range lastNamedTPMPCR + 1 {
		list = append(list, i)
	}
	return list
}
