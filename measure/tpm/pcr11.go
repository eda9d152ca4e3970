package tpm

import "safebox/measure/eventlog"

// sections is the UKI's content as systemd-stub measures it: for each section
// that is there its name with a NUL, then its content (UAPI Group, Unified
// Kernel Image specification, "UKI TPM PCR Measurements").
func (s *sequence) sections(k *uki) {
	for _, name := range measuredSections() {
		content, ok := k.sections[name]
		if !ok {
			continue
		}
		s.add(11, eventlog.IPL, "name "+name, append([]byte(name), 0))
		s.add(11, eventlog.IPL, "content of "+name, content)
	}
}
