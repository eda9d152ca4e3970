package verifier

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"safebox/verifier/canon"
	"safebox/verifier/policy"
	"safebox/verifier/tpm"
)

// checkKey: TPM-K1, TPM-K2, TPM-K5.
func (v *verification) checkKey() {
	if v.evidence == nil || v.evidence.VTPM == nil {
		return
	}
	ak, err := tpm.DecodePublic(v.evidence.VTPM.AK)
	if err == nil {
		err = tpm.CheckAK(ak)
	}
	v.log.Check("TPM-K2", err, "the template of docs/format-enrollment.md and a point on P-256", fmt.Sprintf("%x", v.evidence.VTPM.AK))
	if err != nil {
		return
	}
	v.ak = ak
	roots, err := v.trust()
	v.log.Check("TPM-K1", err, "an answered activation, or the pin of this key", v.trustedBy())
	if err == nil && v.policy != nil {
		v.checkRoots(roots)
	}
}

// trust gives the root certificates by which the attestation key is known. It
// is known by an activation, by a pin, or by both; what is given must hold.
func (v *verification) trust() ([]canon.Octets32, error) {
	var roots []canon.Octets32
	activated, err := v.checkActivation()
	if err != nil {
		return nil, err
	}
	if activated {
		v.activated = true
		roots = append(roots, v.secret.Enroll.Root)
	}
	if v.in.Pin != nil {
		pin, err := DecodePin(v.in.Pin)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(pin.AK, v.ak.Bytes()) {
			return nil, fmt.Errorf("key %x, the pin is of another key", v.ak.Name())
		}
		v.pin = pin
		roots = append(roots, pin.Root)
	}
	if len(roots) == 0 {
		return nil, errors.New("neither: the key could be anybody's")
	}
	return roots, nil
}

// checkActivation compares what the TPM returned with the secret that only a
// TPM with the endorsement key and this attestation key could read. It
// reports false if nobody asked, or nobody remembers what the answer must be.
func (v *verification) checkActivation() (bool, error) {
	answer := v.evidence.VTPM.Activation
	if v.challenge == nil {
		return false, nil
	}
	if v.challenge.Enroll == nil {
		if len(answer) != 0 {
			return false, errors.New("an activation that nobody asked for")
		}
		return false, nil
	}
	if v.secret == nil {
		return false, nil
	}
	enroll := v.secret.Enroll
	name, err := tpm.DecodePublic(enroll.AK)
	switch {
	case err != nil:
		return false, fmt.Errorf("secret: %w", err)
	case !bytes.Equal(name.Name(), enroll.AKName):
		return false, fmt.Errorf("secret: key of name %x, want %x", name.Name(), enroll.AKName)
	case !bytes.Equal(enroll.AK, v.ak.Bytes()):
		return false, fmt.Errorf("key %x, the challenge was made for %x", v.ak.Name(), enroll.AKName)
	case subtle.ConstantTimeCompare(answer, enroll.Value) != 1:
		return false, fmt.Errorf("activation of %d bytes is not the secret", len(answer))
	}
	return true, nil
}

func (v *verification) trustedBy() string {
	switch {
	case v.activated && v.pin != nil:
		return "activation and pin"
	case v.activated:
		return "activation"
	}
	return "pin"
}

// checkRoots: TPM-K5.
func (v *verification) checkRoots(roots []canon.Octets32) {
	for _, sum := range roots {
		root, ok := v.policy.VTPM.FindRoot(sum)
		want := "a root that the policy names as hardware"
		if v.policy.VTPM.SoftwareAccept {
			want = "a root that the policy names"
		}
		if !ok {
			v.log.Fail("TPM-K5", want, fmt.Sprintf("%v, which it does not name", sum))
			continue
		}
		got := fmt.Sprintf("%s: %s, SHA-256 %v", root.Kind, root.Subject, sum)
		software := root.Kind == policy.Software
		v.log.Record("TPM-K5", !software || v.policy.VTPM.SoftwareAccept, want, got)
		if software && v.policy.VTPM.SoftwareAccept {
			v.log.Waive("hardware behind the TPM", "software_roots = \"accept\" in the policy: the TPM of "+root.Subject+" is a program, and its host can make it say anything")
		}
	}
}
