// Package chain checks certificates, revocation lists and the times of both,
// for the platforms of all vendors. crypto/x509 reads the structures; what must
// hold is decided here, in the order of RFC 5280, section 6.1, by a time that
// the caller gives. Nothing here is trusted because it parses: trust comes from
// a root that the caller compares byte for byte.
//
// Implements RFC 5280 (certificates: 4, 6.1; lists: 5, 6.3) as far as the
// vendors use it: no policies, no name constraints, no delta and no partial
// lists. What it does not implement it refuses.
package chain

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// Bounds of a chain.
const (
	maxPath    = 8    // certificates; the longest of a vendor has 5 (AWS Nitro)
	minRSABits = 2048 // the least that NIST SP 800-131A, revision 2, section 3 still allows
	maxRSABits = 8192 // bounds the work of one signature, as does the next
	maxRSAExp  = 1<<16 + 1
)

// Extensions that narrow what a certificate may be used for and that are not
// implemented here (RFC 5280, sections 4.2.1.5, 4.2.1.10, 4.2.1.11, 4.2.1.14).
// crypto/x509 counts some of them as handled, so they are refused by number.
func unsupported() []asn1.ObjectIdentifier {
	return []asn1.ObjectIdentifier{
		{2, 5, 29, 30}, // nameConstraints
		{2, 5, 29, 33}, // policyMappings
		{2, 5, 29, 36}, // policyConstraints
		{2, 5, 29, 54}, // inhibitAnyPolicy
	}
}

// Algorithms lists the signature algorithms that CheckIssued takes: RSA and
// ECDSA with SHA-256 or stronger.
func Algorithms() []x509.SignatureAlgorithm {
	return []x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	}
}

// CheckIssued checks that parent issued child, by any of Algorithms.
func CheckIssued(child, parent *x509.Certificate) error {
	return CheckIssuedBy(child, parent, Algorithms()...)
}

// CheckIssuedBy checks that parent issued child by one of the given algorithms,
// and by no other, however strong:
//
//  1. the child has no critical extension that nobody handles, and none that
//     would narrow it in ways not implemented here;
//  2. the child's issuer is the parent's subject, byte for byte;
//  3. the parent is an authority (basicConstraints) that may sign certificates
//     (keyUsage), and narrowed in no such way either;
//  4. the algorithm is one of those given and the parent's key is strong enough;
//  5. the signature is the parent's, over the received bytes of the child.
//
// It looks at no time and at no path length: see Rules and CheckPath. A caller
// that handles a critical extension itself takes it out of
// UnhandledCriticalExtensions first, as crypto/x509 has it.
func CheckIssuedBy(child, parent *x509.Certificate, algorithms ...x509.SignatureAlgorithm) error {
	if child == nil || parent == nil {
		return errors.New("checking issuer: no certificate")
	}
	if err := checkIssued(child, parent, algorithms); err != nil {
		return fmt.Errorf("checking that %q issued %q: %w", parent.Subject.String(), child.Subject.String(), err)
	}
	return nil
}

func checkIssued(child, parent *x509.Certificate, algorithms []x509.SignatureAlgorithm) error {
	if err := checkExtensions(child); err != nil {
		return err
	}
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return fmt.Errorf("issuer: got %q", child.Issuer.String())
	}
	if err := checkAuthority(parent, x509.KeyUsageCertSign, "keyCertSign"); err != nil {
		return err
	}
	if !slices.Contains(algorithms, child.SignatureAlgorithm) {
		return fmt.Errorf("signature algorithm: got %s, want one of %v", child.SignatureAlgorithm, algorithms)
	}
	if err := CheckKey(parent); err != nil {
		return err
	}
	if err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	return nil
}

// checkAuthority checks that a certificate may sign what usage names.
func checkAuthority(c *x509.Certificate, usage x509.KeyUsage, name string) error {
	if !c.BasicConstraintsValid || !c.IsCA {
		return errors.New("issuer is no authority: basicConstraints want cA true")
	}
	if c.KeyUsage&usage == 0 {
		return fmt.Errorf("issuer's key usage: got bits %#x, want %s among them", int(c.KeyUsage), name)
	}
	return checkExtensions(c)
}

func checkExtensions(c *x509.Certificate) error {
	if len(c.UnhandledCriticalExtensions) > 0 {
		return fmt.Errorf("critical extension %v of %q is unknown", c.UnhandledCriticalExtensions[0], c.Subject.String())
	}
	for _, e := range c.Extensions {
		if slices.ContainsFunc(unsupported(), e.Id.Equal) {
			return fmt.Errorf("extension %v of %q is not supported", e.Id, c.Subject.String())
		}
	}
	return nil
}

// CheckKey refuses a certificate whose key is too weak to sign by, too long to
// be worth the work, or of another kind than RSA and ECDSA.
func CheckKey(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("key of %q: got RSA of %d bits, want %d to %d", c.Subject.String(), bits, minRSABits, maxRSABits)
		}
		if key.E > maxRSAExp {
			return fmt.Errorf("key of %q: got RSA exponent %d, want at most %d", c.Subject.String(), key.E, maxRSAExp)
		}
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("key of %q: got curve %s, want P-256, P-384 or P-521", c.Subject.String(), key.Curve.Params().Name)
	}
	return fmt.Errorf("key of %q: got %T, want RSA or ECDSA", c.Subject.String(), c.PublicKey)
}

// CheckPath checks a whole chain, the leaf first and the root last: each
// certificate was issued by the next one, and no authority has more
// authorities below it than its pathLenConstraint allows. The root's own
// signature means nothing and is not looked at: the caller compares the root
// with the one it pinned.
func CheckPath(ordered []*x509.Certificate) error {
	return CheckPathBy(ordered, Algorithms()...)
}

// CheckPathBy is CheckPath with exactly the given algorithms.
func CheckPathBy(ordered []*x509.Certificate, algorithms ...x509.SignatureAlgorithm) error {
	if len(ordered) < 2 || len(ordered) > maxPath {
		return fmt.Errorf("checking chain: got %d certificates, want 2 to %d", len(ordered), maxPath)
	}
	for i, c := range ordered {
		if c == nil {
			return fmt.Errorf("checking chain: certificate %d: none", i)
		}
		if i > 0 {
			if err := checkPathLength(c, i-1); err != nil {
				return fmt.Errorf("checking chain: certificate %d: %w", i, err)
			}
		}
	}
	// From the root down: a stranger's key, which can be made slow to verify by,
	// is used only once the root has vouched for it.
	for i, c := range slices.Backward(ordered[:len(ordered)-1]) {
		if err := CheckIssuedBy(c, ordered[i+1], algorithms...); err != nil {
			return fmt.Errorf("checking chain: certificate %d: %w", i, err)
		}
	}
	return nil
}

// checkPathLength checks pathLenConstraint (RFC 5280, section 4.2.1.9). A
// self-issued authority counts as any other: no vendor has one between, and
// counting it refuses more, not less.
func checkPathLength(c *x509.Certificate, below int) error {
	limited := c.MaxPathLen > 0 || c.MaxPathLenZero
	if limited && below > c.MaxPathLen {
		return fmt.Errorf("%q: path length: got %d authorities below it, want at most %d", c.Subject.String(), below, c.MaxPathLen)
	}
	return nil
}
