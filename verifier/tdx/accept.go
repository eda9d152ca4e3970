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

// accept decides about a converged status and what the levels behind it say.
func (v *verification) accept(status pcs.Status, levels ...pcs.Match) error {
	got := fmt.Sprintf("%v (platform %v; TDX module %v; quoting enclave %v)", status, levels[0], levels[1], levels[2])
	if status < pcs.UpToDate || status >= pcs.Revoked || !slices.Contains(v.policy.Status, status.String()) {
		return errors.New(got)
	}
	for _, l := range levels {
		for _, a := range l.Advisories {
			if !v.policy.AnyAdvisory && !slices.Contains(v.policy.Advisories, a) {
				return fmt.Errorf("%s applies and the policy does not accept it: %s", a, got)
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
		return v.acceptConfiguration(status, got)
	case pcs.OutOfDate:
		return v.acceptOutOfDate(status, got, levels)
	case pcs.OutOfDateConfigurationNeeded:
		if err := v.acceptConfiguration(status, got); err != nil {
			return err
		}
		return v.acceptOutOfDate(status, got, levels)
	}
	return errors.New(got)
}

func (v *verification) waiveStatus(status pcs.Status, by string) {
	v.log.Waive("TCB status "+status.String(), "accepted by "+by)
}

func (v *verification) acceptConfiguration(status pcs.Status, got string) error {
	if v.policy.ConfigurationBy == "" {
		return fmt.Errorf("nobody is named who accepts it: %s", got)
	}
	v.waiveStatus(status, v.policy.ConfigurationBy)
	return nil
}

// acceptOutOfDate needs a waiver with a date, which no grace for expired
// documents may come together with (specs/verify.md 5.2): documents from before
// a TCB recovery would hide how far the platform is behind.
func (v *verification) acceptOutOfDate(status pcs.Status, got string, levels []pcs.Match) error {
	w := v.policy.OutOfDate
	switch {
	case w == tdxpolicy.OutOfDate{}:
		return fmt.Errorf("the policy has no waiver: %s", got)
	case v.grace:
		return fmt.Errorf("a waiver does not hold together with grace for what has expired: %s", got)
	case w.Forever:
		v.waiveStatus(status, w.By)
		return nil
	case v.in.Rules.At.IsZero() || !v.in.Rules.At.Before(w.Until):
		return fmt.Errorf("the waiver ended before %s: %s", date(w.Until), got)
	}
	for _, l := range levels {
		if bad := l.Status == pcs.OutOfDate || l.Status == pcs.OutOfDateConfigurationNeeded; bad && l.Date.Before(w.Oldest) {
			return fmt.Errorf("a level is of %s, the waiver reaches back to %s: %s", date(l.Date), date(w.Oldest), got)
		}
	}
	v.waiveStatus(status, fmt.Sprintf("%s before %s, for the TCB recovery of %s", w.By, date(w.Until), date(w.Recovery)))
	return nil
}
