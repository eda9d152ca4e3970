package chain

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // to make what is refused
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"
)

// noon is when the test authorities live.
func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// authority issues certificates and lists for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func ecKey(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ca is the template of an authority as AMD's ARK is: may sign certificates and
// lists, path length not limited.
func ca(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(65536), Subject: pkix.Name{CommonName: name},
		NotBefore: noon().AddDate(-1, 0, 0), NotAfter: noon().AddDate(1, 0, 0),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func leaf(name string) *x509.Certificate {
	c := ca(name)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = false, false, x509.KeyUsageDigitalSignature
	return c
}

// issue makes a certificate from a template; a nil parent makes it a root.
func issue(t testing.TB, template *x509.Certificate, key crypto.Signer, parent *authority) *authority {
	t.Helper()
	by := authority{template, key}
	if parent != nil {
		by = *parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

// edit changes the template of an authority.
func edit(c *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
	change(c)
	return c
}

func extension(critical bool, oid ...int) []pkix.Extension {
	return []pkix.Extension{{Id: oid, Critical: critical, Value: []byte{0x30, 0}}}
}

// TestCheckIssued: one thing wrong at a time.
func TestCheckIssued(t *testing.T) {
	p256 := ecKey(t, elliptic.P256())
	root := issue(t, ca("root"), p256, nil)
	other := issue(t, ca("root"), ecKey(t, elliptic.P256()), nil)
	good := issue(t, leaf("leaf"), p256, root).cert
	if err := CheckIssued(good, root.cert); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*x509.Certificate)) *x509.Certificate {
		return issue(t, edit(leaf("leaf"), change), p256, root).cert
	}
	parent := func(change func(*x509.Certificate)) *x509.Certificate {
		return issue(t, edit(ca("root"), change), p256, nil).cert
	}
	rsa2048, rsa1024 := issue(t, ca("root"), rsaKey(t, 2048), nil), rsa1024(t)
	p224 := issue(t, ca("root"), ecKey(t, elliptic.P224()), nil)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := issue(t, ca("root"), edwards, nil)
	by := func(a *authority, algorithm x509.SignatureAlgorithm) *x509.Certificate {
		return issue(t, edit(leaf("leaf"), func(c *x509.Certificate) { c.SignatureAlgorithm = algorithm }), p256, a).cert
	}
	for _, ok := range []x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	} {
		if err := CheckIssued(by(rsa2048, ok), rsa2048.cert); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, c := range []struct {
		name          string
		child, parent *x509.Certificate
		want          string
	}{
		{"no child", nil, root.cert, "no certificate"},
		{"no parent", good, nil, "no certificate"},
		{"critical extension of the child", with(func(c *x509.Certificate) { c.ExtraExtensions = extension(true, 1, 2, 3) }), root.cert, "critical extension 1.2.3"},
		{"name constraints of the child", with(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }), root.cert, "extension 2.5.29.30"},
		{"policy mappings", with(func(c *x509.Certificate) { c.ExtraExtensions = extension(false, 2, 5, 29, 33) }), root.cert, "extension 2.5.29.33"},
		{"any policy inhibited", with(func(c *x509.Certificate) { c.ExtraExtensions = anyPolicy() }), root.cert, "extension 2.5.29.54"},
		{"policy constraints", with(func(c *x509.Certificate) { c.ExtraExtensions = extension(false, 2, 5, 29, 36) }), root.cert, "extension 2.5.29.36"},
		{"critical extension of the parent", good, parent(func(c *x509.Certificate) { c.ExtraExtensions = extension(true, 1, 2, 3) }), "critical extension 1.2.3"},
		{"name constraints of the parent", good, parent(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }), "extension 2.5.29.30"},
		{"another name", good, parent(func(c *x509.Certificate) { c.Subject.CommonName = "rooT" }), `issuer: got "CN=root"`},
		{"no authority", good, parent(func(c *x509.Certificate) { c.IsCA = false }), "is no authority"},
		{"no basic constraints", good, parent(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }), "is no authority"},
		{"may sign lists only", good, parent(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "key usage"},
		{"no key usage", good, parent(func(c *x509.Certificate) { c.KeyUsage = 0 }), "key usage"},
		{"another key", good, other.cert, "signature: "},
		{"another kind of key", good, rsa2048.cert, "signature: "},
		{"RSA of 1024 bits", by(rsa1024, x509.SHA256WithRSA), rsa1024.cert, "RSA of 1024 bits"},
		{"P-224", by(p224, x509.ECDSAWithSHA256), p224.cert, "curve P-224"},
		{"Ed25519", by(ed, x509.PureEd25519), ed.cert, "signature algorithm: got Ed25519"},
		{"SHA-1", sha1(t, good, root), root.cert, "signature algorithm: got ECDSA-SHA1"},
	} {
		if err := CheckIssued(c.child, c.parent); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if err := CheckKey(ed.cert); err == nil || !strings.Contains(err.Error(), "want RSA or ECDSA") {
		t.Errorf("Ed25519: got %v", err)
	}
}

// anyPolicy is inhibitAnyPolicy, an INTEGER (RFC 5280, section 4.2.1.14).
func anyPolicy() []pkix.Extension {
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Value: []byte{2, 1, 0}}}
}

// TestKeySizes: a bit to each side of each bound.
func TestKeySizes(t *testing.T) {
	for bits, ok := range map[uint]bool{2047: false, 2048: true, 8192: true, 8193: false} {
		n := new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1)
		if err := CheckKey(&x509.Certificate{PublicKey: &rsa.PublicKey{N: n, E: 65537}}); (err == nil) != ok {
			t.Errorf("%d bits: got %v, want ok %t", bits, err, ok)
		}
	}
	for exponent, ok := range map[int]bool{3: true, 65537: true, 65539: false, 1<<31 - 1: false} {
		n := new(big.Int).SetBit(big.NewInt(1), 2047, 1)
		if err := CheckKey(&x509.Certificate{PublicKey: &rsa.PublicKey{N: n, E: exponent}}); (err == nil) != ok {
			t.Errorf("exponent %d: got %v, want ok %t", exponent, err, ok)
		}
	}
}

// TestVersion1: a certificate without a version and extensions, which says of
// nobody that he is an authority, is refused when it is read.
func TestVersion1(t *testing.T) {
	root := issue(t, ca("root"), ecKey(t, elliptic.P256()), nil)
	var tbs asn1.RawValue
	if _, err := asn1.Unmarshal(root.cert.RawTBSCertificate, &tbs); err != nil {
		t.Fatal(err)
	}
	var body []byte
	for rest := tbs.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &field); err != nil {
			t.Fatal(err)
		}
		if field.Class == asn1.ClassUniversal {
			body = append(body, field.FullBytes...)
		}
	}
	der := sign(t, encode(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body}), pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, crypto.SHA256, root.key)
	if _, err := ParseCertificate(der); err == nil || !strings.Contains(err.Error(), "version: got 1, want 3") {
		t.Errorf("got %v", err)
	}
}

// TestHandledExtension: a caller that handles a critical extension says so as
// crypto/x509 has it.
func TestHandledExtension(t *testing.T) {
	root := issue(t, ca("root"), ecKey(t, elliptic.P256()), nil)
	c := issue(t, edit(leaf("leaf"), func(c *x509.Certificate) { c.ExtraExtensions = extension(true, 1, 2, 3) }), root.key, root).cert
	c.UnhandledCriticalExtensions = nil
	if err := CheckIssued(c, root.cert); err != nil {
		t.Error(err)
	}
}

// rsa1024 is an authority with a key that Go itself no longer makes.
func rsa1024(t testing.TB) *authority {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	return issue(t, ca("root"), rsaKey(t, 1024), nil)
}

// sha1 signs a certificate again by ECDSA with SHA-1, as Go no longer does:
// ecdsa-with-SHA256 is 1.2.840.10045.4.3.2, ecdsa-with-SHA1 is 1.2.840.10045.4.1.
func sha1(t testing.TB, c *x509.Certificate, by *authority) *x509.Certificate {
	t.Helper()
	var tbs asn1.RawValue
	if _, err := asn1.Unmarshal(c.RawTBSCertificate, &tbs); err != nil {
		t.Fatal(err)
	}
	old := encode(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}})
	weak := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}}
	body := bytes.Replace(tbs.Bytes, old, encode(t, weak), 1)
	der := sign(t, encode(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body}), weak, crypto.SHA1, by.key)
	parsed, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign puts a signature under the signed part of a certificate or a list.
func sign(t testing.TB, tbs []byte, algorithm pkix.AlgorithmIdentifier, hash crypto.Hash, key crypto.Signer) []byte {
	t.Helper()
	h := hash.New()
	h.Write(tbs)
	signature, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
}

// TestCheckPath: lengths, order and path length constraints.
func TestCheckPath(t *testing.T) {
	key := ecKey(t, elliptic.P384())
	limit := func(name string, n int) *x509.Certificate {
		return edit(ca(name), func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 })
	}
	// chain makes a path of authorities with the given limits, the root first,
	// and a leaf below the last.
	chain := func(limits ...int) []*x509.Certificate {
		var parent *authority
		var out []*x509.Certificate
		for i, n := range limits {
			parent = issue(t, limit(string(rune('a'+i)), n), key, parent)
			out = append([]*x509.Certificate{parent.cert}, out...)
		}
		return append([]*x509.Certificate{issue(t, leaf("leaf"), key, parent).cert}, out...)
	}
	for _, c := range []struct {
		name string
		path []*x509.Certificate
		want string
	}{
		{"root and leaf", chain(-1), ""},
		{"root of length 0", chain(0), ""},
		{"as AMD's", chain(-1, 0), ""},
		{"as AWS's", chain(-1, -1, 1, 0), ""},
		{"exact lengths", chain(2, 1, 0), ""},
		{"eight", chain(-1, -1, -1, -1, -1, -1, -1), ""},
		{"nine", chain(-1, -1, -1, -1, -1, -1, -1, -1), "got 9 certificates"},
		{"none", nil, "got 0 certificates"},
		{"one", chain(-1)[1:], "got 1 certificates"},
		{"an empty place", []*x509.Certificate{chain(-1)[0], nil}, "certificate 1: none"},
		{"no leaf", []*x509.Certificate{nil, chain(-1)[1]}, "certificate 0: none"},
		{"root of length 0 with one below", chain(0, -1), "got 1 authorities below it, want at most 0"},
		{"length 1 with two below", chain(-1, 1, -1, -1), "got 2 authorities below it, want at most 1"},
		{"a gap", append(chain(-1, -1)[:1:1], chain(-1)[1]), "certificate 0: "},
		{"an issuer that is a leaf", []*x509.Certificate{chain(-1)[0], chain(-1)[0]}, "certificate 0: "},
	} {
		err := CheckPath(c.path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	// A second signature in the chain that does not hold is found too.
	p := chain(-1, -1)
	p[2] = chain(-1)[1]
	if err := CheckPath(p); err != nil {
		t.Errorf("same key, same name: %v", err)
	}
	p[2] = issue(t, ca("a"), ecKey(t, elliptic.P384()), nil).cert
	if err := CheckPath(p); err == nil || !strings.Contains(err.Error(), "certificate 1: ") {
		t.Errorf("root with another key: got %v", err)
	}
	// A stranger's key is not used: what the root did not sign is told first.
	p[0] = issue(t, leaf("leaf"), key, issue(t, ca("b"), ecKey(t, elliptic.P384()), nil)).cert
	if err := CheckPath(p); err == nil || !strings.Contains(err.Error(), "certificate 1: ") {
		t.Errorf("neither signature holds: got %v", err)
	}
	if err := CheckPath(p[:2]); err == nil || !strings.Contains(err.Error(), "certificate 0: ") {
		t.Errorf("the leaf's signature does not hold: got %v", err)
	}
}

// list signs a revocation list like AMD's: RSA-PSS with SHA-384, a number, the
// ASK's serial number in it.
func list(t testing.TB, by *authority, change func(*x509.RevocationList)) []byte {
	t.Helper()
	l := &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: noon().Add(-time.Hour), NextUpdate: noon().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(65537), RevocationTime: noon().Add(-2 * time.Hour), ReasonCode: 1}},
	}
	if _, ok := by.key.(*rsa.PrivateKey); ok {
		l.SignatureAlgorithm = x509.SHA384WithRSAPSS
	}
	if change != nil {
		change(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.cert, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// tbsList is TBSCertList (RFC 5280, section 5.1), for lists that Go does not
// make.
type tbsList struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	ThisUpdate time.Time
	NextUpdate time.Time `asn1:"optional"`
	Revoked    asn1.RawValue
	Extensions []pkix.Extension `asn1:"tag:0,explicit"`
}

// relist changes a list and signs it again.
func relist(t testing.TB, der []byte, by *authority, hash crypto.Hash, change func(*tbsList)) []byte {
	t.Helper()
	parsed, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	var l tbsList
	if rest, err := asn1.Unmarshal(parsed.RawTBSRevocationList, &l); err != nil || len(rest) > 0 {
		t.Fatal(err, len(rest))
	}
	change(&l)
	return sign(t, encode(t, l), l.Algorithm, hash, by.key)
}

// TestOpenCRL: one thing wrong at a time.
func TestOpenCRL(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	ark := issue(t, ca("ARK-Test"), rsaKey(t, 2048), nil)
	root := issue(t, ca("root"), key, nil)
	r := Rules{At: noon(), MaxAgeCRL: 2 * time.Hour}
	crl, err := OpenCRL(list(t, ark, nil), ark.cert, r, AgeCRL)
	if err != nil {
		t.Fatal(err)
	}
	if crl.Number != 7 || !crl.Revoked(big.NewInt(65537)) || crl.Revoked(big.NewInt(0)) || crl.Revoked(big.NewInt(65536)) {
		t.Errorf("got %+v", crl)
	}
	weak := rsa1024(t)
	parent := func(change func(*x509.Certificate)) *x509.Certificate {
		return issue(t, edit(ca("root"), change), key, nil).cert
	}
	with := func(change func(*x509.RevocationList)) []byte { return list(t, root, change) }
	extra := func(critical bool, oid ...int) []byte {
		return with(func(l *x509.RevocationList) { l.ExtraExtensions = extension(critical, oid...) })
	}
	good := with(nil)
	for _, c := range []struct {
		name   string
		der    []byte
		issuer *x509.Certificate
		want   string
	}{
		{"good", good, root.cert, ""},
		{"an extension that is not critical", extra(false, 1, 2, 3), root.cert, ""},
		{"largest number", with(func(l *x509.RevocationList) { l.Number = new(big.Int).SetUint64(1<<64 - 1) }), root.cert, ""},
		{"no issuer", good, nil, "no issuer"},
		{"no list", nil, root.cert, "got 0 bytes"},
		{"another name", good, parent(func(c *x509.Certificate) { c.Subject.CommonName = "other" }), `issuer: got "CN=root"`},
		{"no authority", good, parent(func(c *x509.Certificate) { c.IsCA = false }), "is no authority"},
		{"may not sign lists", good, parent(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), "cRLSign"},
		{"critical extension of the issuer", good, parent(func(c *x509.Certificate) { c.ExtraExtensions = extension(true, 1, 2, 3) }), "critical extension 1.2.3"},
		{"another key", good, issue(t, ca("root"), ecKey(t, elliptic.P256()), nil).cert, "signature: "},
		{"another kind of key", good, issue(t, ca("root"), rsaKey(t, 2048), nil).cert, "signature: "},
		{"issuer with RSA of 1024 bits", list(t, weak, func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.SHA256WithRSA }), weak.cert, "RSA of 1024 bits"},
		{"delta list", extra(true, 2, 5, 29, 27), root.cert, "delta list"},
		{"delta list, not critical", extra(false, 2, 5, 29, 27), root.cert, "delta list"},
		{"distribution point", extra(true, 2, 5, 29, 28), root.cert, "issuing distribution point"},
		{"distribution point, not critical", extra(false, 2, 5, 29, 28), root.cert, "issuing distribution point"},
		{"critical extension", extra(true, 1, 2, 3), root.cert, "critical extension 1.2.3"},
		{"freshest list, critical", extra(true, 2, 5, 29, 46), root.cert, "critical extension 2.5.29.46"},
		{"number twice", relist(t, good, root, crypto.SHA256, func(l *tbsList) { l.Extensions = append(l.Extensions, l.Extensions[1]) }), root.cert, "extension 2.5.29.20 twice"},
		{"extension twice", with(func(l *x509.RevocationList) {
			l.ExtraExtensions = append(extension(false, 1, 2, 3), extension(false, 1, 2, 3)...)
		}), root.cert, "extension 1.2.3 twice"},
		{"number of 65 bits", with(func(l *x509.RevocationList) { l.Number = new(big.Int).Lsh(big.NewInt(1), 64) }), root.cert, "number: got 18446744073709551616"},
		{"number below 0", with(func(l *x509.RevocationList) { l.Number = big.NewInt(-1) }), root.cert, "number: got -1"},
		{"no number", relist(t, good, root, crypto.SHA256, func(l *tbsList) { l.Extensions = l.Extensions[:1] }), root.cert, "number: got <nil>"},
		{"critical extension of an entry", with(func(l *x509.RevocationList) {
			l.RevokedCertificateEntries[0].ExtraExtensions = extension(true, 2, 5, 29, 29)
		}), root.cert, "entry 0: critical extension 2.5.29.29"},
		{"not yet", with(func(l *x509.RevocationList) { l.ThisUpdate = noon().Add(time.Second) }), root.cert, "begins"},
		{"expired", with(func(l *x509.RevocationList) { l.NextUpdate = noon().Add(-time.Second) }), root.cert, "EXPIRED"},
		{"too old", with(func(l *x509.RevocationList) { l.ThisUpdate = noon().Add(-2*time.Hour - time.Second) }), root.cert, "2h0m1s old"},
		{"SHA-1", relist(t, good, root, crypto.SHA1, func(l *tbsList) { l.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1} }), root.cert, "signature algorithm: got ECDSA-SHA1"},
		{"signed anew, nothing changed", relist(t, good, root, crypto.SHA256, func(*tbsList) {}), root.cert, ""},
		{"no next update", relist(t, good, root, crypto.SHA256, func(l *tbsList) { l.NextUpdate = time.Time{} }), root.cert, "does not say when"},
	} {
		got, err := OpenCRL(c.der, c.issuer, r, AgeCRL)
		if (err == nil) != (c.want == "") || (got == nil) == (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := OpenList(nil, root.cert, r, AgeCRL); err == nil {
		t.Error("opened no list")
	}
}
