package tdx

import (
	"crypto/sha512"
	"fmt"
	"strings"

	"safebox/measure/eventlog"
)

// acpiData is the data of the ACPI events (edk2, OvmfPkg/Library/AcpiPlatformLib/
// QemuFwCfgAcpi.c, EV_POSTCODE_INFO_ACPI_DATA).
const acpiData = "ACPI DATA"

// ACPIFromLog puts the digests of the three ACPI files that a log of layout L0,
// L1 or L2 tells of into d, as FromLog. They are the host's own word: tables
// that attack the guest are measured as faithfully as good ones, so a
// prediction that rests on them says nothing about the tables.
func (d *Digests) ACPIFromLog(log *eventlog.CCLog) error {
	var found []*Measurement
	for i := range log.Events {
		e := &log.Events[i]
		if e.PCR != RTMR0 || e.Type != eventlog.PlatformConfigFlags || string(e.Data) != acpiData {
			continue
		}
		m, err := fromLog(e)
		if err != nil {
			return fmt.Errorf("taking ACPI digests from event %d: %w", i, err)
		}
		found = append(found, m)
	}
	if len(found) != 3 {
		return fmt.Errorf("taking ACPI digests from event log: got %d events %q in RTMR0, want 3", len(found), acpiData)
	}
	d.Loader, d.RSDP, d.Tables = found[0], found[1], found[2]
	return nil
}

// IntelFromLog puts the digests of a log of the layout Intel whose bytes are
// not known, and those of its ACPI files, into d, as FromLog.
func (d *Digests) IntelFromLog(log *eventlog.CCLog) error {
	for _, w := range []struct {
		index uint32
		t     eventlog.Type
		data  string
		into  **Measurement
	}{
		{RTMR0, eventlog.PostCode, acpiData, &d.IntelACPI},
		{RTMR0, eventlog.PlatformConfigFlags, "etc/table-loader", &d.Loader},
		{RTMR0, eventlog.PlatformConfigFlags, "etc/acpi/rsdp", &d.RSDP},
		{RTMR0, eventlog.PlatformConfigFlags, "etc/acpi/tables", &d.Tables},
		{RTMR1, eventlog.PlatformConfigFlags, "k\x00e\x00r\x00n\x00e\x00l", &d.IntelKernel},
		{RTMR1, eventlog.PlatformConfigFlags, "DirectBoot Command Line", &d.IntelCommandLine},
	} {
		m, err := one(log, w.index, w.t, w.data)
		if err != nil {
			return err
		}
		*w.into = m
	}
	return nil
}

// one returns the only event with this data, which zeros may follow.
func one(log *eventlog.CCLog, index uint32, t eventlog.Type, data string) (*Measurement, error) {
	var found *Measurement
	for i := range log.Events {
		e := &log.Events[i]
		if e.PCR != index || e.Type != t || strings.TrimRight(string(e.Data), "\x00") != data {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("taking digests from event log: event %d: a second %v %q", i, t, data)
		}
		var err error
		if found, err = fromLog(e); err != nil {
			return nil, fmt.Errorf("taking digests from event %d: %w", i, err)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("taking digests from event log: no %v %q in %s", t, data, eventlog.MRName(index))
	}
	return found, nil
}

func fromLog(e *eventlog.Event) (*Measurement, error) {
	b := e.Digest(eventlog.SHA384)
	if len(b) != sha512.Size384 {
		return nil, fmt.Errorf("%v digest: got %d bytes, want %d", eventlog.SHA384, len(b), sha512.Size384)
	}
	return &Measurement{Digest(b), FromLog}, nil
}
