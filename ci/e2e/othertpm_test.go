package e2e

import (
	"encoding/hex"
	"testing"

	"safebox/guest/quote"
	"safebox/guest/quote/quotetest"
	"safebox/measure/tpm/golden"
	"safebox/verifier/evidence"
	"safebox/verifier/transcript"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// otherTPM is a TPM of the host's own, whose registers it made equal to those
// of the guest's. What it signs is right in all but the key.
func otherTPM(t *testing.T, e *evidence.Evidence) (*quote.TPM, transport.TPM) {
	t.Helper()
	d := quotetest.Start(t)
	d.Replay(t, e.VTPM.EventLog)
	tpm := d.Open(t)
	device, err := quote.New(tpm)
	if err != nil {
		t.Fatal(err)
	}
	config := e.Transcript().Config
	if err := device.Extend(func(b golden.Bank) golden.Digest { return transcript.ConfigEvent(b, config) }); err != nil {
		t.Fatal(err)
	}
	return device, tpm
}

// quoteElsewhere replaces the quotes by those of another TPM with the same
// registers, over the same transcript.
func quoteElsewhere(t *testing.T, e *evidence.Evidence) error {
	t.Helper()
	device, _ := otherTPM(t, e)
	if err := replaceQuotes(device, e); err != nil {
		return err
	}
	return device.Close()
}

func replaceQuotes(device *quote.TPM, e *evidence.Evidence) error {
	qualifying, err := e.Transcript().QualifyingData()
	if err != nil {
		return err
	}
	e.VTPM.AK = device.AK()
	for i, b := range golden.Banks() {
		q, err := device.Quote(b, qualifying)
		if err != nil {
			return err
		}
		e.VTPM.Quotes[i] = *q
	}
	return nil
}

// quoteFewer does the same, but the SHA-256 quote is over PCR 0 to 7 alone,
// those that a changed command line leaves as they are.
func quoteFewer(t *testing.T, e *evidence.Evidence) error {
	t.Helper()
	device, tpm := otherTPM(t, e)
	if err := replaceQuotes(device, e); err != nil {
		return err
	}
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](device.AK())
	if err != nil {
		return err
	}
	public.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	ak, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(*public)}.Execute(tpm)
	if err != nil {
		return err
	}
	qualifying, err := e.Transcript().QualifyingData()
	if err != nil {
		return err
	}
	signed, err := tpm2.Quote{
		SignHandle:     tpm2.AuthHandle{Handle: ak.ObjectHandle, Name: ak.Name, Auth: tpm2.PasswordAuth(nil)},
		QualifyingData: tpm2.TPM2BData{Buffer: qualifying[:]},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
			{Hash: tpm2.TPMAlgSHA256, PCRSelect: []byte{0xff, 0, 0}},
		}},
	}.Execute(tpm)
	if err != nil {
		return err
	}
	values, err := device.ReadPCRs(golden.SHA256)
	if err != nil {
		return err
	}
	q := evidence.Quote{Bank: golden.SHA256.String(), Attest: signed.Quoted.Bytes(), Signature: tpm2.Marshal(signed.Signature)}
	for i, v := range values[:8] {
		q.PCRs = append(q.PCRs, evidence.PCR{Index: i, Value: hex.EncodeToString(v)})
	}
	e.VTPM.Quotes[0] = q
	return device.Close()
}
