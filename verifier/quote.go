package verifier

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"safebox/measure/tpm/golden"
	"safebox/verifier/evidence"
	"safebox/verifier/tpm"
)

// quote is a decoded quote and the registers sent along. The registers are
// believed after TPM-Q2 and TPM-Q3.
type quote struct {
	bank   golden.Bank
	attest *tpm.Attest
	values map[int][]byte
	text   map[int]string // the same in hex, as evidence.Decode has checked it
}

// checkQuotes: TPM-Q1 to TPM-Q4. Every quote that is there must hold.
func (v *verification) checkQuotes() {
	if v.evidence == nil || v.evidence.VTPM == nil {
		return
	}
	for i := range v.evidence.VTPM.Quotes {
		q := &v.evidence.VTPM.Quotes[i]
		decoded, err := decodeQuote(q)
		if err == nil {
			err = v.checkSession(decoded.attest)
		}
		v.log.Check("TPM-Q1", err, "a TPM's own quote whose extra data is SHA-256 of the transcript", "SHA-256 of the transcript")
		if v.ak != nil {
			v.log.Check("TPM-Q2", v.checkSignature(q), "ECDSA P-256 with SHA-256 by the attestation key", "valid")
		}
		if decoded == nil {
			v.quotes = nil
			return
		}
		if v.policy != nil {
			v.checkSelection(decoded, q)
			v.checkClock(decoded.attest)
		}
		v.quotes = append(v.quotes, *decoded)
	}
}

func decodeQuote(q *evidence.Quote) (*quote, error) {
	bank, err := golden.ParseBank(q.Bank)
	if err != nil {
		return nil, err
	}
	attest, err := tpm.DecodeAttest(q.Attest)
	if err != nil {
		return nil, err
	}
	out := &quote{bank: bank, attest: attest, values: map[int][]byte{}, text: map[int]string{}}
	for _, pcr := range q.PCRs {
		out.text[pcr.Index] = pcr.Value
		if out.values[pcr.Index], err = hex.DecodeString(pcr.Value); err != nil {
			return nil, fmt.Errorf("register %d: %w", pcr.Index, err)
		}
	}
	return out, nil
}

// checkSession: the quote is about this transcript, and the key that made it
// is a primary key of the endorsement hierarchy.
func (v *verification) checkSession(a *tpm.Attest) error {
	if v.transcript == nil {
		return errors.New("the evidence makes no transcript")
	}
	want := v.transcript.qualifying
	if !bytes.Equal(a.ExtraData, want[:]) {
		return fmt.Errorf("extra data: got %x, want %x", a.ExtraData, want)
	}
	if v.ak == nil {
		return errors.New("no attestation key to compare the signer with")
	}
	return a.CheckSigner(v.ak)
}

func (v *verification) checkSignature(q *evidence.Quote) error {
	key, err := v.ak.ECDSA()
	if err != nil {
		return err
	}
	signature, err := tpm.DecodeSignature(q.Signature)
	if err != nil {
		return err
	}
	if !signature.Verify(key, q.Attest) {
		return fmt.Errorf("bank %s: signature is not of this key over this quote", q.Bank)
	}
	return nil
}

// checkSelection: TPM-Q3. The set comes from the policy: a machine that chose
// it could leave out what speaks against it.
func (v *verification) checkSelection(q *quote, sent *evidence.Quote) {
	registers := v.policy.VTPM.PCRs
	want := fmt.Sprintf("bank %v, registers %v", q.bank, registers)
	if a := q.attest; a.Bank != algorithm(q.bank) || !slices.Equal(a.PCRs, registers) {
		v.log.Fail("TPM-Q3", want, fmt.Sprintf("bank %#04x, registers %v", uint16(a.Bank), a.PCRs))
		return
	}
	values := make([][]byte, 0, len(registers))
	for i, index := range registers {
		if i >= len(sent.PCRs) || sent.PCRs[i].Index != index {
			break
		}
		values = append(values, q.values[index])
	}
	if len(values) != len(registers) || len(sent.PCRs) != len(registers) {
		v.log.Fail("TPM-Q3", want, fmt.Sprintf("values of %d registers, not of these", len(sent.PCRs)))
		return
	}
	v.log.Check("TPM-Q3", q.attest.CheckDigest(values), want, want)
}

// checkClock: TPM-Q4. A resumed TPM keeps registers that a machine may have
// left in another state; a reset count below the pin's is a TPM set back.
func (v *verification) checkClock(a *tpm.Attest) {
	want := "never resumed, clock never set back"
	if v.policy.VTPM.AnyClock {
		want = "never resumed"
	}
	got := fmt.Sprintf("reset count %d, restart count %d, safe %t", a.ResetCount, a.RestartCount, a.Safe)
	ok := a.RestartCount == 0 && (a.Safe || v.policy.VTPM.AnyClock)
	if len(v.quotes) > 0 {
		first := v.quotes[0].attest
		want += ", one boot and one firmware for all quotes"
		ok = ok && a.ResetCount == first.ResetCount && a.Firmware == first.Firmware
	}
	if v.pin != nil {
		want += fmt.Sprintf(", reset count from %d on", v.pin.ResetCount)
		ok = ok && int64(a.ResetCount) >= v.pin.ResetCount
	}
	v.log.Record("TPM-Q4", ok, want, got)
	if v.policy.VTPM.AnyClock && len(v.quotes) == 0 {
		v.log.Waive("clock of the TPM", "vtpm.clock = \"any\" in the policy")
	}
}

// algorithm is the bank's name in a TPM's structures.
func algorithm(b golden.Bank) tpm.Algorithm {
	switch b {
	case golden.SHA256:
		return tpm.AlgSHA256
	case golden.SHA384:
		return tpm.AlgSHA384
	}
	return 0
}
