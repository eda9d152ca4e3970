package pkcs7_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"safebox/image/secureboot/keytest"
	"safebox/measure/pe"
	"safebox/measure/pkcs7"
)

// foreign is the message that sbsigntool 0.9.4 put into an image
// (../pe/testdata/README.md). Its length counts the padding.
func foreign(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../pe/testdata/addonx64.signed.efi")
	if err != nil {
		t.Fatal(err)
	}
	f, err := pe.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	der := b[f.Certificates.Offset+8:]
	return der[:4+int(binary.BigEndian.Uint16(der[2:]))]
}

// TestForeignRoundTrip: what another tool wrote, signing time and all, is
// written again to the same bytes.
func TestForeignRoundTrip(t *testing.T) {
	der := foreign(t)
	s, err := pkcs7.Decode(der)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, der) {
		t.Errorf("got %x, want %x", got, der)
	}
	// As "openssl asn1parse" prints them.
	if got := s.ContentType.String(); got != "1.3.6.1.4.1.311.2.1.4" {
		t.Errorf("content type %s", got)
	}
	if got := s.Signer.Subject.CommonName; got != "safebox test" {
		t.Errorf("signer %q", got)
	}
	if s.Content[0] != 0x30 || len(s.Content) != 106 || s.Attributes[0] != 0x31 || len(s.Signature) != 256 {
		t.Errorf("content of %d, attributes %x..., signature of %d bytes", len(s.Content), s.Attributes[:4], len(s.Signature))
	}
	if err := s.Verify(s.Content[2:]); err != nil {
		t.Error(err)
	}
	for i := range s.Content[2:] {
		bad := bytes.Clone(s.Content[2:])
		bad[i] ^= 1
		if err := s.Verify(bad); err == nil || !strings.Contains(err.Error(), "signer: message digest") {
			t.Errorf("byte %d: got %v", i, err)
		}
	}
}

// signed is a message about content, with attributes or without.
func signed(t testing.TB, by keytest.Pair, content []byte, attributes bool) *pkcs7.SignedData {
	t.Helper()
	s := &pkcs7.SignedData{ContentType: pkcs7.Data(), Signer: by.Certificate}
	tbs := content
	var err error
	if attributes {
		if s.Attributes, err = pkcs7.Attributes(pkcs7.Data(), content); err != nil {
			t.Fatal(err)
		}
		tbs = s.Attributes
	}
	if s.Signature, err = pkcs7.Sign(tbs, by.Key, by.Certificate); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDetached(t *testing.T) {
	by := keytest.New(t, "signer")
	content := []byte("what is signed")
	for _, attributes := range []bool{false, true} {
		der, err := signed(t, by, content, attributes).EncodeBare()
		if err != nil {
			t.Fatal(err)
		}
		again, err := signed(t, by, content, attributes).EncodeBare()
		if err != nil || !bytes.Equal(der, again) {
			t.Errorf("attributes %v: signed twice, got other bytes, %v", attributes, err)
		}
		s, err := pkcs7.DecodeBare(der)
		if err != nil {
			t.Fatal(err)
		}
		if s.Content != nil || (s.Attributes != nil) != attributes || !bytes.Equal(s.Signer.Raw, by.Certificate.Raw) {
			t.Errorf("attributes %v: got %+v", attributes, s)
		}
		if err := s.Verify(content); err != nil {
			t.Errorf("attributes %v: %v", attributes, err)
		}
		if err := s.Verify([]byte("What is signed")); err == nil {
			t.Errorf("attributes %v: another content passed", attributes)
		}
		if _, err := pkcs7.Decode(der); err == nil {
			t.Errorf("attributes %v: a message without ContentInfo passed for one with", attributes)
		}
		if _, err := pkcs7.DecodeBare(append(bytes.Clone(der), 0)); err == nil || !strings.Contains(err.Error(), "1 bytes follow") {
			t.Errorf("attributes %v: a byte more: got %v", attributes, err)
		}
		if _, err := pkcs7.Decode(append(foreign(t), 0)); err == nil || !strings.Contains(err.Error(), "1 bytes follow") {
			t.Errorf("a byte behind the message: got %v", err)
		}
	}
}

// TestSigners: one signs, neither nobody nor two.
func TestSigners(t *testing.T) {
	der, err := signed(t, keytest.New(t, "signer"), []byte("what is signed"), false).EncodeBare()
	if err != nil {
		t.Fatal(err)
	}
	var message asn1.RawValue
	if _, err := asn1.Unmarshal(der, &message); err != nil {
		t.Fatal(err)
	}
	var fields []asn1.RawValue
	for rest := message.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &field); err != nil {
			t.Fatal(err)
		}
		fields = append(fields, field)
	}
	last := &fields[len(fields)-1]
	one := last.Bytes
	for n, ok := range map[int]bool{0: false, 1: true, 2: false} {
		last.Bytes, last.FullBytes = bytes.Repeat(one, n), nil
		b, err := asn1.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		_, err = pkcs7.DecodeBare(b)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), fmt.Sprintf("got %d signers, want 1", n)) {
			t.Errorf("%d signers: got %v", n, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	by := keytest.New(t, "signer")
	content := []byte("what is signed")
	for _, tt := range []struct {
		name   string
		change func(*pkcs7.SignedData)
		want   string
	}{
		{"digest algorithm", func(s *pkcs7.SignedData) { s.DigestAlgorithm = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26} }, "signer: digest algorithm: got 1.3.14.3.2.26, want 2.16.840.1.101.3.4.2.1"},
		{"signature algorithm", func(s *pkcs7.SignedData) { s.SignatureAlgorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2} }, "signer: signature algorithm: got 1.2.840.10045.4.3.2, want 1.2.840.113549.1.1.1"},
		{"signature", func(s *pkcs7.SignedData) { s.Signature[0] ^= 1 }, "signer: crypto/rsa"},
		{"no attributes", func(s *pkcs7.SignedData) { s.Attributes = nil }, "signer: crypto/rsa"},
		{"empty attributes", func(s *pkcs7.SignedData) { s.Attributes = []byte{0x31, 0} }, "message digest: missing"},
		{"other signer", func(s *pkcs7.SignedData) { s.Signer = keytest.New(t, "signer").Certificate }, "signer: crypto/rsa"},
	} {
		der, err := signed(t, by, content, true).Encode()
		if err != nil {
			t.Fatal(err)
		}
		s, err := pkcs7.Decode(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(content); err != nil {
			t.Fatalf("before: %v", err)
		}
		tt.change(s)
		if err := s.Verify(content); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	a, b := keytest.New(t, "a"), keytest.New(t, "b")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := keytest.NewOf(t, "curve", key)
	for _, tt := range []struct {
		name string
		key  keytest.Pair
		cert keytest.Pair
		want string
	}{
		{"another's certificate", a, b, "key: it is not the one of the certificate"},
		{"ECDSA", curve, curve, "key: got ECDSA, want RSA"},
		{"ECDSA key", curve, a, "key: got *ecdsa.PublicKey, want RSA"},
		{"1024 bits", a, small(t, 1024), "RSA key: got 1024 bits, want 2048 to 4096"},
		{"2047 bits", a, small(t, 2047), "RSA key: got 2047 bits, want 2048 to 4096"},
		{"4097 bits", a, small(t, 4097), "RSA key: got 4097 bits, want 2048 to 4096"},
	} {
		if _, err := pkcs7.Sign(nil, tt.key.Key, tt.cert.Certificate); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	s := &pkcs7.SignedData{ContentType: pkcs7.Data(), Signer: a.Certificate, Attributes: []byte{0xa0, 0}}
	if _, err := s.EncodeBare(); err == nil || !strings.Contains(err.Error(), "not a set") {
		t.Errorf("attributes with another tag: got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(foreign(f))
	// A detached message without attributes, by OpenSSL: an update's, in its
	// ContentInfo again.
	update, err := os.ReadFile("../../image/secureboot/variables/testdata/PK.auth")
	if err != nil {
		f.Fatal(err)
	}
	s, err := pkcs7.DecodeBare(update[40 : 16+binary.LittleEndian.Uint32(update[16:])])
	if err != nil {
		f.Fatal(err)
	}
	der, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := pkcs7.Decode(b)
		if err != nil {
			return
		}
		// What is written again is DER with our algorithms, and says the same.
		der, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := pkcs7.Decode(der)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Content, s.Content) || !bytes.Equal(again.Signature, s.Signature) ||
			!bytes.Equal(again.Signer.Raw, s.Signer.Raw) || !bytes.Equal(again.Attributes, s.Attributes) {
			t.Errorf("got %+v, want %+v", again, s)
		}
	})
}
