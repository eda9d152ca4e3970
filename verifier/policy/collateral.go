package policy

import (
	"time"

	"safebox/verifier/chain"
)

// Modes of Collateral (specs/verify.md, section 5.2).
const (
	Live  = "live"  // everything is valid now
	Grace = "grace" // lists of vendors may have expired a while ago: two persons said so
	AsOf  = "as-of" // the past is asked about
)

// Collateral is what the policy says about time and the vendors' documents:
// CRLs, Intel's TCB info and QE identity.
type Collateral struct {
	Mode      string        // Live, Grace or AsOf
	Grace     time.Duration // in mode Grace
	WaivedBy  []string      // the two persons of mode Grace
	MaxAgeTCB time.Duration // of TCB info, QE identity and PCK CRL
	AnyAgeTCB bool
	MaxAgeCRL time.Duration // of other CRLs
	AnyAgeCRL bool
	AnyTime   bool // time = "any": nobody need have witnessed the time of mode AsOf
	AnyMemory bool // memory = "any": the rollback memory may be missing
}

// Rules are the rules of time for a verification.
func (c Collateral) Rules(at time.Time) chain.Rules {
	return chain.Rules{
		At: at, Grace: c.Grace,
		MaxAgeTCB: c.MaxAgeTCB, AnyAgeTCB: c.AnyAgeTCB,
		MaxAgeCRL: c.MaxAgeCRL, AnyAgeCRL: c.AnyAgeCRL,
	}
}
