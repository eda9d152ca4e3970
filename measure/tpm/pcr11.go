package tpm

import "safebox/measure/eventlog"

// pcr11 is the UKI's content as systemd-stub measures it: for each section
// that is there its name with a NUL, then its content (UAPI Group, Unified
// Kernel Image specification, "UKI TPM PCR Measurements").
func pcr11(bank Bank, k *uki) Register {
	s := &sequence{bank: bank}
	for _, name := range measuredSections() {
		content, ok := k.sections[name]
		if !ok {
			continue
		}
		s.add(eventlog.IPL, "name "+name, append([]byte(name), 0))
		s.add(eventlog.IPL, "content of "+name, content)
	}
	return s.register(Exact)
}
