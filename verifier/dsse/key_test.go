package dsse_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/verifier/dsse"
)

// rfcKeys are those of RFC 8032, section 7.1, TEST 1 to 3: the text is `base64`
// of the public key, the ID its `sha256sum`, and the signature that of the
// message there.
func rfcKeys() []struct{ seed, text, id, message, sig string } {
	return []struct{ seed, text, id, message, sig string }{
		{
			rfcSeed, "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", rfcKeyID,
			"", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		{
			"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
			"39f713d0a644253f04529421b9f51b9b08979d08295959c4f3990ee617f5139f",
			"72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		},
		{
			"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"ed25519:/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=",
			"dac073e0123bdea59dd9b3bda9cf6037f63aca82627d7abcd5c4ac29dd74003e",
			"af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
		},
	}
}

// p256ID is `sha256sum p256.spki`.
const p256ID = "350434c346d9faf2ab8f91c0a4ad22fa396cfe0659059032dd630822cbf829d5"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// p256Text is the text of a key from its DER.
func p256Text(der []byte) string { return "ecdsa-p256:" + base64.StdEncoding.EncodeToString(der) }

func mustKey(t testing.TB, text string) dsse.PublicKey {
	t.Helper()
	key, err := dsse.ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPublicKeyEd25519(t *testing.T) {
	for _, v := range rfcKeys() {
		key := mustKey(t, v.text)
		if key.String() != v.text || key.ID() != v.id || key.Algorithm() != "ed25519" {
			t.Errorf("got %s, ID %s, %s, want %s, %s", key, key.ID(), key.Algorithm(), v.text, v.id)
		}
		public := ed25519.NewKeyFromSeed(unhex(t, v.seed)).Public().(ed25519.PublicKey)
		if got := dsse.Ed25519Key(public); got != key {
			t.Errorf("Ed25519Key: got %s, want %s", got, key)
		}
		if got, err := dsse.NewPublicKey(public); err != nil || got != key {
			t.Errorf("NewPublicKey: got %s, %v, want %s", got, err, key)
		}
		message, sig := unhex(t, v.message), unhex(t, v.sig)
		if !key.Verify(message, sig) {
			t.Errorf("%s: signature of RFC 8032 does not verify", v.id)
		}
		if key.Verify(append(message, 0), sig) || key.Verify(message, sig[:63]) || key.Verify(message, append(sig, 0)) {
			t.Errorf("%s: verifies another message or signature", v.id)
		}
	}
}

func TestPublicKeyP256(t *testing.T) {
	spki := readFile(t, "p256.spki")
	key := mustKey(t, p256Text(spki))
	if key.String() != p256Text(spki) || key.ID() != p256ID || key.Algorithm() != "ecdsa-p256" {
		t.Errorf("got %s, ID %s, %s", key, key.ID(), key.Algorithm())
	}
	message, sig := readFile(t, "p256.message"), readFile(t, "p256.sig")
	if !key.Verify(message, sig) {
		t.Error("OpenSSL's signature does not verify")
	}
	if key.Verify(message[1:], sig) || key.Verify(message, sig[:len(sig)-1]) || key.Verify(message, nil) {
		t.Error("verifies another message or signature")
	}
	if other := mustKey(t, rfcKeys()[0].text); other.Verify(message, sig) {
		t.Error("verifies under an Ed25519 key")
	}
}

// TestRFC6979 takes the key and the signature of "sample" with SHA-256 from RFC
// 6979, appendix A.2.5.
func TestRFC6979(t *testing.T) {
	point := unhex(t, "04"+ // uncompressed
		"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"+
		"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299")
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dsse.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	r := "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
	s := "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
	if !key.Verify([]byte("sample"), unhex(t, "3046022100"+r+"022100"+s)) {
		t.Error("signature of RFC 6979 does not verify")
	}
	// n is that of P-256 (SEC 2, section 2.4.2).
	n := new(big.Int).SetBytes(unhex(t, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))
	twin := hex.EncodeToString(n.Sub(n, new(big.Int).SetBytes(unhex(t, s))).FillBytes(make([]byte, 32)))
	if !key.Verify([]byte("sample"), unhex(t, "3045022100"+r+"0220"+twin)) {
		t.Error("(r, n-s) does not verify: Verify's comment says that it does")
	}
	zeros := strings.Repeat("00", 32)
	for name, der := range map[string]string{
		"length in two bytes":     "308146022100" + r + "022100" + s,
		"length of r in two":      "304702812100" + r + "022100" + s,
		"r with one zero more":    "304702220000" + r + "022100" + s,
		"s with one zero more":    "304702 2100" + r + "02220000" + s,
		"r without its zero":      "30450220" + r + "022100" + s,
		"s without its zero":      "3045022100" + r + "0220" + s,
		"twin with a zero":        "3046022100" + r + "022100" + twin,
		"byte behind":             "3046022100" + r + "022100" + s + "00",
		"byte behind, inside":     "3047022100" + r + "022100" + s + "00",
		"null behind, inside":     "3048022100" + r + "022100" + s + "0500",
		"indefinite length":       "3080022100" + r + "022100" + s + "0000",
		"SET":                     "3146022100" + r + "022100" + s,
		"OCTET STRING":            "3046042100" + r + "022100" + s,
		"r and s raw":             r + s,
		"r is zero":               "3026020100022100" + s,
		"s is zero":               "3026022100" + r + "020100",
		"r without bytes":         "30250200022100" + s,
		"s is n":                  "3046022100" + r + "022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
		"both zero":               "3006020100020100",
		"raw zeros":               zeros + zeros,
		"s above 256 bits":        "3047022100" + r + "022201 00" + s,
		"one integer":             "3023022100" + r,
		"three integers":          "3049022100" + r + "022100" + s + "020101",
		"empty":                   "",
		"empty SEQUENCE":          "3000",
		"length one too large":    "3047022100" + r + "022100" + s,
		"length one too small":    "3045022100" + r + "022100" + s,
		"s exchanged for r":       "3046022100" + s + "022100" + r,
		"s negative (its twin's)": "3045022100" + r + "0220" + s,
	} {
		if key.Verify([]byte("sample"), unhex(t, strings.ReplaceAll(der, " ", ""))) {
			t.Errorf("%s: verifies", name)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	good := rfcKeys()[0].text
	spki := readFile(t, "p256.spki")
	b64 := base64.StdEncoding.EncodeToString
	changed := func(at int) []byte {
		b := bytes.Clone(spki)
		b[at] ^= 1
		return b
	}
	off := strings.Repeat("\x00", 63) + "\x05" // x = 0, y = 5: 25 is not b of P-256
	for name, tt := range map[string]struct{ text, want string }{
		"empty":                   {"", "want ALGORITHM:BASE64"},
		"no algorithm":            {good[len("ed25519:"):], "want ALGORITHM:BASE64"},
		"empty algorithm":         {good[len("ed25519"):], `algorithm: got ""`},
		"other algorithm":         {"rsa" + good[len("ed25519"):], `algorithm: got "rsa"`},
		"capital letters":         {"Ed25519" + good[len("ed25519"):], "algorithm: got"},
		"newline at end":          {good + "\n", "line break inside"},
		"carriage return":         {good[:20] + "\r" + good[20:], "line break inside"},
		"space at end":            {good + " ", "illegal base64"},
		"space before":            {" " + good, "algorithm: got"},
		"no padding":              {good[:len(good)-1], "illegal base64"},
		"bits behind":             {good[:len(good)-2] + "p=", "illegal base64"},
		"URL-safe alphabet":       {strings.ReplaceAll(good, "/", "_"), "illegal base64"},
		"31 bytes":                {"ed25519:" + b64(make([]byte, 31)), "got 31 bytes, want 32"},
		"33 bytes":                {"ed25519:" + b64(make([]byte, 33)), "got 33 bytes, want 32"},
		"P-256 as Ed25519":        {"ed25519:" + b64(spki), "got 91 bytes, want 32"},
		"Ed25519 as P-256":        {"ecdsa-p256:" + good[len("ed25519:"):], "got 32 bytes, want 91"},
		"too long":                {"ecdsa-p256:" + b64(make([]byte, 200)), "want at most 256"},
		"point without structure": {p256Text(spki[26:]), "got 65 bytes, want 91"},
		"byte behind":             {p256Text(append(bytes.Clone(spki), 0)), "got 92 bytes, want 91"},
		"compressed point":        {p256Text(readFile(t, "p256-compressed.spki")), "got 59 bytes, want 91"},
		"P-384":                   {p256Text(readFile(t, "p384.spki")), "got 120 bytes, want 91"},
		"secp256k1":               {p256Text(readFile(t, "secp256k1.spki")), "got 88 bytes, want 91"},
		"explicit parameters":     {"ecdsa-p256:" + b64(readFile(t, "p256-explicit.spki")), "want at most 256"},
		"other curve's OID":       {p256Text(changed(22)), "not that of an uncompressed point"},
		"hybrid point":            {p256Text(changed(26)), "not that of an uncompressed point"},
		"point off the curve":     {p256Text(changed(90)), "public key:"},
		"point at (0, 5)":         {p256Text([]byte(string(spki[:27]) + off)), "public key:"},
	} {
		if tt.text == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		key, err := dsse.ParsePublicKey(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, tt.want)
		}
		if key != (dsse.PublicKey{}) {
			t.Errorf("%s: got a key beside the error", name)
		}
	}
}

func TestNewPublicKeyRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{
		"P-384":           p384.Public(),
		"RSA":             &rsa.PublicKey{N: big.NewInt(1), E: 3},
		"nil":             nil,
		"nil ECDSA":       (*ecdsa.PublicKey)(nil),
		"empty ECDSA":     &ecdsa.PublicKey{},
		"Ed25519, short":  ed25519.PublicKey(make([]byte, 31)),
		"Ed25519, secret": testKey(t),
	} {
		got, err := dsse.NewPublicKey(key)
		if err == nil || got != (dsse.PublicKey{}) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
		if strings.Contains(name, "P-384") && !strings.Contains(err.Error(), "on another curve, want P-256") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestZeroKey: under no key nothing verifies, and it has no name.
func TestZeroKey(t *testing.T) {
	var zero dsse.PublicKey
	if zero.Verify(nil, unhex(t, rfcKeys()[0].sig)) || zero.Verify(nil, nil) || zero.ID() != "" || zero.String() != "" || zero.Algorithm() != "" {
		t.Error("the zero key is some key")
	}
	for _, n := range []int{0, 31, 33} {
		if key := dsse.Ed25519Key(make([]byte, n)); key != zero {
			t.Errorf("Ed25519Key of %d bytes: got %s", n, key)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, v := range rfcKeys() {
		f.Add(v.text)
	}
	f.Add(p256Text(readFile(f, "p256.spki")))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := dsse.ParsePublicKey(text)
		if err != nil {
			return
		}
		if key.String() != text || len(key.ID()) != 64 {
			t.Errorf("accepted %q, writes %q, ID %q", text, key, key.ID())
		}
		if key.Verify(nil, make([]byte, 64)) || key.Verify(nil, unhex(t, "3006020100020100")) {
			t.Errorf("%q: zeros verify", text)
		}
	})
}
