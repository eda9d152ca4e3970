package chain

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Age says which limit a document's age has.
type Age uint8

// Limits of age. None is the zero value, which is refused.
const (
	AgeTCB Age = iota + 1 // TCB info, QE identity and PCK CRL: Rules.MaxAgeTCB
	AgeCRL                // revocation lists of AMD and of the TPM vendors: Rules.MaxAgeCRL
	AgeAny                // no limit but the document's own window
)

// Rules says what time it is and how old documents may be. The zero value
// refuses everything: no time was given.
type Rules struct {
	At time.Time // the time of the verdict

	// Grace is for how long after its end a list (revocation list, TCB info, QE
	// identity) still counts. Certificates have none.
	Grace time.Duration

	MaxAgeTCB time.Duration // age of TCB info, QE identity and PCK CRL at At
	AnyAgeTCB bool          // they may have any age within their window
	MaxAgeCRL time.Duration // age of other revocation lists at At
	AnyAgeCRL bool          // they may have any age within their window
}

// Certificate checks that a certificate is valid at the time: not before its
// notBefore, not after its notAfter, both of which count as valid (RFC 5280,
// section 4.1.2.5).
func (r Rules) Certificate(c *x509.Certificate) error {
	if c == nil {
		return errors.New("checking validity: no certificate")
	}
	what := fmt.Sprintf("certificate %q", c.Subject.String())
	_, err := r.window(what, c.NotBefore, c.NotAfter, 0)
	return err
}

// Document checks that a dated document counts at the time: from is not in the
// future, until is not in the past by more than Grace, and it is not older than
// its kind allows. The duration tells by how much grace was needed: when it is
// not zero the caller says so in the verdict.
func (r Rules) Document(what string, from, until time.Time, kind Age) (time.Duration, error) {
	if r.Grace < 0 {
		return 0, fmt.Errorf("checking %s: grace is negative: %v", what, r.Grace)
	}
	used, err := r.window(what, from, until, r.Grace)
	if err != nil {
		return 0, err
	}
	if err := r.age(what, from, kind); err != nil {
		return 0, err
	}
	return used, nil
}

// window checks from <= At <= until + grace, and gives the grace used.
func (r Rules) window(what string, from, until time.Time, grace time.Duration) (time.Duration, error) {
	switch {
	case r.At.IsZero():
		return 0, fmt.Errorf("checking %s: no time to check it at", what)
	case from.IsZero() || until.IsZero():
		return 0, fmt.Errorf("checking %s: it does not say when it begins and ends to count", what)
	case until.Before(from):
		return 0, fmt.Errorf("checking %s: ends %s, before it begins %s", what, text(until), text(from))
	case r.At.Before(from):
		return 0, fmt.Errorf("checking %s: begins %s, later than %s", what, text(from), text(r.At))
	}
	over := r.At.Sub(until)
	if over <= 0 {
		return 0, nil
	}
	if over > grace {
		return 0, fmt.Errorf("checking %s: EXPIRED: ended %s, %v before %s, grace is %v", what, text(until), over, text(r.At), grace)
	}
	return over, nil
}

// age checks that At - from is within the limit of its kind.
func (r Rules) age(what string, from time.Time, kind Age) error {
	var limit time.Duration
	var unlimited bool
	switch kind {
	case AgeTCB:
		limit, unlimited = r.MaxAgeTCB, r.AnyAgeTCB
	case AgeCRL:
		limit, unlimited = r.MaxAgeCRL, r.AnyAgeCRL
	case AgeAny:
		unlimited = true
	default:
		return fmt.Errorf("checking %s: kind of age %d is unknown", what, kind)
	}
	if unlimited {
		return nil
	}
	if limit <= 0 {
		return fmt.Errorf("checking %s: no limit of its age was given", what)
	}
	if got := r.At.Sub(from); got > limit {
		return fmt.Errorf("checking %s: of %s, %v old at %s, want at most %v", what, text(from), got, text(r.At), limit)
	}
	return nil
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339) }
