package snp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/snppolicy"
)

// Sizes of a report (AMD 56860, revision 1.58, section 7.3, table
// "ATTESTATION_REPORT Structure"): the first part is what is signed.
const (
	Size       = 0x4a0
	signedSize = 0x2a0
)

// Versions of the report. Version 2 does not say which processor made it;
// version 5 has the mitigation vectors. Nothing is public about version 4 but
// that its fields are those of version 3.
const (
	firstVersion      = 2
	versionCPUID      = 3
	versionMitigation = 5
	lastVersion       = 5
)

// SIGNATURE_ALGO and SIGNING_KEY (ibid., and chapter 10, "ALGO").
const ecdsaP384SHA384 = 1

// SigningKey is the key that signed a report.
type SigningKey uint8

// Signing keys. The values between are reserved.
const (
	VCEK SigningKey = 0
	VLEK SigningKey = 1
	None SigningKey = 7 // the firmware left the signature zero
)

// String is the name of the key.
func (k SigningKey) String() string {
	switch k {
	case VCEK:
		return snppolicy.VCEK
	case VLEK:
		return snppolicy.VLEK
	case None:
		return "NONE"
	}
	return fmt.Sprintf("reserved value %d", uint8(k))
}

// SignerInfo is the field at 48h: bit 0 AUTHOR_KEY_EN, bit 1 MASK_CHIP_KEY,
// bits 2 to 4 SIGNING_KEY.
type SignerInfo uint32

// Bits of SignerInfo.
const (
	authorKeyEnabled SignerInfo = 1 << 0
	maskChipKey      SignerInfo = 1 << 1
	signerReserved   SignerInfo = ^SignerInfo(1<<5 - 1)
)

// AuthorKey reports whether the ID block's author key was given.
func (s SignerInfo) AuthorKey() bool { return s&authorKeyEnabled != 0 }

// MaskChipKey reports whether the host forbids the use of the VCEK.
func (s SignerInfo) MaskChipKey() bool { return s&maskChipKey != 0 }

// SigningKey is the key that signed the report.
func (s SignerInfo) SigningKey() SigningKey { return SigningKey(s >> 2 & 7) }

// Report is an attestation report (ibid.), field by field.
type Report struct {
	Version            uint32         // 000h
	GuestSVN           uint32         // 004h
	Policy             idblock.Policy // 008h
	FamilyID           [16]byte       // 010h
	ImageID            [16]byte       // 020h
	VMPL               uint32         // 030h
	SignatureAlgorithm uint32         // 034h
	Current            TCB            // 038h CURRENT_TCB
	Platform           PlatformInfo   // 040h
	Signer             SignerInfo     // 048h
	ReportData         [64]byte       // 050h
	Measurement        [48]byte       // 090h
	HostData           [32]byte       // 0C0h
	IDKeyDigest        [48]byte       // 0E0h
	AuthorKeyDigest    [48]byte       // 110h
	ReportID           [32]byte       // 140h
	ReportIDMA         [32]byte       // 160h
	Reported           TCB            // 180h REPORTED_TCB
	CPUID              CPUID          // 188h, from version 3
	ChipID             [64]byte       // 1A0h
	Committed          TCB            // 1E0h COMMITTED_TCB
	CurrentFirmware    snppolicy.Version
	CommittedFirmware  snppolicy.Version // 1ECh
	Launch             TCB               // 1F0h LAUNCH_TCB
	LaunchMitigations  uint64            // 1F8h LAUNCH_MIT_VECTOR, from version 5
	CurrentMitigations uint64            // 200h CURRENT_MIT_VECTOR, from version 5
	SignatureR         [48]byte          // 2A0h, big endian here
	SignatureS         [48]byte          // 2E8h, big endian here
}

// FormatError says why bytes are no report, and by which check.
type FormatError struct {
	Check string // SNP-F1 or SNP-F2
	Text  string
}

// Error names the field, its offset, what it has and what it should have.
func (e *FormatError) Error() string { return "decoding report: " + e.Text }

func refuse(check, format string, args ...any) error {
	return &FormatError{Check: check, Text: fmt.Sprintf(format, args...)}
}

// Decode reads a report of version 2 to 5: SNP-F1 as far as it needs no policy,
// and SNP-F2. A processor of an unknown line leaves the TCBs without their
// components. Nothing is authenticated.
func Decode(b []byte) (*Report, error) {
	if len(b) != Size {
		return nil, refuse("SNP-F1", "got %d bytes, want %d", len(b), Size)
	}
	r := &Report{Version: u32(b, 0)}
	if r.Version < firstVersion || r.Version > lastVersion {
		return nil, refuse("SNP-F1", "version at 0x0: got %d, want %d to %d", r.Version, firstVersion, lastVersion)
	}
	r.guest(b)
	r.machine(b)
	if err := r.signature(b); err != nil {
		return nil, err
	}
	if err := r.reserved(b); err != nil {
		return nil, err
	}
	return r, nil
}

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// guest reads what is about the guest.
func (r *Report) guest(b []byte) {
	r.GuestSVN = u32(b, 0x04)
	r.Policy = idblock.Policy(u64(b, 0x08))
	copy(r.FamilyID[:], b[0x10:])
	copy(r.ImageID[:], b[0x20:])
	r.VMPL = u32(b, 0x30)
	r.SignatureAlgorithm = u32(b, 0x34)
	r.Signer = SignerInfo(u32(b, 0x48))
	copy(r.ReportData[:], b[0x50:])
	copy(r.Measurement[:], b[0x90:])
	copy(r.HostData[:], b[0xc0:])
	copy(r.IDKeyDigest[:], b[0xe0:])
	copy(r.AuthorKeyDigest[:], b[0x110:])
	copy(r.ReportID[:], b[0x140:])
	copy(r.ReportIDMA[:], b[0x160:])
}

// machine reads what is about the machine.
func (r *Report) machine(b []byte) {
	// Version 2 knows no processor. It was made by firmware for Milan and Genoa,
	// which share a layout; SNP-B4 refuses the version with another product.
	p := Milan
	if r.Version >= versionCPUID {
		r.CPUID = CPUID{Family: b[0x188], Model: b[0x189], Stepping: b[0x18a]}
		p = r.CPUID.Product()
	}
	r.Current = decodeTCB([8]byte(b[0x38:]), p)
	r.Platform = PlatformInfo(u64(b, 0x40))
	r.Reported = decodeTCB([8]byte(b[0x180:]), p)
	copy(r.ChipID[:], b[0x1a0:])
	r.Committed = decodeTCB([8]byte(b[0x1e0:]), p)
	r.CurrentFirmware = snppolicy.Version{Build: b[0x1e8], Minor: b[0x1e9], Major: b[0x1ea]}
	r.CommittedFirmware = snppolicy.Version{Build: b[0x1ec], Minor: b[0x1ed], Major: b[0x1ee]}
	r.Launch = decodeTCB([8]byte(b[0x1f0:]), p)
	if r.Version >= versionMitigation {
		r.LaunchMitigations, r.CurrentMitigations = u64(b, 0x1f8), u64(b, 0x200)
	}
}

// Fields of the signature (AMD 56860, revision 1.58, chapter 10, table "ECDSA
// P-384 with SHA-384 Signature"): R and S in 72 bytes each, little endian, of
// which a P-384 number takes 48.
const (
	atR       = 0x2a0
	atS       = atR + fieldSize
	atTail    = atS + fieldSize
	fieldSize = 72
	wordSize  = 48
)

func (r *Report) signature(b []byte) error {
	for _, f := range []struct {
		name string
		at   int
		to   *[wordSize]byte
	}{{"signature R", atR, &r.SignatureR}, {"signature S", atS, &r.SignatureS}} {
		copy(f.to[:], b[f.at:])
		slices.Reverse(f.to[:])
		if i := nonZero(b[f.at+wordSize : f.at+fieldSize]); i >= 0 {
			at := f.at + wordSize + i
			return refuse("SNP-F2", "%s at %#x: got %#x, want 0: a P-384 number has 48 bytes", f.name, at, b[at])
		}
	}
	return zero(b, "after the signature", atTail, Size)
}

// reserved refuses bits and bytes that the version does not define. Unknown
// bits of PLATFORM_INFO are for SNP-P2.
func (r *Report) reserved(b []byte) error {
	if err := r.Policy.Check(); err != nil {
		return refuse("SNP-F2", "guest policy at 0x8: %v", err)
	}
	if r.Signer&signerReserved != 0 {
		return refuse("SNP-F2", "signer info at 0x48: got %#x, want bits 5 to 31 zero", uint32(r.Signer))
	}
	cpuid, end := 0x18b, 0x1f8
	if r.Version < versionCPUID {
		cpuid = 0x188
	}
	if r.Version >= versionMitigation {
		end = 0x208
	}
	for _, f := range [][2]int{{0x4c, 0x50}, {cpuid, 0x1a0}, {0x1eb, 0x1ec}, {0x1ef, 0x1f0}, {end, signedSize}} {
		if err := zero(b, "reserved", f[0], f[1]); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		tcb  TCB
	}{{"current TCB at 0x38", r.Current}, {"reported TCB at 0x180", r.Reported}, {"committed TCB at 0x1e0", r.Committed}, {"launch TCB at 0x1f0", r.Launch}} {
		if f.tcb.reserved() {
			return refuse("SNP-F2", "%s: got %x, want its reserved bytes zero", f.name, f.tcb.Raw)
		}
	}
	return nil
}

func zero(b []byte, what string, from, to int) error {
	if i := nonZero(b[from:to]); i >= 0 {
		return refuse("SNP-F2", "%s at %#x: got %#x, want 0", what, from+i, b[from+i])
	}
	return nil
}

// nonZero is the place of the first byte that is not zero, or -1.
func nonZero(b []byte) int { return slices.IndexFunc(b, func(c byte) bool { return c != 0 }) }

// PlatformInfo is PLATFORM_INFO (AMD 56860, revision 1.58, section 7.3, table
// "PLATFORM_INFO Field").
type PlatformInfo uint64

// Bits of PlatformInfo. Bit 6 is not in revision 1.58; firmware for Turin sets
// it, and AMD-SB-3016 is taken to mean it (specs/verify.md 7.7).
const (
	PlatformSMT                PlatformInfo = 1 << 0 // simultaneous multithreading is on
	PlatformTSME               PlatformInfo = 1 << 1 // all memory is encrypted by default
	PlatformECC                PlatformInfo = 1 << 2 // memory corrects errors
	PlatformRAPLDisabled       PlatformInfo = 1 << 3 // power can't be measured
	PlatformCiphertextHiding   PlatformInfo = 1 << 4 // the host can't read ciphertext
	PlatformAliasCheckComplete PlatformInfo = 1 << 5 // no aliased memory since the last reset (AMD-SB-3015)
	PlatformIOMMUSafe          PlatformInfo = 1 << 6 // the IOMMU's writes are flushed
	PlatformTIO                PlatformInfo = 1 << 7 // trusted I/O is on
	platformKnown              PlatformInfo = 1<<8 - 1
)

// Has reports whether all of the bits are set.
func (p PlatformInfo) Has(bits PlatformInfo) bool { return p&bits == bits }

// String gives the number and the names of the bits that are set.
func (p PlatformInfo) String() string {
	s := fmt.Sprintf("%#x", uint64(p))
	names := [...]string{"SMT", "TSME", "ECC", "RAPL_DIS", "CIPHERTEXT_HIDING_DRAM", "ALIAS_CHECK_COMPLETE", "IOMMU_SAFE", "TIO"}
	for i, name := range names {
		if p&(1<<i) != 0 {
			s += ", " + name
		}
	}
	if unknown := p &^ platformKnown; unknown != 0 {
		s += fmt.Sprintf(", unknown bits %#x", uint64(unknown))
	}
	return s
}
