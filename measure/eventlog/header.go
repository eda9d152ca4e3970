package eventlog

import (
	"bytes"
	"fmt"
)

// Header is the Specification ID event, a TCG_EfiSpecIDEvent (PFP 10.4.5.1).
// It comes first, in the TPM 1.2 form of an event, and says which digests the
// events after it carry.
type Header struct {
	PlatformClass uint32 // 0: client, 1: server
	VersionMinor  uint8
	VersionMajor  uint8
	Errata        uint8 // revision of the profile that the firmware follows
	UintnSize     uint8 // 1: UINTN is 32 bits wide, 2: 64 bits
	Algorithms    []AlgorithmSize
	VendorInfo    []byte
}

// AlgorithmSize is a TCG_EfiSpecIdEventAlgorithmSize (PFP 10.4.5.1). It
// carries the digest size, so that a reader can pass over digests of
// algorithms that it does not know.
type AlgorithmSize struct {
	Algorithm Algorithm
	Size      uint16
}

// signature of the TCG_EfiSpecIDEvent (PFP 10.4.5.1).
const signature = "Spec ID Event03\x00"

// Fixed parts of the header event.
const (
	legacyDigestSize = 20 // PFP 10.2.1, TCG_PCClientPCREvent: a SHA-1 digest
	specIDFixedSize  = 16 + 4 + 4 + 4
	maxDigestSize    = 64 // the largest TPMU_HA of the TPM 2.0 Library, Part 2
)

// header parses the first event, a TCG_PCClientPCREvent (PFP 10.2.1), and
// returns its register with it, which its caller checks:
//
//	pcrIndex       u32
//	eventType      u32       EV_NO_ACTION
//	digest         20 bytes  zero
//	eventDataSize  u32
//	event          eventDataSize bytes
func (d *decoder) header() (uint32, *Header, error) {
	register, typ := d.u32(d.registers.index), Type(d.u32("type"))
	digest := d.bytes(legacyDigestSize, "digest")
	size := d.u32("event size")
	if d.err != nil {
		return 0, nil, d.err
	}
	if typ != NoAction {
		return 0, nil, fmt.Errorf("type: got %v, want %v", typ, NoAction)
	}
	if !zero(digest) {
		return 0, nil, fmt.Errorf("digest: got %x, want zeros", digest)
	}
	data := d.bytes(int(min(size, MaxEventSize+1)), "event data")
	if d.err != nil {
		return 0, nil, d.err
	}
	h, err := decodeSpecID(data)
	return register, h, err
}

// decodeSpecID parses a TCG_EfiSpecIDEvent (PFP 10.4.5.1):
//
//	signature           16 bytes  "Spec ID Event03", NUL
//	platformClass       u32
//	specVersionMinor    u8        0
//	specVersionMajor    u8        2
//	specErrata          u8
//	uintnSize           u8
//	numberOfAlgorithms  u32
//	digestSizes         u16 algorithm, u16 size; numberOfAlgorithms times
//	vendorInfoSize      u8
//	vendorInfo          vendorInfoSize bytes
func decodeSpecID(b []byte) (*Header, error) {
	d := decoder{b: b}
	if got := d.bytes(len(signature), "signature"); d.err == nil && string(got) != signature {
		return nil, fmt.Errorf("signature: got %q, want %q", got, signature)
	}
	h := &Header{
		PlatformClass: d.u32("platform class"),
		VersionMinor:  d.u8("minor version"),
		VersionMajor:  d.u8("major version"),
		Errata:        d.u8("errata"),
		UintnSize:     d.u8("UINTN size"),
	}
	count := d.u32("algorithm count")
	if d.err != nil {
		return nil, d.err
	}
	if err := h.checkFixed(count); err != nil {
		return nil, err
	}
	for range count {
		h.Algorithms = append(h.Algorithms, AlgorithmSize{
			Algorithm: Algorithm(d.u16("algorithm")),
			Size:      d.u16("digest size"),
		})
	}
	h.VendorInfo = d.bytes(int(d.u8("vendor information size")), "vendor information")
	if d.err != nil {
		return nil, d.err
	}
	if d.off != len(b) {
		return nil, fmt.Errorf("length: got %d, want %d: bytes follow the vendor information", len(b), d.off)
	}
	return h, checkAlgorithms(h.Algorithms)
}

func (h *Header) checkFixed(algorithms uint32) error {
	switch {
	case h.PlatformClass > 1:
		return fmt.Errorf("platform class: got %d, want 0 or 1", h.PlatformClass)
	case h.VersionMajor != 2 || h.VersionMinor != 0:
		return fmt.Errorf("version: got %d.%d, want 2.0", h.VersionMajor, h.VersionMinor)
	case h.UintnSize != 1 && h.UintnSize != 2:
		return fmt.Errorf("UINTN size: got %d, want 1 or 2", h.UintnSize)
	case algorithms == 0 || algorithms > MaxAlgorithms:
		return fmt.Errorf("algorithm count: got %d, want 1 to %d", algorithms, MaxAlgorithms)
	}
	return nil
}

func checkAlgorithms(list []AlgorithmSize) error {
	for i, a := range list {
		if want := a.Algorithm.Size(); want != 0 && int(a.Size) != want {
			return fmt.Errorf("algorithm %v: digest size: got %d, want %d", a.Algorithm, a.Size, want)
		}
		if a.Size == 0 || a.Size > maxDigestSize {
			return fmt.Errorf("algorithm %v: digest size: got %d, want 1 to %d", a.Algorithm, a.Size, maxDigestSize)
		}
		for _, b := range list[:i] {
			if a.Algorithm == b.Algorithm {
				return fmt.Errorf("algorithm %v: listed twice", a.Algorithm)
			}
		}
	}
	return nil
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
