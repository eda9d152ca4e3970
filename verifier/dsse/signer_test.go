package dsse_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"safebox/verifier/dsse"
)

// token is a key as a PKCS#11 or KMS library shows it: a public key and a
// signing function, and no type that anybody knows.
type token struct {
	public crypto.PublicKey
	sign   func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (k token) Public() crypto.PublicKey { return k.public }

func (k token) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.sign(digest, opts)
}

func mustSigner(t testing.TB, key crypto.Signer) dsse.Signer {
	t.Helper()
	s, err := dsse.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// p256Key is p256.sec1.
func p256Key(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := x509.ParseECPrivateKey(readFile(t, "p256.sec1"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestProtocolVector is the example of DSSE's protocol.md, "Test Vectors": its
// key, and its signature with the nonce of RFC 6979, for which a token stands
// here. The document writes r and s one behind the other, we in DER.
func TestProtocolVector(t *testing.T) {
	const (
		x   = "46950820868899156662930047687818585632848591499744589407958293238635476079160"
		y   = "5640078356564379163099075877009565129882514886557779369047442380624545832820"
		d   = "97358161215184420915383655311931858321456579547487070936769975997791359926199"
		sig = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
	)
	decimal := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			t.Fatalf("%s is no number", s)
		}
		return n
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), decimal(d).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil || string(point) != "\x04"+string(decimal(x).FillBytes(make([]byte, 32)))+string(decimal(y).FillBytes(make([]byte, 32))) {
		t.Fatalf("got public key %x, %v", point, err)
	}
	raw, err := base64.StdEncoding.DecodeString(sig)
	if err != nil || len(raw) != 64 {
		t.Fatal(len(raw), err)
	}
	want, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		t.Fatal(err)
	}
	s := mustSigner(t, token{&key.PublicKey, func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		return key.Sign(nil, digest, opts) // without a source: deterministic
	}})
	e := dsse.Envelope{Payload: []byte("hello world"), PayloadType: "http://example.com/HelloWorld"}
	if err := e.Add(s); err != nil {
		t.Fatal(err)
	}
	if got := e.Signatures[0].Sig; string(got) != string(want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if !e.SignedBy(s.Public()) {
		t.Error("the document's signature does not verify")
	}
	e.Payload = []byte("hello World")
	if e.SignedBy(s.Public()) {
		t.Error("verifies for another payload")
	}
}

// TestSigners: keys of files and of tokens sign what their public key accepts.
func TestSigners(t *testing.T) {
	ed, ec := testKey(t), p256Key(t)
	for name, tt := range map[string]struct {
		key crypto.Signer
		id  string
	}{
		"Ed25519": {ed, rfcKeyID},
		"P-256":   {ec, p256ID},
		"Ed25519 token": {token{ed.Public(), func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
			return ed.Sign(nil, digest, opts)
		}}, rfcKeyID},
		"P-256 token": {token{ec.Public(), func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
			if len(digest) != 32 || opts.HashFunc() != crypto.SHA256 { // what AWS KMS or PKCS#11's CKM_ECDSA asks for
				return nil, errors.New("not a SHA-256")
			}
			return ec.Sign(rand.Reader, digest, opts)
		}}, p256ID},
	} {
		s := mustSigner(t, tt.key)
		sig, err := s.Sign([]byte("message"))
		if err != nil || s.Public().ID() != tt.id || !s.Public().Verify([]byte("message"), sig) {
			t.Errorf("%s: got key %s, %v, want %s and a signature that verifies", name, s.Public().ID(), err, tt.id)
		}
	}
}

func TestNewSignerRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"nil": nil, "P-384": p384, "RSA": rsaKey, "no public key": token{}} {
		if s, err := dsse.NewSigner(key); err == nil || s != nil {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

// TestBrokenToken: nothing gets into an envelope that does not verify.
func TestBrokenToken(t *testing.T) {
	ed, other := testKey(t), ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for name, tt := range map[string]struct {
		sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
		want string
	}{
		"failing":     {func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, errors.New("no such slot") }, "no such slot"},
		"other key":   {func(digest []byte, opts crypto.SignerOpts) ([]byte, error) { return other.Sign(nil, digest, opts) }, "does not verify"},
		"nothing":     {func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, nil }, "does not verify"},
		"other bytes": {func([]byte, crypto.SignerOpts) ([]byte, error) { return ed25519.Sign(ed, []byte("x")), nil }, "does not verify"},
	} {
		e := dsse.Envelope{Payload: []byte("{}"), PayloadType: dsse.TypeGrant}
		err := e.Add(mustSigner(t, token{ed.Public(), tt.sign}))
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(e.Signatures) != 0 {
			t.Errorf("%s: got %v and %d signatures", name, err, len(e.Signatures))
		}
	}
}

// nameless is a Signer without a key.
type nameless struct{}

func (nameless) Public() dsse.PublicKey      { return dsse.PublicKey{} }
func (nameless) Sign([]byte) ([]byte, error) { return make([]byte, 64), nil }

func TestAddWithoutKey(t *testing.T) {
	e := dsse.Envelope{Payload: []byte("{}"), PayloadType: dsse.TypeGrant}
	if err := e.Add(nameless{}); err == nil || !strings.Contains(err.Error(), "signer has no public key") || len(e.Signatures) != 0 {
		t.Errorf("got %v and %d signatures", err, len(e.Signatures))
	}
}
