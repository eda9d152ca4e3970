package tdx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/chain"
	"safebox/verifier/tdx/pcs"
)

// Names of Intel's certificates (Intel SGX PCK Certificate and CRL Profile
// Specification, rev. 1.5, section 1.3).
const (
	namePCK       = "Intel SGX PCK Certificate"
	namePlatform  = "Intel SGX PCK Platform CA"  // platforms of several packages
	nameProcessor = "Intel SGX PCK Processor CA" // single packages
	nameTCB       = "Intel SGX TCB Signing"
)

// maxCandidates bounds what is tried of each kind of endorsement: a set comes
// from the network, and every try costs a signature.
const maxCandidates = 64

// pckChain is the verified chain of a quote's PCK certificate.
type pckChain struct {
	leaf, intermediate *x509.Certificate
	key                *ecdsa.PublicKey // of leaf
	pck                *pcs.PCK         // what the leaf says of the platform
}

// certificates is TDX-C1.
func (v *verification) certificates() {
	const want = "PCK certificate by Intel's Platform or Processor CA under the pinned Intel SGX Root CA, on P-256, valid at the time"
	if v.root == nil {
		v.log.Fail("TDX-C1", want, "no root is pinned")
		return
	}
	p, err := openPCK(v.q.Data.Chain, v.root, v.in.Rules)
	if err != nil {
		v.log.Fail("TDX-C1", want, err.Error())
		return
	}
	v.pck = p
	v.log.Pass("TDX-C1", want, fmt.Sprintf("%q by %q, serial %x", p.leaf.Subject.CommonName, p.intermediate.Subject.CommonName, p.leaf.SerialNumber))
}

// readChain reads the chain of a quote: leaf, intermediate and root, in this
// order and nothing else. The root is compared and not read.
func readChain(text []byte, root *x509.Certificate) (leaf, intermediate *x509.Certificate, err error) {
	if n := len(text); n > 0 && text[n-1] == 0 {
		text = text[:n-1] // most quoting services end the text as C does
	}
	rest := bytes.TrimSpace(text)
	var ders [3][]byte
	for i := range ders {
		block, after, err := chain.ReadBlock(rest)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate %d of leaf, intermediate and root: %w", i, err)
		}
		if block.Type != "CERTIFICATE" {
			return nil, nil, fmt.Errorf("certificate %d of leaf, intermediate and root: got block %q", i, block.Type)
		}
		ders[i], rest = block.Bytes, bytes.TrimSpace(after)
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("got %d bytes after leaf, intermediate and root, want none", len(rest))
	}
	if !bytes.Equal(ders[2], root.Raw) {
		return nil, nil, errors.New("root: got another certificate than the pinned one, which it must be byte for byte")
	}
	if leaf, err = chain.ParseCertificate(ders[0]); err != nil {
		return nil, nil, fmt.Errorf("leaf: %w", err)
	}
	if intermediate, err = chain.ParseCertificate(ders[1]); err != nil {
		return nil, nil, fmt.Errorf("intermediate: %w", err)
	}
	return leaf, intermediate, nil
}

// openPCK verifies the chain of a quote.
func openPCK(text []byte, root *x509.Certificate, rules chain.Rules) (*pckChain, error) {
	leaf, intermediate, err := readChain(text, root)
	if err != nil {
		return nil, fmt.Errorf("PCK chain: %w", err)
	}
	if got := leaf.Subject.CommonName; got != namePCK {
		return nil, fmt.Errorf("PCK chain: leaf: got %q, want %q", got, namePCK)
	}
	if got := intermediate.Subject.CommonName; got != namePlatform && got != nameProcessor {
		return nil, fmt.Errorf("PCK chain: intermediate: got %q, want %q or %q", got, namePlatform, nameProcessor)
	}
	certs := []*x509.Certificate{leaf, intermediate, root}
	if err := chain.CheckPathBy(certs, x509.ECDSAWithSHA256); err != nil {
		return nil, fmt.Errorf("PCK chain: %w", err)
	}
	for _, c := range certs {
		if err := rules.Certificate(c); err != nil {
			return nil, fmt.Errorf("PCK chain: %w", err)
		}
	}
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, fmt.Errorf("PCK chain: leaf: authority %t, key usage %#x, want no authority and digitalSignature", leaf.IsCA, int(leaf.KeyUsage))
	}
	p := &pckChain{leaf: leaf, intermediate: intermediate}
	if p.key, err = keyP256(leaf); err != nil {
		return nil, fmt.Errorf("PCK chain: leaf: %w", err)
	}
	if _, err = keyP256(intermediate); err != nil {
		return nil, fmt.Errorf("PCK chain: intermediate: %w", err)
	}
	if p.pck, err = pcs.ParseSGXExtension(leaf); err != nil {
		return nil, fmt.Errorf("PCK chain: leaf: %w", err)
	}
	return p, nil
}

func keyP256(c *x509.Certificate) (*ecdsa.PublicKey, error) {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("key: got %v, want one on P-256", c.PublicKeyAlgorithm)
	}
	return key, nil
}

// revocation is TDX-C2: Intel's root lists revoked authorities and TCB signing
// certificates, the intermediate lists revoked PCK certificates. Without both
// lists nothing is known, and that is a refusal in every profile.
func (v *verification) revocation() {
	if v.pck == nil {
		return
	}
	const want = "root CA CRL and PCK CRL, signed and valid at the time, neither of which lists a certificate that is used"
	var found string
	below := append([]*x509.Certificate{v.root, v.pck.intermediate}, v.signers...)
	for _, list := range []struct {
		what   string
		issuer *x509.Certificate
		age    chain.Age
		certs  []*x509.Certificate
	}{
		{"root CA CRL", v.root, chain.AgeAny, below},
		{"PCK CRL", v.pck.intermediate, chain.AgeTCB, []*x509.Certificate{v.pck.leaf}},
	} {
		crl, err := v.notRevoked(list.issuer, list.age, list.certs)
		if err != nil {
			v.log.Fail("TDX-C2", want, list.what+": "+err.Error())
			continue
		}
		v.graceUsed(list.what, crl.Grace)
		for _, o := range crl.Observations() {
			v.log.Observe(o.Key, o.Value)
		}
		found += fmt.Sprintf("%s of %s to %s; ", list.what, date(crl.ThisUpdate), date(crl.NextUpdate))
	}
	v.log.Pass("TDX-C2", want, found+"no certificate listed")
}

// notRevoked opens the lists of an issuer and gives the newest that counts now. A
// certificate that any of them names is revoked, had the list ended or not: an
// older list can be replayed, but not made, and Intel takes no revocation back.
func (v *verification) notRevoked(issuer *x509.Certificate, age chain.Age, certs []*x509.Certificate) (*chain.CRL, error) {
	var newest *chain.CRL
	problem := errors.New("none among the endorsements")
	tried := 0
	for _, list := range v.in.Endorsements.CRLs {
		if list == nil || !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
			continue
		}
		if tried++; tried > maxCandidates {
			return nil, fmt.Errorf("more than %d lists of one issuer", maxCandidates)
		}
		crl, err := chain.SignedList(list, issuer)
		if err != nil {
			problem = err
			continue
		}
		current, err := crl.Current(v.in.Rules, age)
		i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return crl.Revoked(c.SerialNumber) })
		if i >= 0 && !crl.ThisUpdate.After(v.in.Rules.At) {
			return nil, fmt.Errorf("REVOKED: %q, serial %x", certs[i].Subject.CommonName, certs[i].SerialNumber)
		}
		if err != nil {
			problem = err
			continue
		}
		if newest == nil || current.ThisUpdate.After(newest.ThisUpdate) {
			newest = current
		}
	}
	if newest == nil {
		return nil, problem
	}
	return newest, nil
}
