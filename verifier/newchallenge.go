package verifier

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/tpm"
)

// ChallengeOptions is what a challenge is made from.
type ChallengeOptions struct {
	Audience [32]byte      // owner's raw Ed25519 public key
	Release  [32]byte      // SHA-256 of release.json
	Issued   time.Time     // now
	Life     time.Duration // whole seconds, at least one

	// Enrollment is the file of safebox-host enroll, nil for a machine whose
	// attestation key is known; Root is then the authority of its TPM.
	Enrollment []byte
	Root       *x509.Certificate
}

// NewChallenge makes a challenge and the secret that its owner keeps. With an
// enrolment it first checks that the attestation key is made from the template
// and that the endorsement key's certificate leads to the root, and then
// encrypts a random value to that endorsement key, for that attestation key.
func NewChallenge(random io.Reader, o ChallengeOptions) (file, secret []byte, err error) {
	file, secret, err = newChallenge(random, o)
	if err != nil {
		return nil, nil, fmt.Errorf("making challenge: %w", err)
	}
	return file, secret, nil
}

func newChallenge(random io.Reader, o ChallengeOptions) (file, secret []byte, err error) {
	if o.Life < time.Second {
		return nil, nil, fmt.Errorf("life: got %v, want at least one second", o.Life)
	}
	if (o.Enrollment == nil) != (o.Root == nil) {
		return nil, nil, errors.New("enrolment and root certificate: want both or neither")
	}
	c := &challenge.Challenge{
		Type:     challenge.Type,
		Audience: o.Audience,
		Release:  o.Release,
		Expires:  o.Issued.Add(o.Life).Unix(),
	}
	if _, err := io.ReadFull(random, c.Nonce[:]); err != nil {
		return nil, nil, err
	}
	s := &challenge.Secret{Type: challenge.SecretType, Issued: o.Issued.Unix()}
	if o.Enrollment != nil {
		if c.Enroll, s.Enroll, err = enroll(random, o); err != nil {
			return nil, nil, err
		}
	}
	if file, err = c.Encode(); err != nil {
		return nil, nil, err
	}
	s.Challenge = sha256.Sum256(file)
	secret, err = s.Encode()
	return file, secret, err
}

// enroll is protocol.md, section 6, the owner's part.
func enroll(random io.Reader, o ChallengeOptions) (*challenge.Enroll, *challenge.EnrollSecret, error) {
	e, err := challenge.DecodeEnrollment(o.Enrollment)
	if err != nil {
		return nil, nil, err
	}
	ak, err := tpm.DecodePublic(e.AK)
	if err != nil {
		return nil, nil, err
	}
	if err := tpm.CheckAK(ak); err != nil {
		return nil, nil, err
	}
	ek, err := tpm.DecodePublic(e.EKPublic)
	if err != nil {
		return nil, nil, err
	}
	if err := tpm.CheckEK(e.EK, ek); err != nil {
		return nil, nil, err
	}
	if err := tpm.CheckEKCertificate(ek, e.EKCertificate, e.Issuers, o.Root, o.Issued); err != nil {
		return nil, nil, err
	}
	value := make([]byte, challenge.ValueSize)
	if _, err := io.ReadFull(random, value); err != nil {
		return nil, nil, err
	}
	credential, secret, err := tpm.MakeCredential(random, ek, ak.Name(), value)
	if err != nil {
		return nil, nil, err
	}
	public := &challenge.Enroll{EK: e.EK, AKName: ak.Name(), Credential: credential, Secret: secret}
	return public, &challenge.EnrollSecret{
		Value:         value,
		AKName:        ak.Name(),
		AK:            e.AK,
		EKCertificate: canon.Octets32(sha256.Sum256(e.EKCertificate)),
		Root:          canon.Octets32(sha256.Sum256(o.Root.Raw)),
	}, nil
}
