package nitro

import (
	"crypto/x509"
	"fmt"
	"time"

	"safebox/verifier/memory"
	"safebox/verifier/policy/nitropolicy"
)

// rounding is what a timestamp in milliseconds may differ from times in seconds
// (specs/nitro.md, section 4.4, step 5).
const rounding = time.Second

// checkTime: NITRO-5. It needs the leaf.
func (v *verification) checkTime() {
	if len(v.path) == 0 {
		return
	}
	stamp := v.document.Timestamp
	err := v.age()
	if err == nil {
		err = withinLeaf(stamp, v.path[0])
	}
	v.log.Check("NITRO-5", err, v.wantTime(), "made "+shown(stamp))
}

func (v *verification) wantTime() string {
	switch {
	case v.policy.Time == nitropolicy.Self:
		return "made within the leaf's life"
	case v.policy.AnyAge:
		return "made within the leaf's life and not after " + shown(v.Rules.At)
	}
	return fmt.Sprintf("made within the leaf's life and at most %v before %s", v.policy.MaxAge, shown(v.Rules.At))
}

// age compares the document's time with the caller's, in the policy's mode.
func (v *verification) age() error {
	switch v.policy.Time {
	case nitropolicy.Live, nitropolicy.At:
	case nitropolicy.Self:
		v.log.Waive("age of the document", `time = "self" in the policy: judged by the time that it gives itself`)
		return nil
	default:
		return fmt.Errorf("the policy says no time: got %q", v.policy.Time)
	}
	stamp, at := v.document.Timestamp, v.Rules.At
	if at.IsZero() {
		return fmt.Errorf("made %s, and no time was given to compare with", shown(stamp))
	}
	if stamp.After(at.Add(v.policy.Skew + rounding)) {
		return fmt.Errorf("made %s, %v after %s", shown(stamp), stamp.Sub(at), shown(at))
	}
	if v.policy.AnyAge {
		v.log.Waive("age of the document", `max_age = "any" in the policy`)
		return nil
	}
	if age := at.Sub(stamp); age > v.policy.MaxAge {
		return fmt.Errorf("made %s, %v before %s, want at most %v", shown(stamp), age, shown(at), v.policy.MaxAge)
	}
	return nil
}

// withinLeaf holds in every mode: a key signs only while its certificate lives.
func withinLeaf(stamp time.Time, leaf *x509.Certificate) error {
	if stamp.Before(leaf.NotBefore.Add(-rounding)) || stamp.After(leaf.NotAfter.Add(rounding)) {
		return fmt.Errorf("made %s, outside the leaf's life from %s to %s", shown(stamp), shown(leaf.NotBefore), shown(leaf.NotAfter))
	}
	return nil
}

// observeTime notes that it is at least as late as the document says, for the
// rollback memory: a clock that is set back later, so that an old document looks
// young again, is then noticed. The skew, by which the document may be ahead of
// the verdict, is left out.
func (v *verification) observeTime() {
	if v.policy.Time == nitropolicy.Self || !v.log.Passed("NITRO-5") {
		return
	}
	latest := v.document.Timestamp
	if latest.After(v.Rules.At) {
		latest = v.Rules.At
	}
	v.log.Observe(memory.TimeKey, uint64(latest.Unix()))
}

// shown is a time to the millisecond.
func shown(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
