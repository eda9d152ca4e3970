package idblock

import (
	"fmt"
	"strings"
)

// Policy is the guest policy (AMD 56860, section 4.3, table "Guest Policy"),
// which the report repeats.
type Policy uint64

// Bits of a policy from 16 on; below are the lowest minor (0 to 7) and major
// (8 to 15) version of the firmware ABI that may launch the guest. Bit 17 is
// reserved and must be one, those from 26 on must be zero.
const (
	SMT                  Policy = 1 << 16
	reservedOne          Policy = 1 << 17
	MigrateMA            Policy = 1 << 18
	Debug                Policy = 1 << 19
	SingleSocket         Policy = 1 << 20
	CXLAllow             Policy = 1 << 21
	MemAES256XTS         Policy = 1 << 22
	RAPLDisabled         Policy = 1 << 23
	CiphertextHidingDRAM Policy = 1 << 24
	PageSwapDisabled     Policy = 1 << 25
	reservedZero         Policy = ^Policy(1<<26 - 1)
)

// DefaultPolicy is what QEMU takes when none is given (target/i386/sev.c,
// DEFAULT_SEV_SNP_POLICY).
const DefaultPolicy = SMT | reservedOne

// PolicyBit describes one bit of a policy.
type PolicyBit struct {
	Mask  Policy
	Name  string // of the specification
	Set   string // what it means when set
	Unset string // and when not
}

// PolicyBits lists the bits that have a meaning, lowest first.
func PolicyBits() []PolicyBit {
	return []PolicyBit{
		{SMT, "SMT", "the host may run SMT", "the guest runs only where SMT is off"},
		{MigrateMA, "MIGRATE_MA", "a migration agent may be associated", "no migration agent"},
		{Debug, "DEBUG", "the host may read and change the guest's memory", "no debugging by the host"},
		{SingleSocket, "SINGLE_SOCKET", "one socket only", "several sockets are allowed"},
		{CXLAllow, "CXL_ALLOW", "CXL devices and memory are allowed", "no CXL devices or memory"},
		{MemAES256XTS, "MEM_AES_256_XTS", "memory encryption must be AES-256-XTS", "AES-128-XEX or AES-256-XTS memory encryption"},
		{RAPLDisabled, "RAPL_DIS", "RAPL must be off", "RAPL, the measuring of power, may be on"},
		{CiphertextHidingDRAM, "CIPHERTEXT_HIDING_DRAM", "ciphertext hiding must be on", "the host may see ciphertext"},
		{PageSwapDisabled, "PAGE_SWAP_DISABLE", "the host cannot move or swap pages", "the host may move and swap pages"},
	}
}

// ABI is the lowest version of the firmware ABI that may launch the guest.
func (p Policy) ABI() (major, minor uint8) { return uint8(p >> 8), uint8(p) }

// Has says whether all of the bits are set.
func (p Policy) Has(bits Policy) bool { return p&bits == bits }

// Check compares the reserved bits with what the firmware demands.
func (p Policy) Check() error {
	if !p.Has(reservedOne) {
		return fmt.Errorf("got %v, want bit 17 set: it is reserved and must be one", p.hex())
	}
	if p&reservedZero != 0 {
		return fmt.Errorf("got %v, want bits 26 to 63 zero: they are reserved", p.hex())
	}
	return nil
}

func (p Policy) hex() string { return fmt.Sprintf("%#x", uint64(p)) }

// String gives the number and the names of the bits that are set.
func (p Policy) String() string {
	major, minor := p.ABI()
	s := fmt.Sprintf("%v: ABI %d.%d", p.hex(), major, minor)
	for _, b := range PolicyBits() {
		if p.Has(b.Mask) {
			s += ", " + b.Name
		}
	}
	return s
}

// Describe says what the policy allows and demands, a line for each field.
func (p Policy) Describe() string {
	var s strings.Builder
	major, minor := p.ABI()
	fmt.Fprintf(&s, "ABI: version %d.%d of the firmware ABI or later\n", major, minor)
	for _, b := range PolicyBits() {
		value, text := 0, b.Unset
		if p.Has(b.Mask) {
			value, text = 1, b.Set
		}
		fmt.Fprintf(&s, "%s: %d, %s\n", b.Name, value, text)
	}
	return s.String()
}
