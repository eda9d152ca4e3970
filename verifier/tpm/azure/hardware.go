package azure

import (
	"encoding/binary"
	"fmt"
)

// Where hardware evidence has its report_data of 64 bytes.
const (
	snpReportData  = 0x50 // AMD 56860, ATTESTATION_REPORT: REPORT_DATA
	tdHeader       = 48   // Intel TDX DCAP Quoting Library API, A.3.1: quote header
	tdBodyHeader   = 6    // A.3.2, version 5: u16 type and u32 size of the body
	tdReportData   = 520  // in the TD quote body of versions 4 and 5: REPORTDATA
	reportDataSize = 64
)

// Hardware is what the processor's own package verifies.
type Hardware struct {
	Kind   Kind
	Report []byte // the SEV-SNP report in the paravisor's, or the TD quote that came beside it
	VCEK   []byte // of SEV-SNP: the certificate that came along, PEM or DER
}

// ReportData reads what the hardware evidence binds. It is here besides the
// processor's package because a policy may let that accept any report data, and
// here one value alone may do.
func (h Hardware) ReportData() ([64]byte, error) {
	off := snpReportData
	if h.Kind == TDX {
		if len(h.Report) < tdHeader {
			return [64]byte{}, fmt.Errorf("TD quote: got %d bytes, want at least %d", len(h.Report), tdHeader)
		}
		off = tdHeader + tdReportData
		switch version := binary.LittleEndian.Uint16(h.Report); version {
		case 4:
		case 5:
			off += tdBodyHeader
		default:
			return [64]byte{}, fmt.Errorf("TD quote: version: got %d, want 4 or 5", version)
		}
	}
	if end := off + reportDataSize; len(h.Report) < end {
		return [64]byte{}, fmt.Errorf("%v evidence: got %d bytes, want at least %d", h.Kind, len(h.Report), end)
	}
	return [64]byte(h.Report[off : off+reportDataSize]), nil
}
