package chain

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode"
)

// MaxCertificate bounds one certificate in DER; the largest of a vendor has
// below 3 KiB.
const MaxCertificate = 16 << 10

// Markers of PEM (RFC 7468, section 2).
const (
	pemBegin       = "-----BEGIN "
	pemCertificate = "CERTIFICATE"
)

// ParseCertificate reads exactly one certificate in DER, with nothing after it.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) == 0 || len(der) > MaxCertificate {
		return nil, fmt.Errorf("parsing certificate: got %d bytes, want 1 to %d", len(der), MaxCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing certificate: %w", err)
	}
	if len(c.Raw) != len(der) {
		return nil, fmt.Errorf("parsing certificate: got %d bytes, want %d and nothing after them", len(der), len(c.Raw))
	}
	if c.Version != 3 {
		return nil, fmt.Errorf("parsing certificate: version: got %d, want 3", c.Version)
	}
	return c, nil
}

// ParsePEM reads certificates in PEM: one to most CERTIFICATE blocks without
// headers, and nothing else but white space around them.
func ParsePEM(b []byte, most int) ([]*x509.Certificate, error) {
	if bound := most * 2 * MaxCertificate; len(b) > bound {
		return nil, fmt.Errorf("parsing PEM: got %d bytes, want at most %d", len(b), bound)
	}
	var found []*x509.Certificate
	b = bytes.TrimRightFunc(b, unicode.IsSpace)
	for rest := bytes.TrimSpace(b); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		at := len(b) - len(rest)
		if len(found) == most {
			return nil, fmt.Errorf("parsing PEM at %d: more than %d certificates", at, most)
		}
		block, after, err := ReadBlock(rest)
		if err != nil {
			return nil, fmt.Errorf("parsing PEM at %d: %w", at, err)
		}
		if block.Type != pemCertificate {
			return nil, fmt.Errorf("parsing PEM at %d: block: got %q, want %q", at, block.Type, pemCertificate)
		}
		c, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing PEM at %d: %w", at, err)
		}
		found, rest = append(found, c), after
	}
	if len(found) == 0 {
		return nil, errors.New("parsing PEM: no certificate")
	}
	return found, nil
}

// ReadBlock reads the PEM block that b begins with, and gives what is after it.
// encoding/pem alone would look for the next good block and pass over a broken
// one without a word.
func ReadBlock(b []byte) (*pem.Block, []byte, error) {
	if !bytes.HasPrefix(b, []byte(pemBegin)) {
		return nil, nil, errors.New("text that is no PEM block")
	}
	if next := bytes.Index(b[len(pemBegin):], []byte(pemBegin)); next >= 0 {
		// Cut off before the next block, so that this one is read or nothing is.
		block, rest, err := decodeBlock(b[:len(pemBegin)+next])
		return block, b[len(pemBegin)+next-len(rest):], err
	}
	return decodeBlock(b)
}

func decodeBlock(b []byte) (*pem.Block, []byte, error) {
	block, rest := pem.Decode(b)
	if block == nil {
		return nil, nil, errors.New("malformed block")
	}
	if len(block.Headers) > 0 {
		return nil, nil, errors.New("block with headers")
	}
	return block, rest, nil
}
