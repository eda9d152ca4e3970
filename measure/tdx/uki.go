package tdx

import (
	"errors"
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/tpm"
)

// ukiEvents are the events of a boot of a UKI as a machine with a TPM logs them,
// from which those of a TD follow: the firmware, systemd-stub and the kernel call
// the same functions, which extend an RTMR instead of a PCR.
type ukiEvents struct {
	sequence []tpm.PCREvent
	missing  string // of RTMR1
}

// predict asks package tpm, which knows what is in a UKI.
func (u *UKI) predict(v *Variables) (*ukiEvents, error) {
	ti := tpm.Input{Boot: u.Boot, UKI: u.Image, Disk: u.Disk, DiskSize: u.DiskSize, Profile: u.Profile}
	if v.on() {
		ti.SecureBoot = &tpm.SecureBoot{Enabled: true, PK: v.PK, KEK: v.KEK, DB: v.DB, DBX: v.DBX}
	}
	p, err := tpm.Predict(ti, tpm.SHA384)
	if err != nil {
		return nil, err
	}
	if len(p.Sequence) == 0 {
		return nil, errors.New("order of the events of a UKI's boot: got none")
	}
	for _, pe := range p.Sequence {
		if len(pe.Digest) != len(Digest{}) {
			return nil, fmt.Errorf("event %q: digest: got %d bytes, want %d", pe.Description, len(pe.Digest), len(Digest{}))
		}
	}
	e := &ukiEvents{sequence: p.Sequence}
	if p.PCRs[5].Value == nil {
		e.missing = "partition table: firmware measures it when it boots from a disk: give the whole disk and not the UKI alone"
	}
	return e, nil
}

// ukiRTMR1 needs to know whether Secure Boot is on: systemd-stub has firmware
// measure the inner kernel, or not, by that.
func ukiRTMR1(in *input) (Register, error) {
	s := &sequence{}
	if in.Firmware != nil {
		cfv, err := tdvf.CFV(in.Firmware)
		if err != nil {
			return Register{}, err
		}
		if missing := in.variablesMissing(cfv); missing != "" {
			s.lack(missing)
		}
	}
	return in.uki.rtmr1(s), nil
}

// rtmr1 takes PCR 2 to 6 with one separator. Where the partition table is not
// known package tpm leaves all of PCR 5 out.
func (e *ukiEvents) rtmr1(s *sequence) Register {
	separated := false
	for _, pe := range e.sequence {
		if pe.PCR < 2 || pe.PCR > 6 || pe.Type == eventlog.Separator && separated {
			continue
		}
		s.events = append(s.events, fromTPM(pe))
		if pe.Type != eventlog.Separator {
			continue
		}
		separated = true
		if e.missing != "" {
			s.unknown(eventlog.EFIGPTEvent, "GPT header and partitions", e.missing)
		}
	}
	if e.missing != "" {
		s.exits()
	}
	return s.register()
}

// rtmr2 takes PCR 8 to 15. What systemd-stub logs as EV_EVENT_TAG it measures
// with a TPM only (systemd-boot's measure.c, tpm_log_tagged_event); the
// kernel's own events of that type are those of PCR 9.
func (e *ukiEvents) rtmr2() Register {
	s := &sequence{}
	for _, pe := range e.sequence {
		if pe.PCR < 8 || pe.PCR > 15 || pe.Type == eventlog.EventTag && pe.PCR != 9 {
			continue
		}
		s.events = append(s.events, fromTPM(pe))
	}
	return s.register()
}

func fromTPM(pe tpm.PCREvent) Event {
	source := FromFile
	if pe.Type == eventlog.Separator || pe.Type == eventlog.EFIAction {
		source = Computed
	}
	return Event{pe.Type, pe.Description, Digest(pe.Digest), source}
}

// authorities are the entries of db by which Secure Boot let the images through.
// In a boot from a disk they come behind the boot entries.
func (e *ukiEvents) authorities() (list []Event) {
	for _, pe := range e.sequence {
		if pe.Type == eventlog.EFIVariableAuthority {
			list = append(list, fromTPM(pe))
		}
	}
	return list
}
