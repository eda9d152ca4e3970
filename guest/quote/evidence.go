package quote

import (
	"bytes"
	"fmt"

	"safebox/measure/tpm/golden"
	"safebox/verifier/evidence"

	"github.com/google/go-tpm/tpm2"
)

// attempts is how often a quote is tried whose registers changed between the
// quote and the reading of them: the kernel may extend one of them (IMA does,
// PCR 10) at any time.
const attempts = 4

// Quote signs PCR 0 to 15 of a bank together with the qualifying data, and
// gives the values that the signature is about.
func (t *TPM) Quote(bank golden.Bank, qualifying [32]byte) (*evidence.Quote, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range attempts {
		q, same, err := t.quote(bank, qualifying)
		if err != nil {
			return nil, fmt.Errorf("quoting %v: %w", bank, err)
		}
		if same {
			return q, nil
		}
	}
	return nil, fmt.Errorf("quoting %v: registers changed during each of %d attempts", bank, attempts)
}

func (t *TPM) quote(bank golden.Bank, qualifying [32]byte) (*evidence.Quote, bool, error) {
	algorithm, err := algorithmOf(bank)
	if err != nil {
		return nil, false, err
	}
	answer, err := tpm2.Quote{
		SignHandle:     tpm2.AuthHandle{Handle: t.ak, Name: t.name, Auth: tpm2.PasswordAuth(nil)},
		QualifyingData: tpm2.TPM2BData{Buffer: qualifying[:]},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, // the key's own
		PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
			{Hash: algorithm, PCRSelect: []byte{0xff, 0xff, 0}}, // PCR 0 to 15
		}},
	}.Execute(t.tpm)
	if err != nil {
		return nil, false, err
	}
	values, err := t.readPCRs(bank)
	if err != nil {
		return nil, false, err
	}
	same, err := covers(answer, values)
	if err != nil || !same {
		return nil, false, err
	}
	q := &evidence.Quote{
		Bank:      bank.String(),
		Attest:    answer.Quoted.Bytes(),
		Signature: tpm2.Marshal(answer.Signature),
	}
	for i, v := range values {
		q.PCRs = append(q.PCRs, evidence.PCR{Index: i, Value: v.String()})
	}
	return q, true, nil
}

// covers says whether the quote is about these values. pcrDigest is made with
// the hash of the signing scheme, whatever the bank (TPM 2.0 Library, Part 2,
// 10.12.4: TPMS_QUOTE_INFO): SHA-256 for our key.
func covers(answer *tpm2.QuoteResponse, values [Quoted]golden.Digest) (bool, error) {
	attest, err := answer.Quoted.Contents()
	if err != nil {
		return false, err
	}
	info, err := attest.Attested.Quote()
	if err != nil {
		return false, err
	}
	var all [][]byte
	for _, v := range values {
		all = append(all, v)
	}
	return bytes.Equal(info.PCRDigest.Buffer, golden.SHA256.Sum(all...)), nil
}
