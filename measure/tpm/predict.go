package tpm

import (
	"errors"
	"fmt"
)

// boot is what an Input holds, taken apart once for all banks.
type boot struct {
	Boot
	uki        *uki
	gpt        []byte // event data of the partition table, nil if unknown
	firmware   *firmware
	secureBoot *SecureBoot
	authority  []byte // entry of db that allows the UKI, nil with Secure Boot off
	profile    int
	vcpus      int
	memory     int64
}

// Predict computes the registers of one bank.
func Predict(in Input, bank Bank) (*Prediction, error) {
	list, err := PredictBanks(in, bank)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// PredictBanks computes the registers of several banks, in their order. It
// takes the input apart once: unpacking the firmware takes longer than all the
// hashing of a bank.
func PredictBanks(in Input, banks ...Bank) ([]*Prediction, error) {
	for _, bank := range banks {
		if bank != SHA256 && bank != SHA384 {
			return nil, fmt.Errorf("predicting PCRs: bank: got %v, want sha256 or sha384", bank)
		}
	}
	b, err := in.boot()
	if err != nil {
		return nil, fmt.Errorf("predicting PCRs: %w", err)
	}
	list := make([]*Prediction, len(banks))
	for i, bank := range banks {
		list[i] = b.predict(bank)
	}
	return list, nil
}

// boot takes the input apart.
func (in *Input) boot() (*boot, error) {
	fw, err := openFirmware(in.Firmware)
	if err != nil {
		return nil, fmt.Errorf("PCR 0: %w", err)
	}
	return in.bootWith(fw)
}

// bootWith takes the input apart, all but the firmware.
func (in *Input) bootWith(fw *firmware) (*boot, error) {
	src, err := in.open()
	if err != nil {
		return nil, err
	}
	if in.Profile != 0 && in.Boot != Kernel {
		return nil, fmt.Errorf("profile: got %d, want 0: a boot from an ESP passes no load options", in.Profile)
	}
	b := &boot{Boot: in.Boot, gpt: src.gpt, firmware: fw, secureBoot: in.SecureBoot, profile: in.Profile, vcpus: in.VCPUs, memory: in.Memory}
	if b.uki, err = decodeUKI(src.uki, in.Profile); err != nil {
		return nil, err
	}
	if err := b.checkFirmware(); err != nil {
		return nil, fmt.Errorf("PCR 7: %w", err)
	}
	if b.secureBoot.enabled() && len(b.secureBoot.PK) == 0 {
		return nil, errors.New("PCR 7: Secure Boot is on: want a PK: without one firmware is in setup mode")
	}
	if b.authority, err = b.secureBoot.authority(b.uki); err != nil {
		return nil, fmt.Errorf("PCR 7: %w", err)
	}
	return b, nil
}

// checkFirmware refuses a Secure Boot state that the firmware cannot have.
func (b *boot) checkFirmware() error {
	if b.firmware == nil || b.firmware.secureBoot() == (b.secureBoot != nil) {
		return nil
	}
	if b.firmware.secureBoot() {
		return errors.New("firmware has Secure Boot: want its variables (OVMF_VARS_4M.fd or the like)")
	}
	return errors.New("firmware was built without Secure Boot: want no variables for it")
}

// predict computes the registers of one bank. The order of the steps is the
// order of the log (specs/image.md 2): by -kernel, firmware loads the image
// before it is ready to boot.
func (b *boot) predict(bank Bank) *Prediction {
	s := &sequence{bank: bank}
	s.unknown[5] = b.Boot == ESP && b.gpt == nil
	s.firmware(b)
	s.secureBootVariables(b.secureBoot)
	if b.Boot == Kernel {
		s.authority(b.authority)
		s.image(b.uki)
	}
	s.readyToBoot()
	if b.Boot == ESP {
		s.authority(b.authority)
		s.partitionTable(b.gpt)
		s.image(b.uki)
	}
	s.profile(b.profile)
	s.sections(b.uki)
	s.innerKernel(b.uki, b.secureBoot.enabled())
	s.kernelArguments(b.uki)
	s.exitBootServices()
	return s.prediction()
}

// prediction folds the registers and says by which rule each is compared.
func (s *sequence) prediction() *Prediction {
	p := &Prediction{Bank: s.bank, Sequence: s.events}
	for pcr, rule := range []Rule{
		0:  Exact,
		1:  Any, // ACPI tables and boot options: memory, CPUs, devices
		2:  Exact,
		3:  Exact,
		4:  Exact,
		5:  FixedDisk,
		6:  Exact,
		7:  Exact,
		8:  Zero,
		9:  Exact,
		10: Any, // the kernel's IMA: follows from all the others
		11: Exact,
		12: Zero, // a profile; a host's command line, credentials, add-ons
		13: Zero, // a host's system extensions
		14: Zero, // shim's own keys
		15: Configuration,
	} {
		r := s.register(pcr, rule)
		switch {
		case rule == Any:
			r = Register{Rule: Any}
		case s.unknown[pcr]:
			r = Register{Rule: Missing}
		case rule == Zero && len(r.Events) > 0:
			r.Rule = Exact
		}
		p.PCRs[pcr] = r
	}
	return p
}
