package nitro

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/policy/nitropolicy"
)

// maxPath is the longest chain, leaf and root included (specs/nitro.md, section
// 4.4, step 4); AWS's have 5.
const maxPath = 8

// checkChain: NITRO-4.
func (v *verification) checkChain() bool {
	err := v.chain()
	got := ""
	if err == nil {
		leaf := v.path[0]
		got = fmt.Sprintf("%d certificates from %q to the pinned root, leaf valid %s to %s", len(v.path), leaf.Subject.CommonName,
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	v.log.Check("NITRO-4", err, "a chain in the given order from the leaf to the pinned root, all valid at the time, P-384 and SHA-384", got)
	if err == nil {
		v.log.Waive("revocation of AWS's certificates", `crl = "any" in the policy: AWS's guide says to check none`)
	}
	return err == nil
}

// chain parses the certificates in the given order, which is never changed, and
// checks them. The path stays as long as its parts parse, for the checks that
// look at names and times whatever becomes of the chain.
func (v *verification) chain() error {
	doc := v.document
	if n := 1 + len(doc.CABundle); n > maxPath {
		return fmt.Errorf("got %d certificates, want at most %d", n, maxPath)
	}
	leaf, err := chain.ParseCertificate(doc.Certificate)
	if err != nil {
		return fmt.Errorf("leaf: %w", err)
	}
	v.path = append(v.path, leaf)
	for i, der := range slices.Backward(doc.CABundle[1:]) {
		c, err := chain.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("certificate %d of cabundle: %w", i+1, err)
		}
		v.path = append(v.path, c)
	}
	root, err := v.Roots.find(doc.CABundle[0])
	if err != nil {
		return err
	}
	v.path = append(v.path, root)
	if !v.policy.AnyCRL {
		return errors.New("the policy does not say that revocation goes unchecked, and there is no list to check")
	}
	return v.checkPath()
}

// checkPath checks a whole path: keys and usages, then times, then signatures.
func (v *verification) checkPath() error {
	for i, c := range v.path {
		if slices.ContainsFunc(v.path[:i], c.Equal) { // RFC 5280, section 6.1
			return fmt.Errorf("certificate %q: twice in the chain", c.Subject.CommonName)
		}
		if _, err := publicKey(c); err != nil {
			return err
		}
		if err := checkCritical(c); err != nil {
			return err
		}
	}
	if err := checkLeaf(v.path[0]); err != nil {
		return err
	}
	for _, c := range v.path {
		if err := v.checkValidity(c); err != nil {
			return err
		}
	}
	return chain.CheckPathBy(v.path, x509.ECDSAWithSHA384)
}

// publicKey gives a certificate's key if it is one on P-384 (specs/nitro.md,
// section 4.3).
func publicKey(c *x509.Certificate) (*ecdsa.PublicKey, error) {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key of %q: got %v, want ECDSA on P-384", c.Subject.CommonName, c.PublicKeyAlgorithm)
	}
	if key.Curve != elliptic.P384() {
		return nil, fmt.Errorf("key of %q: got curve %s, want P-384", c.Subject.CommonName, key.Curve.Params().Name)
	}
	return key, nil
}

// checkCritical refuses critical extensions that AWS's certificates do not have:
// only basicConstraints (RFC 5280, section 4.2.1.9) and keyUsage (4.2.1.3) are.
func checkCritical(c *x509.Certificate) error {
	for _, e := range c.Extensions {
		if id := e.Id.String(); e.Critical && id != "2.5.29.19" && id != "2.5.29.15" {
			return fmt.Errorf("certificate %q: critical extension %s: unknown", c.Subject.CommonName, id)
		}
	}
	return nil
}

// checkLeaf wants a leaf that signs documents and no certificates.
func checkLeaf(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return fmt.Errorf("leaf %q: is an authority (basicConstraints cA true), want a leaf", leaf.Subject.CommonName)
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return fmt.Errorf("leaf %q: keyUsage: want digitalSignature", leaf.Subject.CommonName)
	case leaf.KeyUsage&x509.KeyUsageCertSign != 0:
		return fmt.Errorf("leaf %q: keyUsage: got keyCertSign, want a leaf", leaf.Subject.CommonName)
	}
	return nil
}

// instant is the time by which certificates are judged. There is none in a
// policy that does not say.
func (v *verification) instant() time.Time {
	switch v.policy.Time {
	case nitropolicy.Live, nitropolicy.At:
		return v.Rules.At
	case nitropolicy.Self:
		return v.document.Timestamp
	}
	return time.Time{}
}

// checkValidity checks a certificate at the time. The caller's clock may be slow
// by the policy's skew: a leaf begins three seconds before its first use. It has
// no such grace at the end.
func (v *verification) checkValidity(c *x509.Certificate) error {
	at := v.instant()
	if v.policy.Time != nitropolicy.Self && at.Before(c.NotBefore) && !at.Add(v.policy.Skew).Before(c.NotBefore) {
		at = c.NotBefore
	}
	return chain.Rules{At: at}.Certificate(c)
}
