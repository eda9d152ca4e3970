package azure

import (
	"encoding/base64"
	"fmt"

	"safebox/verifier/tpm/jsontree"
)

// Limits of evidence.
const (
	pcrs         = 24
	pcrSize      = 32 // only the SHA-256 bank is quoted
	maxMessage   = 512
	maxSignature = 512
	maxQuote     = 64 << 10 // a TD quote with its certificates has 5 kB
	maxVCEK      = 8 << 10
)

// Evidence is a file that an agent made on Azure. It comes in these forms, for
// SEV-SNP and for TDX:
//
//	version  TPM quote          report              hardware
//	none     quote: octets      report: octets      vcek: PEM            SEV-SNP
//	1, 2     tpm_quote: hex     hcl_report: base64  vcek: base64 of DER  SEV-SNP
//	none     tpm_quote: octets  hcl_report: octets  td_quote: octets     TDX
//	1        tpm_quote: hex     hcl_report: base64  td_quote: base64     TDX
//
// A quote is an object of message (TPMS_ATTEST), signature (RSASSA with SHA-256,
// without a structure around it) and pcrs, all 24 of the SHA-256 bank whatever
// was quoted. Octets are lists of integers; base64 is that of RFC 4648, section
// 5, with padding. Versions 1 and 2 differ in what the paravisor was asked to
// put into the claims, which nothing here rests on.
type Evidence struct {
	Version  int // 0 if the file has none
	Report   *Report
	Hardware Hardware
	Quote    Quote
}

// Quote is the TPM's quote.
type Quote struct {
	Message   []byte
	Signature []byte
	PCRs      [][]byte // by index
}

// Recognised reports whether an object has the names of evidence of Azure.
func Recognised(o *jsontree.Object) bool {
	return o.Has("report") || o.Has("hcl_report")
}

// Decode reads the object of a file.
func Decode(o *jsontree.Object) (*Evidence, error) {
	e, err := decode(o)
	if err != nil {
		return nil, fmt.Errorf("parsing Azure evidence: %w", err)
	}
	return e, nil
}

func decode(o *jsontree.Object) (*Evidence, error) {
	e := &Evidence{}
	e.Hardware.Kind = TDX
	if o.Has("vcek") {
		e.Hardware.Kind = SNP
	}
	if o.Has("version") {
		e.Version = o.Number("version", 2)
		if e.Version == 0 || e.Version == 2 && e.Hardware.Kind != SNP {
			return nil, fmt.Errorf("version: got %d, which %v evidence does not have", e.Version, e.Hardware.Kind)
		}
	}
	var report []byte
	switch {
	case e.Version > 0:
		report = e.dated(o)
	case e.Hardware.Kind == SNP:
		report = e.firstSNP(o)
	default:
		report = e.firstTDX(o)
	}
	if err := o.End(); err != nil {
		return nil, err
	}
	if n := len(e.Quote.PCRs); n != pcrs {
		return nil, fmt.Errorf("pcrs: got %d, want %d", n, pcrs)
	}
	for i, v := range e.Quote.PCRs {
		if len(v) != pcrSize {
			return nil, fmt.Errorf("pcrs: register %d: got %d bytes, want %d", i, len(v), pcrSize)
		}
	}
	var err error
	if e.Report, err = DecodeReport(report); err != nil {
		return nil, err
	}
	if e.Report.Kind != e.Hardware.Kind {
		return nil, fmt.Errorf("HCL report is of %v, the evidence of %v", e.Report.Kind, e.Hardware.Kind)
	}
	if e.Hardware.Kind == SNP {
		e.Hardware.Report = e.Report.Hardware
	}
	return e, nil
}

// dated reads the forms that have a version.
func (e *Evidence) dated(o *jsontree.Object) []byte {
	q := o.Object("tpm_quote")
	e.Quote = Quote{
		Message: q.Hex("message", maxMessage), Signature: q.Hex("signature", maxSignature), PCRs: q.HexList("pcrs", pcrs, pcrSize),
	}
	_ = q.End() // the first error is the whole file's
	if e.Hardware.Kind == SNP {
		e.Hardware.VCEK = o.Base64("vcek", base64.URLEncoding, maxVCEK)
	} else {
		e.Hardware.Report = o.Base64("td_quote", base64.URLEncoding, maxQuote)
	}
	return o.Base64("hcl_report", base64.URLEncoding, maxReport)
}

// firstSNP reads the first form of SEV-SNP.
func (e *Evidence) firstSNP(o *jsontree.Object) []byte {
	e.Quote = octets(o.Object("quote"))
	vcek := o.Text("vcek")
	if len(vcek) <= maxVCEK {
		e.Hardware.VCEK = []byte(vcek)
	}
	return o.Octets("report", maxReport)
}

// firstTDX reads the first form of TDX.
func (e *Evidence) firstTDX(o *jsontree.Object) []byte {
	e.Quote = octets(o.Object("tpm_quote"))
	e.Hardware.Report = o.Octets("td_quote", maxQuote)
	return o.Octets("hcl_report", maxReport)
}

func octets(q *jsontree.Object) Quote {
	out := Quote{
		Message: q.Octets("message", maxMessage), Signature: q.Octets("signature", maxSignature), PCRs: q.Lists("pcrs", pcrs, pcrSize),
	}
	_ = q.End() // the first error is the whole file's
	return out
}
