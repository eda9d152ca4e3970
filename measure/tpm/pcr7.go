package tpm

import (
	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// pcr7 is the Secure Boot policy: here off, with no keys enrolled.
func pcr7(bank Bank) Register {
	s := &sequence{bank: bank}
	for _, v := range golden.SecureBootVariables() {
		s.add(eventlog.EFIVariableDriverConfig, v.Name+" is empty", v.Data())
	}
	s.separator()
	return s.register(Exact)
}
