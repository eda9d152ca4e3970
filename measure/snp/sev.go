package snp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// MeasureSEV computes the launch digest of plain SEV: SHA-256 over the
// firmware, and over the table of kernel hashes if there is a kernel. Nothing
// else of the launch enters it: no processor, no feature, no monitor.
func MeasureSEV(l Launch) ([32]byte, error) {
	b, err := l.sevMemory()
	if err != nil {
		return [32]byte{}, fmt.Errorf("measuring SEV launch: %w", err)
	}
	h := sha256.New()
	for _, part := range b {
		h.Write(part)
	}
	return [32]byte(h.Sum(nil)), nil
}

// MeasureSEVES computes the launch digest of SEV-ES: that of SEV, with the save
// area of every virtual processor after it. Launch.Features is 0, or what the
// host sets unasked, such as DebugSwap. QEMU starts SEV-ES guests in virtual
// machines of the default type unless told otherwise (legacy-vm-type=off):
// these have the profile QEMULegacy.
func MeasureSEVES(l Launch) ([32]byte, error) {
	list, err := MeasureSEVESUpTo(l, l.VCPUs)
	if err != nil {
		return [32]byte{}, err
	}
	return list[len(list)-1], nil
}

// MeasureSEVESUpTo computes the launch digests of SEV-ES with 1 to limit
// virtual processors at the cost of one launch. Launch.VCPUs plays no part.
func MeasureSEVESUpTo(l Launch, limit int) ([][32]byte, error) {
	list, err := l.measureSEVES(limit)
	if err != nil {
		return nil, fmt.Errorf("measuring SEV-ES launch: %w", err)
	}
	return list, nil
}

func (l *Launch) measureSEVES(vcpus int) ([][32]byte, error) {
	b, err := l.sevMemory()
	if err != nil {
		return nil, err
	}
	p, err := l.profile()
	if err != nil {
		return nil, err
	}
	if l.VMM != QEMU && l.VMM != QEMULegacy {
		return nil, fmt.Errorf("monitor: got %v, want %v or %v: no other is known to launch SEV-ES", l.VMM, QEMU, QEMULegacy)
	}
	if l.Features&SNPActive != 0 {
		return nil, fmt.Errorf("guest features: got %#x, want bit 0 (SNPActive) clear for SEV-ES", l.Features)
	}
	if err := l.checkVCPUs(p, vcpus); err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, part := range b {
		h.Write(part)
	}
	list := make([][32]byte, 0, vcpus)
	page, ap := l.vmsas(p)
	for range vcpus {
		h.Write(page[:])
		list = append(list, [32]byte(h.Sum(nil)))
		page = ap
	}
	return list, nil
}

// sevMemory checks and lists what SEV measures of memory, in order (QEMU,
// sev_encrypt_flash and sev_add_kernel_loader_hashes).
func (l *Launch) sevMemory() ([][]byte, error) {
	switch {
	case l.Firmware.Seed != nil:
		return nil, errors.New("firmware: got a hash of SEV-SNP that stands for it, want the image")
	case l.SVSM != nil:
		return nil, errors.New("SVSM: got one, want none: it needs SEV-SNP")
	case l.VMSAGPA != 0:
		return nil, fmt.Errorf("VMSA address: got %#x, want none: only SEV-SNP measures addresses", l.VMSAGPA)
	}
	if err := l.Firmware.checkImage(); err != nil {
		return nil, err
	}
	parts := [][]byte{l.Firmware.Pages}
	if l.Kernel == nil {
		return parts, nil
	}
	if err := l.Firmware.checkHashTable(); err != nil {
		return nil, err
	}
	table := l.Kernel.table()
	return append(parts, table[:]), nil
}

// Measured is what else than the launch digest goes into the measurement that
// the guest's owner gets of SEV and SEV-ES.
type Measured struct {
	APIMajor, APIMinor, Build uint8    // of the firmware, from PLATFORM_STATUS
	Policy                    uint32   // of the guest, from LAUNCH_START
	Nonce                     [16]byte // MNONCE, beside the measurement
}

// LaunchMeasure is the answer of LAUNCH_MEASURE: not the launch digest itself,
// but its HMAC-SHA256 with the owner's transport integrity key (TIK).
//
// AMD 55766, section 6.5: 0x04, API_MAJOR, API_MINOR, BUILD, GCTX.POLICY,
// GCTX.LD, MNONCE.
func LaunchMeasure(tik [16]byte, digest [32]byte, m Measured) [32]byte {
	text := make([]byte, 0, 56)
	text = append(text, 0x04, m.APIMajor, m.APIMinor, m.Build)
	text = binary.LittleEndian.AppendUint32(text, m.Policy)
	text = append(text, digest[:]...)
	text = append(text, m.Nonce[:]...)
	h := hmac.New(sha256.New, tik[:])
	h.Write(text)
	return [32]byte(h.Sum(nil))
}
