package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/verifier/dsse"
	"safebox/verifier/keyfile"
	"safebox/verifier/policy/publication"
	"safebox/verifier/tlog"
)

// publicationFlags name who must have published a release.
type publicationFlags struct {
	signers, rebuilders  []string
	signatures, rebuilds int
	svnFloor             int64
	log                  string
	keyFiles             []string // of the first two, once values has run
	given                func() bool
}

func (f *publicationFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.signers, "signer", nil, "[NAME=]FILE.pub or key text of who publishes releases; may be given several times")
	c.Flags().IntVar(&f.signatures, "signatures", 1, "how many signers must have signed a release")
	c.Flags().StringArrayVar(&f.rebuilders, "rebuilder", nil, "OPERATOR=FILE.pub or key text of who rebuilds releases; may be given several times")
	c.Flags().IntVar(&f.rebuilds, "rebuilds", 2, "how many operators must have rebuilt a release")
	c.Flags().Int64Var(&f.svnFloor, "svn-floor", 1, "lowest security version of a release")
	c.Flags().StringVar(&f.log, "log-policy", "", "file with the log of releases and its witnesses (C2SP tlog-policy)")
	f.given = func() bool {
		for _, name := range []string{"signer", "signatures", "rebuilder", "rebuilds", "svn-floor", "log-policy"} {
			if c.Flags().Changed(name) {
				return true
			}
		}
		return false
	}
}

// values reads the files that the flags name; nil if no flag was given.
func (f *publicationFlags) values() (*publication.Values, error) {
	if !f.given() {
		return nil, nil
	}
	for _, n := range []struct {
		flag  string
		value int64
	}{{"--signatures", int64(f.signatures)}, {"--rebuilds", int64(f.rebuilds)}, {"--svn-floor", f.svnFloor}} {
		if n.value < 1 {
			return nil, cli.Usage(fmt.Errorf("%s: got %d, want at least 1", n.flag, n.value), "")
		}
	}
	v := &publication.Values{Signatures: f.signatures, SVNFloor: f.svnFloor, Rebuilds: f.rebuilds}
	for _, s := range f.signers {
		name, key, err := f.party("--signer", s)
		if err != nil {
			return nil, err
		}
		v.Signers = append(v.Signers, publication.Signer{Name: name, Key: key})
	}
	for _, s := range f.rebuilders {
		operator, key, err := f.party("--rebuilder", s)
		if err != nil {
			return nil, err
		}
		v.Rebuilders = append(v.Rebuilders, publication.Rebuilder{Operator: operator, Key: key})
	}
	if f.log == "" {
		return v, nil
	}
	b, err := cli.ReadInput(f.log, tlog.MaxPolicy)
	if err != nil {
		return nil, err
	}
	v.Log = string(b)
	return v, nil
}

// party reads "NAME=KEY", KEY a file or the text of a key. Only a signer may
// lack a name: a rebuilder's is what makes him another than the others.
func (f *publicationFlags) party(flag, value string) (string, dsse.PublicKey, error) {
	name, key, found := strings.Cut(value, "=")
	if !found || keyText(value) {
		if name, key = "", value; flag == "--rebuilder" {
			return "", dsse.PublicKey{}, cli.Usage(fmt.Errorf("%s: got %.200q, want OPERATOR=FILE.pub", flag, value), "")
		}
	}
	if keyText(key) {
		k, err := dsse.ParsePublicKey(key)
		if err != nil {
			return "", k, cli.Usage(fmt.Errorf("%s: %w", flag, err), "")
		}
		if keyText(value) {
			name = "signer " + k.ID()[:8]
		}
		return name, k, named(flag, name)
	}
	k, err := readDecoded(flag, key, keyfile.MaxSize, keyfile.DecodeSignerPublic)
	if err != nil {
		return "", k, err
	}
	f.keyFiles = append(f.keyFiles, key)
	if !found {
		name = strings.TrimSuffix(filepath.Base(key), ".pub")
	}
	return name, k, named(flag, name)
}

func named(flag, name string) error {
	if name == "" {
		return cli.Usage(errors.New(flag+": the name before = is empty"), "")
	}
	return nil
}

// keyText reports whether a value is a key itself and no file.
func keyText(s string) bool {
	return strings.HasPrefix(s, dsse.AlgorithmEd25519+":") || strings.HasPrefix(s, dsse.AlgorithmECDSAP256+":")
}
