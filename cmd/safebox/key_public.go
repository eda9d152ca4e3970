package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/verifier/keyfile"
	"safebox/verifier/keyfile/notekey"
)

// jsonKeyPublic is the result of `key public --json`.
type jsonKeyPublic struct {
	Kind      string `json:"kind"`
	Algorithm string `json:"algorithm"`
	ID        string `json:"id"`
	Public    string `json:"public"` // the text of the .pub file, without the end of its line
}

func keyPublicCommand() *cobra.Command {
	var asJSON bool
	var keys keystore.Options
	c := &cobra.Command{
		Use:   "public FILE",
		Short: "Print the public half of a secret key",
		Long: `Print the public half of a secret key of any kind, byte for byte as it is in
the .pub file. With --json also the kind, the algorithm and what names the key.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			pair, err := readPair(args[0], keys)
			if err != nil {
				return err
			}
			if asJSON {
				text := string(bytes.TrimSuffix(pair.public, []byte("\n")))
				return cli.WriteJSON(c.OutOrStdout(), jsonKeyPublic{pair.kind, pair.algorithm, pair.id, text})
			}
			_, err = c.OutOrStdout().Write(pair.public)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	keys.AddFlags(c)
	return c
}

// readPair reads a secret file of any kind.
func readPair(path string, keys keystore.Options) (*keyPair, error) {
	b, err := keystore.ReadSecret(path, keys)
	if err != nil {
		return nil, err
	}
	pair, err := decodePair(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading key %s: %w", path, err), "give a secret file that safebox key makes, not the .pub file beside it")
	}
	return pair, nil
}

func decodePair(b []byte) (*keyPair, error) {
	if notekey.Is(b) {
		key, err := notekey.Decode(b)
		if err != nil {
			return nil, err
		}
		return pairOfNote(key), nil
	}
	kind, err := keyfile.Kind(b)
	if err != nil {
		return nil, err
	}
	switch kind {
	case keyfile.KindAudience:
		key, err := keyfile.DecodeAudience(b)
		if err != nil {
			return nil, err
		}
		return pairOfAudience(key)
	case keyfile.KindRecipient:
		key, err := keyfile.DecodeRecipient(b)
		if err != nil {
			return nil, err
		}
		return pairOfRecipient(key)
	case keyfile.KindSigner:
		key, err := keyfile.DecodeSigner(b)
		if err != nil {
			return nil, err
		}
		return pairOfSigner(key)
	default:
		return nil, fmt.Errorf("kind %q: not known", kind)
	}
}

// openKey opens the secret file that a flag names, which must be given.
func openKey[T any](flag, path string, o keystore.Options, open func(string, keystore.Options) (T, error)) (T, error) {
	var zero T
	if path == "" {
		return zero, cli.Usage(fmt.Errorf("no %s", flag), "")
	}
	key, err := open(path, o)
	if err != nil {
		return zero, fmt.Errorf("%s: %w", flag, err)
	}
	return key, nil
}
