package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"safebox/cmd/internal/cli"
)

// signedFile is a file of the folder that `sign variables` writes.
type signedFile struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	content []byte
}

func newSignedFile(name string, content []byte) signedFile {
	return signedFile{Name: name, SHA256: sha256Hex(content), content: content}
}

// jsonFiles is the result of `sign variables --json`.
type jsonFiles struct {
	Out   string       `json:"out"`
	Files []signedFile `json:"files"`
}

// printFiles prints one "sha256 name" a line, as sha256sum does.
func printFiles(stdout io.Writer, asJSON bool, out string, files []signedFile) error {
	if asJSON {
		return cli.WriteJSON(stdout, jsonFiles{Out: out, Files: files})
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(stdout, "%s  %s\n", f.SHA256, f.Name); err != nil {
			return err
		}
	}
	return nil
}

// firstSigner tries the certificates in their order: a key or a signature does
// not say whose it is.
func firstSigner(list []*x509.Certificate, try func(*x509.Certificate) ([]byte, error)) ([]byte, error) {
	var all []error
	for _, c := range list {
		b, err := try(c)
		if err == nil {
			return b, nil
		}
		all = append(all, err)
	}
	return nil, errors.Join(all...)
}
