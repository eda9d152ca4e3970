package tdx

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// reportSize is that of an enclave's report (Intel TDX DCAP Quoting Library
// API, rev. 0.9, A.3.10: Enclave Report Body).
const reportSize = 384

// EnclaveReport is what the processor says about the quoting enclave.
type EnclaveReport struct {
	CPUSVN       [16]byte
	MiscSelect   uint32
	ISVExtProdID [16]byte
	Attributes   [16]byte
	MREnclave    [32]byte
	MRSigner     [32]byte
	ConfigID     [64]byte
	ISVProdID    uint16
	ISVSVN       uint16
	ConfigSVN    uint16
	ISVFamilyID  [16]byte
	ReportData   [64]byte

	raw []byte // as received, which the PCK signs
}

// decodeReport reads a report that begins at an offset of the quote:
//
//	CPUSVN        16 bytes    0
//	MISCSELECT    u32        16
//	reserved      12 bytes   20
//	ISVEXTPRODID  16 bytes   32
//	ATTRIBUTES    16 bytes   48
//	MRENCLAVE     32 bytes   64
//	reserved      32 bytes   96
//	MRSIGNER      32 bytes  128
//	reserved      32 bytes  160
//	CONFIGID      64 bytes  192
//	ISVPRODID     u16       256
//	ISVSVN        u16       258
//	CONFIGSVN     u16       260
//	reserved      42 bytes  262
//	ISVFAMILYID   16 bytes  304
//	REPORTDATA    64 bytes  320
func decodeReport(b []byte, at int) (EnclaveReport, error) {
	for _, r := range [][2]int{{20, 32}, {96, 128}, {160, 192}, {262, 304}} {
		if i := slices.IndexFunc(b[r[0]:r[1]], func(v byte) bool { return v != 0 }); i >= 0 {
			return EnclaveReport{}, fmt.Errorf("QE report: reserved at %#x: got %#02x, want 0", at+r[0]+i, b[r[0]+i])
		}
	}
	le := binary.LittleEndian
	return EnclaveReport{
		CPUSVN: [16]byte(b), MiscSelect: le.Uint32(b[16:]), ISVExtProdID: [16]byte(b[32:]), Attributes: [16]byte(b[48:]),
		MREnclave: [32]byte(b[64:]), MRSigner: [32]byte(b[128:]), ConfigID: [64]byte(b[192:]),
		ISVProdID: le.Uint16(b[256:]), ISVSVN: le.Uint16(b[258:]), ConfigSVN: le.Uint16(b[260:]),
		ISVFamilyID: [16]byte(b[304:]), ReportData: [64]byte(b[320:]), raw: b,
	}, nil
}

// Encode gives the report's 384 bytes.
func (r *EnclaveReport) Encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, reportSize)
	copy(b, r.CPUSVN[:])
	le.PutUint32(b[16:], r.MiscSelect)
	copy(b[32:], r.ISVExtProdID[:])
	copy(b[48:], r.Attributes[:])
	copy(b[64:], r.MREnclave[:])
	copy(b[128:], r.MRSigner[:])
	copy(b[192:], r.ConfigID[:])
	le.PutUint16(b[256:], r.ISVProdID)
	le.PutUint16(b[258:], r.ISVSVN)
	le.PutUint16(b[260:], r.ConfigSVN)
	copy(b[304:], r.ISVFamilyID[:])
	copy(b[320:], r.ReportData[:])
	return b
}
