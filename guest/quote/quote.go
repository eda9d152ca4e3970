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

func (t *TPM) readPCRs(bank golden.Bank) (values [Quoted]golden.Digest, err error) {
	err = ReadRegisters(t.tpm, bank, values[:])
	return values, err
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
