package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"safebox/cmd/internal/cli"
	"safebox/verifier/dsse"
	"safebox/verifier/keyfile"
	"safebox/verifier/keyfile/notekey"
)

// keyPair is a key as files and as what names it.
type keyPair struct {
	kind           string
	algorithm      string
	id             string // audience, recipient: SHA-256 of the raw public key; signer: key ID; log, witness: name and key ID
	secret, public []byte
}

func newAudience() (*keyPair, error) {
	key, err := keyfile.NewAudience(rand.Reader)
	if err != nil {
		return nil, err
	}
	return pairOfAudience(key)
}

func pairOfAudience(key ed25519.PrivateKey) (*keyPair, error) {
	raw := key.Public().(ed25519.PublicKey)
	secret, err := keyfile.EncodeAudience(key)
	if err != nil {
		return nil, err
	}
	public, err := keyfile.EncodeAudiencePublic(raw)
	if err != nil {
		return nil, err
	}
	return &keyPair{keyfile.KindAudience, keyfile.Ed25519, keyID(raw), secret, public}, nil
}

func newRecipient() (*keyPair, error) {
	key, err := keyfile.NewRecipient(rand.Reader)
	if err != nil {
		return nil, err
	}
	return pairOfRecipient(key)
}

func pairOfRecipient(key hpke.PrivateKey) (*keyPair, error) {
	raw := key.PublicKey().Bytes()
	secret, err := keyfile.EncodeRecipient(key)
	if err != nil {
		return nil, err
	}
	public, err := keyfile.EncodeRecipientPublic(raw)
	if err != nil {
		return nil, err
	}
	return &keyPair{keyfile.KindRecipient, keyfile.MLKEM768X25519, keyID(raw), secret, public}, nil
}

func newSigner(algorithm string) (*keyPair, error) {
	key, err := keyfile.NewSigner(algorithm, rand.Reader)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	return pairOfSigner(key)
}

func pairOfSigner(key crypto.Signer) (*keyPair, error) {
	secret, err := keyfile.EncodeSigner(key)
	if err != nil {
		return nil, err
	}
	public, err := dsse.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &keyPair{keyfile.KindSigner, public.Algorithm(), public.ID(), secret, keyfile.EncodeSignerPublic(public)}, nil
}

func newLog(origin string) (*keyPair, error) {
	if origin == "" {
		return nil, cli.Usage(errors.New("no --origin"), "name the log, for example log.example.com/releases")
	}
	key, err := notekey.NewLog(origin, rand.Reader)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	return pairOfNote(key), nil
}

func newWitness(name, algorithm string) (*keyPair, error) {
	if name == "" {
		return nil, cli.Usage(errors.New("no --name"), "name the witness, for example witness.example.com")
	}
	key, err := notekey.NewWitness(name, algorithm, rand.Reader)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	return pairOfNote(key), nil
}

func pairOfNote(key *notekey.Key) *keyPair {
	return &keyPair{key.Role(), key.Algorithm(), key.ID(), key.Encode(), key.EncodePublic()}
}

func keyID(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
