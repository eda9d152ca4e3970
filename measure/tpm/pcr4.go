package tpm

import (
	"fmt"

	"safebox/measure/eventlog"
)

// callingBootOption is measured when firmware turns from itself to a boot
// option (PFP 10.4.4, EV_EFI_ACTION strings).
const callingBootOption = "Calling EFI Application from Boot Option"

// step is one event of PCR 4.
type step uint8

const (
	stepAction step = iota + 1
	stepSeparator
	stepUKI
	stepLinux
)

// bootSequence is the order of PCR 4's events as seen in real boots
// (specs/image.md 2.3). By -kernel, firmware loads the image before it is ready
// to boot. Stub 257 has firmware load the inner kernel, which measures it too;
// stub 262 loads it by itself.
func bootSequence(boot Boot, stub int) ([]step, error) {
	switch {
	case boot == ESP && stub == stub257:
		return []step{stepAction, stepSeparator, stepUKI, stepLinux}, nil
	case boot == ESP && stub == stub262:
		return []step{stepAction, stepSeparator, stepUKI}, nil
	case boot == Kernel && stub == stub257:
		return []step{stepUKI, stepAction, stepSeparator, stepLinux}, nil
	}
	return nil, fmt.Errorf("boot by %v with systemd-stub %d was not seen", boot, stub)
}

// pcr4 is the code that was booted: Authenticode digests of the images in the
// bank's own hash (PFP 3.3.4, PCR 4).
func pcr4(bank Bank, boot Boot, k *uki) (Register, error) {
	steps, err := bootSequence(boot, k.stub)
	if err != nil {
		return Register{}, err
	}
	return foldBoot(bank, steps, k.file.Authenticode(bank.New()), k.linux.Authenticode(bank.New())), nil
}

// foldBoot puts the digests of the two images into the sequence.
func foldBoot(bank Bank, steps []step, uki, linux Digest) Register {
	s := &sequence{bank: bank}
	for _, st := range steps {
		switch st {
		case stepAction:
			s.add(eventlog.EFIAction, callingBootOption, []byte(callingBootOption))
		case stepSeparator:
			s.separator()
		case stepUKI:
			s.addDigest(eventlog.EFIBootServicesApplication, "Authenticode digest of the UKI", uki)
		case stepLinux:
			s.addDigest(eventlog.EFIBootServicesApplication, "Authenticode digest of .linux", linux)
		}
	}
	return s.register(Exact)
}
