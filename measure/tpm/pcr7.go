package tpm

import (
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// secureBootVariables is the Secure Boot policy (PFP 3.3.4, PCR 7): the state
// and the keys, each whole and as it is.
func (s *sequence) secureBootVariables(sb *SecureBoot) {
	for _, v := range golden.SecureBootVariables() {
		v.Value = sb.value(v.Name)
		description := fmt.Sprintf("%s: %d bytes", v.Name, len(v.Value))
		if len(v.Value) == 0 {
			description = v.Name + " is empty"
		}
		s.add(7, eventlog.EFIVariableDriverConfig, description, v.Data())
	}
	s.separator(7)
}

// authority is the entry of db by which firmware let an image run, measured
// once for each entry, before the image itself. It is nil with Secure Boot off.
func (s *sequence) authority(entry []byte) {
	if entry == nil {
		return
	}
	for _, v := range golden.SecureBootVariables() {
		if v.Name == "db" {
			v.Value = entry
			s.add(7, eventlog.EFIVariableAuthority, "entry of db that allows the UKI", v.Data())
		}
	}
}
