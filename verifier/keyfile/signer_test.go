package keyfile_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"strings"
	"testing"

	"safebox/verifier/dsse"
	"safebox/verifier/keyfile"
)

// p256Hex is the private key of RFC 6979, section A.2.5; p256Public its public
// key, the base64 of `openssl ec -pubout -outform DER` (3.0.19) from its RFC
// 5915 form. The point in it is U of the RFC.
const (
	p256Hex    = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
	p256Public = "ecdsa-p256:MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ=="
)

// ed25519Public is publicHex in base64.
const ed25519Public = "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="

// orderHex is n, the order of P-256's group (SP 800-186, section 3.2.1.3).
const orderHex = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"

func signerFile(algorithm, key string) string {
	return `{"algorithm":"` + algorithm + `","key":"` + key + `","type":"safebox/signer-key/v1"}`
}

func TestSigner(t *testing.T) {
	for _, tt := range []struct{ algorithm, key, public string }{
		{"ed25519", seedHex, ed25519Public},
		{"ecdsa-p256", p256Hex, p256Public},
	} {
		key, err := keyfile.NewSigner(tt.algorithm, bytes.NewReader(seed(t, tt.key)))
		if err != nil {
			t.Fatal(err)
		}
		file, err := keyfile.EncodeSigner(key)
		if want := signerFile(tt.algorithm, tt.key); err != nil || string(file) != want {
			t.Errorf("%s: got %s, %v, want %s", tt.algorithm, file, err, want)
		}
		back, err := keyfile.DecodeSigner(file)
		if err != nil {
			t.Fatal(err)
		}
		public, err := dsse.NewPublicKey(back.Public())
		if err != nil {
			t.Fatal(err)
		}
		text := keyfile.EncodeSignerPublic(public)
		if string(text) != tt.public+"\n" {
			t.Errorf("%s: got public file %q, want %q and a newline", tt.algorithm, text, tt.public)
		}
		if again, err := keyfile.DecodeSignerPublic(text); err != nil || again != public {
			t.Errorf("%s: public file: got %v, %v", tt.algorithm, again, err)
		}
	}
}

// Octets that are no private key of P-256 are drawn again, and not for ever.
func TestSignerDraws(t *testing.T) {
	good, bad := seed(t, p256Hex), seed(t, orderHex)
	for draws := range 5 {
		random := io.MultiReader(bytes.NewReader(bytes.Repeat(bad, draws)), bytes.NewReader(good))
		key, err := keyfile.NewSigner(keyfile.ECDSAP256, random)
		if draws == 4 {
			if err == nil || !strings.Contains(err.Error(), "not a private key of P-256") {
				t.Errorf("four times no key: got %v", err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d times no key: got %v", draws, err)
			continue
		}
		if file, err := keyfile.EncodeSigner(key); err != nil || string(file) != signerFile("ecdsa-p256", p256Hex) {
			t.Errorf("%d times no key: got another key, %v", draws, err)
		}
	}
	// The largest private key is n-1.
	if _, err := keyfile.DecodeSigner([]byte(signerFile("ecdsa-p256", strings.TrimSuffix(orderHex, "1")+"0"))); err != nil {
		t.Errorf("n-1: got %v", err)
	}
}

func TestSignerRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ file, want string }{
		"zero":                {signerFile("ecdsa-p256", strings.Repeat("0", 64)), "not a private key of P-256"},
		"order":               {signerFile("ecdsa-p256", orderHex), "not a private key of P-256"},
		"other algorithm":     {signerFile("ml-dsa-44", seedHex), `algorithm: got "ml-dsa-44"`},
		"no algorithm":        {signerFile("", seedHex), `algorithm: got ""`},
		"case":                {signerFile("Ed25519", seedHex), `algorithm: got "Ed25519"`},
		"31 bytes":            {signerFile("ed25519", seedHex[2:]), "want 32 bytes"},
		"algorithm's absence": {strings.Replace(signerFile("", seedHex), `"algorithm":"",`, "", 1), "not in canonical form"},
	} {
		_, err := keyfile.DecodeSigner([]byte(tt.file))
		if err == nil || !strings.HasPrefix(err.Error(), "decoding signer key: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		} else if strings.Contains(err.Error(), seedHex[2:18]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	if _, err := keyfile.NewSigner("rsa", rand.Reader); err == nil {
		t.Error("key of algorithm rsa: made")
	}
	if _, err := keyfile.NewSigner("ed25519", bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("key of 31 bytes of random: made")
	}
}

// Keys of other kinds are not written.
func TestEncodeSignerRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"P-384": p384, "RSA": &rsa.PrivateKey{}, "none": nil, "short": ed25519.PrivateKey{1}} {
		if b, err := keyfile.EncodeSigner(key); err == nil {
			t.Errorf("%s: written: %s", name, b)
		}
	}
}

func TestDecodeSignerPublicRefuses(t *testing.T) {
	for name, file := range map[string]string{
		"no newline":   ed25519Public,
		"two newlines": ed25519Public + "\n\n",
		"CRLF":         ed25519Public + "\r\n",
		"second line":  ed25519Public + "\n" + ed25519Public + "\n",
		"empty":        "",
		"secret":       signerFile("ed25519", seedHex),
	} {
		if key, err := keyfile.DecodeSignerPublic([]byte(file)); err == nil || !strings.HasPrefix(err.Error(), "decoding signer public key: ") {
			t.Errorf("%s: got %v, %v", name, key, err)
		}
	}
}

// A file is measured before it is looked at.
func TestSignerPublicSize(t *testing.T) {
	for size, want := range map[int]string{keyfile.MaxSize: "want at most 256", keyfile.MaxSize + 1: "size: got 4097 bytes, want at most 4096"} {
		file := strings.Repeat("a", size-1) + "\n"
		if _, err := keyfile.DecodeSignerPublic([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: got %v, want %q", size, err, want)
		}
	}
}

func TestKind(t *testing.T) {
	for name, file := range files(t) {
		want, _, public := strings.Cut(name, " ")
		got, err := keyfile.Kind([]byte(file))
		if (err == nil) == public || (!public && got != want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for name, file := range map[string]string{
		"nothing": "", "no JSON": "ed25519:", "other type": `{"type":"safebox/grant/v1"}`,
		"too large": strings.Repeat(" ", keyfile.MaxSize) + files(t)["audience"],
	} {
		if got, err := keyfile.Kind([]byte(file)); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func FuzzDecodeSigner(f *testing.F) {
	f.Add([]byte(signerFile("ed25519", seedHex)))
	f.Add([]byte(signerFile("ecdsa-p256", p256Hex)))
	f.Add([]byte(ed25519Public + "\n"))
	f.Add([]byte(p256Public + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, _ := keyfile.Kind(b)
		if key, err := keyfile.DecodeSigner(b); err == nil {
			again, err := keyfile.EncodeSigner(key)
			same(t, b, again, err)
			if kind != keyfile.KindSigner {
				t.Errorf("%q: got kind %q", b, kind)
			}
		}
		if key, err := keyfile.DecodeSignerPublic(b); err == nil {
			same(t, b, keyfile.EncodeSignerPublic(key), nil)
		}
	})
}
