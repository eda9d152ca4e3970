package eif

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// signedPCR0 is PCR0 of signed_p384.eif in ../testdata/nitro/eif/vectors.json.
const signedPCR0 = "085ae2845547d01473abfee2c3ba4ab2a2abc303cf2d2533010bb0f85e37a25a6517868a8fb8552ebc31141ff01629f2"

func vectorPCR0(t testing.TB) [48]byte {
	t.Helper()
	b, err := hex.DecodeString(signedPCR0)
	if err != nil {
		t.Fatal(err)
	}
	return [48]byte(b)
}

// TestSignature opens the signature that another program made.
func TestSignature(t *testing.T) {
	f, err := openBytes(readFile(t, "signed_p384.eif"))
	if err != nil {
		t.Fatal(err)
	}
	s, pcr0 := f.Signature, vectorPCR0(t)
	if s.PCR0 != pcr0 || s.Algorithm != ES384 {
		t.Errorf("got %x signed with %v, want %x with ES384", s.PCR0, s.Algorithm, pcr0)
	}
	// The COSE_Sign1 ends with it.
	if cose := readFile(t, "signed_p384_cose_sign1.cbor"); len(s.Value) != 96 || !bytes.HasSuffix(cose, s.Value) {
		t.Errorf("value: got %x, want the last 96 bytes of %x", s.Value, cose)
	}
	block, _ := pem.Decode(readFile(t, "signer_cert.pem"))
	if !bytes.Equal(s.Certificate.Raw, block.Bytes) {
		t.Error("certificate: not that of signer_cert.pem")
	}
	if err := s.Verify(pcr0); err != nil {
		t.Errorf("Verify: %v", err)
	}
	pcr0[47] ^= 1
	want := "verifying EIF signature: signed PCR0: got " + signedPCR0 + ", want " + hex.EncodeToString(pcr0[:]) + " as the image gives"
	if err := s.Verify(pcr0); err == nil || err.Error() != want {
		t.Errorf("Verify of another PCR0: got %v, want %s", err, want)
	}
}

// TestSignatureFlips: no bit of the COSE_Sign1 can be changed.
func TestSignatureFlips(t *testing.T) {
	certificate, message := readFile(t, "signer_cert.pem"), readFile(t, "signed_p384_cose_sign1.cbor")
	pcr0 := vectorPCR0(t)
	verify := func() error {
		s, err := decodeSignature(encodeSection(t, certificate, message))
		if err != nil {
			return err
		}
		return s.Verify(pcr0)
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	for i := range message {
		for bit := range 8 {
			message[i] ^= 1 << bit
			if verify() == nil {
				t.Errorf("byte %#x bit %d flipped: accepted", i, bit)
			}
			message[i] ^= 1 << bit
		}
	}
}

// TestValidity: the certificate's dates, as openssl x509 prints them:
// notBefore=Jan  1 00:00:00 2020 GMT, notAfter=Jan  1 00:00:00 2099 GMT.
func TestValidity(t *testing.T) {
	f, err := openBytes(readFile(t, "signed_p384.eif"))
	if err != nil {
		t.Fatal(err)
	}
	first, last := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{first, last} {
		if err := f.Signature.CheckValidity(at); err != nil {
			t.Error(err)
		}
	}
	for _, at := range []time.Time{first.Add(-time.Second), last.Add(time.Second)} {
		err := f.Signature.CheckValidity(at)
		want := "time: got " + at.Format(time.RFC3339) + ", want 2020-01-01T00:00:00Z to 2099-01-01T00:00:00Z"
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestAlgorithms signs here with each key that AWS's tools take.
func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		algorithm Algorithm
		curve     elliptic.Curve
		hash      crypto.Hash
		width     int // of r and s, RFC 9053 section 2.1
	}{
		{ES256, elliptic.P256(), crypto.SHA256, 32},
		{ES384, elliptic.P384(), crypto.SHA384, 48},
		{ES512, elliptic.P521(), crypto.SHA512, 66},
	} {
		if got, err := AlgorithmFor(c.curve); err != nil || got != c.algorithm {
			t.Errorf("AlgorithmFor: got %v, %v, want %v", got, err, c.algorithm)
		}
		key, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		protected := encode(t, map[int]int{1: int(c.algorithm)})
		payload := encodePayload(t, 0, make([]byte, 48))
		h := c.hash.New()
		h.Write(encode(t, []any{"Signature1", protected, []byte{}, payload}))
		r, s, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, c.width)), s.FillBytes(make([]byte, c.width))...)
		section := encodeSection(t, certify(t, key), encode(t, []any{protected, map[int]int{}, payload, signature}))
		got, err := decodeSignature(section)
		if err != nil {
			t.Errorf("%v: %v", c.algorithm, err)
			continue
		}
		if err := got.Verify([48]byte{}); err != nil {
			t.Errorf("%v: %v", c.algorithm, err)
		}
		got.message.signature[5] ^= 1
		if err := got.Verify([48]byte{}); err == nil || !strings.HasSuffix(err.Error(), "the certificate's key did not make the signature") {
			t.Errorf("%v: changed signature: got %v", c.algorithm, err)
		}
	}
}

// TestRefuseCurve: no COSE algorithm of AWS's tools signs with another curve.
func TestRefuseCurve(t *testing.T) {
	for want, curve := range map[string]elliptic.Curve{"P-224": elliptic.P224(), "none": nil} {
		if a, err := AlgorithmFor(curve); err == nil || err.Error() != "curve: got "+want+", want P-256, P-384 or P-521" || a != 0 {
			t.Errorf("%s: got %v and %v", want, a, err)
		}
	}
}

// TestRefuseSignature changes one thing of the vector's signature each.
func TestRefuseSignature(t *testing.T) {
	pemText, cose := readFile(t, "signer_cert.pem"), readFile(t, "signed_p384_cose_sign1.cbor")
	var parts []cbor.RawMessage
	if err := cbor.Unmarshal(cose, &parts); err != nil {
		t.Fatal(err)
	}
	protected, payload, signature := parts[0], parts[2], parts[3]
	message := func(list ...any) []byte { return encodeSection(t, pemText, encode(t, list)) }
	headers := func(b []byte) []byte { return message(b, map[int]int{}, payload, signature) }
	signed := func(b []byte) []byte { return message(protected, map[int]int{}, b, signature) }
	element := func(m any) []byte { return encode(t, []any{m}) }
	good := map[string]any{"signing_certificate": numbers(pemText), "signature": numbers(cose)}
	value := func(first ...byte) []byte { // a register's, whose first number is written so
		zeros := encodePayload(t, 0, make([]byte, 48))
		return bytes.Replace(zeros, []byte{0x98, 48, 0}, append([]byte{0x98, 48}, first...), 1)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := decodeSignature(element(good)); err != nil || s.Verify(vectorPCR0(t)) != nil {
		t.Fatalf("the unchanged signature: %v", err)
	}
	for name, c := range map[string]struct {
		section []byte
		want    string
	}{
		"empty":              {nil, "EOF"},
		"trailing byte":      {append(element(good), 0), "1 bytes of extraneous data starting at index"},
		"null":               {[]byte{0xf6}, "simple value 22 is not recognized"},
		"no element":         {[]byte{0x80}, "number of signatures: got 0, want 1, that of PCR0"},
		"two":                {encode(t, []any{good, good}), "number of signatures: got 2, want 1, that of PCR0"},
		"null element":       {[]byte{0x81, 0xf6}, "simple value 22 is not recognized"},
		"indefinite length":  {append(append([]byte{0x9f}, encode(t, good)...), 0xff), "indefinite-length array isn't allowed"},
		"tag":                {append([]byte{0xd2}, element(good)...), "CBOR tag isn't allowed"},
		"nested":             {bytes.Repeat([]byte{0x81}, 30000), "exceeded max nested level 4"},
		"unknown key":        {element(map[string]any{"signing_certificate": numbers(pemText), "signature": numbers(cose), "x": 1}), "unknown field"},
		"key in upper case":  {element(map[string]any{"Signing_certificate": numbers(pemText), "signature": numbers(cose)}), "unknown field"},
		"key twice":          {append([]byte{0x81, 0xa2}, bytes.Repeat(append(encode(t, "signature"), encode(t, numbers(cose))...), 2)...), "duplicate map key"},
		"no signature":       {element(map[string]any{"signing_certificate": numbers(pemText)}), "signature: EOF"},
		"byte string":        {element(map[string]any{"signing_certificate": pemText, "signature": numbers(cose)}), "want an array of integers"},
		"number too large":   {element(map[string]any{"signing_certificate": []int{256}, "signature": numbers(cose)}), "cannot unmarshal positive integer"},
		"negative number":    {element(map[string]any{"signing_certificate": []int{-1}, "signature": numbers(cose)}), "cannot unmarshal negative integer"},
		"null for 0":         {signed(value(0xf6)), "simple value 22 is not recognized"},
		"undefined for 0":    {signed(value(0xf7)), "simple value 23 is not recognized"},
		"simple value for 0": {signed(value(0xe0)), "simple value 0 is not recognized"},
		"simple value of 32": {signed(value(0xf8, 0x20)), "simple value 32 is not recognized"},
		"false for 0":        {signed(value(0xf4)), "simple value 20 is not recognized"},
		"float for 0":        {signed(value(0xf9, 0, 0)), "cannot unmarshal primitives"},
		"index simple value": {signed(bytes.Replace(encodePayload(t, 0, make([]byte, 48)), []byte("register_index\x00"), []byte("register_index\xe0"), 1)), "simple value 0 is not recognized"},
		"no PEM":             {encodeSection(t, []byte("x"), cose), "parsing certificate: want PEM of type CERTIFICATE and nothing before it"},
		"key for a cert":     {encodeSection(t, readFile(t, "signer_key_TEST_ONLY.pem"), cose), "want PEM of type CERTIFICATE"},
		"two certificates":   {encodeSection(t, append(pemText[:len(pemText):len(pemText)], pemText...), cose), "parsing certificate: got 2 PEM blocks, want one: PCR8 holds the first only"},
		"broken one first":   {encodeSection(t, append([]byte("-----BEGIN CERTIFICATE-----\n!\n"), pemText...), cose), "parsing certificate: got 2 PEM blocks, want one"},
		"text before":        {encodeSection(t, append([]byte("Certificate:\n"), pemText...), cose), "parsing certificate: want PEM of type CERTIFICATE and nothing before it"},
		"text behind":        {encodeSection(t, append(pemText[:len(pemText):len(pemText)], "x"...), cose), "parsing certificate: got 0 headers in and 1 bytes behind the PEM block, want neither"},
		"PEM headers":        {encodeSection(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}}), cose), "parsing certificate: got 1 headers in and 0 bytes behind"},
		"no certificate":     {encodeSection(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}}), cose), "parsing certificate: x509: malformed"},
		"three parts":        {message(protected, map[int]int{}, payload), "signature: cbor: cannot unmarshal array into Go value of type struct"},
		"unprotected":        {message(protected, map[int]int{1: -35}, payload, signature), "unprotected headers: got 0xa1013822, want an empty map"},
		"unprotected null":   {message(protected, nil, payload, signature), "simple value 22 is not recognized"},
		"protected null":     {message(nil, map[int]int{}, payload, signature), "simple value 22 is not recognized"},
		"protected map":      {message(map[int]int{1: -35}, map[int]int{}, payload, signature), "cannot unmarshal map"},
		"payload array":      {message(protected, map[int]int{}, numbers(cose), signature), "cannot unmarshal array"},
		"no alg":             {headers([]byte{0xa0}), "protected headers: alg: missing"},
		"alg null":           {headers([]byte{0xa1, 0x01, 0xf6}), "simple value 22 is not recognized"},
		"alg EdDSA":          {headers(encode(t, map[int]int{1: -8})), "protected headers: algorithm: got -8, want -7, -35 or -36"},
		"alg as text":        {headers(encode(t, map[int]string{1: "ES384"})), "cannot unmarshal UTF-8 text string"},
		"two headers":        {headers(encode(t, map[int]int{1: -35, 4: 0})), "unknown field"},
		"trailing in header": {headers([]byte{0xa1, 0x01, 0x38, 0x22, 0x00}), "protected headers: cbor: 1 bytes of extraneous data"},
		"PCR1":               {signed(encodePayload(t, 1, make([]byte, 48))), "payload: register_index: got 1, want 0"},
		"no index":           {signed(encode(t, map[string]any{"register_value": numbers(make([]byte, 48))})), "payload: register_index: missing, want 0"},
		"47 bytes":           {signed(encodePayload(t, 0, make([]byte, 47))), "payload: register_value: got 47 bytes, want 48"},
		"49 bytes":           {signed(encodePayload(t, 0, make([]byte, 49))), "payload: register_value: got 49 bytes, want 48"},
		"value as bytes":     {signed(encode(t, map[string]any{"register_index": 0, "register_value": make([]byte, 48)})), "want an array of integers"},
		"trailing signed":    {signed(append(encodePayload(t, 0, make([]byte, 48)), 0)), "payload: cbor: 1 bytes of extraneous data"},
		"another key":        {encodeSection(t, certify(t, p256), cose), "key of the certificate: got ECDSA on P-256, want ECDSA on P-384 for ES384"},
		"Ed25519":            {encodeSection(t, certifyEd(t), cose), "key of the certificate: got ed25519.PublicKey, want ECDSA on P-384 for ES384"},
		"short":              {message(protected, map[int]int{}, payload, make([]byte, 95)), "length of the signature: got 95, want 96 for ES384"},
		"long":               {message(protected, map[int]int{}, payload, make([]byte, 97)), "length of the signature: got 97, want 96 for ES384"},
		"zero":               {message(protected, map[int]int{}, payload, make([]byte, 96)), "the certificate's key did not make the signature"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := decodeSignature(c.section)
			if err == nil {
				err = s.Verify(vectorPCR0(t))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// numbers are bytes as an array of integers.
func numbers(b []byte) []int {
	list := make([]int, len(b))
	for i := range b {
		list[i] = int(b[i])
	}
	return list
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encodeSection(t testing.TB, certificate, message []byte) []byte {
	t.Helper()
	return encode(t, []any{map[string]any{"signing_certificate": numbers(certificate), "signature": numbers(message)}})
}

func encodePayload(t testing.TB, index int, value []byte) []byte {
	t.Helper()
	return encode(t, map[string]any{"register_index": index, "register_value": numbers(value)})
}

// certify makes a certificate for the key.
func certify(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func certifyEd(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, key)
}
