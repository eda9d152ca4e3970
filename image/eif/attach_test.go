package eif

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	reader "safebox/measure/eif"
)

// newKey makes a key and a certificate for it.
func newKey(t testing.TB, curve elliptic.Curve) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, certify(t, key, &x509.Certificate{})
}

func certify(t testing.TB, key crypto.Signer, c *x509.Certificate) []byte {
	t.Helper()
	c.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestAttach builds signed_p384.eif from its parts, and takes it apart.
func TestAttach(t *testing.T) {
	image, want := vectorFile(t, "two_ramdisks.eif"), vectorFile(t, "signed_p384.eif")
	section := vectorFile(t, "signed_p384_signature_section.cbor")
	got, err := Attach(image, vectorSignature(t), vectorFile(t, "signer_cert.pem"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Attach: got %x, %v, want %x", got, err, want)
	}
	got, err = AttachSection(image, section)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("AttachSection: got %x, %v, want %x", got, err, want)
	}
	unsigned, content, err := Detach(want)
	if err != nil || !bytes.Equal(unsigned, image) || !bytes.Equal(content, section) {
		t.Errorf("Detach: got %x and %x, %v, want %x and %x", unsigned, content, err, image, section)
	}
}

// TestRoundTrip: other orders of sections and another architecture, which Encode
// does not write, come back as they were.
func TestRoundTrip(t *testing.T) {
	key, certificate := newKey(t, elliptic.P384())
	images := map[string][]byte{"28 ramdisks": nil}
	im := good(t)
	im.Ramdisks = repeat(im.Ramdisks[0], 28)
	images["28 ramdisks"] = mustEncode(t, im)
	for _, name := range []string{"two_ramdisks_aarch64.eif", "metadata_last.eif", "cmdline_last.eif", "one_ramdisk.eif"} {
		images[name] = vectorFile(t, name)
	}
	for name, image := range images {
		before := bytes.Clone(image)
		signed, err := Sign(slices.Grow(image, 1<<16), key, certificate)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		signedBefore := bytes.Clone(signed)
		unsigned, section, err := Detach(signed)
		if err != nil || !bytes.Equal(unsigned, before) {
			t.Errorf("%s: got %x, %v, want %x", name, unsigned, err, before)
		}
		again, err := AttachSection(unsigned, section)
		if err != nil || !bytes.Equal(again, signed) {
			t.Errorf("%s: attached again: got %x, %v, want %x", name, again, err, signed)
		}
		if !bytes.Equal(image, before) || !bytes.Equal(signed, signedBefore) {
			t.Errorf("%s: the input was changed", name)
		}
		if strings.HasSuffix(name, ".eif") {
			want := registers(t, name)
			delete(want, "PCR8")
			checkRegisters(t, unsigned, want)
		}
	}
}

// TestRefuseAttach changes one thing of the vector's signature each.
func TestRefuseAttach(t *testing.T) {
	image, certificate, good := vectorFile(t, "two_ramdisks.eif"), vectorFile(t, "signer_cert.pem"), vectorSignature(t)
	_, other := newKey(t, elliptic.P384())
	p256, certificate256 := newKey(t, elliptic.P256())
	_, certificate224 := newKey(t, elliptic.P224())
	one, order := big.NewInt(1), elliptic.P384().Params().N
	long := certify(t, p256, &x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("a", 16<<10)}})
	backwards := certify(t, p256, &x509.Certificate{NotBefore: time.Unix(1, 0), NotAfter: time.Unix(0, 0)})
	for name, c := range map[string]struct {
		image, signature, certificate []byte
		want                          string
	}{
		"other image":        {vectorFile(t, "one_ramdisk.eif"), good, certificate, "verifying EIF signature: the certificate's key did not make the signature"},
		"other certificate":  {image, good, other, "verifying EIF signature: the certificate's key did not make the signature"},
		"other curve":        {image, good, certificate256, "signature: r and s: got a number out of range, want 1 to the order of P-256 less 1"},
		"signed":             {vectorFile(t, "signed_p384.eif"), good, certificate, "got a signed image, want one whose signature was detached"},
		"damaged":            {vectorFile(t, "bad_crc.eif"), good, certificate, "parsing EIF: header: CRC32"},
		"gap":                {vectorFile(t, "gap_between_sections.eif"), good, certificate, "parsing EIF: section 1 at 0x680: offset"},
		"no image":           {nil, good, certificate, "parsing EIF: file size"},
		"no signature":       {image, nil, certificate, "signature: want DER of an ECDSA signature"},
		"r and s":            {image, make([]byte, 96), certificate, "signature: want DER of an ECDSA signature"},
		"trailing byte":      {image, append(bytes.Clone(good), 0), certificate, "signature: got more than r and s"},
		"three numbers":      {image, der(t, one, one, one), certificate, "signature: got more than r and s"},
		"one number":         {image, der(t, one), certificate, "signature: want DER of an ECDSA signature"},
		"r is 0":             {image, der(t, new(big.Int), one), certificate, "signature: r and s: got a number out of range, want 1 to the order of P-384 less 1"},
		"s is 0":             {image, der(t, one, new(big.Int)), certificate, "signature: r and s: got a number out of range"},
		"s is negative":      {image, der(t, one, big.NewInt(-1)), certificate, "signature: r and s: got a number out of range"},
		"r is the order":     {image, der(t, order, one), certificate, "signature: r and s: got a number out of range"},
		"s is the order":     {image, der(t, one, order), certificate, "signature: r and s: got a number out of range"},
		"s is too long":      {image, der(t, one, new(big.Int).Lsh(one, 400)), certificate, "signature: r and s: got a number out of range"},
		"r and s are 1":      {image, der(t, one, one), certificate, "verifying EIF signature: the certificate's key did not make the signature"},
		"no certificate":     {image, good, nil, "parsing certificate: want PEM"},
		"two certificates":   {image, good, append(bytes.Clone(certificate), certificate...), "parsing certificate: got 2 PEM blocks"},
		"key":                {image, good, vectorFile(t, "signer_key_TEST_ONLY.pem"), "parsing certificate: want PEM"},
		"P-224":              {image, good, certificate224, `certificate of "": curve: got P-224, want P-256, P-384 or P-521`},
		"Ed25519":            {image, good, certifyEd25519(t), `certificate of "": key: got Ed25519, want ECDSA`},
		"RSA":                {image, good, certifyRSA(t), `certificate of "": key: got RSA, want ECDSA`},
		"never valid":        {image, good, backwards, `certificate of "": got an end 1970-01-01 00:00:00 +0000 UTC before its begin`},
		"section of 32 KiB+": {image, signFor(t, p256, image), long, "reading it back: parsing EIF: section 5 at 0xbb9: signature: size: got"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Attach(c.image, c.signature, c.certificate)
			if err == nil || !strings.HasPrefix(err.Error(), "attaching signature to EIF: "+c.want) || b != nil {
				t.Errorf("got  %v and %d bytes\nwant attaching signature to EIF: %s", err, len(b), c.want)
			}
		})
	}
	if _, err := Attach(image, signFor(t, p256, image), certificate256); err != nil {
		t.Errorf("the right signature of the other curve: %v", err)
	}
}

func signFor(t *testing.T, key *ecdsa.PrivateKey, image []byte) []byte {
	t.Helper()
	message, err := ToBeSigned(image, reader.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signMessage(key, crypto.SHA256, message)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func certifyEd25519(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, key, &x509.Certificate{})
}

func certifyRSA(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, key, &x509.Certificate{})
}

// TestRefuseSign: the key has to be the certificate's, and the table needs room.
func TestRefuseSign(t *testing.T) {
	key, certificate := newKey(t, elliptic.P384())
	image := vectorFile(t, "two_ramdisks.eif")
	full := good(t)
	full.Ramdisks = repeat(full.Ramdisks[0], 29)
	thirtyTwo, err := encode(full)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		image, certificate []byte
		want               string
	}{
		"other key": {image, vectorFile(t, "signer_cert.pem"), `certificate of "CN=eif-vector-signer": got that of another key, want that of the signing key`},
		"signed":    {vectorFile(t, "signed_p384.eif"), certificate, "got a signed image"},
		"no PEM":    {image, []byte("x"), "parsing certificate"},
		"full":      {thirtyTwo, certificate, "section signature: number of sections: got 33 with it, want at most 32"},
	} {
		b, err := Sign(c.image, key, c.certificate)
		if err == nil || !strings.HasPrefix(err.Error(), "signing EIF: "+c.want) || b != nil {
			t.Errorf("%s: got %v and %d bytes, want signing EIF: %s", name, err, len(b), c.want)
		}
	}
}

// TestRefuseSection: what is no signature of this image.
func TestRefuseSection(t *testing.T) {
	section := vectorFile(t, "signed_p384_signature_section.cbor")
	changed := bytes.Clone(section)
	changed[len(changed)-1] ^= 1
	for name, c := range map[string]struct {
		image, section []byte
		want           string
	}{
		"other image": {vectorFile(t, "one_ramdisk.eif"), section, "verifying EIF signature: signed PCR0: got 085ae284"},
		"signed":      {vectorFile(t, "signed_p384.eif"), section, "got a signed image"},
		"empty":       {vectorFile(t, "two_ramdisks.eif"), nil, "reading it back: parsing EIF: section 5 at 0xbb9: signature: size: got 0"},
		"text":        {vectorFile(t, "two_ramdisks.eif"), []byte("text"), "reading it back: parsing EIF: section 5 at 0xbb9: signature:"},
		"changed":     {vectorFile(t, "two_ramdisks.eif"), changed, "verifying EIF signature: the certificate's key did not make the signature"},
	} {
		b, err := AttachSection(c.image, c.section)
		if err == nil || !strings.HasPrefix(err.Error(), "attaching signature section to EIF: "+c.want) || b != nil {
			t.Errorf("%s: got %v and %d bytes, want attaching signature section to EIF: %s", name, err, len(b), c.want)
		}
	}
}

// TestRefuseDetach: without a signature at the end there is none to take away.
func TestRefuseDetach(t *testing.T) {
	im := good(t)
	h, b := newHeader(), make([]byte, headerSize)
	metadata, err := im.Metadata.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []section{
		{reader.KernelSection, im.Kernel},
		{reader.CommandLineSection, nil},
		{reader.MetadataSection, metadata},
		{reader.SignatureSection, vectorFile(t, "signed_p384_signature_section.cbor")},
		{reader.RamdiskSection, im.Ramdisks[0]},
	} {
		if b, err = h.append(b, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.seal(b); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"not signed": {vectorFile(t, "two_ramdisks.eif"), "got an image that is not signed"},
		"damaged":    {vectorFile(t, "size_mismatch.eif"), "parsing EIF: section 0 at 0x224: kernel: size"},
		"in between": {b, "section 4: got ramdisk, want the signature last"},
	} {
		unsigned, content, err := Detach(c.image)
		if err == nil || !strings.HasPrefix(err.Error(), "detaching signature from EIF: "+c.want) || unsigned != nil || content != nil {
			t.Errorf("%s: got %v, %d and %d bytes, want detaching signature from EIF: %s", name, err, len(unsigned), len(content), c.want)
		}
	}
}
