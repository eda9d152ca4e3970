package tpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// realRoot is the root of the software TPM in ../testdata/vtpm.
func realRoot(t testing.TB) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(readFile(t, "root.pem"))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestRealEK: key, certificate, issuer and root as swtpm 0.7.1 made them.
func TestRealEK(t *testing.T) {
	e := enrolled(t)
	ek, err := DecodePublic(e.EKPublic)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckEK(RSA2048, ek); err != nil {
		t.Error(err)
	}
	root := realRoot(t)
	now := root.NotBefore.Add(time.Hour)
	if err := CheckEKCertificate(ek, e.EKCertificate, e.Issuers, root, now); err != nil {
		t.Error(err)
	}
	if !Software(root) {
		t.Error("swtpm's root is not recognised as software")
	}
	for name, err := range map[string]error{
		"too early":    CheckEKCertificate(ek, e.EKCertificate, e.Issuers, root, root.NotBefore.Add(-time.Second)),
		"no issuer":    CheckEKCertificate(ek, e.EKCertificate, nil, root, now),
		"cut":          CheckEKCertificate(ek, e.EKCertificate[:99], e.Issuers, root, now),
		"longer":       CheckEKCertificate(ek, append(bytes.Clone(e.EKCertificate), 0), e.Issuers, root, now),
		"issuer cut":   CheckEKCertificate(ek, e.EKCertificate, [][]byte{e.Issuers[0][:99]}, root, now),
		"an authority": CheckEKCertificate(ek, e.Issuers[0], e.Issuers, root, now),
		"other kind":   CheckEK(ECC384, ek),
		"no such kind": CheckEK("rsa3072", ek),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestEKTemplates flips each bit before the key itself.
func TestEKTemplates(t *testing.T) {
	for kind, c := range map[string]struct {
		raw    []byte
		prefix int
	}{RSA2048: {enrolled(t).EKPublic, 58}, ECC384: {unhex(t, ecc384), 72}} {
		p, err := DecodePublic(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEK(kind, p); err != nil {
			t.Error(err)
		}
		for i := range 8 * c.prefix {
			b := bytes.Clone(c.raw)
			b[i/8] ^= 1 << (i % 8)
			if p, err := DecodePublic(b); err == nil && CheckEK(kind, p) == nil {
				t.Errorf("%s: bit %d flipped: accepted", kind, i)
			}
		}
	}
}

// authority makes certificates with what a test wants in them.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB, name string, parent *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Unix(1000, 0), NotAfter: time.Unix(9000, 0),
	}
	if change != nil {
		change(c)
	}
	a := &authority{key: key}
	if parent == nil {
		parent = &authority{key: key, cert: c}
	}
	a.cert = parent.sign(t, c, &key.PublicKey)
	return a
}

func (a *authority) sign(t testing.TB, c *x509.Certificate, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// ekTemplate is a certificate with what such a one must have: the critical
// directory name and the extended key usage.
func ekTemplate(t testing.TB) *x509.Certificate {
	t.Helper()
	name, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 2}, Value: "model"}}})
	if err != nil {
		t.Fatal(err)
	}
	san, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}})
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), BasicConstraintsValid: true, NotBefore: time.Unix(2000, 0), NotAfter: time.Unix(8000, 0),
		KeyUsage:           x509.KeyUsageKeyAgreement,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 1}},
		ExtraExtensions:    []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: san}},
	}
}

func TestEKCertificateRefuses(t *testing.T) {
	ek, err := DecodePublic(unhex(t, ecc384))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ek.ECDSA()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := newAuthority(t, "root", nil, nil)
	twin := newAuthority(t, "root", nil, nil) // the same name, another key
	issuer := newAuthority(t, "issuer", root, nil)
	noAuthority := newAuthority(t, "issuer", root, func(c *x509.Certificate) { c.IsCA = false })
	noSigner := newAuthority(t, "issuer", root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	shallow := newAuthority(t, "root", nil, func(c *x509.Certificate) { c.MaxPathLenZero = true }) // issues leaves only
	deep := newAuthority(t, "issuer", shallow, nil)
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		key    any
		issuer *authority
		root   *authority
		at     int64
		want   string
	}{
		"good":              {nil, key, issuer, root, 5000, ""},
		"first second":      {nil, key, issuer, root, 2000, ""},
		"last second":       {nil, key, issuer, root, 8000, ""},
		"a second early":    {nil, key, issuer, root, 1999, "not yet valid"},
		"a second late":     {nil, key, issuer, root, 8001, "expired"},
		"issuer expired":    {func(c *x509.Certificate) { c.NotAfter = time.Unix(99999, 0) }, key, issuer, root, 9001, "expired"},
		"other root":        {nil, key, issuer, twin, 5000, "chain to"},
		"no authority":      {nil, key, noAuthority, root, 5000, "chain to"},
		"of another key":    {nil, &other.PublicKey, issuer, root, 5000, "is not the endorsement key"},
		"an authority":      {func(c *x509.Certificate) { c.IsCA = true }, key, issuer, root, 5000, "authority true"},
		"key that signs":    {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, key, issuer, root, 5000, "key usage: got bits 0x1"},
		"RSA's key usage":   {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, key, issuer, root, 5000, "key usage: got bits 0x4"},
		"no usage at all":   {func(c *x509.Certificate) { c.KeyUsage = 0 }, key, issuer, root, 5000, "key usage: got bits 0x0"},
		"issuer no signer":  {nil, key, noSigner, root, 5000, "chain to"},
		"path too long":     {nil, key, deep, shallow, 5000, "chain to"},
		"no key usage":      {func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }, key, issuer, root, 5000, "extended key usage"},
		"AK's key usage":    {func(c *x509.Certificate) { c.UnknownExtKeyUsage[0] = asn1.ObjectIdentifier{2, 23, 133, 8, 3} }, key, issuer, root, 5000, "extended key usage"},
		"unknown extension": {func(c *x509.Certificate) { c.ExtraExtensions[0].Id = asn1.ObjectIdentifier{2, 5, 29, 99} }, key, issuer, root, 5000, "unhandled critical extension"},
	} {
		leaf := ekTemplate(t)
		if c.change != nil {
			c.change(leaf)
		}
		cert := c.issuer.sign(t, leaf, c.key)
		err := CheckEKCertificate(ek, cert.Raw, [][]byte{c.issuer.cert.Raw}, c.root.cert, time.Unix(c.at, 0))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	direct := root.sign(t, ekTemplate(t), key)
	if err := CheckEKCertificate(ek, direct.Raw, nil, root.cert, time.Time{}); err == nil || !strings.Contains(err.Error(), "no time") {
		t.Errorf("no time: got %v", err)
	}
	if err := CheckEKCertificate(ek, direct.Raw, nil, root.cert, time.Unix(5000, 0)); err != nil {
		t.Errorf("issued by the root itself: %v", err)
	}
	if Software(root.cert) {
		t.Error("a root that doesn't say so is called software")
	}
}

// TestKDFa compares with go-tpm's.
func TestKDFa(t *testing.T) {
	for _, bits := range []int{128, 256, 384} {
		for a, h := range map[Algorithm]tpm2.TPMIAlgHash{AlgSHA256: tpm2.TPMAlgSHA256, AlgSHA384: tpm2.TPMAlgSHA384} {
			hash, err := h.Hash()
			if err != nil {
				t.Fatal(err)
			}
			want := tpm2.KDFa(hash, []byte("key"), "STORAGE", []byte("u"), []byte("v"), bits)
			if got := kdfa(a, []byte("key"), "STORAGE", []byte("uv"), bits); !bytes.Equal(got, want) {
				t.Errorf("%#x, %d bits: got %x, want %x", uint16(a), bits, got, want)
			}
			if hash.Size()*8 < bits {
				continue
			}
			want = tpm2.KDFe(hash, []byte("z"), "IDENTITY", []byte("u"), []byte("v"), 8*hash.Size())
			if got := kdfe(a, []byte("z"), identity, []byte("u"), []byte("v")); !bytes.Equal(got, want) {
				t.Errorf("KDFe %#x: got %x, want %x", uint16(a), got, want)
			}
		}
	}
}

// TestMakeCredentialRefuses: that what it makes is right shows when a TPM
// reads it (TestLive of the verifier).
func TestMakeCredentialRefuses(t *testing.T) {
	ak, err := DecodePublic(captured(t).AK)
	if err != nil {
		t.Fatal(err)
	}
	rsa, err := DecodePublic(enrolled(t).EKPublic)
	if err != nil {
		t.Fatal(err)
	}
	ecc, err := DecodePublic(unhex(t, ecc384))
	if err != nil {
		t.Fatal(err)
	}
	off := *ecc
	off.Y = bytes.Clone(ecc.Y)
	off.Y[0] ^= 1
	value := make([]byte, sha256.Size)
	for name, c := range map[string]struct {
		ek     *Public
		value  []byte
		random string
	}{
		"no endorsement key": {ak, value, strings.Repeat("r", 999)},
		"no value":           {rsa, nil, strings.Repeat("r", 999)},
		"long value":         {rsa, make([]byte, 33), strings.Repeat("r", 999)},
		"no randomness":      {rsa, value, ""},
		"point not on curve": {&off, value, strings.Repeat("r", 999)},
	} {
		if _, _, err := MakeCredential(strings.NewReader(c.random), c.ek, ak.Name(), c.value); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
