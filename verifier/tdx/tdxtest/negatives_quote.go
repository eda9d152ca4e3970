package tdxtest

import (
	"testing"

	"safebox/verifier/tdx"
)

// Offsets in a quote of version 4 and, by 6 more, of version 5.
const (
	bodyAt          = 48
	signatureSizeAt = bodyAt + 584
	signatureAt     = signatureSizeAt + 4
	certificationAt = signatureAt + 128
	reportAt        = certificationAt + 6
	authSizeAt      = reportAt + 384 + 64
	innerAt         = authSizeAt + 2 + 32
)

func formNegatives() []negative {
	return []negative{
		{id: "TDX-F1", name: "version 3", change: quote(func(q *tdx.Quote) { q.Header.Version = 3 })},
		{id: "TDX-F1", name: "version 6", change: quote(func(q *tdx.Quote) { q.Header.Version = 6 })},
		{id: "TDX-F1", name: "version 5 with the layout of 4", change: quote(func(q *tdx.Quote) { q.Header.Version = 5 })},
		{id: "TDX-F1", name: "version 4 with the layout of 5", form: tdx.V5Body10, change: quote(func(q *tdx.Quote) { q.Header.Version = 4 })},
		{id: "TDX-F1", name: "attestation key on P-384", change: quote(func(q *tdx.Quote) { q.Header.AttestationKeyType = 3 })},
		{id: "TDX-F1", name: "enclave of SGX", change: quote(func(q *tdx.Quote) { q.Header.TEEType = 0 })},
		{id: "TDX-F1", name: "TEE type with a high bit", change: quote(func(q *tdx.Quote) { q.Header.TEEType = 0x80000081 })},
		{id: "TDX-F1", name: "SVN of an SGX quote in the reserved bytes", after: put(8, 1)},
		{id: "TDX-F1", name: "last reserved byte", after: put(11, 1)},
		{id: "TDX-F1", name: "body type 1", form: tdx.V5Body10, after: put(bodyAt, 1)},
		{id: "TDX-F1", name: "body type 4", form: tdx.V5Body15, after: put(bodyAt, 4)},
		{id: "TDX-F1", name: "body of TDX 1.5 with the size of 1.0", form: tdx.V5Body15, after: put(bodyAt+2, 0x48, 2)},
		{id: "TDX-F1", name: "body of TDX 1.0 with the size of 1.5", form: tdx.V5Body10, after: put(bodyAt+2, 0x88, 2)},
		{id: "TDX-F1", name: "form that the policy does not take", form: tdx.V5Body15, change: func(t testing.TB, e *Evidence) {
			e.Set(t, "quotes", `["v4", "v5/1.0"]`)
		}},
		{id: "TDX-F2", name: "another QE vendor", change: quote(func(q *tdx.Quote) { q.Header.QEVendor[15] ^= 1 })},
		{id: "TDX-F2", name: "no QE vendor", form: tdx.V5Body15, change: quote(func(q *tdx.Quote) { q.Header.QEVendor = [16]byte{} })},
	}
}

func sizeNegatives() []negative {
	return []negative{
		{id: "TDX-F1", name: "no quote", after: raw(func([]byte) []byte { return nil })},
		{id: "TDX-F1", name: "header alone", after: raw(func(b []byte) []byte { return b[:bodyAt] })},
		{id: "TDX-F1", name: "body cut off", after: raw(func(b []byte) []byte { return b[:signatureSizeAt-1] })},
		{id: "TDX-F1", name: "no signature data", after: raw(func(b []byte) []byte { return b[:signatureSizeAt+3] })},
		{id: "TDX-F1", name: "chain cut off", change: quote(func(q *tdx.Quote) { q.Padding = 0 }), after: raw(func(b []byte) []byte { return b[:len(b)-1] })},
		{id: "TDX-F1", name: "byte behind the padding", after: raw(func(b []byte) []byte { return append(b, 1) })},
		{id: "TDX-F1", name: "byte within the padding", after: raw(func(b []byte) []byte { b[len(b)-70] = 0x20; return b })},
		{id: "TDX-F1", name: "padding without end", after: raw(func(b []byte) []byte { return append(b, make([]byte, tdx.MaxSize)...) })},
		{id: "TDX-F1", name: "signature data larger than the quote", after: put(signatureSizeAt, 0xff, 0xff, 0xff, 0xff)},
		{id: "TDX-F1", name: "signature data of no size", after: put(signatureSizeAt, 0, 0, 0, 0)},
		{id: "TDX-F1", name: "certification data of type 5 outside", after: put(certificationAt, 5)},
		{id: "TDX-F1", name: "size of the certification data", after: put(certificationAt+2, 0)},
		{id: "TDX-F1", name: "certification data of type 6 inside", after: put(innerAt, 6)},
		{id: "TDX-F1", name: "certification data of type 4 inside", after: put(innerAt, 4)},
		{id: "TDX-F1", name: "size of the chain", after: put(innerAt+2, 0)},
		{id: "TDX-F1", name: "authentication data larger than the quote", after: put(authSizeAt, 0xff, 0xff)},
		{id: "TDX-F1", name: "reserved byte of the QE report after MISCSELECT", after: put(reportAt+20, 1)},
		{id: "TDX-F1", name: "reserved byte of the QE report before MRSIGNER", after: put(reportAt+127, 1)},
		{id: "TDX-F1", name: "reserved byte of the QE report after MRSIGNER", after: put(reportAt+160, 1)},
		{id: "TDX-F1", name: "reserved byte of the QE report after CONFIGSVN", after: put(reportAt+303, 1)},
	}
}

func signatureNegatives() []negative {
	return []negative{
		{id: "TDX-Q1", name: "quote signed by another key", change: func(t testing.TB, e *Evidence) { e.By.Quote = NewKey(t) }},
		{id: "TDX-Q1", name: "quote signed by the PCK", change: func(_ testing.TB, e *Evidence) { e.By.Quote = e.Keys.PCK }},
		{id: "TDX-Q1", name: "header changed", after: edit(func(q *tdx.Quote) { q.Header.UserData[19] ^= 1 })},
		{id: "TDX-Q1", name: "body changed", after: edit(func(q *tdx.Quote) { q.Body.MRSEAM[0] ^= 1 })},
		{id: "TDX-Q1", name: "signature changed", form: tdx.V5Body15, after: edit(func(q *tdx.Quote) { q.Data.Signature[63] ^= 1 })},
		{id: "TDX-Q1", name: "signature zero", after: edit(func(q *tdx.Quote) { q.Data.Signature = [64]byte{} })},
		{id: "TDX-Q1", name: "QE report signed by another key", change: func(t testing.TB, e *Evidence) { e.By.Report = NewKey(t) }},
		{id: "TDX-Q1", name: "QE report signed by the attestation key", change: func(_ testing.TB, e *Evidence) { e.By.Report = e.Keys.Attestation }},
		{id: "TDX-Q1", name: "QE report changed", after: edit(func(q *tdx.Quote) { q.Data.Report.CPUSVN[0] ^= 1 })},
		{id: "TDX-Q1", name: "QE report binds another key", change: quote(func(q *tdx.Quote) { q.Data.Report.ReportData[0] = 1 })},
		{id: "TDX-Q1", name: "QE report data goes on after the hash", change: func(t testing.TB, e *Evidence) {
			e.bindWithTail(t)
		}},
		{id: "TDX-Q1", name: "authentication data changed", after: edit(func(q *tdx.Quote) { q.Data.AuthData[0] ^= 1 })},
		{id: "TDX-Q1", name: "authentication data left out", after: edit(func(q *tdx.Quote) { q.Data.AuthData = nil })},
		{id: "TDX-Q1", name: "another attestation key, with its signature", change: func(t testing.TB, e *Evidence) {
			e.Quote.Data.Key = rawKey(t, &e.Keys.Attestation.PublicKey)
			e.bind()
			other := NewKey(t)
			e.Quote.Data.Key = rawKey(t, &other.PublicKey)
			e.By.Quote = other
		}},
		{id: "TDX-Q1", name: "attestation key not on the curve", change: func(t testing.TB, e *Evidence) {
			e.Quote.Data.Key = rawKey(t, &e.Keys.Attestation.PublicKey)
			e.Quote.Data.Key[63] ^= 1
		}},
	}
}

func enclaveNegatives() []negative {
	return []negative{
		{id: "TDX-Q2", name: "MRSIGNER", change: quote(func(q *tdx.Quote) { q.Data.Report.MRSigner[31] ^= 1 })},
		{id: "TDX-Q2", name: "ISVPRODID of the quoting enclave for SGX", change: quote(func(q *tdx.Quote) { q.Data.Report.ISVProdID = 1 })},
		{id: "TDX-Q2", name: "MISCSELECT", change: quote(func(q *tdx.Quote) { q.Data.Report.MiscSelect = 1 })},
		{id: "TDX-Q2", name: "debug enclave", change: quote(func(q *tdx.Quote) { q.Data.Report.Attributes[0] |= 2 })},
		{id: "TDX-Q2", name: "attributes that the identity wants are missing", change: quote(func(q *tdx.Quote) { q.Data.Report.Attributes[0] &^= 0x10 })},
		{id: "TDX-Q2", name: "ISVSVN below every level", change: quote(func(q *tdx.Quote) { q.Data.Report.ISVSVN = 1 })},
		{id: "TDX-Q2", name: "identity of another product", change: func(_ testing.TB, e *Evidence) { e.Identity.ISVProdID = 1 }},
	}
}
