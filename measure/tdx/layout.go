package tdx

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Layout is the order and kind of what a firmware measures into RTMR0 and, in a
// direct boot, into RTMR1. No version number in the firmware tells it: the
// caller chooses (specs/measure.md 5.3).
type Layout uint8

const (
	// L0 is OVMF 2024.02 with TDX patches: the separator of the moment before
	// boot goes into RTMR0, behind the boot entries, and not into RTMR1.
	L0 Layout = iota + 1
	// L1 is upstream edk2 up to 2025.02.
	L1
	// L2 is upstream edk2 since 2025.05, which measures fw_cfg files too and has
	// two boot entries of its own.
	L2
	// Intel is Intel's own tree of TDX firmware, as far as it is determined.
	Intel
)

// Layouts lists them all.
func Layouts() []Layout { return []Layout{L0, L1, L2, Intel} }

// String returns the name that ParseLayout reads.
func (l Layout) String() string {
	switch l {
	case L0:
		return "l0"
	case L1:
		return "l1"
	case L2:
		return "l2"
	case Intel:
		return "intel"
	}
	return fmt.Sprintf("layout %d", uint8(l))
}

// ParseLayout reads a layout's name.
func ParseLayout(s string) (Layout, error) {
	var names []string
	for _, l := range Layouts() {
		if s == l.String() {
			return l, nil
		}
		names = append(names, l.String())
	}
	return 0, fmt.Errorf("parsing RTMR layout: got %q, want %s", s, strings.Join(names, ", "))
}

// Evidence says in one sentence what confirms the layout.
func (l Layout) Evidence() string {
	switch l {
	case L0:
		return "seen in one event log of a TD, direct kernel boot; no quote beside it"
	case L1:
		return "two hardware quotes of TDs, direct kernel boot with edk2 before 2025.05, replay to it; disk boot follows a log of Google Compute Engine"
	case L2:
		return "the events' digests are constants that dstack found in a running TD; their order is read in edk2's source, and no whole RTMR0 was compared with a quote"
	case Intel:
		return "seen in one event log of a TD, direct kernel boot; no quote beside it, and what three of its events hash is not known"
	}
	return "not a layout"
}

// KnownLayout returns the layout of a firmware file with this SHA-256. It knows
// Debian's OVMF.fd of package ovmf 2025.02-8+deb13u1. For that, L1 is not
// confirmed in a TD: it rests on the edk2 version, on the hardware quote for L1
// of another build of edk2, and on this build's own log with a software TPM,
// which has the same variables, boot entries and order.
func KnownLayout(sha256 [32]byte) (Layout, bool) {
	const debian = "14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db"
	if hex.EncodeToString(sha256[:]) == debian {
		return L1, true
	}
	return 0, false
}
