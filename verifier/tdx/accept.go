package tdx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx/pcs"
)

// wantStatus says what TDX-T4 accepts.
func (v *verification) wantStatus() string {
	p := v.policy
	s := "TCB status " + orNone(p.Status)
	if p.AnyAdvisory {
		return s + ", any advisory"
	}
	if len(p.Advisories) == 0 {
		return s + ", no advisory"
	}
	return s + ", no advisory but " + strings.Join(p.Advisories, ", ")
}

// accept decides about a converged status and the levels behind it. Its error is
// the reason alone.
func (v *verification) accept(status pcs.Status, levels ...pcs.Match) error {
	if status < pcs.UpToDate || status >= pcs.Revoked || !slices.Contains(v.policy.Status, status.String()) {
		return errors.New("the status is not accepted")
	}
	for _, l := range levels {
		for _, a := range l.Advisories {
			if !v.policy.AnyAdvisory && !slices.Contains(v.policy.Advisories, a) {
				return fmt.Errorf("%s applies and the policy does not accept it", a)
			}
		}
	}
	if v.policy.AnyAdvisory {
		v.log.Waive("Intel's advisories", "tdx.advisories = \"any\" in the policy")
	}
	switch status {
	case pcs.UpToDate:
		return nil
	case pcs.SWHardeningNeeded:
		v.waiveStatus(status, "the policy")
		return nil
	case pcs.ConfigurationNeeded, pcs.ConfigurationAndSWHardeningNeeded:
		return v.acceptConfiguration(status)
	case pcs.OutOfDate:
		return v.acceptOutOfDate(status, levels)
	case pcs.OutOfDateConfigurationNeeded:
		if err := v.acceptConfiguration(status); err != nil {
			return err
		}
		return v.acceptOutOfDate(status, levels)
	}
	return errors.New("the status is none")
}

func (v *verification) waiveStatus(status pcs.Status, by string) {
	v.log.Waive("TCB status "+status.String(), "accepted by "+by)
}

func (v *verification) acceptConfiguration(status pcs.Status) error {
	if v.policy.ConfigurationBy == "" {
		return errors.New("nobody is named who accepts that configuration is needed")
	}
	v.waiveStatus(status, v.policy.ConfigurationBy)
	return nil
}

// acceptOutOfDate needs a waiver with a date, which no grace for expired
// documents may come together with (specs/verify.md 5.2): documents from before
// a TCB recovery would hide how far the platform is behind.
func (v *verification) acceptOutOfDate(status pcs.Status, levels []pcs.Match) error {
	w := v.policy.OutOfDate
	switch {
	case w == tdxpolicy.OutOfDate{}:
		return errors.New("the policy has no waiver")
	case v.grace:
		return errors.New("a waiver does not hold together with grace for what has expired")
	case w.Forever:
		v.waiveStatus(status, w.By)
		return nil
	case v.in.Rules.At.IsZero() || !v.in.Rules.At.Before(w.Until):
		return fmt.Errorf("the waiver held before %s", date(w.Until))
	case v.in.Rules.At.Before(w.Recovery): // a date far away would make a waiver without an end
		return fmt.Errorf("the waiver is for the TCB recovery of %s, which has not been yet", date(w.Recovery))
	}
	for _, l := range levels {
		if bad := l.Status == pcs.OutOfDate || l.Status == pcs.OutOfDateConfigurationNeeded; bad && l.Date.Before(w.Oldest) {
			return fmt.Errorf("a level is of %s, the waiver reaches back to %s", date(l.Date), date(w.Oldest))
		}
	}
	v.waiveStatus(status, fmt.Sprintf("%s before %s, for the TCB recovery of %s", w.By, date(w.Until), date(w.Recovery)))
	return nil
}
