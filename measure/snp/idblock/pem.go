package idblock

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxPEMSize bounds a key file.
const MaxPEMSize = 1 << 16

// PEM types: RFC 5915 (SEC 1), RFC 5958 (PKCS #8), RFC 7468.
const (
	pemSEC1       = "EC PRIVATE KEY"
	pemPKCS8      = "PRIVATE KEY"
	pemPublic     = "PUBLIC KEY"
	pemParameters = "EC PARAMETERS"
)

// parametersP384 is the content of EC PARAMETERS that openssl ecparam -genkey
// writes before a key: the object identifier 1.3.132.0.34 (SEC 2, secp384r1).
const parametersP384 = "\x06\x05\x2b\x81\x04\x00\x22"

// ParsePrivateKey reads a private key of curve P-384, of SEC 1 or PKCS #8, in
// PEM.
func ParsePrivateKey(text []byte) (*ecdsa.PrivateKey, error) {
	k, err := parsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("parsing private key: %w", err)
	}
	return k, nil
}

func parsePrivateKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case pemSEC1:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case pemPKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("PEM type: got %q, want %q or %q", block.Type, pemSEC1, pemPKCS8)
	}
	if err != nil {
		return nil, err
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("algorithm: got %T, want ECDSA with curve %s", key, curveName)
	}
	if k.Curve != elliptic.P384() {
		return nil, fmt.Errorf("curve: got %s, want %s", k.Params().Name, curveName)
	}
	return k, nil
}

// ParsePublicKey reads a public key of curve P-384 (SubjectPublicKeyInfo, RFC
// 5480) in PEM, for the digests of keys whose private halves are elsewhere.
func ParsePublicKey(text []byte) (PublicKey, error) {
	k, err := parsePublicKey(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("parsing public key: %w", err)
	}
	return k, nil
}

func parsePublicKey(text []byte) (PublicKey, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return PublicKey{}, err
	}
	if block.Type != pemPublic {
		return PublicKey{}, fmt.Errorf("PEM type: got %q, want %q", block.Type, pemPublic)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, err
	}
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return PublicKey{}, fmt.Errorf("algorithm: got %T, want ECDSA with curve %s", key, curveName)
	}
	return NewPublicKey(k)
}

// onlyBlock gives the one PEM block of a text, but for EC PARAMETERS before it.
func onlyBlock(text []byte) (*pem.Block, error) {
	if len(text) > MaxPEMSize {
		return nil, fmt.Errorf("length: got %d, want at most %d", len(text), MaxPEMSize)
	}
	block, rest, err := nextBlock(text)
	if err != nil {
		return nil, err
	}
	if block.Type == pemParameters {
		if string(block.Bytes) != parametersP384 {
			return nil, fmt.Errorf("EC parameters: got %x, want %x (%s)", block.Bytes, parametersP384, curveName)
		}
		if block, rest, err = nextBlock(rest); err != nil {
			return nil, err
		}
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("PEM: got %d bytes after the key, want none", len(rest))
	}
	return block, nil
}

// nextBlock gives the block that starts the text, and what follows it, without
// space around. It must have no headers: those of RFC 1421 say that a key is
// encrypted.
func nextBlock(text []byte) (*pem.Block, []byte, error) {
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return nil, nil, fmt.Errorf("PEM: got %q, want a line -----BEGIN", text[:min(len(text), 20)])
	}
	block, rest := pem.Decode(text)
	if block == nil || bytes.Contains(text[1:len(text)-len(rest)], []byte("-----BEGIN ")) {
		return nil, nil, errors.New("PEM: got a block that does not decode, want one that does")
	}
	if len(block.Headers) != 0 {
		return nil, nil, errors.New("PEM: got headers, want a key that is not encrypted")
	}
	return block, rest, nil
}
