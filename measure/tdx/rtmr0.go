package tdx

import (
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/tdx/tdvf"
)

// rtmr0 is the machine's configuration as the firmware was given it: what goes
// into PCR 1 and 7 of a machine with a TPM.
func rtmr0(in *input) (Register, error) {
	if in.Layout == 0 {
		return Register{Missing: "no layout chosen: what the firmware measures depends on its build"}, nil
	}
	s := &sequence{}
	if err := s.handed(in); err != nil {
		return Register{}, err
	}
	if in.Layout == L2 {
		if err := s.fwCfg(in); err != nil {
			return Register{}, err
		}
	}
	if err := s.secureBoot(in); err != nil {
		return Register{}, err
	}
	s.separator()
	if in.Layout == Intel {
		s.either(eventlog.PostCode, "ACPI DATA", nil, FromFile, in.Digests.IntelACPI,
			"the first ACPI event of this layout: what it hashes is not known: give its digest")
	}
	s.acpi(in)
	switch in.Layout {
	case L0:
		s.bootVariables(in)
		s.separator()
	case L1, L2:
		s.bootVariables(in)
	case Intel: // the boot entries go into RTMR1
		s.separator()
		s.separator()
	}
	s.authorities(in)
	return s.register(), nil
}

// handed is what the monitor hands over: memory map and variables.
func (s *sequence) handed(in *input) error {
	hob, err := in.hob()
	if in.Digests.HOB != nil {
		hob, err = nil, nil
	}
	if err != nil {
		return err
	}
	source := Computed
	if in.HOB != nil {
		source = FromFile
	}
	s.either(eventlog.EFIHandoffTables2, "TD HOB", hob, source, in.Digests.HOB, "TD HOB: needs the firmware and the memory size")
	var cfv []byte
	if in.Firmware != nil {
		if cfv, err = tdvf.CFV(in.Firmware); err != nil {
			return err
		}
	}
	s.either(eventlog.EFIPlatformFirmwareBlob2, "configuration volume", cfv, FromFile, in.Digests.CFV,
		"configuration volume: no firmware given")
	if missing := in.variablesMissing(cfv); missing != "" {
		s.lack(missing)
	}
	return nil
}

// secureBoot is what Secure Boot goes by.
func (s *sequence) secureBoot(in *input) error {
	v, source := in.Variables, FromFile
	if v == nil {
		v, source = &Variables{SecureBoot: in.Layout.secureBoot()}, Computed
	}
	if len(v.SecureBoot) > 1 || len(v.SecureBoot) == 1 && v.SecureBoot[0] > 1 {
		return fmt.Errorf("variable SecureBoot: got %x, want nothing, 00 or 01", v.SecureBoot)
	}
	for _, variable := range v.encode() {
		s.add(source, eventlog.EFIVariableDriverConfig, "variable "+variable.Name, variable.Data())
	}
	return nil
}

// acpi is the tables as QEMU makes them (edk2, OvmfPkg/Library/AcpiPlatformLib/
// QemuFwCfgAcpi.c), in the order in which the loader script asks for them.
func (s *sequence) acpi(in *input) {
	a := in.ACPI
	if a == nil {
		a = &ACPI{}
	}
	const missing = "ACPI tables: not given, and they depend on the QEMU version and every device"
	d := &in.Digests
	for _, f := range []struct {
		name string
		data []byte
		m    *Measurement
	}{
		{"etc/table-loader", a.Loader, d.Loader},
		{"etc/acpi/rsdp", a.RSDP, d.RSDP},
		{"etc/acpi/tables", a.Tables, d.Tables},
	} {
		s.either(eventlog.PlatformConfigFlags, "ACPI "+f.name, f.data, FromFile, f.m, missing)
	}
}

// authorities are variables that let an image through: of Secure Boot, or of a
// shim, which measures them whether Secure Boot is on or not.
func (s *sequence) authorities(in *input) {
	for _, data := range in.Authorities {
		s.add(FromFile, eventlog.EFIVariableAuthority, "authority", data)
	}
	switch {
	case in.Authorities != nil:
	case in.Disk != nil:
		s.lack("authorities: a shim measures some even with Secure Boot off: give them, or an empty list if there are none")
	case !in.Variables.on():
	case in.uki != nil && !in.direct():
		s.events = append(s.events, in.uki.authorities()...)
	default:
		s.lack("Secure Boot is on: give the authorities by which the booted images were let through")
	}
}

// direct reports whether the firmware got its kernel from QEMU.
func (in *Input) direct() bool { return in.Direct != nil || in.UKI != nil && in.UKI.direct() }
