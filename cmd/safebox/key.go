package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/keyfile"
)

// publicSuffix is added to the name of a secret file for its public file.
const publicSuffix = ".pub"

func keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make the keys of an owner or a recipient",
		RunE:  cli.Group,
	}
	c.AddCommand(
		keyMakeCommand("audience", "Make the key that signs grants and that evidence is made for", newAudience),
		keyMakeCommand("recipient", "Make the key that outputs are sealed to", newRecipient),
	)
	return c
}

// keyPair is a new key as files and as what names it.
type keyPair struct {
	secret, public []byte
	id             string // SHA-256 of the raw public key
}

func newAudience() (*keyPair, error) {
	key, err := keyfile.NewAudience(rand.Reader)
	if err != nil {
		return nil, err
	}
	raw := key.Public().(ed25519.PublicKey)
	secret, err := keyfile.EncodeAudience(key)
	if err != nil {
		return nil, err
	}
	public, err := keyfile.EncodeAudiencePublic(raw)
	if err != nil {
		return nil, err
	}
	return &keyPair{secret, public, keyID(raw)}, nil
}

func newRecipient() (*keyPair, error) {
	key, err := keyfile.NewRecipient(rand.Reader)
	if err != nil {
		return nil, err
	}
	raw := key.PublicKey().Bytes()
	secret, err := keyfile.EncodeRecipient(key)
	if err != nil {
		return nil, err
	}
	public, err := keyfile.EncodeRecipientPublic(raw)
	if err != nil {
		return nil, err
	}
	return &keyPair{secret, public, keyID(raw)}, nil
}

func keyID(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// jsonKey is the result of `key ... --json`.
type jsonKey struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"` // SHA-256 of the raw public key
	Secret string `json:"secret"`
	Public string `json:"public"`
}

func keyMakeCommand(kind, short string, newPair func() (*keyPair, error)) *cobra.Command {
	var out string
	var asJSON bool
	c := &cobra.Command{
		Use:   kind + " --out FILE",
		Short: short,
		Long: short + `.

FILE gets the secret key (mode 0600; it is not encrypted), FILE.pub the public
one. A file that is there is never replaced. Prints the kind, the SHA-256 of
the raw public key, and the public file.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage(errors.New("no --out"), "name the file for the secret key")
			}
			pair, err := newPair()
			if err != nil {
				return err
			}
			if err := pair.write(out); err != nil {
				return err
			}
			if asJSON {
				return cli.WriteJSON(c.OutOrStdout(), jsonKey{kind, pair.id, out, out + publicSuffix})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s %s\n", kind, pair.id, out+publicSuffix)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "file for the secret key; FILE.pub gets the public one")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// write puts both files in place, neither over another file.
func (p *keyPair) write(path string) error {
	for _, name := range []string{path, path + publicSuffix} {
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			if err == nil {
				err = fmt.Errorf("%s is there already", name)
			}
			return cli.Failed(err, "a key that is lost can't be made again: move the file away, or choose another name")
		}
	}
	if err := output.SecretFile(path, writeBytes(p.secret)); err != nil {
		return err
	}
	if err := output.File(path+publicSuffix, writeBytes(p.public)); err != nil {
		return errors.Join(err, os.Remove(path)) // nobody knows its public half
	}
	return nil
}

// writeBytes is what output's functions want for a file that is in memory.
func writeBytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(b))
		return err
	}
}
