package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"safebox/cmd/internal/cli"
	"safebox/measure/pkcs7"
)

// certificate is a certificate and the PEM text that it came in.
type certificate struct {
	parsed *x509.Certificate
	text   []byte
}

// readSignerCertificate reads a PEM file with one certificate: of several, another
// reader might take another.
func readSignerCertificate(path string) (*certificate, error) {
	list, err := readCertificates(path)
	if err == nil && len(list) != 1 {
		err = cli.Usage(fmt.Errorf("%s: certificates: got %d, want 1", path, len(list)), "")
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// readCertificates reads a PEM file with certificates and nothing else.
func readCertificates(path string) ([]*certificate, error) {
	text, err := cli.ReadInput(path, maxSignFile)
	if err != nil {
		return nil, err
	}
	var list []*certificate
	for rest := text; len(bytes.TrimSpace(rest)) > 0; {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, cli.Usage(fmt.Errorf("%s: byte %d: no PEM block of type CERTIFICATE", path, len(text)-len(rest)), "")
		}
		cert, err := pkcs7.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "")
		}
		list = append(list, &certificate{parsed: cert, text: text})
		rest = after
	}
	if len(list) == 0 {
		return nil, cli.Usage(fmt.Errorf("%s: no certificate in it", path), "")
	}
	return list, nil
}

// readKey reads a PEM file with one private key: PKCS #8 (RFC 5958), PKCS #1
// (RFC 8017, appendix A.1.2) or RFC 5915.
func readKey(path string) (crypto.Signer, error) {
	b, err := cli.ReadInput(path, maxSignFile)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey puts them first
		block, rest = pem.Decode(rest)
	}
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, cli.Usage(fmt.Errorf("%s: want PEM of one private key and nothing else", path), "")
	}
	key, err := parseKey(block)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "a key that is encrypted or elsewhere signs by safebox sign prepare and attach")
	}
	return key, nil
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	switch block.Type {
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("private key: got %T, want one that signs", key)
		}
		return signer, nil
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return nil, fmt.Errorf("PEM: got type %q, want PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY", block.Type)
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
