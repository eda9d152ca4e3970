// Package snptest is for tests: a PKI of the shape of AMD's, and reports of
// SEV-SNP guests under it.
//
// Implements what tests need of AMD 57230 (VCEK Certificate and KDS Interface
// Specification) and AMD 56860, revision 1.58, section 7.3.
package snptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"safebox/verifier/snp"
)

// Authority holds the keys of the PKI.
type Authority struct {
	ark, ask, asvk, other, weak *rsa.PrivateKey
	leaf                        *ecdsa.PrivateKey

	made  map[string]*x509.Certificate    // what no hook has changed: signing takes a while
	lists map[string]*x509.RevocationList // likewise
}

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	leaf, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{
		ark: parseKey(t, arkKey), ask: parseKey(t, askKey), asvk: parseKey(t, asvkKey),
		other: parseKey(t, otherKey), weak: parseKey(t, weakKey), leaf: leaf,
		made: make(map[string]*x509.Certificate), lists: make(map[string]*x509.RevocationList),
	}
}

func parseKey(t testing.TB, text string) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// At is the time at which evidence is good.
func At() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// Name is a subject as AMD writes it: the order and the string type are its own.
func Name(t testing.TB, commonName string) []byte {
	t.Helper()
	var sequence pkix.RDNSequence
	for _, a := range []struct {
		arc   int
		value string
	}{{11, "Engineering"}, {6, "US"}, {7, "Santa Clara"}, {8, "CA"}, {10, "Advanced Micro Devices"}, {3, commonName}} {
		tag := asn1.TagUTF8String
		if a.arc == 6 {
			tag = asn1.TagPrintableString
		}
		sequence = append(sequence, pkix.RelativeDistinguishedNameSET{{
			Type: asn1.ObjectIdentifier{2, 5, 4, a.arc}, Value: asn1.RawValue{Tag: tag, Bytes: []byte(a.value)},
		}})
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// serial is the number of a product's ARK; its ASK and ASVK follow.
func serial(p snp.Product) int64 { return int64(p) << 16 }

// RootTemplate is an ARK: it signs certificates and lists.
func RootTemplate(t testing.TB, p snp.Product) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial(p)), RawSubject: Name(t, "ARK-"+p.String()),
		NotBefore: At().AddDate(-6, 0, 0), NotAfter: At().AddDate(19, 0, 0),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          []byte{1, byte(p)},
		CRLDistributionPoints: []string{"https://kdsintf.amd.com/vcek/v1/" + p.String() + "/crl"},
		SignatureAlgorithm:    x509.SHA384WithRSAPSS,
	}
}

// IntermediateTemplate is an ASK, or an ASVK for the VLEK.
func IntermediateTemplate(t testing.TB, p snp.Product, key snp.SigningKey) *x509.Certificate {
	name, number, path := "SEV-"+p.String(), serial(p)+1, "vcek"
	if key == snp.VLEK {
		name, number, path = "SEV-VLEK-"+p.String(), serial(p)+0x101, "vlek"
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(number), RawSubject: Name(t, name),
		NotBefore: At().AddDate(-5, 0, 0), NotAfter: At().AddDate(18, 0, 0),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		KeyUsage:              x509.KeyUsageCertSign,
		SubjectKeyId:          []byte{2, byte(p), byte(key)},
		CRLDistributionPoints: []string{"https://kdsintf.amd.com/" + path + "/v1/" + p.String() + "/crl"},
		SignatureAlgorithm:    x509.SHA384WithRSAPSS,
	}
}

// LeafTemplate is the certificate of a signing key: its serial number is zero,
// and it has no extensions but AMD's.
func LeafTemplate(t testing.TB, r *snp.Report, p snp.Product) *x509.Certificate {
	key := r.Signer.SigningKey()
	years := 7
	if key == snp.VLEK {
		years = 1
	}
	return &x509.Certificate{
		SerialNumber: new(big.Int), RawSubject: Name(t, "SEV-"+key.String()),
		NotBefore: At().AddDate(0, -6, 0), NotAfter: At().AddDate(years, -6, 0),
		ExtraExtensions:    Extensions(r, p),
		SignatureAlgorithm: x509.SHA384WithRSAPSS,
	}
}

// Extensions are those of a leaf (AMD 57230, X.509 Certificate Extensions), as
// genuine certificates have them.
func Extensions(r *snp.Report, p snp.Product) []pkix.Extension {
	raw, name := r.Reported.Raw, p.String()
	var list []pkix.Extension
	add := func(value []byte, arcs ...int) {
		list = append(list, pkix.Extension{Id: OID(arcs...), Value: value})
	}
	spl := func(numbers ...int) {
		for i, n := range numbers {
			add(Integer(raw[i]), 3, n)
		}
	}
	chip := r.ChipID[:]
	if p == snp.Turin {
		add(Integer(1), 1)
		add(Text(name), 2)
		spl(9, 1, 2, 3, 5, 6, 7, 8)
		chip = chip[:8]
	} else {
		if p == snp.Milan && r.Signer.SigningKey() == snp.VCEK {
			name += "-B0"
		}
		add(Integer(0), 1)
		add(Text(name), 2)
		spl(1, 2, 4, 5, 6, 7, 3, 8)
	}
	if r.Signer.SigningKey() == snp.VLEK {
		add(Text(CSP), 5)
	} else {
		add(slices.Clone(chip), 4)
	}
	return list
}

// CSP is the provider that VLEKs are of.
const CSP = "CN=test.example"

// OID is an identifier under AMD's arc for these certificates.
func OID(arcs ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}, arcs...)
}

// Integer is a DER INTEGER.
func Integer(n byte) []byte {
	if n >= 0x80 {
		return []byte{2, 2, 0, n}
	}
	return []byte{2, 1, n}
}

// Text is a DER IA5String.
func Text(s string) []byte { return append([]byte{0x16, byte(len(s))}, s...) }

// once produces a thing the first time, if no hook changed it.
func once[T any](made map[string]*T, plain bool, name string, produce func() *T) *T {
	if v := made[name]; plain && v != nil {
		return v
	}
	v := produce()
	if plain {
		made[name] = v
	}
	return v
}

// issue signs a certificate. The parent's key identifier is left out where the
// child has none.
func issue(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	if len(template.SubjectKeyId) == 0 {
		bare := *parent
		bare.SubjectKeyId = nil
		parent = &bare
	}
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
