package cloud

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
)

// checkHardware: TPM-H1. A report that is there must hold even where the policy
// knows the key by other grounds.
func (v *verification) checkHardware() {
	for _, what := range v.evidence.Ignored {
		v.log.Waive(what, "no verdict rests on it")
	}
	a := v.evidence.Azure
	if a == nil {
		v.hardware = errors.New("no hardware report")
		v.log.Pass("TPM-H1", "a hardware report that is there binds the key", "not applicable: no hardware report that could bind the key")
		return
	}
	data := a.Report.ReportData()
	want := fmt.Sprintf("%v report that verifies, with report_data %x", a.Hardware.Kind, data)
	v.hardware = v.bound(a.Hardware, data)
	v.log.Check("TPM-H1", v.hardware, want, "verified, report_data is the claims'")
}

// bound verifies the report and compares its data, whatever the processor's
// package was told to accept.
func (v *verification) bound(h azure.Hardware, want [64]byte) error {
	if v.in.Hardware == nil {
		return errors.New("nobody was asked to verify the hardware report")
	}
	if err := v.in.Hardware(h, want, v.log); err != nil {
		return err
	}
	got, err := h.ReportData()
	if err == nil && got != want {
		err = fmt.Errorf("report_data: got %x", got)
	}
	return err
}

// checkKey: TPM-K1 to TPM-K4. One ground to believe the key is enough.
func (v *verification) checkKey() {
	p, e := v.policy, v.evidence
	want := "a key known by " + strings.Join(p.AttestationKeys, " or ")
	var known, missing []string
	if p.Accepts(tpmpolicy.Hardware) {
		if v.hardware == nil {
			known = append(known, "the hardware report binds it")
		} else if e.Azure == nil {
			missing = append(missing, "no hardware report binds it")
		}
	}
	if p.Accepts(tpmpolicy.Pinned) {
		if v.pinned() {
			known = append(known, "the policy names it")
		} else {
			missing = append(missing, fmt.Sprintf("SHA-256 %x is no pin", sha256.Sum256(e.KeyBytes)))
		}
	}
	var certified *certified
	if p.Accepts(tpmpolicy.Certificate) {
		c, err := v.certificate()
		if err == nil {
			known, certified = append(known, fmt.Sprintf("certificate under %q", c.root().Subject.String())), c
		} else {
			missing = append(missing, err.Error())
		}
	}
	switch {
	case len(known) > 0:
		v.log.Pass("TPM-K1", want, strings.Join(known, ", "))
	case len(p.AttestationKeys) == 0:
		v.log.Fail("TPM-K1", "a key known by a ground that the policy accepts", "the policy accepts none")
	case len(missing) > 0:
		v.log.Fail("TPM-K1", want, strings.Join(missing, ", "))
	} // else only the hardware report could vouch for it, and TPM-H1 says why it does not
	v.checkAttributes(certified)
	v.checkCertificate(certified)
	v.checkInstance(certified)
}

// pinned reports whether the policy takes pins and names the key.
func (v *verification) pinned() bool {
	return v.policy.Accepts(tpmpolicy.Pinned) && slices.Contains(v.policy.Pins, sha256.Sum256(v.evidence.KeyBytes))
}

// checkAttributes: TPM-K2. A pin is of the whole public area; a certificate is of
// the key in it alone, and the rest is what the machine says.
func (v *verification) checkAttributes(c *certified) {
	const want = "restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, not decrypt"
	switch e := v.evidence; {
	case e.Public != nil:
		v.log.Check("TPM-K2", tpm.CheckQuotingKey(e.Public), want, fmt.Sprintf("attributes %#08x", uint32(e.Public.Attributes)))
		if c != nil && !v.pinned() {
			v.log.Waive("attributes of the attestation key", "the certificate is of the key and not of its public area: its issuer vouches for them, by the usage that the certificate states")
		}
	case e.Azure != nil:
		uses := e.Azure.Report.Claims.AKUses
		v.log.Record("TPM-K2", slices.Equal(uses, []string{"sign"}), "a key of the paravisor's claims for [sign] alone", fmt.Sprintf("%q", uses))
		v.log.Waive("attributes of the attestation key", "the claims have its modulus and not its public area: the paravisor, which the hardware report measures, vouches for them")
	default:
		v.log.Fail("TPM-K2", want, "unknown: the evidence has the key without its public area")
	}
}
