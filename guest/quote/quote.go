// Package quote is the guest's way to its TPM 2.0: the attestation key, the
// endorsement keys and their certificates, quotes, the one register that the
// guest writes, and the activation of credentials.
//
// It follows the TPM 2.0 Library specification, Family "2.0", Level 00,
// Revision 01.59 (parts named where they matter), and the TCG EK Credential
// Profile for TPM Family 2.0, Version 2.5, Revision 2.
//
// The TPM and the way to it may be the host's. Nothing that comes out of it is
// believed here beyond what keeps the guest's own story consistent: what it
// proves is decided by the verifier, which sees signatures.
package quote

import (
	"errors"
	"fmt"
	"sync"

	"safebox/measure/tpm/golden"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// Quoted is how many registers a quote covers: PCR 0 to 15, all that boot
// software can extend and no software can reset (specs/protocol.md 3 and 4).
const Quoted = 16

// RuntimePCR is the register that the guest itself extends (specs/protocol.md
// 3).
const RuntimePCR = 15

// TPM is a TPM with our attestation key loaded. It is safe for concurrent use.
type TPM struct {
	mu     sync.Mutex
	tpm    transport.TPM
	ak     tpm2.TPMHandle
	name   tpm2.TPM2BName
	public []byte // TPMT_PUBLIC of the attestation key
}

// New makes the attestation key in the TPM: the same at every boot, as long
// as the TPM's endorsement seed is.
func New(tpm transport.TPM) (*TPM, error) {
	created, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(attestationKey()),
	}.Execute(tpm)
	if err != nil {
		return nil, fmt.Errorf("making attestation key: %w", err)
	}
	return &TPM{
		tpm:    tpm,
		ak:     created.ObjectHandle,
		name:   created.Name,
		public: created.OutPublic.Bytes(),
	}, nil
}

// Close unloads the attestation key.
func (t *TPM) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flush(t.ak)
}

// AK returns the attestation key's TPMT_PUBLIC.
func (t *TPM) AK() []byte { return append([]byte(nil), t.public...) }

// Extend extends PCR 15 of both banks at once. The digest of each bank is what
// the function gives for it.
func (t *TPM) Extend(digest func(golden.Bank) golden.Digest) error {
	var values tpm2.TPMLDigestValues
	for _, bank := range golden.Banks() {
		algorithm, err := algorithmOf(bank)
		if err != nil {
			return err
		}
		values.Digests = append(values.Digests, tpm2.TPMTHA{HashAlg: algorithm, Digest: digest(bank)})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: RuntimePCR, Auth: tpm2.PasswordAuth(nil)},
		Digests:   values,
	}.Execute(t.tpm)
	if err != nil {
		return fmt.Errorf("extending pcr%d: %w", RuntimePCR, err)
	}
	return nil
}

// ReadPCRs reads PCR 0 to 15 of a bank.
func (t *TPM) ReadPCRs(bank golden.Bank) ([Quoted]golden.Digest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.readPCRs(bank)
}

// perRead is how many registers one TPM2_PCR_Read returns at most: TPML_DIGEST
// holds 8 (TPM 2.0 Library, Part 2, 10.9.6).
const perRead = 8

func (t *TPM) readPCRs(bank golden.Bank) ([Quoted]golden.Digest, error) {
	var values [Quoted]golden.Digest
	for first := 0; first < Quoted; first += perRead {
		if err := t.readSome(bank, first, values[first:first+perRead]); err != nil {
			return values, fmt.Errorf("reading %v pcr%d to pcr%d: %w", bank, first, first+perRead-1, err)
		}
	}
	return values, nil
}

// readSome reads eight registers, the first of which is a multiple of eight:
// one whole byte of the selection's bit map.
func (t *TPM) readSome(bank golden.Bank, first int, values []golden.Digest) error {
	algorithm, err := algorithmOf(bank)
	if err != nil {
		return err
	}
	selection := make([]byte, 3) // PCR 0 to 23
	selection[first/8] = 0xff
	answer, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: algorithm, PCRSelect: selection}},
	}}.Execute(t.tpm)
	if err != nil {
		return err
	}
	// A TPM without the bank answers with fewer digests and no error.
	if n := len(answer.PCRValues.Digests); n != perRead {
		return fmt.Errorf("TPM returned %d digests, want %d: is the bank allocated?", n, perRead)
	}
	for i, d := range answer.PCRValues.Digests {
		if len(d.Buffer) != len(bank.Zero()) {
			return fmt.Errorf("pcr%d: %d bytes, want %d", first+i, len(d.Buffer), len(bank.Zero()))
		}
		values[i] = d.Buffer
	}
	return nil
}

// flush unloads a key or a session: a TPM has room for three of each.
func (t *TPM) flush(h tpm2.TPMHandle) error {
	if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(t.tpm); err != nil {
		return fmt.Errorf("unloading %#x: %w", uint32(h), err)
	}
	return nil
}

// flushAfter unloads h and joins what went wrong before and now.
func (t *TPM) flushAfter(h tpm2.TPMHandle, err *error) {
	*err = errors.Join(*err, t.flush(h))
}

// algorithmOf gives the TPM_ALG_ID of a bank (TCG Algorithm Registry, table 3).
func algorithmOf(bank golden.Bank) (tpm2.TPMAlgID, error) {
	switch bank {
	case golden.SHA256:
		return tpm2.TPMAlgSHA256, nil
	case golden.SHA384:
		return tpm2.TPMAlgSHA384, nil
	}
	return 0, fmt.Errorf("no TPM algorithm for %v", bank)
}
