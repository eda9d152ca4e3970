package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/verifier/keyfile"
)

func keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make the keys of owners, recipients, publishers, logs and witnesses",
		RunE:  cli.Group,
	}
	c.AddCommand(
		keyAudienceCommand(),
		keyRecipientCommand(),
		keySignerCommand(),
		keyLogCommand(),
		keyWitnessCommand(),
		keyPublicCommand(),
	)
	return c
}

func keyAudienceCommand() *cobra.Command {
	return keyMakeCommand("audience --out FILE", "Make the key that signs grants and that evidence is made for",
		"the SHA-256 of the\nraw public key", newAudience)
}

func keyRecipientCommand() *cobra.Command {
	return keyMakeCommand("recipient --out FILE", "Make the key that outputs are sealed to",
		"the SHA-256 of the\nraw public key", newRecipient)
}

func keySignerCommand() *cobra.Command {
	var algorithm string
	c := keyMakeCommand("signer --out FILE", "Make the key of a publisher or a rebuilder, which signs records of releases",
		"the key ID of\nits signatures", func() (*keyPair, error) { return newSigner(algorithm) })
	c.Flags().StringVar(&algorithm, "algorithm", keyfile.Ed25519, keyfile.Ed25519+" or "+keyfile.ECDSAP256)
	return c
}

func keyLogCommand() *cobra.Command {
	var origin string
	c := keyMakeCommand("log --origin NAME --out FILE", "Make the key of a transparency log",
		"name and key ID of\nits signatures", func() (*keyPair, error) { return newLog(origin) })
	c.Flags().StringVar(&origin, "origin", "", "the log's name, for ever: a URL without scheme, for example log.example.com/releases")
	return c
}

func keyWitnessCommand() *cobra.Command {
	var name, algorithm string
	c := keyMakeCommand("witness --name NAME --out FILE", "Make the key of a witness of transparency logs",
		"name and key ID of\nits signatures", func() (*keyPair, error) { return newWitness(name, algorithm) })
	c.Flags().StringVar(&name, "name", "", "the witness's name: a URL without scheme, for example witness.example.com")
	c.Flags().StringVar(&algorithm, "algorithm", keyfile.Ed25519, keyfile.Ed25519+" or "+keyfile.MLDSA44)
	return c
}

// jsonKey is the result of `key ... --json`.
type jsonKey struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Public string `json:"public"`
}

// keyMakeCommand is a command that makes a key; id says what it prints to name
// the key.
func keyMakeCommand(use, short, id string, newPair func() (*keyPair, error)) *cobra.Command {
	var out string
	var asJSON bool
	var keys keystore.Options
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Long: short + `.

FILE gets the secret key (mode 0600), FILE.pub the public one. A file that is
there is never replaced. The secret key is encrypted under a passphrase, which
is asked for on the terminal, twice, or is the first line of the file that
--passphrase-file names; the program age decrypts the file, too. With
--no-passphrase it is not encrypted. Prints the kind, ` + id + `, and the public file.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage(errors.New("no --out"), "name the file for the secret key")
			}
			pair, err := newPair()
			if err != nil {
				return err
			}
			if err := keystore.WritePair(out, pair.secret, pair.public, keys); err != nil {
				return err
			}
			if asJSON {
				return cli.WriteJSON(c.OutOrStdout(), jsonKey{pair.kind, pair.id, out, out + keystore.PublicSuffix})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s %s\n", pair.kind, pair.id, out+keystore.PublicSuffix)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "file for the secret key; FILE.pub gets the public one")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	keys.AddMakeFlags(c)
	return c
}
