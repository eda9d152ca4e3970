package tdx_test

import (
	"bytes"
	"testing"

	"safebox/verifier/check"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
)

func seeds(f *testing.F) {
	for _, name := range []string{
		"dcap-qvl/tdx_quote", "dcap-qvl/tdx_quote_outdated", "dcap-qvl/sgx_quote", "go-tdx-guest/tdx_prod_quote_SPR_E4.dat",
		"go-tdx-guest/ccel/cos-113-tdx-quote.dat", "trustee/tdx_quote_4.dat", "trustee/tdx_quote_5.dat", "go-tdx-guest/report.dat",
	} {
		f.Add(read(f, name))
	}
	for _, form := range tdxtest.Forms() {
		f.Add(tdxtest.New(f, form).Input(f).Quote)
	}
}

func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := tdx.Decode(b)
		if err == nil && !bytes.Equal(q.Encode(), b) {
			t.Error("encodes to other bytes")
		}
		if err != nil && q != nil {
			t.Error("a quote and an error")
		}
	})
}

// FuzzVerify: bytes that are not the genuine quote's are refused, with its
// collateral.
func FuzzVerify(f *testing.F) {
	seeds(f)
	genuine := read(f, "dcap-qvl/tdx_quote")
	q, err := tdx.Decode(genuine)
	if err != nil {
		f.Fatal(err)
	}
	signed := q.EncodeSigned()
	in := input(f, nil, "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		in := in
		in.Quote = b
		in.EventLog = b
		log := check.New()
		tdx.Verify(in, log)
		in.EventLog = nil
		if v := tdxtest.Verdict(in); v.OK && !bytes.HasPrefix(b, signed) {
			t.Error("accepted")
		}
	})
}
