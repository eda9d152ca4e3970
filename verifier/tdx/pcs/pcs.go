// Package pcs reads what Intel says about a TDX platform and says how good its
// TCB is: the SGX extension of its PCK certificate, TCB infos and identities of
// quoting enclaves. It implements:
//
//   - Intel SGX PCK Certificate and Certificate Revocation List Profile
//     Specification, revision 1.4, section 1.3 (the extension);
//   - Intel SGX and Intel TDX Provisioning Certification Service API, version 4
//     (TCB info version 3 with id TDX, enclave identity version 2 with id TD_QE,
//     and the steps that compare them with a quote);
//   - Intel SGX/TDX DCAP Quote Verification Library, steps 4.1.2.4.10, .11, .15
//     and .17 of its requirements, for what the API's text leaves open: the order
//     of levels, the converged status and when a relaunch is advised.
//
// Documents are opened: their signature is verified over the received bytes
// before a byte of them is parsed. Their times are the caller's to check, and so
// is the chain of the certificate that signed them.
package pcs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"safebox/verifier/endorse"
)

// maxBody bounds a document, in bytes. The largest seen has 4,520.
const maxBody = 256 << 10

// signerName is the common name of the certificate that signs TCB infos and
// identities (PCS API version 4: TCB-Info-Issuer-Chain). Intel's root has other
// children, the keys of which are in machines: they must not sign these.
const signerName = "Intel SGX TCB Signing"

// OpenTCBInfo verifies and reads a TCB info of id TDX and version 3. The caller
// has verified the chain of signer, and checks the times.
func OpenTCBInfo(s endorse.Signed, signer *x509.Certificate) (*TCBInfo, error) {
	if err := checkSignature(s, signer); err != nil {
		return nil, fmt.Errorf("opening TCB info: %w", err)
	}
	t, err := decodeTCBInfo(s.Body)
	if err != nil {
		return nil, fmt.Errorf("opening TCB info: %w", err)
	}
	return t, nil
}

// OpenIdentity verifies and reads an enclave identity of id TD_QE and version 2.
// The caller has verified the chain of signer, and checks the times.
func OpenIdentity(s endorse.Signed, signer *x509.Certificate) (*Identity, error) {
	if err := checkSignature(s, signer); err != nil {
		return nil, fmt.Errorf("opening QE identity: %w", err)
	}
	q, err := decodeIdentity(s.Body)
	if err != nil {
		return nil, fmt.Errorf("opening QE identity: %w", err)
	}
	return q, nil
}

func checkSignature(s endorse.Signed, signer *x509.Certificate) error {
	if len(s.Body) > maxBody {
		return fmt.Errorf("body has %d bytes, want at most %d", len(s.Body), maxBody)
	}
	if len(s.Signature) != 64 {
		return fmt.Errorf("signature has %d bytes, want 64 (r || s)", len(s.Signature))
	}
	key, err := signingKey(signer)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(s.Body)
	r, v := new(big.Int).SetBytes(s.Signature[:32]), new(big.Int).SetBytes(s.Signature[32:])
	if !ecdsa.Verify(key, digest[:], r, v) {
		return errors.New("signature over the received bytes is not of the TCB signing certificate's key")
	}
	return nil
}

func signingKey(signer *x509.Certificate) (*ecdsa.PublicKey, error) {
	if signer == nil {
		return nil, errors.New("no TCB signing certificate")
	}
	if signer.Subject.CommonName != signerName {
		return nil, fmt.Errorf("certificate is of %q, want %q", signer.Subject.CommonName, signerName)
	}
	if signer.IsCA || signer.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, fmt.Errorf("certificate of %q: CA %t, key usage %#x: want no CA and digitalSignature", signerName, signer.IsCA, int(signer.KeyUsage))
	}
	key, ok := signer.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("certificate of %q: key is not of P-256", signerName)
	}
	return key, nil
}
