// Package nitrotest is for tests: a PKI shaped like that of AWS Nitro (specs/
// nitro.md, section 4.3), a maker of attestation documents of enclaves and of
// NitroTPM in which every field can be changed before and after signing, and
// from both, evidence that passes and evidence with exactly one thing wrong.
package nitrotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Links of a chain, the root first.
const (
	Root = iota
	Regional
	Zonal
	Instance
	Leaf
	Links
)

// Link is one certificate to be.
type Link struct {
	Template x509.Certificate
	Key      crypto.Signer
	Issuer   *x509.Certificate       // name of the issuer, if not the link before
	Signer   crypto.Signer           // key of the issuer, if not the link before
	Raw      func(der []byte) []byte // change after signing
}

// Names say whose chain it is.
type Names struct {
	Module, Instance, Region, Partition string
}

// NewChain makes the links of a chain around a time, with lifetimes and
// extensions like AWS's.
func NewChain(n Names, at time.Time) ([]Link, error) {
	suffix := n.Region + "." + n.Partition + ".nitro-enclaves"
	const ca = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	list := make([]Link, Links)
	for i, l := range []struct {
		name         string
		pathLen      int // -1: none
		usage        x509.KeyUsage
		before, life time.Duration
	}{
		Root:     {n.Partition + ".nitro-enclaves", -1, ca, 7 * 365 * 24 * time.Hour, 30 * 365 * 24 * time.Hour},
		Regional: {"ec28cbbaae08094d." + suffix, 2, ca, 3 * 24 * time.Hour, 20*24*time.Hour + time.Hour},
		Zonal:    {"68a8a693dd2153f6.zonal." + suffix, 1, ca, 24 * time.Hour, 6 * 24 * time.Hour},
		Instance: {n.Instance + "." + suffix, 0, x509.KeyUsageCertSign, time.Hour, 24 * time.Hour},
		Leaf:     {n.Module + "." + n.Region + "." + n.Partition, -1, x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, 10 * time.Minute, 3*time.Hour + 3*time.Second},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making key: %w", err)
		}
		begin := at.Add(-l.before).Truncate(time.Second)
		list[i] = Link{Key: key, Template: x509.Certificate{
			SerialNumber:          big.NewInt(int64(i) + 1),
			Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"Amazon"}, OrganizationalUnit: []string{"AWS"}, CommonName: l.name},
			NotBefore:             begin,
			NotAfter:              begin.Add(l.life),
			KeyUsage:              l.usage,
			BasicConstraintsValid: true,
			IsCA:                  i != Leaf,
			MaxPathLen:            l.pathLen,
			MaxPathLenZero:        l.pathLen == 0,
			SignatureAlgorithm:    x509.ECDSAWithSHA384,
		}}
	}
	return list, nil
}

// Issue signs the links, each by the one before, and gives them in DER.
func Issue(links []Link) ([][]byte, error) {
	if len(links) == 0 {
		return nil, errors.New("issuing: no links")
	}
	var list [][]byte
	for i := range links {
		l, issuer := &links[i], &links[max(i-1, 0)]
		name, signer := &issuer.Template, issuer.Key
		if l.Issuer != nil {
			name = l.Issuer
		}
		if l.Signer != nil {
			signer = l.Signer
		}
		der, err := x509.CreateCertificate(rand.Reader, &l.Template, name, l.Key.Public(), signer)
		if err != nil {
			return nil, fmt.Errorf("issuing %q: %w", l.Template.Subject.CommonName, err)
		}
		if l.Raw != nil {
			der = l.Raw(der)
		}
		list = append(list, der)
	}
	return list, nil
}
