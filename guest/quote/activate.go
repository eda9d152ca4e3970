package quote

import (
	"bytes"
	"errors"
	"fmt"

	"safebox/verifier/challenge"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// Activate answers a challenge's credential (specs/protocol.md 6): the TPM
// gives the secret in it only if the endorsement key that it was made for and
// the attestation key that it names are in the same TPM.
func (t *TPM) Activate(e *challenge.Enroll) (secret []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !bytes.Equal(e.AKName, t.name.Buffer) {
		return nil, fmt.Errorf("activating credential: it names the attestation key %x, ours is %x", e.AKName, t.name.Buffer)
	}
	for _, kind := range endorsements() {
		if kind.kind == e.EK {
			secret, err := t.activate(kind, e)
			if err != nil {
				return nil, fmt.Errorf("activating credential for %s: %w", e.EK, err)
			}
			return secret, nil
		}
	}
	return nil, fmt.Errorf("activating credential: unknown endorsement key %q", e.EK)
}

func (t *TPM) activate(kind endorsement, e *challenge.Enroll) (secret []byte, err error) {
	key, err := t.loadEndorsement(kind)
	if err != nil {
		return nil, err
	}
	if key.transient {
		defer t.flushAfter(key.handle, &err)
	}
	auth, closeSession, err := t.authorize(key.public)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := closeSession(); err == nil {
			err = cerr
		}
	}()
	answer, err := tpm2.ActivateCredential{
		ActivateHandle: tpm2.AuthHandle{Handle: t.ak, Name: t.name, Auth: tpm2.PasswordAuth(nil)},
		KeyHandle:      tpm2.AuthHandle{Handle: key.handle, Name: key.name, Auth: auth},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: e.Credential},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: e.Secret},
	}.Execute(t.tpm)
	if err != nil {
		return nil, err
	}
	return answer.CertInfo.Buffer, nil
}

// authorize gives what the key asks for (TCG EK Credential Profile, annex B):
// its empty authorization value where userWithAuth is set (high range), else
// the policy of the low range, knowledge of the endorsement hierarchy's
// authorization value, which is empty as well.
func (t *TPM) authorize(public *tpm2.TPMTPublic) (tpm2.Session, func() error, error) {
	if public.ObjectAttributes.UserWithAuth {
		return tpm2.PasswordAuth(nil), func() error { return nil }, nil
	}
	session, closeSession, err := tpm2.PolicySession(t.tpm, public.NameAlg, nonceSize)
	if err != nil {
		return nil, nil, err
	}
	if err := endorsementPolicy(t.tpm, session); err != nil {
		return nil, nil, errors.Join(err, closeSession())
	}
	return session, closeSession, nil
}

// nonceSize is the size of a session's nonce in bytes: at least 16 (TPM 2.0
// Library, Part 3, TPM2_StartAuthSession).
const nonceSize = 16

func endorsementPolicy(tpm transport.TPM, session tpm2.Session) error {
	_, err := tpm2.PolicySecret{
		AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
		PolicySession: session.Handle(),
		NonceTPM:      session.NonceTPM(),
	}.Execute(tpm)
	return err
}
