// Package azure reads the evidence of confidential virtual machines on Azure,
// whose TPM is emulated by a paravisor that the processor measures: the
// paravisor's report, the claims in it, and the JSON files that agents make of
// them. It verifies nothing; cloud does.
//
// It implements Microsoft's description of the attestation report in the TPM's
// NV index 0x01400001 ("Guest attestation for confidential VMs", Azure
// confidential computing), RFC 7517 and 7518 (JWK) for the claims, and the JSON
// forms that confidential-containers/trustee reads at 78962cd.
package azure

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Layout of the report ("Guest attestation for confidential VMs": the header,
// the hardware report, the runtime data).
const (
	headerSize   = 32
	hardwareSize = 1184 // an SEV-SNP report, or a TDREPORT and zeros
	dataOffset   = headerSize + hardwareSize
	dataHeader   = 20
	claimsOffset = dataOffset + dataHeader
	tdReportSize = 1024 // Intel TDX Module 1.5 ABI, TDREPORT_STRUCT
)

// maxReport bounds a report: the NV index that it is read from has 2600 bytes.
const maxReport = 4096

// Values of the report's fields.
const (
	signature    = "HCLA"
	requestType  = 2 // of an attestation report
	dataVersion  = 1
	hashSHA256   = 1
	firstVersion = 1
	lastVersion  = 2
)

// Kind says which processor a hardware report is from.
type Kind uint32

// The kinds, by the number that the runtime data have for them.
const (
	SNP Kind = 2
	TDX Kind = 4
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case SNP:
		return "SEV-SNP"
	case TDX:
		return "TDX"
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Report is what the paravisor leaves in the TPM, once per boot. All numbers
// are u32 in little endian.
//
//	0     signature      "HCLA"
//	4     version        1 or 2
//	8     size           of the header, the hardware report and the runtime data
//	12    request type   2
//	16    reserved       16 bytes, zero
//	32    hardware       1184 bytes: an SEV-SNP report, or a TDREPORT and zeros
//	1216  data size      of the runtime data: 20 and the claims
//	1220  data version   1
//	1224  kind           2 SEV-SNP, 4 TDX
//	1228  hash           1 SHA-256
//	1232  claims size
//	1236  claims         JSON
//	then zeros up to the size of the NV index
type Report struct {
	Kind     Kind
	Hardware []byte // an SEV-SNP report of 1184 bytes or a TDREPORT of 1024, which only its own processor could verify
	Claims   *Claims

	claims []byte // as hashed
}

// DecodeReport parses a report. Every byte must belong to it.
func DecodeReport(b []byte) (*Report, error) {
	r, err := decodeReport(b)
	if err != nil {
		return nil, fmt.Errorf("parsing HCL report: %w", err)
	}
	return r, nil
}

func decodeReport(b []byte) (*Report, error) {
	if n := len(b); n < claimsOffset || n > maxReport {
		return nil, fmt.Errorf("length: got %d, want %d to %d", n, claimsOffset, maxReport)
	}
	if !bytes.HasPrefix(b, []byte(signature)) {
		return nil, fmt.Errorf("signature: got %q, want %q", b[:4], signature)
	}
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	size := u32(dataOffset + 16)
	if room := uint32(len(b) - claimsOffset); size == 0 || size > room {
		return nil, fmt.Errorf("claims size at %#x: got %d, want 1 to %d", dataOffset+16, size, room)
	}
	for _, f := range []struct {
		name      string
		off       int
		low, high uint32
	}{
		{"version", 4, firstVersion, lastVersion},
		{"size", 8, claimsOffset + size, claimsOffset + size},
		{"request type", 12, requestType, requestType},
		{"data size", dataOffset, dataHeader + size, dataHeader + size},
		{"data version", dataOffset + 4, dataVersion, dataVersion},
		{"hash", dataOffset + 12, hashSHA256, hashSHA256},
	} {
		if got := u32(f.off); got < f.low || got > f.high {
			return nil, fmt.Errorf("%s at %#x: got %d, want %d to %d", f.name, f.off, got, f.low, f.high)
		}
	}
	end := claimsOffset + int(size)
	if !zero(b[16:headerSize]) || !zero(b[end:]) {
		return nil, fmt.Errorf("reserved bytes at 0x10 and from %#x on: want zeros", end)
	}
	r := &Report{Kind: Kind(u32(dataOffset + 8)), Hardware: b[headerSize:dataOffset], claims: b[claimsOffset:end]}
	switch r.Kind {
	case SNP:
	case TDX:
		if !zero(r.Hardware[tdReportSize:]) {
			return nil, fmt.Errorf("bytes after the TDREPORT at %#x: want zeros", headerSize+tdReportSize)
		}
		r.Hardware = r.Hardware[:tdReportSize]
	default:
		return nil, fmt.Errorf("kind at %#x: got %d, want %d (SEV-SNP) or %d (TDX)", dataOffset+8, uint32(r.Kind), uint32(SNP), uint32(TDX))
	}
	var err error
	r.Claims, err = decodeClaims(r.claims)
	return r, err
}

// ReportData is what the hardware's report_data must be for the claims to be
// the paravisor's: their SHA-256, then zeros.
func (r *Report) ReportData() [64]byte {
	var data [64]byte
	sum := sha256.Sum256(r.claims)
	copy(data[:], sum[:])
	return data
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
