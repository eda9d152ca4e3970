package cloud

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/chain"
	"safebox/verifier/policy/tpmpolicy"
)

// Bounds of the search for a chain.
const (
	maxPath = 5   // certificates, the leaf and the root among them
	maxTry  = 32  // chains to a root that are looked at
	maxStep = 256 // issuers by name that are looked at: certificates of one name would make chains without number
)

// certified is the chain of an attestation key's certificate: the leaf first,
// the policy's root last. Every signature in it was checked.
type certified struct{ path []*x509.Certificate }

func (c *certified) leaf() *x509.Certificate { return c.path[0] }
func (c *certified) root() *x509.Certificate { return c.path[len(c.path)-1] }

// certificate finds the chain for TPM-K1: the certificate is of the key that
// signed, and by certificates that came along or that the caller gave it leads
// to a root of the policy.
func (v *verification) certificate() (*certified, error) {
	g := v.evidence.Google
	if g == nil || len(g.AKCertificate) == 0 {
		return nil, errors.New("the evidence has no certificate")
	}
	leaf, err := chain.ParseCertificate(g.AKCertificate)
	if err != nil {
		return nil, fmt.Errorf("attestation key's: %w", err)
	}
	if key, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !key.Equal(v.evidence.Key) {
		return nil, errors.New("the certificate is of another key")
	}
	// The subject alternative name of a TPM's certificate is a directory name
	// with the TPM's model, which crypto/x509 does not read (EK Credential
	// Profile, section 3.2.9). Nothing here rests on it.
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, subjectAltName().Equal)
	pool, err := v.issuers()
	if err != nil {
		return nil, err
	}
	s := &search{pool: pool, roots: v.policy.Roots, tries: maxTry, steps: maxStep}
	s.extend([]*x509.Certificate{leaf})
	if s.found == nil {
		if s.steps == 0 {
			s.err = fmt.Errorf("no chain from %q among %d issuers by name, and no more are looked at", leaf.Issuer.String(), maxStep)
		}
		if s.err == nil {
			s.err = fmt.Errorf("no root of the policy is reached from %q", leaf.Issuer.String())
		}
		return nil, s.err
	}
	return &certified{path: s.found}, nil
}

// subjectAltName is id-ce-subjectAltName (RFC 5280, section 4.2.1.6).
func subjectAltName() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// issuers are all certificates that a chain may go through.
func (v *verification) issuers() ([]*x509.Certificate, error) {
	var pool []*x509.Certificate
	for i, der := range v.evidence.Google.Intermediates {
		c, err := chain.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("intermediate certificate %d: %w", i, err)
		}
		pool = append(pool, c)
	}
	if v.in.Endorsements != nil {
		pool = append(pool, v.in.Endorsements.Certificates...)
	}
	return pool, nil
}

// search looks for a chain to a root, by the issuers' names.
type search struct {
	pool  []*x509.Certificate
	roots []tpmpolicy.Root
	tries int
	steps int
	found []*x509.Certificate
	err   error // why the last chain to a root did not hold
}

func (s *search) extend(path []*x509.Certificate) {
	last := path[len(path)-1]
	for _, c := range s.pool {
		if s.found != nil || s.tries == 0 || s.steps == 0 || len(path) == maxPath {
			return
		}
		if !bytes.Equal(c.RawSubject, last.RawIssuer) || slices.ContainsFunc(path, c.Equal) {
			continue
		}
		s.steps--
		longer := append(slices.Clone(path), c)
		if !s.trusted(c) {
			s.extend(longer)
			continue
		}
		s.tries--
		if s.err = chain.CheckPath(longer); s.err == nil {
			s.found = longer
		}
	}
}

// trusted reports whether a certificate is a root of the policy, byte for byte.
func (s *search) trusted(c *x509.Certificate) bool {
	sum := sha256.Sum256(c.Raw)
	return slices.ContainsFunc(s.roots, func(r tpmpolicy.Root) bool { return r.SHA256 == sum })
}

// aikUsage is tcg-kp-AIKCertificate, ekUsage tcg-kp-EKCertificate (TCG OID
// Registry; EK Credential Profile, section 3.2.16).
func aikUsage() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 23, 133, 8, 3} }
func ekUsage() asn1.ObjectIdentifier  { return asn1.ObjectIdentifier{2, 23, 133, 8, 1} }

// checkCertificate: TPM-K3.
func (v *verification) checkCertificate(c *certified) {
	if c == nil {
		v.notCertified("TPM-K3", "a certificate for attestation keys, valid and not revoked")
		return
	}
	p := v.policy
	want := fmt.Sprintf("usage %q, valid at %s, revocation lists %s", p.CertificateUsage, v.in.Rules.At.UTC().Format("2006-01-02T15:04:05Z"), word(p.AnyCRL))
	if err := checkUsage(c.leaf(), p.CertificateUsage); err != nil {
		v.log.Fail("TPM-K3", want, err.Error())
		return
	}
	for _, cert := range c.path {
		if err := v.in.Rules.Certificate(cert); err != nil {
			v.log.Fail("TPM-K3", want, err.Error())
			return
		}
	}
	if p.AnyCRL {
		v.log.Waive("revocation of the attestation key's certificate", "vtpm.quote.crl = \"any\" in the policy")
	} else if err := v.checkRevocation(c); err != nil {
		v.log.Fail("TPM-K3", want, err.Error())
		return
	}
	v.log.Pass("TPM-K3", want, fmt.Sprintf("a chain of %d certificates, the first to expire at %s", len(c.path), firstEnd(c.path)))
}

// notCertified notes that a check is about certificates only, where the policy
// knows the key otherwise. Where it was the certificate that failed the check is
// left out: it was not reached.
func (v *verification) notCertified(id, want string) {
	if v.log.Passed("TPM-K1") || !v.policy.Accepts(tpmpolicy.Certificate) || v.evidence.Google == nil || len(v.evidence.Google.AKCertificate) == 0 {
		v.log.Pass(id, want, "not applicable: the key is not known by a certificate")
	}
}

// checkUsage checks what the certificate says that its key is for. One whose
// extended key usage is an attestation key's says it. Google's do not: those of
// its attestation keys differ from those of its endorsement keys by the key
// usage alone, digitalSignature here and keyEncipherment there.
func checkUsage(c *x509.Certificate, usage string) error {
	if c.IsCA {
		return errors.New("it is an authority's certificate")
	}
	if c.KeyUsage != x509.KeyUsageDigitalSignature {
		return fmt.Errorf("key usage: got bits %#x, want digitalSignature alone: it is no signing key's", int(c.KeyUsage))
	}
	aik := slices.ContainsFunc(c.UnknownExtKeyUsage, aikUsage().Equal)
	switch usage {
	case tpmpolicy.UsageAIK:
		if !aik {
			return fmt.Errorf("extended key usage: got %v, want %v among them", usages(c), aikUsage())
		}
		return nil
	case tpmpolicy.UsageSignature:
		known := func(id asn1.ObjectIdentifier) bool { return id.Equal(aikUsage()) || id.Equal(ekUsage()) }
		if len(c.ExtKeyUsage) > 0 || slices.ContainsFunc(c.UnknownExtKeyUsage, func(id asn1.ObjectIdentifier) bool { return !known(id) }) {
			return fmt.Errorf("extended key usage: got %v, want a TPM key's or none", usages(c))
		}
		return nil
	}
	return errors.New("the policy does not say which usage it wants")
}

func usages(c *x509.Certificate) string {
	var list []string
	for _, u := range c.ExtKeyUsage {
		list = append(list, u.OID().String())
	}
	for _, id := range c.UnknownExtKeyUsage {
		list = append(list, id.String())
	}
	return "[" + strings.Join(list, " ") + "]"
}

// checkRevocation wants a good list of each issuer that does not name what it
// issued.
func (v *verification) checkRevocation(c *certified) error {
	for i, cert := range c.path[:len(c.path)-1] {
		issuer := c.path[i+1]
		list, err := v.revocations(issuer, cert)
		if err != nil {
			return err
		}
		if list.Grace > 0 {
			v.log.Waive(fmt.Sprintf("end of the revocation list of %q", issuer.Subject.String()), fmt.Sprintf("it had expired by %v, within the grace", list.Grace))
		}
		for _, o := range list.Observations() {
			v.log.Observe(o.Key, o.Value)
		}
	}
	return nil
}

// revocations opens the newest list of an issuer that counts now. A certificate
// that any of its lists names is revoked, had the list ended or not.
func (v *verification) revocations(issuer, cert *x509.Certificate) (*chain.CRL, error) {
	err := fmt.Errorf("no revocation list of %q", issuer.Subject.String())
	if v.in.Endorsements == nil {
		return nil, err
	}
	var best *chain.CRL
	for _, list := range v.in.Endorsements.CRLs {
		if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
			continue
		}
		signed, failed := chain.SignedList(list, issuer)
		if failed != nil {
			err = failed
			continue
		}
		if !signed.ThisUpdate.After(v.in.Rules.At) && signed.Revoked(cert.SerialNumber) {
			return nil, fmt.Errorf("certificate %x of %q is revoked", cert.SerialNumber, issuer.Subject.String())
		}
		if opened, failed := signed.Current(v.in.Rules, chain.AgeCRL); failed != nil {
			err = failed
		} else if best == nil || opened.ThisUpdate.After(best.ThisUpdate) {
			best = opened
		}
	}
	if best == nil {
		return nil, err
	}
	return best, nil
}

func word(anything bool) string {
	if anything {
		return tpmpolicy.Any
	}
	return tpmpolicy.Required
}

func firstEnd(path []*x509.Certificate) string {
	end := path[0].NotAfter
	for _, c := range path {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end.UTC().Format("2006-01-02")
}
