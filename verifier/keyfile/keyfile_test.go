package keyfile_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"safebox/verifier/keyfile"
)

// seedHex is 00 01 .. 1f; publicHex its Ed25519 public key, by `openssl pkey
// -pubout` (3.0.19) from the RFC 8410 form of the seed.
const (
	seedHex   = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	publicHex = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
)

func seed(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files are those that docs/format-keys.md describes, written out here.
func TestAudience(t *testing.T) {
	key, err := keyfile.NewAudience(bytes.NewReader(seed(t, seedHex)))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := keyfile.EncodeAudience(key)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"seed":"` + seedHex + `","type":"safebox/audience-key/v1"}`; string(secret) != want {
		t.Errorf("got %s, want %s", secret, want)
	}
	public, err := keyfile.EncodeAudiencePublic(key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"key":"` + publicHex + `","type":"safebox/audience-public/v1"}`; string(public) != want {
		t.Errorf("got %s, want %s", public, want)
	}
	back, err := keyfile.DecodeAudience(secret)
	if err != nil || !back.Equal(key) {
		t.Errorf("secret file: got %v", err)
	}
	backPublic, err := keyfile.DecodeAudiencePublic(public)
	if err != nil || !backPublic.Equal(key.Public()) {
		t.Errorf("public file: got %v", err)
	}
}

// recipientVector gives a seed and its public key as another implementation
// has them: the vectors of docs/format-grant.md.
func recipientVector(t testing.TB) (private, public []byte) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-grant.md")
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) []byte {
		_, text, _ := strings.Cut(string(doc), "\n"+name+"\n")
		var digits strings.Builder
		for line := range strings.SplitSeq(text, "\n") {
			part, isValue := strings.CutPrefix(line, "  ")
			if !isValue {
				break
			}
			digits.WriteString(part)
		}
		return seed(t, digits.String())
	}
	private, public = value("recipient_seed"), value("recipient_key")
	if len(private) != 32 || len(public) != keyfile.RecipientSize {
		t.Fatalf("vectors: got %d and %d bytes", len(private), len(public))
	}
	return private, public
}

func TestRecipient(t *testing.T) {
	private, public := recipientVector(t)
	key, err := keyfile.NewRecipient(bytes.NewReader(private))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := keyfile.EncodeRecipient(key)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"seed":"` + hex.EncodeToString(private) + `","type":"safebox/recipient-key/v1"}`; string(secret) != want {
		t.Errorf("got %s, want %s", secret, want)
	}
	file, err := keyfile.EncodeRecipientPublic(key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"key":"` + base64.StdEncoding.EncodeToString(public) + `","type":"safebox/recipient-public/v1"}`; string(file) != want {
		t.Errorf("got %s, want %s", file, want)
	}
	back, err := keyfile.DecodeRecipient(secret)
	if err != nil || !bytes.Equal(back.PublicKey().Bytes(), public) {
		t.Errorf("secret file: got %v", err)
	}
	backPublic, err := keyfile.DecodeRecipientPublic(file)
	if err != nil || !bytes.Equal(backPublic, public) {
		t.Errorf("public file: got %v", err)
	}
}

// files gives one of each kind.
func files(t testing.TB) map[string]string {
	t.Helper()
	_, public := recipientVector(t)
	return map[string]string{
		"audience":         `{"seed":"` + seedHex + `","type":"safebox/audience-key/v1"}`,
		"audience public":  `{"key":"` + publicHex + `","type":"safebox/audience-public/v1"}`,
		"recipient":        `{"seed":"` + seedHex + `","type":"safebox/recipient-key/v1"}`,
		"recipient public": `{"key":"` + base64.StdEncoding.EncodeToString(public) + `","type":"safebox/recipient-public/v1"}`,
		"signer":           signerFile("ed25519", seedHex),
		"signer public":    ed25519Public + "\n",
	}
}

// decoders gives the decoder of each kind.
func decoders() map[string]func([]byte) error {
	return map[string]func([]byte) error{
		"audience":         func(b []byte) error { _, err := keyfile.DecodeAudience(b); return err },
		"audience public":  func(b []byte) error { _, err := keyfile.DecodeAudiencePublic(b); return err },
		"recipient":        func(b []byte) error { _, err := keyfile.DecodeRecipient(b); return err },
		"recipient public": func(b []byte) error { _, err := keyfile.DecodeRecipientPublic(b); return err },
		"signer":           func(b []byte) error { _, err := keyfile.DecodeSigner(b); return err },
		"signer public":    func(b []byte) error { _, err := keyfile.DecodeSignerPublic(b); return err },
	}
}

// A file is never taken for one of another kind.
func TestKinds(t *testing.T) {
	for kind, decode := range decoders() {
		for other, file := range files(t) {
			if err := decode([]byte(file)); (err == nil) != (kind == other) {
				t.Errorf("%s read as %s: got %v", other, kind, err)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for kind, file := range files(t) {
		if kind == "signer public" {
			continue // no JSON: TestDecodeSignerPublicRefuses
		}
		decode := decoders()[kind]
		for name, bad := range map[string]string{
			"empty":          "",
			"newline":        file + "\n",
			"version":        strings.Replace(file, "/v1", "/v2", 1),
			"member less":    `{"type"` + file[strings.Index(file, `"type"`)+len(`"type"`):],
			"unknown member": strings.Replace(file, "{", `{"a":1,`, 1),
			"too large":      file + strings.Repeat(" ", keyfile.MaxSize),
			"value longer":   strings.Replace(file, `":"`, `":"00`, 1),
		} {
			if bad == file {
				t.Fatalf("%s, %s: the test changes nothing", kind, name)
			}
			if err := decode([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "decoding "+strings.Fields(kind)[0]) {
				t.Errorf("%s, %s: got %v, want an error", kind, name, err)
			} else if value := file[strings.Index(file, `":"`)+3:][:16]; strings.Contains(err.Error(), value) {
				t.Errorf("%s, %s: the error shows the key: %v", kind, name, err)
			}
		}
	}
}

func TestCheckRecipient(t *testing.T) {
	_, good := recipientVector(t)
	if err := keyfile.CheckRecipient(good); err != nil {
		t.Error(err)
	}
	// 0xfff in the first 12-bit coefficient is above the modulus 3329 (FIPS
	// 203, section 7.2).
	bad := bytes.Clone(good)
	bad[0], bad[1] = 0xff, bad[1]|0x0f
	for name, key := range map[string][]byte{"coefficient": bad, "short": good[:1215], "long": append(bytes.Clone(good), 0), "none": nil} {
		if err := keyfile.CheckRecipient(key); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := keyfile.EncodeRecipientPublic(key); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// Keys of other kinds, and too little random, are errors.
func TestMakeRefuses(t *testing.T) {
	if _, err := keyfile.NewAudience(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("audience key of 31 bytes of random: made")
	}
	if _, err := keyfile.NewRecipient(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("recipient key of 31 bytes of random: made")
	}
	if _, err := keyfile.EncodeAudience(nil); err == nil {
		t.Error("no audience key: written")
	}
	if _, err := keyfile.EncodeAudiencePublic(nil); err == nil {
		t.Error("no audience public key: written")
	}
	other, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.EncodeRecipient(other); err == nil || !strings.Contains(err.Error(), "KEM: got 0x0020, want 0x647a") {
		t.Errorf("key of another KEM: got %v", err)
	}
}

// FuzzDecode feeds every decoder; what one accepts it writes again.
func FuzzDecode(f *testing.F) {
	for _, file := range files(f) {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := keyfile.DecodeAudience(b); err == nil {
			again, err := keyfile.EncodeAudience(key)
			same(t, b, again, err)
		}
		if key, err := keyfile.DecodeAudiencePublic(b); err == nil {
			again, err := keyfile.EncodeAudiencePublic(key)
			same(t, b, again, err)
		}
		if key, err := keyfile.DecodeRecipient(b); err == nil {
			again, err := keyfile.EncodeRecipient(key)
			same(t, b, again, err)
		}
		if key, err := keyfile.DecodeRecipientPublic(b); err == nil {
			again, err := keyfile.EncodeRecipientPublic(key)
			same(t, b, again, err)
		}
	})
}

func same(t *testing.T, b, again []byte, err error) {
	t.Helper()
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
	}
}
