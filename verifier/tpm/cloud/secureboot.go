package cloud

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
)

// secureBootPCR holds the variables of Secure Boot (PFP 3.3.4.8).
const secureBootPCR = 7

// checkSecureBoot: TPM-E5. The state comes from the log's events of PCR 7 and
// from Azure's claims, as far as they are there; they must agree.
func (v *verification) checkSecureBoot(log *eventlog.Log) {
	p := v.policy
	want := fmt.Sprintf("Secure Boot %s, variables %s", p.SecureBoot, word(p.AnyVariables))
	if p.SecureBoot == tpmpolicy.Any && p.AnyVariables {
		v.log.Pass("TPM-E5", want, "not applicable: the policy accepts every state")
		v.log.Waive("state of Secure Boot", "vtpm.quote.secure_boot = \"any\" in the policy")
		return
	}
	if p.AnyVariables && p.SecureBoot == tpmpolicy.On {
		v.log.Waive("keys that Secure Boot trusts", "vtpm.quote.variables = \"any\" in the policy")
	}
	if rest := v.unlisted(); !p.AnyVariables && len(rest) > 0 {
		v.log.Waive("values of "+strings.Join(rest, ", ")+" of Secure Boot", "vtpm.quote.variables in the policy does not list them")
	}
	v.log.Check("TPM-E5", v.secureBoot(log), want, "as wanted")
}

// unlisted names the variables with keys that the policy says nothing of.
func (v *verification) unlisted() []string {
	var rest []string
	for _, known := range golden.SecureBootVariables()[1:] { // but SecureBoot itself
		if !slices.ContainsFunc(v.policy.Variables, func(w tpmpolicy.Variable) bool { return w.Name == known.Name }) {
			rest = append(rest, known.Name)
		}
	}
	return rest
}

func (v *verification) secureBoot(log *eventlog.Log) error {
	p := v.policy
	a := v.evidence.Azure
	if p.SecureBoot != tpmpolicy.On && p.SecureBoot != tpmpolicy.Off && p.SecureBoot != tpmpolicy.Any {
		return errors.New("the policy does not say in which state it must be")
	}
	if a != nil && p.SecureBoot != tpmpolicy.Any && a.Report.Claims.SecureBoot != (p.SecureBoot == tpmpolicy.On) {
		return fmt.Errorf("the claims say secure-boot %t", a.Report.Claims.SecureBoot)
	}
	if log == nil {
		if a == nil || !p.AnyVariables {
			return errors.New("there is no event log that could tell")
		}
		return nil
	}
	if !slices.Contains(p.Explained, secureBootPCR) {
		return fmt.Errorf("register %d is not among those that the log must explain", secureBootPCR)
	}
	values, err := secureBootValues(log)
	if err != nil {
		return err
	}
	switch p.SecureBoot {
	case tpmpolicy.On:
		if got := values["SecureBoot"]; !bytes.Equal(got, []byte{1}) {
			return fmt.Errorf("SecureBoot: got %x, want 01", got)
		}
	case tpmpolicy.Off:
		return tpm.CheckSecureBoot(log)
	}
	if p.AnyVariables {
		return nil
	}
	return v.variables(values)
}

// variables compares the values with the policy's.
func (v *verification) variables(values map[string][]byte) error {
	if len(v.policy.Variables) == 0 {
		return errors.New("the policy names no variables")
	}
	for _, want := range v.policy.Variables {
		if sum := sha256.Sum256(values[want.Name]); !slices.Contains(want.Values, sum) {
			return fmt.Errorf("%s: got SHA-256 %x of %d bytes, want one of %d values", want.Name, sum, len(values[want.Name]), len(want.Values))
		}
	}
	return nil
}

// secureBootValues reads the five variables, which must be the first that
// firmware extends into PCR 7, in their order (PFP 3.3.4.8). The type of an event
// is in no digest: a later one of the same type may be the work of whatever
// booted, and the first cannot be.
func secureBootValues(log *eventlog.Log) (map[string][]byte, error) {
	want := golden.SecureBootVariables()
	values := make(map[string][]byte, len(want))
	for i := range log.Events {
		e := &log.Events[i]
		if e.PCR != secureBootPCR || e.Type == eventlog.NoAction {
			continue
		}
		known := want[len(values)]
		value, ok := variableValue(e, known)
		if !ok {
			return nil, fmt.Errorf("event %d: got %.200s, want variable %s", i, e.Describe(), known.Name)
		}
		if err := e.CheckData(); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		if values[known.Name] = value; len(values) == len(want) {
			return values, nil
		}
	}
	return nil, fmt.Errorf("register %d: got %d variables, want %d", secureBootPCR, len(values), len(want))
}

// variableValue gives the value in a UEFI_VARIABLE_DATA (PFP 10.2) of one
// variable: golden's structure of it without a value has everything before the
// value but the value's size, a u64 at 24.
func variableValue(e *eventlog.Event, known golden.Variable) ([]byte, bool) {
	const sizeAt, sizeEnd = 24, 32
	known.Value = nil
	prefix := known.Data()
	if e.Type != eventlog.EFIVariableDriverConfig || len(e.Data) < len(prefix) {
		return nil, false
	}
	value := e.Data[len(prefix):]
	known.Value = value
	return value, bytes.Equal(e.Data[:sizeAt], prefix[:sizeAt]) && bytes.Equal(e.Data[sizeEnd:len(prefix)], prefix[sizeEnd:]) &&
		bytes.Equal(e.Data, known.Data())
}
