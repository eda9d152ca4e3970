package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"filippo.io/age"

	"safebox/cmd/internal/cli"
	"safebox/verifier/keyfile"
)

// Work factors of scrypt, as powers of two: with N = 2^n, r = 8 and p = 1 it
// takes 2^(n+10) bytes of memory (RFC 7914, section 2) and at 18 about a second.
const (
	workFactor    = 18 // 256 MiB: what new files get, as from the program age
	maxWorkFactor = 20 // 1 GiB: what is read
)

// overhead is what encryption adds, in bytes: age's header of one scrypt stanza
// 150, nonce 16, tag 16.
const overhead = 182

// maxWrapped bounds an encrypted file, in bytes.
const maxWrapped = keyfile.MaxSize + overhead

// Beginnings of age's files (C2SP age, "Version line" and "ASCII armor").
const (
	wrappedMark = "age-encryption.org/"
	armorMark   = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// isWrapped tells encrypted files from others; no key file begins like one.
func isWrapped(b []byte) bool {
	return bytes.HasPrefix(b, []byte(wrappedMark)) || bytes.HasPrefix(b, []byte(armorMark))
}

// wrap encrypts a secret file under a passphrase.
func wrap(secret []byte, passphrase string, factor int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypting the key: %w", err)
	}
	if factor == 0 {
		factor = workFactor
	}
	recipient.SetWorkFactor(factor)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, fmt.Errorf("encrypting the key: %w", err)
	}
	if _, err := w.Write(secret); err != nil {
		return nil, fmt.Errorf("encrypting the key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypting the key: %w", err)
	}
	return out.Bytes(), nil
}

// unwrap decrypts a secret file. It asks for the passphrase after it looked at
// all that can be seen without one.
func unwrap(path string, b []byte, ask func() (string, error)) ([]byte, error) {
	if bytes.HasPrefix(b, []byte(armorMark)) {
		return nil, cli.Usage(fmt.Errorf("reading key %s: encrypted by age as text, want its binary form", path), "encrypt it again without --armor")
	}
	r, err := age.Decrypt(bytes.NewReader(b), asking(ask))
	if err != nil {
		return nil, unwrapError(path, err)
	}
	secret, err := io.ReadAll(r) // no longer than b
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading key %s: decrypting: %w", path, err), "the file is damaged: restore it from a copy")
	}
	return secret, nil
}

// unwrapError says which of the ways to fail it was.
func unwrapError(path string, err error) error {
	hint := "the file is damaged: restore it from a copy"
	var asked *cli.Error
	switch {
	case errors.Is(err, age.ErrIncorrectIdentity):
		err, hint = errors.New("wrong passphrase"), "the passphrase is the one that the key was made with, of --passphrase-file the first line"
	case errors.As(err, &asked):
		return err
	}
	return cli.Usage(fmt.Errorf("reading key %s: %w", path, err), hint)
}

// asking is an age.Identity that asks for the passphrase when it is sure that
// the file wants one.
type asking func() (string, error)

// Unwrap implements age.Identity.
func (a asking) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != "scrypt" || len(stanzas[0].Args) != 2 {
		return nil, errors.New("encrypted by age, but not under one passphrase")
	}
	if n, err := strconv.Atoi(stanzas[0].Args[1]); err != nil || n < 1 || n > maxWorkFactor {
		return nil, fmt.Errorf("scrypt work factor: got %.20q, want 1 to %d", stanzas[0].Args[1], maxWorkFactor)
	}
	passphrase, err := a()
	if err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	return identity.Unwrap(stanzas)
}
