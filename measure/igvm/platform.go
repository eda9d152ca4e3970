package igvm

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// platformSize is the length of a Platform's body.
const platformSize = 16

// PlatformType is a technology of isolation.
type PlatformType uint8

// The platforms of igvm_defs, IgvmPlatformType.
const (
	Native PlatformType = 0
	VSM    PlatformType = 1 // Hyper-V
	SNP    PlatformType = 2
	TDX    PlatformType = 3
	SEV    PlatformType = 4
	SEVES  PlatformType = 5
)

// String is the platform's name.
func (t PlatformType) String() string {
	names := []string{"native", "vsm", "snp", "tdx", "sev", "sev-es"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("platform %d", uint8(t))
}

// Platform says that the file is for a platform, and which bit its other
// structures have for it (igvm_defs, IGVM_VHS_SUPPORTED_PLATFORM):
//
//	0x0  u32  compatibility_mask, one bit
//	0x4  u8   highest_vtl
//	0x5  u8   platform_type
//	0x6  u16  platform_version, 1
//	0x8  u64  shared_gpa_boundary
type Platform struct {
	Mask              uint32
	HighestVTL        uint8 // virtual trust level, 0 or 2
	Type              PlatformType
	Version           uint16
	SharedGPABoundary uint64 // 0: none
}

func decodePlatform(b []byte) (Platform, error) {
	le := binary.LittleEndian
	p := Platform{
		Mask: le.Uint32(b), HighestVTL: b[4], Type: PlatformType(b[5]),
		Version: le.Uint16(b[6:]), SharedGPABoundary: le.Uint64(b[8:]),
	}
	return p, p.check()
}

func (p Platform) check() error {
	switch {
	case bits.OnesCount32(p.Mask) != 1:
		return fmt.Errorf("compatibility mask: got %#x, want one bit", p.Mask)
	case p.HighestVTL != 0 && p.HighestVTL != 2:
		return fmt.Errorf("highest VTL: got %d, want 0 or 2", p.HighestVTL)
	case p.Type > SEVES:
		return fmt.Errorf("platform: got %d, want 0 to %d", uint8(p.Type), uint8(SEVES))
	case p.Version != 1:
		return fmt.Errorf("platform version: got %d, want 1", p.Version)
	case p.SharedGPABoundary != 0 && (p.Type == Native || p.Type == VSM):
		return fmt.Errorf("shared GPA boundary of platform %v: got %#x, want 0", p.Type, p.SharedGPABoundary)
	}
	return nil
}

// Append adds the body's bytes.
func (p Platform) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, p.Mask)
	b = append(b, p.HighestVTL, byte(p.Type))
	b = le.AppendUint16(b, p.Version)
	return le.AppendUint64(b, p.SharedGPABoundary)
}
