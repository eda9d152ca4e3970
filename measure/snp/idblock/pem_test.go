package idblock

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

// rfcKey is the key of RFC 6979, A.2.6.
func rfcKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), unhex(t, "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func otherCurve(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), big.NewInt(5).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func writePEM(t testing.TB, typ string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func TestPEM(t *testing.T) {
	k := rfcKey(t)
	sec1, err := x509.MarshalECPrivateKey(k)
	sec1PEM := writePEM(t, "EC PRIVATE KEY", sec1, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	pkcs8PEM := writePEM(t, "PRIVATE KEY", pkcs8, err)
	// As openssl ecparam -name secp384r1 -genkey writes it.
	parameters := []byte("-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n")
	for _, text := range [][]byte{
		sec1PEM, pkcs8PEM, append(parameters, sec1PEM...), append([]byte("\n\n"), append(pkcs8PEM, ' ')...),
		bytes.Join([][]byte{parameters, sec1PEM, nil}, []byte(" \n\n")),
		append(sec1PEM, bytes.Repeat([]byte("\n"), MaxPEMSize-len(sec1PEM))...),
	} {
		if got, err := ParsePrivateKey(text); err != nil || !got.Equal(k) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	got, err := ParsePublicKey(writePEM(t, "PUBLIC KEY", spki, err))
	want, err2 := NewPublicKey(&k.PublicKey)
	if err != nil || err2 != nil || got != want {
		t.Errorf("public key: got %v, %v, want %v, %v", got, err, want, err2)
	}
}

func TestPEMRefuses(t *testing.T) {
	good := file(t, "sev-rust/test_id_key.pem")
	der, err := x509.MarshalECPrivateKey(otherCurve(t))
	p256 := writePEM(t, "EC PRIVATE KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32)))
	edwards := writePEM(t, "PRIVATE KEY", der, err)
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"empty", nil, `parsing private key: PEM: got "", want a line -----BEGIN`},
		{"DER", []byte("\x30\x81"), "want a line -----BEGIN"},
		{"text before", append([]byte("key:\n"), good...), `PEM: got "key:\n-----BEGIN PRIV", want a line -----BEGIN`},
		{"two keys", append(bytes.Clone(good), good...), "PEM: got 305 bytes after the key, want none"},
		{"cut off", good[:100], "PEM: got a block that does not decode"},
		{"broken before good", append([]byte("-----BEGIN PRIVATE KEY-----\n!\n"), good...), "PEM: got a block that does not decode"},
		{"encrypted", []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n"), "PEM: got headers, want a key that is not encrypted"},
		{"encrypted PKCS #8", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), `PEM type: got "ENCRYPTED PRIVATE KEY", want "EC PRIVATE KEY" or "PRIVATE KEY"`},
		{"no key inside", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "parsing private key: asn1:"},
		{"P-256", p256, "parsing private key: curve: got P-256, want P-384"},
		{"Ed25519", edwards, "parsing private key: algorithm: got ed25519.PrivateKey, want ECDSA with curve P-384"},
		{"parameters of P-256", append([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), p256...), "EC parameters: got 06082a8648ce3d030107, want 06052b81040022 (P-384)"},
		{"too long", make([]byte, MaxPEMSize+1), "length: got 65537, want at most 65536"},
	} {
		_, err := ParsePrivateKey(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestPublicPEMRefuses(t *testing.T) {
	spki := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		return writePEM(t, "PUBLIC KEY", der, err)
	}
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"empty", nil, `parsing public key: PEM: got "", want a line -----BEGIN`},
		{"private key", file(t, "sev-rust/test_id_key.pem"), `parsing public key: PEM type: got "PRIVATE KEY", want "PUBLIC KEY"`},
		{"parameters alone", []byte("-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"), `parsing public key: PEM: got "", want a line -----BEGIN`},
		{"no key inside", []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "parsing public key: asn1:"},
		{"P-256", spki(&otherCurve(t).PublicKey), "parsing public key: public key: curve: got P-256, want P-384"},
		{"Ed25519", spki(ed25519.NewKeyFromSeed(make([]byte, 32)).Public()), "parsing public key: algorithm: got ed25519.PublicKey, want ECDSA with curve P-384"},
	} {
		got, err := ParsePublicKey(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || got != (PublicKey{}) {
			t.Errorf("%s: got %v, %v, want %s", c.name, got, err, c.want)
		}
	}
	for name, k := range map[string]*ecdsa.PublicKey{"none": nil, "no curve": {}} {
		if got, err := NewPublicKey(k); err == nil || got != (PublicKey{}) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// FuzzPEM wants of every accepted text a key of the right curve.
func FuzzPEM(f *testing.F) {
	for _, name := range []string{"sev-rust/test_id_key.pem", "sev-rust/test_auth_key.pem", "sev-snp-measure/id_key_test.pem", "sev-snp-measure/author_key_test.pem"} {
		f.Add(file(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParsePrivateKey(text)
		if err != nil {
			return
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		again, err := ParsePrivateKey(writePEM(t, "PRIVATE KEY", der, err))
		if err != nil || !again.Equal(k) || k.Curve != elliptic.P384() {
			t.Errorf("got %v", err)
		}
	})
}
