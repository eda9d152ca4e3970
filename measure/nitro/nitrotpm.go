package nitro

import (
	"errors"
	"fmt"

	"safebox/measure/tpm"
)

// TPMRegister is the prediction for one register of a NitroTPM.
type TPMRegister struct {
	PCR int
	tpm.Register
}

// TPMRegisters lists the registers of a NitroTPM that follow from the image
// and from the Secure Boot variables. PCR0 and PCR1 are AWS's own and not pinned:
// the firmware is not published, and PCR1 was seen to change.
func TPMRegisters() []int { return []int{4, 7, 9, 11, 12} }

// PredictTPM computes the registers of an instance's NitroTPM after a boot from
// the ESP of its volume, in the bank that its attestation documents hold,
// SHA-384, in the order of TPMRegisters. Give the UKI or the disk, and the
// instance's Secure Boot variables unless it is off without any keys.
func PredictTPM(in tpm.Input) ([]TPMRegister, error) {
	switch {
	case in.Boot != 0 && in.Boot != tpm.ESP:
		return nil, fmt.Errorf("predicting NitroTPM: boot: got %v, want %v: EC2 has no other way", in.Boot, tpm.ESP)
	case in.Firmware != nil:
		return nil, errors.New("predicting NitroTPM: got firmware, want none: EC2's is not published")
	}
	in.Boot = tpm.ESP
	if in.SecureBoot == nil {
		in.SecureBoot = &tpm.SecureBoot{} // EC2's firmware has the variables: off, no keys
	}
	p, err := tpm.Predict(in, tpm.SHA384)
	if err != nil {
		return nil, fmt.Errorf("predicting NitroTPM: %w", err)
	}
	var list []TPMRegister
	for _, i := range TPMRegisters() {
		list = append(list, TPMRegister{PCR: i, Register: p.PCRs[i]})
	}
	return list, nil
}
