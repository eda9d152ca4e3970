package snp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"safebox/verifier/chain"
	"safebox/verifier/check"
)

// Chain is a chain of certificates from a signing key up to a root, and the
// root's revocation list, whose signatures were verified. OpenChain alone makes
// one with something in it.
type Chain struct {
	leaf, intermediate, root *x509.Certificate
	crl                      *chain.CRL // nil if the policy asks for none and none was there
}

// OpenChain verifies the chain for the report of the input, SNP-C1 to SNP-C5, so
// that later reports by the same key need not do it again (Input.Chain).
func OpenChain(in Input) (*Chain, error) {
	log := check.New()
	v := &verification{in: in, log: log}
	if !v.format() || !v.signer() {
		return nil, errors.New("opening chain: not a report with a signature")
	}
	for _, step := range []func() bool{v.root, v.validity, v.extensions, v.revocation} {
		if !step() {
			failed := log.Verdict(Definitions()).Failed()
			for _, c := range failed {
				if c.Reached && len(c.ID) > 4 && c.ID[:5] == "SNP-C" {
					return nil, fmt.Errorf("opening chain: %s: %s", c.ID, c.Got)
				}
			}
			return nil, errors.New("opening chain: refused")
		}
	}
	c := v.found
	return &c, nil
}

// minModulus is the size of AMD's RSA keys, in bits.
const minModulus = 4096

// root: SNP-C1, SNP-C2. The root is the pinned one of the product: those among
// the endorsements are looked at only to say what is wrong.
func (v *verification) root() bool {
	leaf, err := v.choose()
	if v.product == 0 {
		if v.report.Version < versionCPUID {
			v.log.Fail("SNP-C1", "pinned root of the product", "version 2 names no product, and "+errText(err, "the certificate's issuer is of none"))
		}
		return false // SNP-B4 refuses an unknown processor
	}
	want := "ARK-" + v.product.String() + ", byte for byte the pinned one"
	pin := v.in.Roots.of(v.product)
	if err := checkRoot(pin, v.product); err != nil {
		v.log.Fail("SNP-C1", want, err.Error())
		return false
	}
	v.found.root = pin
	var pathErr error
	if err == nil {
		v.found.leaf = leaf
		pathErr = v.path()
	}
	if pathErr != nil {
		if other := v.otherRoot(leaf); other != nil {
			v.log.Fail("SNP-C1", want, fmt.Sprintf("the chain leads to another certificate of that name, SHA-256 %s", digest(other.Raw)))
			return false
		}
	}
	v.log.Pass("SNP-C1", want, "SHA-256 "+digest(pin.Raw))
	if err = errors.Join(err, pathErr); err == nil {
		err = v.shape()
	}
	v.log.Check("SNP-C2", err,
		fmt.Sprintf("%s signed by %s signed by ARK-%v, RSA-PSS with SHA-384 and %d bits", v.leafName(), v.intermediateName(), v.product, minModulus),
		"signed so")
	return err == nil
}

func errText(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}

// checkRoot checks what was given as root: a mistake of the caller otherwise
// looks like one of the evidence.
func checkRoot(pin *x509.Certificate, p Product) error {
	if pin == nil {
		return fmt.Errorf("no root is pinned for %v", p)
	}
	if want := "ARK-" + p.String(); pin.Subject.CommonName != want {
		return fmt.Errorf("root pinned for %v has the name %q", p, pin.Subject.CommonName)
	}
	return checkModulus(pin)
}

func checkModulus(c *x509.Certificate) error {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("key of %q: got %T, want RSA", c.Subject.CommonName, c.PublicKey)
	}
	if bits := key.N.BitLen(); bits < minModulus {
		return fmt.Errorf("key of %q: got RSA of %d bits, want %d", c.Subject.CommonName, bits, minModulus)
	}
	return nil
}

// leafName is the subject of the signing key's certificate.
func (v *verification) leafName() string { return "SEV-" + v.report.Signer.SigningKey().String() }

// intermediateName is that of its issuer (AMD 57230: ASK; the VLEK's is ASVK).
func (v *verification) intermediateName() string {
	if v.report.Signer.SigningKey() == VLEK {
		return "SEV-VLEK-" + v.product.String()
	}
	return "SEV-" + v.product.String()
}

// choose picks the signing key's certificate among the endorsements, which may
// hold those of other machines and versions: the one that fits best, so that
// what does not fit can be told. Nothing is verified by that.
func (v *verification) choose() (*x509.Certificate, error) {
	var best *x509.Certificate
	most := -1
	for _, c := range v.in.Endorsements.Certificates {
		if c == nil || c.Subject.CommonName != v.leafName() {
			continue
		}
		if fit := v.fit(c); fit > most {
			best, most = c, fit
		}
	}
	if best == nil {
		return nil, errNoLeaf(v.leafName(), len(v.in.Endorsements.Certificates))
	}
	if v.product == 0 && v.report.Version < versionCPUID {
		v.product = productOfIssuer(best)
	}
	return best, nil
}

// fit counts what a certificate has in common with the report.
func (v *verification) fit(c *x509.Certificate) int {
	l, err := ParseLeaf(c)
	if err != nil {
		return 0
	}
	n := 1
	if v.product == 0 || l.Product == v.product {
		n++
	}
	if l.HWID != nil && bytes.HasPrefix(v.report.ChipID[:], l.HWID) {
		n += 2
	}
	if l.TCB.Raw == v.report.Reported.Raw {
		n++
	}
	return n
}

// productOfIssuer reads the product out of an issuer's name, for reports that
// don't say it. The chain then proves it.
func productOfIssuer(c *x509.Certificate) Product {
	for _, p := range products() {
		if name := c.Issuer.CommonName; name == "SEV-"+p.String() || name == "SEV-VLEK-"+p.String() {
			return p
		}
	}
	return 0
}

// path looks for the intermediate between leaf and root and verifies both
// signatures, if the chain that was kept is not the same.
func (v *verification) path() error {
	var first error
	for _, c := range v.in.Endorsements.Issuers(v.found.leaf) {
		err := v.verifyPath(c)
		if err == nil {
			v.found.intermediate = c
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return fmt.Errorf("no certificate of %q, issuer of %s, among the endorsements", v.found.leaf.Issuer.CommonName, v.leafName())
	}
	return first
}

func (v *verification) verifyPath(intermediate *x509.Certificate) error {
	if k := v.in.Chain; k != nil && same(k.leaf, v.found.leaf) && same(k.intermediate, intermediate) && same(k.root, v.found.root) {
		return nil
	}
	if err := checkModulus(intermediate); err != nil {
		return err
	}
	return chain.CheckPathBy([]*x509.Certificate{v.found.leaf, intermediate, v.found.root}, x509.SHA384WithRSAPSS)
}

func same(a, b *x509.Certificate) bool { return a != nil && b != nil && bytes.Equal(a.Raw, b.Raw) }

// shape: the rest of SNP-C2, names and the leaf's key.
func (v *verification) shape() error {
	leaf := v.found.leaf
	if got, want := v.found.intermediate.Subject.CommonName, v.intermediateName(); got != want {
		return fmt.Errorf("intermediate: got %q, want %q", got, want)
	}
	if leaf.IsCA || leaf.BasicConstraintsValid || leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fmt.Errorf("%s: got key usage %#x and basic constraints %t, want a certificate that signs reports only", v.leafName(), int(leaf.KeyUsage), leaf.BasicConstraintsValid)
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return fmt.Errorf("key of %s: got %v, want ECDSA on P-384", v.leafName(), leaf.PublicKeyAlgorithm)
	}
	return nil
}

// maxTries bounds the signatures that otherRoot verifies: the keys are a
// stranger's, which can be made slow to verify by.
const maxTries = 4

// otherRoot gives a root among the endorsements that has the pinned one's name,
// is not it, and issued the leaf's issuer. It only helps to say what is wrong,
// and gives up early.
func (v *verification) otherRoot(leaf *x509.Certificate) *x509.Certificate {
	tries := 0
	for _, intermediate := range v.in.Endorsements.Issuers(leaf) {
		for _, c := range v.in.Endorsements.Issuers(intermediate) {
			if same(c, v.found.root) || c.Subject.CommonName != v.found.root.Subject.CommonName {
				continue
			}
			if tries++; tries > maxTries {
				return nil
			}
			if chain.CheckIssuedBy(intermediate, c, x509.SHA384WithRSAPSS) == nil {
				return c
			}
		}
	}
	return nil
}

// validity: SNP-C3.
func (v *verification) validity() bool {
	var err error
	for _, c := range []*x509.Certificate{v.found.leaf, v.found.intermediate, v.found.root} {
		if err = v.in.Rules.Certificate(c); err != nil {
			break
		}
	}
	v.log.Check("SNP-C3", err, "all three certificates are valid at "+moment(v.in.Rules.At),
		"the signing key's from "+moment(v.found.leaf.NotBefore)+" to "+moment(v.found.leaf.NotAfter))
	return err == nil
}

// extensions: SNP-C4.
func (v *verification) extensions() bool {
	var err error
	v.leaf, err = ParseLeaf(v.found.leaf)
	if err == nil && (v.leaf.HWID != nil) != (v.report.Signer.SigningKey() == VCEK) {
		err = errors.New("a VCEK has HWID and a VLEK has CSP_ID, this one has the other")
	}
	got := ""
	if err == nil {
		got = fmt.Sprintf("structVersion %d, %s, %v", v.leaf.StructVersion, v.leaf.ProductName, v.leaf.TCB)
	}
	v.log.Check("SNP-C4", err, "exactly the extensions of its structVersion, each once", got)
	return err == nil
}
