package vmm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"safebox/verifier/guestapi"
)

// Where AMD's processors with SEV-SNP have the encryption bit in an address,
// and how many bits of physical addresses a guest loses to it (AMD 24594, CPUID
// Fn8000_001F_EBX; QEMU compares the first with the host's).
const (
	cBit            = 51
	reducedPhysBits = 1
)

// Confidential describes a guest that a technology isolates from its host:
// with SNP or TDX, exactly one. Firmware, kernel, initrd and command line are
// measured, as they are given.
type Confidential struct {
	Name        string // for the host's process list; the guest does not see it
	Firmware    string // image with code and variables in one file
	Kernel      string
	Initrd      string
	CommandLine string
	VCPUs       int
	Memory      int64 // bytes, whole MiB
	Port        int   // loopback TCP port that leads to the guest's API
	SNP         *SNPGuest
	TDX         *TDXGuest
}

// SNPGuest is what SEV-SNP needs besides.
type SNPGuest struct {
	CPU      string // QEMU's name of the processor, whose signature is measured
	Policy   uint64
	HostData [32]byte // in the report, for the host's use
	IDBlock  []byte   // 96 bytes; nil: none
	IDAuth   []byte   // 4096 bytes, with IDBlock
	Author   bool     // IDAuth has an author key
}

// TDXGuest is what TDX needs besides. All three are in the quote, unmeasured.
type TDXGuest struct {
	ConfigID    [48]byte // MRCONFIGID
	Owner       [48]byte // MROWNER
	OwnerConfig [48]byte // MROWNERCONFIG
}

// Intel's quote generation service listens here on a host (QEMU 10.1,
// docs/system/i386/tdx.rst).
const (
	quoteCID  = "2"
	quotePort = "4050"
)

// ConfidentialArgs is the VMM's command line without the program's name. Option
// names are those of QEMU 10.0 for SEV-SNP and of 10.1, the first with TDX.
func ConfidentialArgs(c Confidential) ([]string, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("describing machine: %w", err)
	}
	object, cpu, err := c.object()
	if err != nil {
		return nil, fmt.Errorf("describing machine: %w", err)
	}
	args := []string{
		"-name", "guest=" + escape(c.Name),
		"-nodefaults", "-no-user-config", "-display", "none",
	}
	args = append(args, sandboxArgs()...)
	size := fmt.Sprintf("size=%dM", c.Memory>>20)
	args = append(args,
		"-accel", "kvm", "-cpu", cpu,
		"-machine", "q35,"+absentDevices+",kernel-irqchip=split,confidential-guest-support=cc,memory-backend=ram",
		"-object", object,
		// Pages that the guest shares with its host come from here; its own ones
		// come from guest_memfd, which QEMU adds.
		"-object", "memory-backend-memfd,id=ram,share=on,"+size,
		"-smp", "cpus="+strconv.Itoa(c.VCPUs),
		"-m", size,
		"-no-reboot",
		"-bios", c.Firmware,
	)
	args = append(args, consoleArgs()...)
	args = append(args,
		"-netdev", fmt.Sprintf("user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:%d-:%d", c.Port, guestapi.Port),
		// The device must use the pages that the guest shares, as the guest's
		// IOMMU interface tells it.
		"-device", pciDevice("virtio-net-pci,netdev=net,iommu_platform=on", ""),
	)
	return append(args, "-kernel", c.Kernel, "-initrd", c.Initrd, "-append", c.CommandLine), nil
}

// object is the guest's isolation, and its type of processor.
func (c *Confidential) object() (object, cpu string, err error) {
	if c.TDX != nil {
		object, err = c.TDX.object()
		return object, "host", err // TDX has no other
	}
	return c.SNP.object(), c.SNP.CPU, nil
}

func (s *SNPGuest) object() string {
	object := fmt.Sprintf("sev-snp-guest,id=cc,cbitpos=%d,reduced-phys-bits=%d,policy=%#x,kernel-hashes=on", cBit, reducedPhysBits, s.Policy)
	if s.HostData != ([32]byte{}) {
		object += ",host-data=" + base64.StdEncoding.EncodeToString(s.HostData[:])
	}
	if s.IDBlock != nil {
		author := "off"
		if s.Author {
			author = "on"
		}
		object += ",id-block=" + base64.StdEncoding.EncodeToString(s.IDBlock) +
			",id-auth=" + base64.StdEncoding.EncodeToString(s.IDAuth) + ",author-key-enabled=" + author
	}
	return object
}

// object is JSON, the only form that takes a socket's address (QEMU 10.1,
// qapi/qom.json, TdxGuestProperties).
func (t *TDXGuest) object() (string, error) {
	type socket struct {
		Type string `json:"type"`
		CID  string `json:"cid"`
		Port string `json:"port"`
	}
	text := func(d [48]byte) string {
		if d == ([48]byte{}) {
			return ""
		}
		return base64.StdEncoding.EncodeToString(d[:])
	}
	b, err := json.Marshal(struct {
		Type        string `json:"qom-type"`
		ID          string `json:"id"`
		ConfigID    string `json:"mrconfigid,omitempty"`
		Owner       string `json:"mrowner,omitempty"`
		OwnerConfig string `json:"mrownerconfig,omitempty"`
		Quotes      socket `json:"quote-generation-socket"`
	}{
		Type: "tdx-guest", ID: "cc", ConfigID: text(t.ConfigID), Owner: text(t.Owner), OwnerConfig: text(t.OwnerConfig),
		Quotes: socket{Type: "vsock", CID: quoteCID, Port: quotePort},
	})
	return string(b), err
}

// Sizes of what SNP_LAUNCH_FINISH takes (AMD 56860, 8.18).
const (
	idBlockSize = 96
	idAuthSize  = 4096
)

func (c *Confidential) check() error {
	switch {
	case c.VCPUs < 1 || c.VCPUs > MaxVCPUs:
		return fmt.Errorf("%d vCPUs, want 1 to %d", c.VCPUs, MaxVCPUs)
	case c.Memory < MinMemory || c.Memory > MaxMemory:
		return fmt.Errorf("%d MiB of memory, want %d to %d", c.Memory>>20, MinMemory>>20, MaxMemory>>20)
	case c.Memory%(1<<20) != 0:
		return fmt.Errorf("%d bytes of memory, want whole MiB", c.Memory)
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("port %d, want 1 to 65535", c.Port)
	case c.Name == "":
		return errors.New("no name")
	case c.Firmware == "" || c.Kernel == "" || c.Initrd == "":
		return errors.New("no firmware, kernel or initrd: want all three")
	case (c.SNP == nil) == (c.TDX == nil):
		return errors.New("want one of SEV-SNP and TDX")
	}
	for _, s := range []string{c.Name, c.Firmware, c.Kernel, c.Initrd, c.CommandLine} {
		if strings.ContainsAny(s, "\x00\n") {
			return fmt.Errorf("%q: want no NUL and no newline", s)
		}
	}
	if c.SNP != nil {
		return c.SNP.check()
	}
	return nil
}

func (s *SNPGuest) check() error {
	switch {
	case s.CPU == "" || strings.ContainsAny(s.CPU, ",\x00\n"):
		return fmt.Errorf("processor type %q, want a name without a comma", s.CPU)
	case (s.IDBlock == nil) != (s.IDAuth == nil):
		return errors.New("want an ID block and its authentication together")
	case s.IDBlock != nil && (len(s.IDBlock) != idBlockSize || len(s.IDAuth) != idAuthSize):
		return fmt.Errorf("ID block of %d bytes and authentication of %d, want %d and %d", len(s.IDBlock), len(s.IDAuth), idBlockSize, idAuthSize)
	}
	return nil
}
