package snp

import (
	"strings"
	"testing"

	"safebox/measure/ovmf"
)

// plain is a launch that passes: firmware of one page, as QEMU starts it.
func plain() Launch {
	eip := uint32(0x80b004)
	return Launch{
		VMM: QEMU, VCPUs: 2, CPU: 0x00a00f11, Features: SNPActive,
		Firmware: Firmware{
			Pages: pattern(pageSize, 1), GPA: 1<<32 - pageSize, ResetEIP: &eip,
			HashTable: &ovmf.Area{GPA: 0x810c00, Size: 0x400},
			Sections: []ovmf.SEVSection{
				{GPA: 0x800000, Size: 0x9000, Type: ovmf.SecMem},
				{GPA: 0x80d000, Size: 0x1000, Type: ovmf.Secrets},
				{GPA: 0x80e000, Size: 0x1000, Type: ovmf.CPUID},
				{GPA: 0x810000, Size: 0x1000, Type: ovmf.KernelHashes},
			},
		},
	}
}

func withSVSM(change func(s *SVSM)) func(l *Launch) {
	return func(l *Launch) {
		l.SVSM = &SVSM{Pages: pattern(2*pageSize, 2), Sections: l.Firmware.Sections, Entry: 0x1000, VarsSize: pageSize}
		change(l.SVSM)
	}
}

// refusal is a change that makes a launch that passes one that is refused, and
// the words that say why.
type refusal struct {
	change func(l *Launch)
	want   string
}

func testRefusals(t *testing.T, list map[string]refusal) {
	t.Helper()
	if _, err := Measure(plain()); err != nil {
		t.Fatal(err)
	}
	for name, c := range list {
		l := plain()
		c.change(&l)
		if d, err := Measure(l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, error %v, want one with %q", name, d, err, c.want)
		}
		if l.VCPUs == 2 {
			if list, err := MeasureUpTo(l, 2); err == nil || list != nil {
				t.Errorf("%s: got %d digests, want an error", name, len(list))
			}
		}
	}
}

func TestRefuseLaunch(t *testing.T) {
	testRefusals(t, map[string]refusal{
		"no processors":       {func(l *Launch) { l.VCPUs = 0 }, "virtual processors: got 0, want 1 to 512"},
		"negative processors": {func(l *Launch) { l.VCPUs = -1 }, "got -1, want 1 to 512"},
		"many processors":     {func(l *Launch) { l.VCPUs = 513 }, "got 513, want 1 to 512"},
		"no monitor":          {func(l *Launch) { l.VMM = 0 }, "monitor: got 0, want one of [qemu qemu-legacy ec2 ec2-legacy gce krun]"},
		"unknown monitor":     {func(l *Launch) { l.VMM = 77 }, "monitor: got 77"},
		"no SNPActive":        {func(l *Launch) { l.Features = 0x20 }, "guest features: got 0x20, want bit 0 (SNPActive) set"},
		"no features":         {func(l *Launch) { l.Features = 0 }, "guest features: got 0x0"},
		"no CPU":              {func(l *Launch) { l.CPU = 0 }, "CPU signature"},
		"VMSA address":        {func(l *Launch) { l.VMSAGPA = 0xffff_ffff_f001 }, "VMSA address: got 0xfffffffff001, want a multiple of 4096"},
		"VMSA beyond memory":  {func(l *Launch) { l.VMSAGPA = 1 << 52 }, "VMSA address: got 0x10000000000000, want it below 0x10000000000000"},
		"no reset block":      {func(l *Launch) { l.Firmware.ResetEIP = nil }, "virtual processors: got 2, want 1: the firmware has no SEV-ES reset block (00f771de"},
	})
}

func TestRefuseFirmware(t *testing.T) {
	testRefusals(t, map[string]refusal{
		"no firmware":       {func(l *Launch) { l.Firmware.Pages = nil }, "firmware: size: got 0 bytes, want a multiple of 4096"},
		"part of a page":    {func(l *Launch) { l.Firmware.Pages = l.Firmware.Pages[:4095] }, "firmware: size: got 4095 bytes, want a multiple of 4096"},
		"huge firmware":     {func(l *Launch) { l.Firmware.Pages = make([]byte, ovmf.MaxSize+pageSize) }, "want at most 67108864"},
		"firmware address":  {func(l *Launch) { l.Firmware.GPA = 0 }, "firmware: address: got 0x0, want 0xfffff000, so that it ends at 4 GiB"},
		"pages and a seed":  {func(l *Launch) { l.Firmware.Seed = new(Digest) }, "firmware: got pages and a hash"},
		"no sections":       {func(l *Launch) { l.Firmware.Sections = nil }, "SEV metadata: got no sections"},
		"many sections":     {func(l *Launch) { l.Firmware.Sections = make([]ovmf.SEVSection, 257) }, "SEV metadata: got 257 sections, want at most 256"},
		"unknown section":   {func(l *Launch) { l.Firmware.Sections[1].Type = 0x11 }, "section at 0x80d000: type: got 0x11, want one of 1 to 4 and 0x10: QEMU would measure it as zero pages"},
		"section of type 0": {func(l *Launch) { l.Firmware.Sections[1].Type = 0 }, "type: got 0x0"},
		"section size":      {func(l *Launch) { l.Firmware.Sections[1].Size = 0x800 }, "section 1 (SNP_SECRETS): got 0x800 bytes at 0x80d000, want multiples of 4096"},
		"section address":   {func(l *Launch) { l.Firmware.Sections[1].GPA = 0x80d010 }, "section 1 (SNP_SECRETS): got 0x1000 bytes at 0x80d010"},
		"section end":       {func(l *Launch) { l.Firmware.Sections[1] = ovmf.SEVSection{GPA: 0xfffff000, Size: 0x2000, Type: 2} }, "below 4 GiB"},
		"overlap":           {func(l *Launch) { l.Firmware.Sections[1].GPA = 0x807000 }, "section 1 (SNP_SECRETS): got start 0x807000, want at least 0x809000, the end of section 0 (SNP_SEC_MEM)"},
		"over the firmware": {func(l *Launch) { l.Firmware.Sections[1].GPA = 0xfffff000 }, "the end of"},
		"much memory": {func(l *Launch) {
			l.Firmware.Sections[0] = ovmf.SEVSection{GPA: 0x1000_0000, Size: MaxMeasured, Type: ovmf.SecMem}
		}, "pages: got more than 134217728 bytes"},
	})
}

func TestRefuseKernel(t *testing.T) {
	kernel := &KernelHashes{}
	testRefusals(t, map[string]refusal{
		"kernel without a section": {func(l *Launch) { l.Kernel, l.Firmware.Sections = kernel, l.Firmware.Sections[:3] }, "kernel: the firmware's SEV metadata has no SNP_KERNEL_HASHES section (type 0x10), so it would not check the kernel: want firmware built for it, such as OVMF.amdsev.fd"},
		"kernel with an empty one": {func(l *Launch) { l.Kernel, l.Firmware.Sections[3].Size = kernel, 0 }, "no SNP_KERNEL_HASHES section"},
		"kernel without a table":   {func(l *Launch) { l.Kernel, l.Firmware.HashTable = kernel, nil }, "kernel: the firmware has no SEV hash table (7255371f"},
		"kernel, table at 0":       {func(l *Launch) { l.Kernel, l.Firmware.HashTable.GPA = kernel, 0 }, "no SEV hash table"},
		"kernel, small table":      {func(l *Launch) { l.Kernel, l.Firmware.HashTable.Size = kernel, 175 }, "SEV hash table of the firmware at 0x810c00: size: got 175, want at least 176"},
		"kernel, crossing table":   {func(l *Launch) { l.Kernel, l.Firmware.HashTable.GPA = kernel, 0x810f51 }, "at 0x810f51: offset in its page: got 0xf51, want at most 0xf50"},
		"kernel on GCE":            {func(l *Launch) { l.Kernel, l.VMM = kernel, GCE }, "kernel: gce boots from disk"},
	})
}

func TestRefuseSVSM(t *testing.T) {
	kernel := &KernelHashes{}
	testRefusals(t, map[string]refusal{
		"SVSM on EC2":            {func(l *Launch) { withSVSM(func(*SVSM) {})(l); l.VMM = EC2 }, "SVSM: got monitor ec2, want qemu or qemu-legacy"},
		"SVSM with a seed":       {func(l *Launch) { withSVSM(func(*SVSM) {})(l); l.Firmware.Pages, l.Firmware.Seed = nil, new(Digest) }, "SVSM: its address follows from the size of the firmware"},
		"SVSM with a kernel":     {func(l *Launch) { withSVSM(func(*SVSM) {})(l); l.Kernel = kernel }, "kernel: got its hashes and an SVSM"},
		"SVSM size":              {withSVSM(func(s *SVSM) { s.Pages = s.Pages[1:] }), "SVSM: size: got 8191 bytes"},
		"SVSM variables":         {withSVSM(func(s *SVSM) { s.VarsSize = 100 }), "SVSM: size of variables: got 100, want a multiple of 4096"},
		"SVSM far below":         {withSVSM(func(s *SVSM) { s.VarsSize = 1<<32 - pageSize }), "SVSM: size of variables: got 4294963200, want at most 4294955008"},
		"SVSM far beyond":        {withSVSM(func(s *SVSM) { s.VarsSize = 1<<64 - pageSize }), "SVSM: size of variables"},
		"SVSM entry":             {withSVSM(func(s *SVSM) { s.Entry = 0x2000 }), "SVSM: entry point: got 0x2000, want below the image's size 0x2000"},
		"SVSM without sections":  {withSVSM(func(s *SVSM) { s.Sections = nil }), "SEV metadata: got no sections"},
		"section over the SVSM":  {withSVSM(func(s *SVSM) { s.Sections = []ovmf.SEVSection{{GPA: 0xffffd000, Size: 0x1000, Type: 1}} }), "the end of SVSM"},
		"profile without a type": {func(l *Launch) { l.Profile = &Profile{} }, "profile: page type of SNP_SEC_MEM: got 0, want zero or unmeasured"},
		"profile with long RDX":  {func(l *Launch) { l.Profile = &Profile{SecMem: PageZero, RDX: 1<<32 + 1} }, "profile: RDX: got 0x100000001"},
	})
}

// TestPass: what looks like the refused and isn't.
func TestPass(t *testing.T) {
	for name, change := range map[string]func(l *Launch){
		"one processor, no reset block": func(l *Launch) { l.VCPUs, l.Firmware.ResetEIP = 1, nil },
		"512 processors":                func(l *Launch) { l.VCPUs = 512 },
		"CPU that isn't measured":       func(l *Launch) { l.CPU, l.VMM = 0, EC2 },
		"table at the end of its page":  func(l *Launch) { l.Kernel, l.Firmware.HashTable.GPA = &KernelHashes{}, 0x810f50 },
		"table of just its size":        func(l *Launch) { l.Kernel, l.Firmware.HashTable.Size = &KernelHashes{}, 176 },
		"unknown section as zero":       func(l *Launch) { l.UnknownAsZero, l.Firmware.Sections[1].Type = true, 0x11 },
		"kernel hashes of no page": func(l *Launch) {
			l.Kernel = &KernelHashes{}
			l.Firmware.Sections = append(l.Firmware.Sections, ovmf.SEVSection{Type: ovmf.KernelHashes})
		},
		"SVSM":                      withSVSM(func(*SVSM) {}),
		"SVSM, no reset block":      func(l *Launch) { withSVSM(func(*SVSM) {})(l); l.Firmware.ResetEIP = nil },
		"SVSM, firmware's sections": func(l *Launch) { withSVSM(func(*SVSM) {})(l); l.Firmware.Sections = nil },
	} {
		l := plain()
		change(&l)
		if _, err := Measure(l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefuseSEV: plain SEV and SEV-ES.
func TestRefuseSEV(t *testing.T) {
	es := func() Launch {
		l := plain()
		l.Features = 0
		return l
	}
	if _, err := MeasureSEVES(es()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(l *Launch)
		want   string
		plain  bool // refused for plain SEV too
	}{
		"seed":              {func(l *Launch) { l.Firmware.Pages, l.Firmware.Seed = nil, new(Digest) }, "firmware: got a hash of SEV-SNP", true},
		"SVSM":              {withSVSM(func(*SVSM) {}), "SVSM: got one, want none", true},
		"VMSA address":      {func(l *Launch) { l.VMSAGPA = VMSAGPA }, "VMSA address: got 0xfffffffff000, want none", true},
		"part of a page":    {func(l *Launch) { l.Firmware.Pages = l.Firmware.Pages[1:] }, "firmware: size: got 4095", true},
		"firmware address":  {func(l *Launch) { l.Firmware.GPA = 4096 }, "firmware: address: got 0x1000", true},
		"kernel, no table":  {func(l *Launch) { l.Kernel, l.Firmware.HashTable = &KernelHashes{}, nil }, "no SEV hash table", true},
		"SNPActive":         {func(l *Launch) { l.Features = 1 }, "guest features: got 0x1, want bit 0 (SNPActive) clear", false},
		"no monitor":        {func(l *Launch) { l.VMM = 0 }, "monitor: got 0", false},
		"EC2":               {func(l *Launch) { l.VMM = EC2 }, "monitor: got ec2, want qemu or qemu-legacy", false},
		"no processors":     {func(l *Launch) { l.VCPUs = 0 }, "virtual processors: got 0", false},
		"many processors":   {func(l *Launch) { l.VCPUs = 513 }, "virtual processors: got 513", false},
		"no reset block":    {func(l *Launch) { l.Firmware.ResetEIP = nil }, "no SEV-ES reset block", false},
		"no CPU":            {func(l *Launch) { l.CPU = 0 }, "CPU signature", false},
		"no SecMem profile": {func(l *Launch) { l.Profile = &Profile{} }, "profile: page type", false},
	} {
		l := es()
		c.change(&l)
		if d, err := MeasureSEVES(l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("SEV-ES: %s: got %x, error %v, want one with %q", name, d, err, c.want)
		}
		d, err := MeasureSEV(l)
		if c.plain && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("SEV: %s: got %x, error %v, want one with %q", name, d, err, c.want)
		}
		if !c.plain && err != nil {
			t.Errorf("SEV: %s: %v", name, err)
		}
	}
}

func TestRefuseHash(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4097, ovmf.MaxSize + 4096} {
		if d, err := OVMFHash(make([]byte, size)); err == nil {
			t.Errorf("%d bytes: got %v, want an error", size, d)
		}
	}
	entry := uint32(0)
	for name, im := range map[string]*ovmf.Image{
		"no entry point": {SEV: []ovmf.SEVSection{}},
		"no metadata":    {SVSMEntry: &entry},
	} {
		if s, err := NewSVSM(im, 0); err == nil {
			t.Errorf("%s: got %v, want an error", name, s)
		}
	}
}

// TestPhysBits: on Milan (48 bits) the address is KVM's; the other values are
// those of gce-tcb-verifier (specification: 0xf_ffff_ffff_f000 on Genoa).
func TestPhysBits(t *testing.T) {
	for bits, want := range map[uint8]uint64{48: VMSAGPA, 52: 0xf_ffff_ffff_f000} {
		if got := PhysBitsVMSAGPA(bits); got != want {
			t.Errorf("%d bits: got %#x, want %#x", bits, got, want)
		}
	}
}
