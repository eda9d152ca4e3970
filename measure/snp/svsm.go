package snp

import (
	"errors"
	"fmt"

	"safebox/measure/ovmf"
)

// SVSM is a Secure VM Service Module that QEMU loads below the firmware, in
// the manner of COCONUT-SVSM of early 2024 (sev-snp-measure, mode snp:svsm).
// It has the guest's metadata sections; those of the firmware aren't measured.
// Later versions are loaded from an IGVM file, which is not this.
type SVSM struct {
	Pages    []byte // the whole image
	Sections []ovmf.SEVSection
	Entry    uint32 // offset of the entry point in the image
	VarsSize uint64 // size of the variable store between SVSM and firmware
}

// NewSVSM takes from an SVSM's image what a launch needs.
func NewSVSM(im *ovmf.Image, varsSize uint64) (*SVSM, error) {
	if im.SVSMEntry == nil {
		return nil, errors.New("reading SVSM: it has no SVSM information (a789a612-0597-4c4b-a49f-cbb1fe9d1ddd) with its entry point")
	}
	if im.SEV == nil {
		return nil, errors.New("reading SVSM: it has no SEV metadata")
	}
	return &SVSM{Pages: im.Bytes, Sections: im.SEV, Entry: *im.SVSMEntry, VarsSize: varsSize}, nil
}

// gpa is the address of the image, once checkSVSM has accepted it.
func (s *SVSM) gpa(f Firmware) uint64 { return f.GPA - s.VarsSize - uint64(len(s.Pages)) }

func (l *Launch) checkSVSM() error {
	s := l.SVSM
	if l.VMM != QEMU && l.VMM != QEMULegacy {
		return fmt.Errorf("SVSM: got monitor %v, want %v or %v", l.VMM, QEMU, QEMULegacy)
	}
	if l.Firmware.Seed != nil {
		return errors.New("SVSM: its address follows from the size of the firmware, which a hash doesn't tell: want the image")
	}
	if err := checkPages(s.Pages); err != nil {
		return fmt.Errorf("SVSM: %w", err)
	}
	if s.VarsSize%pageSize != 0 {
		return fmt.Errorf("SVSM: size of variables: got %d, want a multiple of %d", s.VarsSize, pageSize)
	}
	if room := l.Firmware.GPA - uint64(len(s.Pages)); s.VarsSize > room {
		return fmt.Errorf("SVSM: size of variables: got %d, want at most %d", s.VarsSize, room)
	}
	if uint64(s.Entry) >= uint64(len(s.Pages)) {
		return fmt.Errorf("SVSM: entry point: got %#x, want below the image's size %#x", s.Entry, len(s.Pages))
	}
	return nil
}
