package tpmtest

import (
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // a bank that is never counted
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// Now is the time of every verdict.
func Now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// aik and ek are the extended key usages of the TCG's OID registry.
func aik() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 23, 133, 8, 3} }
func ek() asn1.ObjectIdentifier  { return asn1.ObjectIdentifier{2, 23, 133, 8, 1} }

// Authority issues certificates: a root and one below it.
type Authority struct {
	Root, Intermediate *x509.Certificate
	root, intermediate crypto.Signer
}

// Certificate is what a machine's certificate says.
type Certificate struct {
	Usage        x509.KeyUsage
	Extended     []asn1.ObjectIdentifier
	From, Until  time.Time
	Instance     []byte // value of Google's extension; nil: none
	Authority    bool
	Key          crypto.PublicKey // of another key than the machine's; nil: the machine's
	OtherRoot    bool
	CriticalName bool // with the critical subject alternative name of a TPM
}

func newAuthority(t testing.TB, rootKey crypto.Signer, until time.Time) *Authority {
	a := &Authority{root: rootKey, intermediate: key(t, pemIntermediate)}
	year := 365 * 24 * time.Hour
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TEST ONLY TPM root"},
		NotBefore: Now().Add(-5 * year), NotAfter: Now().Add(5 * year),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.Root = issue(t, template, template, a.root.Public(), a.root)
	below := *template
	below.SerialNumber, below.Subject = big.NewInt(2), pkix.Name{CommonName: "TEST ONLY TPM intermediate"}
	below.NotAfter, below.MaxPathLenZero = until, true
	a.Intermediate = issue(t, &below, a.Root, a.intermediate.Public(), a.root)
	return a
}

func issue(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// leafSerial is the serial number of every machine's certificate.
func leafSerial() *big.Int { return big.NewInt(77) }

func (a *Authority) issue(t testing.TB, c Certificate, public crypto.PublicKey) []byte {
	template := &x509.Certificate{
		SerialNumber: leafSerial(), Subject: pkix.Name{CommonName: "TEST ONLY machine"},
		NotBefore: c.From, NotAfter: c.Until, KeyUsage: c.Usage, UnknownExtKeyUsage: c.Extended,
		BasicConstraintsValid: true, IsCA: c.Authority,
	}
	if c.Instance != nil {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 21}, Value: c.Instance,
		})
	}
	if c.CriticalName {
		// GeneralNames of one directoryName with an empty Name (RFC 5280, 4.2.1.6).
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
			Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: []byte{0x30, 4, 0xa4, 2, 0x30, 0},
		})
	}
	if c.Key != nil {
		public = c.Key
	}
	return issue(t, template, a.Intermediate, public, a.intermediate).Raw
}

// Lists are the revocation lists of the root and of the one below.
func (a *Authority) lists(t testing.TB, from, until time.Time, rootRevokes, belowRevokes []*big.Int) []*x509.RevocationList {
	t.Helper()
	var out []*x509.RevocationList
	for _, l := range []struct {
		issuer  *x509.Certificate
		signer  crypto.Signer
		revoked []*big.Int
	}{
		{a.Root, a.root, rootRevokes},
		{a.Intermediate, a.intermediate, belowRevokes},
	} {
		template := &x509.RevocationList{Number: big.NewInt(5), ThisUpdate: from, NextUpdate: until}
		for _, serial := range l.revoked {
			template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: from})
		}
		der, err := x509.CreateRevocationList(rand.Reader, template, l.issuer, l.signer)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list)
	}
	return out
}

// properties are the [0] of Google's extension, as its certificates have it.
type properties struct {
	Version    int64 `asn1:"explicit,tag:0"`
	Production bool  `asn1:"explicit,tag:1"`
	Two        bool  `asn1:"explicit,tag:2"`
	Three      bool  `asn1:"explicit,tag:3"`
	Four       bool  `asn1:"explicit,tag:4"`
	Five       bool  `asn1:"explicit,tag:5"`
}

// instance writes the value of Google's extension.
func instance(t testing.TB, zone string, number int64, project string, id int64, name string, production bool) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct {
		Zone       string `asn1:"utf8"`
		Number     int64
		Project    string `asn1:"utf8"`
		ID         int64
		Name       string     `asn1:"utf8"`
		Properties properties `asn1:"explicit,tag:0"`
	}{zone, number, project, id, name, properties{Production: production}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
