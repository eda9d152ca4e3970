package tpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kinds of endorsement keys, by the names that documents here use.
const (
	RSA2048 = "rsa2048"
	ECC384  = "ecc384"
)

// Policies of the endorsement keys (EK Credential Profile, annex B.6: PolicyA,
// and PolicyB of SHA-384).
const (
	policyA       = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
	policyBSHA384 = "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12"
)

// CheckEK compares an endorsement key with the template of its kind, all but
// its unique part (EK Credential Profile: template L-1 in annex B.3.3 and H-3 in
// annex B.4.5): a restricted decryption key that never leaves its TPM.
func CheckEK(kind string, p *Public) error {
	want := Public{Type: AlgRSA, NameAlg: AlgSHA256, Symmetric: AlgAES, KeyBits: 128, Scheme: AlgNull}
	modulus := 2048 / 8
	attributes, policy := FixedTPM|FixedParent|SensitiveDataOrigin|AdminWithPolicy|Restricted|Decrypt, policyA
	switch kind {
	case RSA2048:
	case ECC384:
		want = Public{Type: AlgECC, NameAlg: AlgSHA384, Symmetric: AlgAES, KeyBits: 256, Scheme: AlgNull, Curve: CurveP384}
		attributes |= UserWithAuth
		policy, modulus = policyBSHA384, 0
	default:
		return fmt.Errorf("checking endorsement key: kind: got %q, want %s or %s", kind, RSA2048, ECC384)
	}
	for _, f := range []struct {
		name      string
		got, want uint32
	}{
		{"type", uint32(p.Type), uint32(want.Type)},
		{"name algorithm", uint32(p.NameAlg), uint32(want.NameAlg)},
		{"attributes", uint32(p.Attributes), uint32(attributes)},
		{"symmetric algorithm", uint32(p.Symmetric), uint32(want.Symmetric)},
		{"symmetric key bits", uint32(p.KeyBits), uint32(want.KeyBits)},
		{"scheme", uint32(p.Scheme), uint32(want.Scheme)},
		{"curve", uint32(p.Curve), uint32(want.Curve)},
		{"size of the modulus", uint32(len(p.Modulus)), uint32(modulus)},
	} {
		if f.got != f.want {
			return fmt.Errorf("checking endorsement key: %s: got %#x, want %#x", f.name, f.got, f.want)
		}
	}
	if got := hex.EncodeToString(p.AuthPolicy); got != policy {
		return fmt.Errorf("checking endorsement key: authorization policy: got %q, want %s", got, policy)
	}
	return nil
}

// ekUsage is tcg-kp-EKCertificate (EK Credential Profile, section 3.2.16).
func ekUsage() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 23, 133, 8, 1} }

// subjectAltName is id-ce-subjectAltName (RFC 5280, section 4.2.1.6).
func subjectAltName() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// CheckEKCertificate verifies the chain from an endorsement key's certificate
// to exactly the given root, at the given time:
//
//  1. the certificate and the issuers parse, all bytes used;
//  2. it is no authority, its extended key usage is tcg-kp-EKCertificate, and
//     its key usage is that of a key which secrets are encrypted to (EK
//     Credential Profile, section 3.2, "Key Usage");
//  3. a chain by the issuers ends in the root, every certificate in it valid at
//     the time;
//  4. its public key is the endorsement key.
//
// No time is an error: crypto/x509 would take the clock's instead.
//
// The subject alternative name of such a certificate is critical and holds a
// directory name with the TPM's model, which crypto/x509 does not read: that
// one extension is passed over by its number, no other is.
func CheckEKCertificate(ek *Public, leaf []byte, issuers [][]byte, root *x509.Certificate, at time.Time) error {
	if at.IsZero() {
		return errors.New("checking EK certificate: no time to check its validity at")
	}
	cert, err := x509.ParseCertificate(leaf)
	if err != nil {
		return fmt.Errorf("checking EK certificate: %w", err)
	}
	pool := x509.NewCertPool()
	for i, der := range issuers {
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("checking EK certificate: issuer %d: %w", i, err)
		}
		pool.AddCert(issuer)
	}
	if cert.IsCA || !slices.ContainsFunc(cert.UnknownExtKeyUsage, ekUsage().Equal) {
		return fmt.Errorf("checking EK certificate: authority %t, extended key usage %v, want no authority and %v",
			cert.IsCA, cert.UnknownExtKeyUsage, ekUsage())
	}
	if want := keyUsage(ek); cert.KeyUsage&want == 0 {
		return fmt.Errorf("checking EK certificate: key usage: got bits %#x, want %#x among them", int(cert.KeyUsage), int(want))
	}
	cert.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions), subjectAltName().Equal)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: pool, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // issuers have none; the leaf's was checked above
	}); err != nil {
		return fmt.Errorf("checking EK certificate: chain to %q: %w", root.Subject.String(), err)
	}
	if !sameKey(ek, cert) {
		return errors.New("checking EK certificate: its public key is not the endorsement key")
	}
	return nil
}

// keyUsage is what a secret reaches the key by: encrypted with RSA, agreed on
// with ECC.
func keyUsage(ek *Public) x509.KeyUsage {
	if ek.Type == AlgRSA {
		return x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageKeyAgreement
}

func sameKey(ek *Public, cert *x509.Certificate) bool {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		want, err := ek.RSA()
		return err == nil && want.Equal(key)
	case *ecdsa.PublicKey:
		want, err := ek.ECDSA()
		return err == nil && want.Equal(key)
	}
	return false
}

// Software reports whether a certificate says of itself that it was made for
// a TPM in software: swtpm's authority names itself so in the subject. Others
// may not say it; only a policy's owner can know.
func Software(root *x509.Certificate) bool {
	return bytes.Contains(root.RawSubject, []byte("swtpm"))
}
