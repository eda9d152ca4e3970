package golden

// Firmware is a firmware image that was seen to boot. Two digests cannot be
// computed from its file and are taken from the log of that one labelled boot,
// its origin; everything else can, and tests compute it.
type Firmware struct {
	Name        string // of its file
	SHA256      string // of its file, hex
	CRTMVersion string // the text that EV_S_CRTM_VERSION measures
	Origin      string // the boot from which PEI and PCR0 come
	SecureBoot  bool   // built with Secure Boot

	// The machine for which PEI and PCR0 hold: its CPUs and its memory in
	// bytes. 0: any machine.
	VCPUs  int
	Memory int64

	pei  digests // EV_EFI_PLATFORM_FIRMWARE_BLOB of PEIFV
	pcr0 digests
}

// digests are one value in each bank, hex.
type digests struct{ sha256, sha384 string }

func (d digests) of(b Bank) Digest {
	switch b {
	case SHA256:
		return unhex(d.sha256)
	case SHA384:
		return unhex(d.sha384)
	}
	return nil
}

// PEI is the digest of PEIFV as PEI hashes it after it has run in memory. The
// file has other bytes there, which is why it is learned.
func (f Firmware) PEI(b Bank) Digest { return f.pei.of(b) }

// PCR0 is the value that a TPM returned after this firmware had booted.
func (f Firmware) PCR0(b Bank) Digest { return f.pcr0.of(b) }

// KnownFirmware lists the firmware whose PCR 0 is accepted.
func KnownFirmware() []Firmware {
	return []Firmware{{
		Name:        "OVMF_CODE_4M.fd",
		SHA256:      "624e06de18b4fa535e90db7160d00d3d07d206422b89999bf1e27d920264e4e0",
		CRTMVersion: "2025.02-8+deb13u1",
		Origin:      "QEMU 10.0.2 (TCG), swtpm 0.7.1, Debian ovmf 2025.02-8+deb13u1: measure/eventlog/testdata/uefi/esp",
		pei: digests{
			"a386f05738e11e7b8c253dc47b96bfc66d3d9ce62ee7b30ee3d4a6c5215e7e4e",
			"12ad02c30d46cf89266ee49041394c0841d1987db638162ae5aac73b69c66c1752fa0369dc09cea957bcfc487a8356c6",
		},
		pcr0: digests{
			"0101271704ccc2360ddbb08438d591c23fb8a0a9cb0cebc60cefea7868833f8e",
			"5f6f9472e953d7f49e3ce38e89976e7e5d96fdba53d2b3392870a57f85ace3d2e4574c45b3795fb1810ac689a4f08818",
		},
	}}
}

// SecureBootFirmware lists firmware with Secure Boot that was seen to boot. Its
// registers can be predicted; a guest does not accept it, for the appliance
// boots without Secure Boot.
//
// It is built for System Management Mode, and what PEI leaves behind in memory
// has the number of CPUs and addresses near the end of the memory in it. So
// there is an entry for each machine that was seen.
func SecureBootFirmware() []Firmware {
	entry := func(vcpus int, origin string, pei, pcr0 digests) Firmware {
		return Firmware{
			Name:        "OVMF_CODE_4M.secboot.fd",
			SHA256:      "1a46295574430cfb7f825ee3e4dc64b052acbef08e310377ed7c64cb757a9dc1",
			CRTMVersion: "2025.02-8+deb13u1",
			Origin:      "QEMU 10.0.2 (TCG), swtpm 0.7.1, Debian ovmf 2025.02-8+deb13u1: " + origin,
			SecureBoot:  true,
			VCPUs:       vcpus,
			Memory:      1 << 30,
			pei:         pei,
			pcr0:        pcr0,
		}
	}
	return []Firmware{
		entry(2, "measure/tpm/testdata/boots/sb-esp257", digests{
			"0a81f0685a89f8919e4272cd91d0a31e12dcbb71c16aba17a67dfd2120974b60",
			"80adcde7b00b1e037b6b0600991f82dd91c32dcf0966b589a4ed33290ad8c9f8ebfa2f73497422c59963858aede380ae",
		}, digests{
			"a2ae8347409a34455ae691b7f4f48233f3b51f3f36489bd4f19df99ee8e67f14",
			"374b85a3aad21d67cca3162b262918420f301ff0fe3b98c54abf8dffb4a2495e09bd1e09e4f440777c774fc68728aa8f",
		}),
		entry(1, "measure/tpm/testdata/onecpu", digests{
			"d2329da10ab7ce7d06e78008ada757b051a3a5e263bc5bf7a777dfa7d5481693",
			"124834ea6a569416bd4d7ad9842b1f9232f743a68c85c3fbbacf1e8aee751a628159798825ef64a9b6ea1ee2cd8be323",
		}, digests{
			"957ee392ea4598c7999b254f06b8d3c9635e5e0f9f9e36f0bcf03e286ce3789f",
			"825babc7d8411bf67048077d2cbf6595b185b670049de8df2a1680e381313a3e0bea80976fd30633fc13faab8b51ce69",
		}),
	}
}
