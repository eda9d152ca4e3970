// Package keystore is where secret keys lie: in files of mode 0600 that are, but
// for who says otherwise, encrypted under a passphrase (docs/format-keys.md).
//
// Encryption is age's (C2SP age, format v1, section "The scrypt recipient
// type"), in its binary form; what a file holds is the business of package
// keyfile.
//
// Whoever signs asks for a dsse.Signer, and a file is only one place where one
// can be. A device that implements crypto.Signer (PKCS#11, a cloud's KMS) goes
// through dsse.NewSigner and needs nothing of this package.
package keystore

import (
	"crypto/ed25519"
	"crypto/hpke"
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/verifier/dsse"
	"safebox/verifier/keyfile"
	"safebox/verifier/keyfile/notekey"
)

// Options say where a passphrase comes from. The zero value asks on the
// terminal.
type Options struct {
	PassphraseFile string // its first line; "": ask on the terminal
	NoPassphrase   bool   // write keys without encryption

	command *cobra.Command // whose context and standard error are used; nil: none
	ask     asker          // nil: on the terminal
	factor  int            // work factor of new files; 0: workFactor
}

// AddFlags adds the flags of a command that reads secret keys.
func (o *Options) AddFlags(c *cobra.Command) {
	o.command = c
	c.Flags().StringVar(&o.PassphraseFile, "passphrase-file", "", "file whose first line is the passphrase of the key (default: ask on the terminal)")
}

// AddMakeFlags adds the flags of a command that makes secret keys.
func (o *Options) AddMakeFlags(c *cobra.Command) {
	o.AddFlags(c)
	c.Flags().BoolVar(&o.NoPassphrase, "no-passphrase", false, "do not encrypt the secret key")
}

// ReadSecret reads a secret file and gives what package keyfile decodes. It asks
// for a passphrase only if the file is encrypted.
func ReadSecret(path string, o Options) ([]byte, error) {
	b, err := readSecret(path, maxWrapped)
	if err != nil {
		return nil, err
	}
	if !isWrapped(b) {
		return b, nil
	}
	return unwrap(path, b, func() (string, error) { return o.passphrase(path) })
}

// Signer opens the key of one who signs records of releases.
func Signer(path string, o Options) (dsse.Signer, error) {
	key, err := read(path, o, keyfile.KindSigner, keyfile.DecodeSigner)
	if err != nil {
		return nil, err
	}
	signer, err := dsse.NewSigner(key)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	return signer, nil
}

// NoteKey opens the key of a log or of a witness and gives its text (skey).
func NoteKey(path string, o Options) (string, error) {
	key, err := read(path, o, kindNote, notekey.Decode)
	if err != nil {
		return "", err
	}
	return key.Secret(), nil
}

// Audience opens the key that signs grants.
func Audience(path string, o Options) (ed25519.PrivateKey, error) {
	return read(path, o, keyfile.KindAudience, keyfile.DecodeAudience)
}

// Recipient opens the key that outputs are sealed to.
func Recipient(path string, o Options) (hpke.PrivateKey, error) {
	return read(path, o, keyfile.KindRecipient, keyfile.DecodeRecipient)
}

// kindNote is the kind of files that package notekey decodes.
const kindNote = "log or witness"

// read reads and decodes a secret file of one kind.
func read[T any](path string, o Options, kind string, decode func([]byte) (T, error)) (T, error) {
	var zero T
	b, err := ReadSecret(path, o)
	if err != nil {
		return zero, err
	}
	key, err := decode(b)
	if err == nil {
		return key, nil
	}
	if got := kindOf(b); got != "" && got != kind {
		err = fmt.Errorf("kind of key: got %s, want %s", got, kind)
	}
	return zero, cli.Usage(fmt.Errorf("reading key %s: %w", path, err), "safebox key makes one; give its secret file, not the .pub file beside it")
}

// kindOf tells what a secret file seems to be; "" is for what is none.
func kindOf(b []byte) string {
	if notekey.Is(b) {
		return kindNote
	}
	kind, err := keyfile.Kind(b)
	if err != nil {
		return ""
	}
	return kind
}
