package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"safebox/verifier/dsse"
)

// device is a stand-in for a PKCS#11 token or a KMS: the key does not leave it,
// it signs for who is logged in, and what it gets to sign is what such devices
// take: a SHA-256 for ECDSA (CKM_ECDSA), the message for Ed25519 (CKM_EDDSA).
type device struct {
	key    crypto.Signer // not to be had from outside
	open   bool
	signed int
}

// Public implements crypto.Signer.
func (d *device) Public() crypto.PublicKey { return d.key.Public() }

// Sign implements crypto.Signer.
func (d *device) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	if !d.open {
		return nil, errors.New("CKR_USER_NOT_LOGGED_IN")
	}
	d.signed++
	_, isECDSA := d.key.(*ecdsa.PrivateKey)
	if isECDSA != (opts.HashFunc() == crypto.SHA256) || (isECDSA && len(input) != 32) {
		return nil, errors.New("CKR_DATA_LEN_RANGE")
	}
	return d.key.Sign(rand.Reader, input, opts)
}

// A key that lies in no file signs what a file's key signs, side by side.
func TestDevice(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	inFile, err := Signer(secretFile(t, []byte(testSigner)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ECDSA": p256, "Ed25519": ed25519.NewKeyFromSeed(make([]byte, 32))} {
		d := &device{key: key}
		signer, err := dsse.NewSigner(d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e := &dsse.Envelope{Payload: []byte(`{"a":1}`), PayloadType: "application/vnd.in-toto+json"}
		if err := e.Add(signer); err == nil || !strings.Contains(err.Error(), "CKR_USER_NOT_LOGGED_IN") || len(e.Signatures) != 0 {
			t.Errorf("%s, locked: got %v and %d signatures", name, err, len(e.Signatures))
		}
		d.open = true
		for _, s := range []dsse.Signer{signer, inFile} {
			if err := e.Add(s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := dsse.DecodeEnvelope(b, e.PayloadType, 100)
		if err != nil {
			t.Fatal(err)
		}
		// The envelope is asked with the key as a policy has it, as text.
		public, err := dsse.ParsePublicKey(signer.Public().String())
		if err != nil || d.signed != 1 || len(back.Signatures) != 2 || !back.SignedBy(public) || !back.SignedBy(inFile.Public()) {
			t.Errorf("%s: got %d signatures, asked %d times, %v", name, len(back.Signatures), d.signed, err)
		}
	}
}
