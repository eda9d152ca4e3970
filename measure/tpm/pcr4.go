package tpm

import "safebox/measure/eventlog"

// callingBootOption is measured when firmware turns from itself to a boot
// option (PFP 10.4.4, EV_EFI_ACTION strings).
const callingBootOption = "Calling EFI Application from Boot Option"

// image is what firmware measures when it loads the UKI: its Authenticode
// digest in the bank's own hash (PFP 3.3.4, PCR 4), which a signature does not
// change.
func (s *sequence) image(k *uki) {
	s.addDigest(4, eventlog.EFIBootServicesApplication, "Authenticode digest of the UKI", k.file.Authenticode(s.bank.New()))
}

// innerKernel is the kernel, if systemd-stub has firmware load it.
func (s *sequence) innerKernel(k *uki, secureBoot bool) {
	if k.stub.loadsByFirmware(secureBoot) {
		s.addDigest(4, eventlog.EFIBootServicesApplication, "Authenticode digest of .linux", k.linux.Authenticode(s.bank.New()))
	}
}
