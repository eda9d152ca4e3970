package azure

import (
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"

	"safebox/verifier/tpm/jsontree"
)

// Limits of the claims.
const (
	maxKeys    = 8
	maxKeyOps  = 8
	maxModulus = 512 // bytes: RSA-4096
	minModulus = 256 // bytes: RSA-2048
)

// akName is the name of the TPM's attestation key among the keys.
const akName = "HCLAkPub"

// Claims are the runtime claims: which keys the paravisor's TPM has, and how the
// virtual machine is configured. Microsoft adds to them from version to version,
// so names that are not read here are passed over; the hash covers them all.
//
//	keys              JWKs (RFC 7517): kid, key_ops, kty "RSA", e, n
//	vm-configuration  secure-boot, vmUniqueId and others
//	user-data         hex
type Claims struct {
	AK         *rsa.PublicKey // HCLAkPub
	AKUses     []string       // its key_ops
	SecureBoot bool
	VMUniqueID string
}

func decodeClaims(b []byte) (*Claims, error) {
	o, err := jsontree.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	c := &Claims{}
	for _, key := range o.Objects("keys", maxKeys) {
		if key.Text("kid") != akName {
			continue
		}
		if c.AK != nil {
			return nil, fmt.Errorf("claims: key %s comes twice", akName)
		}
		if kty := key.Text("kty"); key.Err() == nil && kty != "RSA" {
			return nil, fmt.Errorf("claims: key %s: kty: got %.20q, want \"RSA\"", akName, kty)
		}
		c.AKUses = key.Texts("key_ops", maxKeyOps)
		if c.AK, err = publicKey(key); err != nil {
			return nil, fmt.Errorf("claims: key %s: %w", akName, err)
		}
	}
	vm := o.Object("vm-configuration")
	c.SecureBoot, c.VMUniqueID = vm.Bool("secure-boot"), vm.Text("vmUniqueId")
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if c.AK == nil {
		return nil, fmt.Errorf("claims: no key %s", akName)
	}
	return c, nil
}

// publicKey reads the parameters of an RSA key (RFC 7518, section 6.3.1), which
// are base64url without padding.
func publicKey(key *jsontree.Object) (*rsa.PublicKey, error) {
	e := key.Base64("e", base64.RawURLEncoding, 3)
	n := key.Base64("n", base64.RawURLEncoding, maxModulus)
	if err := key.Err(); err != nil {
		return nil, err
	}
	if string(e) != "\x01\x00\x01" {
		return nil, fmt.Errorf("exponent: got %x, want 010001", e)
	}
	if len(n) < minModulus || n[0]&0x80 == 0 || n[len(n)-1]&1 == 0 {
		return nil, fmt.Errorf("modulus: got %d bytes, want an odd number of %d to %d whole bytes", len(n), minModulus, maxModulus)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
}
