package tdx

import (
	"errors"
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/tpm"
)

// rtmr1 is the code that was booted and how: what goes into PCR 2 to 6 of a
// machine with a TPM. Firmware ends PCR 0 to 6 with a separator each; in a TD,
// upstream edk2 measures one for all of RTMR1 (seen in the logs of dstack and of
// Google Compute Engine).
func rtmr1(in *input) (Register, error) {
	switch {
	case in.Direct == nil && in.UKI == nil && in.Disk == nil:
		return Register{Missing: "no kernel, UKI or disk given"}, nil
	case in.Layout == 0:
		return Register{Missing: "no layout chosen: where the separator goes depends on the firmware's build"}, nil
	case in.Direct != nil:
		return directRTMR1(in)
	case in.Layout != L1 && in.Layout != L2:
		return Register{Missing: fmt.Sprintf("a boot from a disk or of a UKI was not seen with layout %v", in.Layout)}, nil
	case in.UKI != nil:
		return ukiRTMR1(in)
	}
	return diskRTMR1(in.Disk)
}

// rtmr2 is what the boot loader and the kernel measure: PCR 8 to 15 of a machine
// with a TPM.
func rtmr2(in *input) (Register, error) {
	switch {
	case in.Direct != nil:
		return directRTMR2(in)
	case in.UKI != nil:
		return in.uki.rtmr2(), nil
	case in.Disk != nil:
		if in.Disk.RTMR2 == nil {
			return Register{Missing: "what the boot loader and the kernel measure was not given"}, nil
		}
		return fold(in.Disk.RTMR2)
	}
	return Register{Missing: "no kernel, UKI or disk given"}, nil
}

// rtmr3 is left to the guest's own system: firmware and kernel do not use it.
func rtmr3(in *input) (Register, error) { return fold(in.Runtime) }

// fold makes a register of the caller's events.
func fold(events []Event) (Register, error) {
	for i, e := range events {
		if e.Source == Unknown || e.Source > Computed {
			return Register{}, fmt.Errorf("event %d %q: source: got %v, want one that is known", i, e.Description, e.Source)
		}
	}
	return (&sequence{events: events}).register(), nil
}

// diskRTMR1 is the boot of EFI applications from a disk, in the order of the log
// of a machine of Google Compute Engine.
func diskRTMR1(d *Disk) (Register, error) {
	s := &sequence{}
	s.action(callingBootOption)
	s.separator()
	s.either(eventlog.EFIGPTEvent, "GPT header and partitions", d.GPT, FromFile, nil, "no partition table given")
	if len(d.Images) == 0 {
		return Register{}, errors.New("disk: got no images, want what is booted from it")
	}
	for _, im := range d.Images {
		if (im.File == nil) == (im.Digest == nil) {
			return Register{}, fmt.Errorf("image %q: want either its file or its digest", im.Name)
		}
		description := "Authenticode digest of " + im.Name
		if im.Digest != nil {
			s.either(eventlog.EFIBootServicesApplication, description, nil, FromFile, im.Digest, "")
			continue
		}
		digest, err := authenticode(im.File, false)
		if err != nil {
			return Register{}, fmt.Errorf("image %q: %w", im.Name, err)
		}
		s.events = append(s.events, Event{eventlog.EFIBootServicesApplication, description, digest, FromFile})
	}
	s.exits()
	return s.register(), nil
}

func (u *UKI) direct() bool { return u.Boot == tpm.Kernel }
