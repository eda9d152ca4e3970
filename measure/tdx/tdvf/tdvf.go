// Package tdvf computes what a virtual-machine monitor puts into MRTD, the
// build-time measurement register of an Intel TD, when it loads a TDX virtual
// firmware, and builds the TD HOB that it hands to that firmware.
//
// It implements:
//   - Intel TDX Module v1.5 Base Architecture Specification 348549, "MRTD:
//     Build-Time Measurement Register", and the leaf functions
//     TDH.MEM.PAGE.ADD and TDH.MR.EXTEND of its ABI Specification 348551
//   - Intel TDX Virtual Firmware Design Guide 344991, for the TD HOB and for
//     the metadata, whose sections package ovmf decodes
//   - UEFI Platform Initialization 1.8, Volume 3, 5 "HOB code definitions"
//   - the orders and memory maps of QEMU (target/i386/kvm/tdx.c,
//     hw/i386/tdvf.c, hw/i386/tdvf-hob.c and hw/i386/pc_q35.c of 10.1) and of
//     Google Compute Engine (google/gce-tcb-verifier, ovmf/tdx_data.go and
//     tdx/mrtd_from_ovmf.go), which no specification fixes
//
// MRTD says nothing of TD attributes, XFAM, MRCONFIGID, MROWNER and
// MROWNERCONFIG: a TD that its host can debug has the same MRTD.
package tdvf

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is a SHA-384 digest or the value of a TDX measurement register.
type Digest [48]byte

// String gives lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Order is the order in which a monitor adds and measures pages, and which of
// them it measures. MRTD depends on it, and a quote does not tell it.
type Order uint8

const (
	// SinglePass measures a page right after adding it: KVM with QEMU since
	// KVM_TDX_INIT_MEM_REGION, Google Compute Engine, td-shim.
	SinglePass Order = iota
	// TwoPass adds all pages of a section, then measures them: QEMU 8 with the
	// TDX patches of Intel and Canonical.
	TwoPass
	// TDHOBBug is SinglePass with every section measured, whether the metadata
	// ask for it or not, so that MRTD depends on the machine's memory: earlier
	// hypervisors of Google Compute Engine.
	TDHOBBug
)

// Orders lists all orders, the usual one first.
func Orders() []Order { return []Order{SinglePass, TwoPass, TDHOBBug} }

// String gives the name that ParseOrder reads.
func (o Order) String() string {
	switch o {
	case SinglePass:
		return "single-pass"
	case TwoPass:
		return "two-pass"
	case TDHOBBug:
		return "tdhob-bug"
	}
	return fmt.Sprintf("order %d", uint8(o))
}

// ParseOrder reads the name of an order.
func ParseOrder(s string) (Order, error) {
	var names []string
	for _, o := range Orders() {
		if s == o.String() {
			return o, nil
		}
		names = append(names, o.String())
	}
	return 0, fmt.Errorf("parsing MRTD order: got %q, want %s", s, strings.Join(names, ", "))
}
