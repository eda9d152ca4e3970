package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/image/inspect"
	"safebox/image/inspect/logged"
	"safebox/image/output"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/keyfile"
	"safebox/verifier/release"
	"safebox/verifier/release/record"
)

func releaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "release",
		Short: "Sign, revoke and pack releases for those who verify",
		RunE:  cli.Group,
	}
	c.AddCommand(
		releaseCreateCommand(), releaseSignCommand(), releaseRevokeCommand(), releaseRebuildCommand(),
		releaseBundleCommand(), releaseShowCommand(),
	)
	return c
}

// recordFlags are those of every command that signs a record.
type recordFlags struct {
	key, out string
	json     bool
	keys     keystore.Options
}

func (f *recordFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.key, "sign", "", "key that signs (safebox key signer)")
	c.Flags().StringVar(&f.out, "out", "", "file for the record, an entry of the log")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	f.keys.AddFlags(c)
}

// check finds out before the work whether the flags are there. Inputs are not
// written over.
func (f *recordFlags) check(inputs ...string) error {
	if f.key == "" {
		return cli.Usage(errors.New("no --sign"), "name the key: safebox key signer --out FILE makes one")
	}
	if f.out == "" {
		return cli.Usage(errors.New("no --out"), "name the file for the record, for example release.dsse")
	}
	return cli.CheckNotInput(f.out, append(inputs, f.key, f.keys.PassphraseFile)...)
}

// statement is what a record says.
type statement interface{ Encode() ([]byte, error) }

// write signs a statement, writes the record and prints what was signed.
func (f *recordFlags) write(c *cobra.Command, s statement) error {
	b, err := s.Encode()
	if err != nil {
		return cli.Usage(err, "docs/format-release.md has the form of each field")
	}
	signer, err := openKey("--sign", f.key, f.keys, keystore.Signer)
	if err != nil {
		return err
	}
	entry, err := record.Sign(b, signer)
	if err != nil {
		return err
	}
	return f.put(c, entry, signer)
}

// put writes a record and prints it as it can be read back.
func (f *recordFlags) put(c *cobra.Command, entry []byte, signer dsse.Signer) error {
	r, err := logged.NewRecord(entry, []dsse.PublicKey{signer.Public()})
	if err != nil {
		return err
	}
	if err := output.File(f.out, writeBytes(entry)); err != nil {
		return err
	}
	return printRecord(c.OutOrStdout(), r, f.json)
}

func printRecord(w io.Writer, r *logged.Record, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(w, r)
	}
	if _, err := fmt.Fprintf(w, "kind %s\nsha256 %s\n", r.Kind, r.SHA256); err != nil {
		return err
	}
	return inspect.WriteItems(w, r.Items())
}

// releasePath is the release.json of a folder, or the file itself.
func releasePath(path string) string {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return filepath.Join(path, release.FileName)
	}
	return path
}

// releaseDigest is the digest that a text in hex is, or that of a release.json
// or of the one in a folder.
func releaseDigest(flag, text string) (canon.Octets32, error) {
	var d canon.Octets32
	if _, err := os.Stat(text); err != nil && d.UnmarshalText([]byte(text)) == nil {
		return d, nil
	}
	b, err := readRelease(releasePath(text))
	if err != nil {
		return d, fmt.Errorf("%s: %w", flag, err)
	}
	return release.Digest(b), nil
}

// publicKeys reads keys of signers, each as a file or as its text.
func publicKeys(flag string, list []string) ([]dsse.PublicKey, error) {
	var keys []dsse.PublicKey
	for _, text := range list {
		k, err := dsse.ParsePublicKey(text)
		if err != nil {
			b, err2 := cli.ReadInput(text, keyfile.MaxSize)
			if err2 != nil {
				return nil, fmt.Errorf("%s: %w", flag, err2)
			}
			if k, err = keyfile.DecodeSignerPublic(b); err != nil {
				return nil, cli.Usage(fmt.Errorf("%s: %s: %w", flag, text, err), "give the .pub file that safebox key signer makes, or its line")
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// parseTime reads a time of a flag; an empty one is now.
func parseTime(flag, text string) (int64, error) {
	if text == "" {
		return time.Now().Unix(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, cli.Usage(fmt.Errorf("%s: %w", flag, err), "for example 2026-12-01T00:00:00Z")
	}
	return t.Unix(), nil
}

// readRecord reads a record that a flag names.
func readRecord(flag, path string) ([]byte, *record.Record, error) {
	b, err := readNamed(flag, path, record.MaxEntry)
	if err != nil {
		return nil, nil, err
	}
	r, err := record.Decode(b)
	if err != nil {
		return nil, nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "safebox release create, revoke and rebuild-record write records")
	}
	return b, r, nil
}
