package eif

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	reader "safebox/measure/eif"
	"safebox/measure/nitro"
)

// TestAWSEncoding: the bytes that AWS's own tools write, from the tests of
// aws-nitro-enclaves-image-format (src/utils/cbor.rs at 1446095): PcrInfo with
// register_value 0x00 to 0x2f, and a section whose certificate and message are
// too short to be real.
func TestAWSEncoding(t *testing.T) {
	var pcr0 nitro.Digest
	for i := range pcr0 {
		pcr0[i] = byte(i)
	}
	_, content, err := signedParts(reader.ES384, pcr0)
	const want = "a26e72656769737465725f696e646578006e72656769737465725f76616c75659830000102030405060708090a0b0c0d0e0f10" +
		"1112131415161718181819181a181b181c181d181e181f1820182118221823182418251826182718281829182a182b182c182d182e182f"
	if got := hex.EncodeToString(content); err != nil || got != want {
		t.Errorf("payload: got %s, %v, want %s", got, err, want)
	}
	section, err := cbor.Marshal([]registerSignature{{
		Certificate: octets("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
		Signature:   octets{0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x40, 0x40},
	}})
	const wantSection = "81a2737369676e696e675f6365727469666963617465983b182d182d182d182d182d1842184518471849184e1820184318451852" +
		"18541849184618491843184118541845182d182d182d182d182d0a184d1849184918420a182d182d182d182d182d1845184e184418201843184518" +
		"5218541849184618491843184118541845182d182d182d182d182d0a697369676e61747572658a18d21884184418a1011838182218a018401840"
	if got := hex.EncodeToString(section); err != nil || got != wantSection {
		t.Errorf("section: got %s, %v, want %s", got, err, wantSection)
	}
}

// TestRFC6979 compares with the signatures of RFC 6979, A.2.5 (P-256), A.2.6
// (P-384) and A.2.7 (P-521), each of the key there with the hash of its COSE
// algorithm.
func TestRFC6979(t *testing.T) {
	for _, c := range []struct {
		curve           elliptic.Curve
		hash            crypto.Hash
		key, text, r, s string
	}{
		{
			elliptic.P256(), crypto.SHA256, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "sample",
			"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
			"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
		},
		{
			elliptic.P384(), crypto.SHA384, "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5", "sample",
			"94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
			"99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
		},
		{
			elliptic.P384(), crypto.SHA384, "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5", "test",
			"8203B63D3C853E8D77227FB377BCF7B7B772E97892A80F36AB775D509D7A5FEB0542A7F0812998DA8F1DD3CA3CF023DB",
			"DDD0760448D42D8A43AF45AF836FCE4DE8BE06B485E9B61B827C2F13173923E06A739F040649A667BF3B828246BAA5A5",
		},
		{
			elliptic.P521(), crypto.SHA512, "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538", "sample",
			"00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA",
			"00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A",
		},
	} {
		d, err := hex.DecodeString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ecdsa.ParseRawPrivateKey(c.curve, d)
		if err != nil {
			t.Fatal(err)
		}
		a, err := reader.AlgorithmFor(c.curve)
		if err != nil {
			t.Fatal(err)
		}
		der, err := signMessage(key, c.hash, []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := fixedWidth(a, der)
		if want := strings.ToLower(c.r + c.s); err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%v, %q: got %x, %v, want %s", a, c.text, got, err, want)
		}
	}
}

// vectorKey is the throw-away key of the vectors.
func vectorKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode(vectorFile(t, "signer_key_TEST_ONLY.pem"))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey)
}

// vectorSignature is the signature of signed_p384.eif in DER.
func vectorSignature(t testing.TB) []byte {
	t.Helper()
	var parts []cbor.RawMessage
	if err := cbor.Unmarshal(vectorFile(t, "signed_p384_cose_sign1.cbor"), &parts); err != nil {
		t.Fatal(err)
	}
	var fixed []byte
	if err := cbor.Unmarshal(parts[3], &fixed); err != nil {
		t.Fatal(err)
	}
	return der(t, new(big.Int).SetBytes(fixed[:48]), new(big.Int).SetBytes(fixed[48:]))
}

func der(t testing.TB, numbers ...*big.Int) []byte {
	t.Helper()
	b, err := asn1.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSign compares with testdata/sign.py, which shares no code with this
// package and signs with OpenSSL.
func TestSign(t *testing.T) {
	want := testFile(t, "two_ramdisks_rfc6979.eif")
	for range 2 {
		got, err := Sign(vectorFile(t, "two_ramdisks.eif"), vectorKey(t), vectorFile(t, "signer_cert.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
		checkRegisters(t, got, registers(t, "signed_p384.eif"))
	}
}

// TestToBeSigned compares with testdata/sign.py, and with what the signer of
// signed_p384.eif signed.
func TestToBeSigned(t *testing.T) {
	got, err := ToBeSigned(vectorFile(t, "two_ramdisks.eif"), reader.ES384)
	if err != nil {
		t.Fatal(err)
	}
	if want := testFile(t, "to_be_signed.cbor"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	digest := sha512.Sum384(got)
	if !ecdsa.VerifyASN1(&vectorKey(t).PublicKey, digest[:], vectorSignature(t)) {
		t.Error("the vector's signature is not of these bytes")
	}
	for name, c := range map[string]struct {
		image     []byte
		algorithm reader.Algorithm
		want      string
	}{
		"signed":    {vectorFile(t, "signed_p384.eif"), reader.ES384, "got a signed image, want one whose signature was detached"},
		"damaged":   {vectorFile(t, "bad_crc.eif"), reader.ES384, "parsing EIF: header: CRC32 at 0x220"},
		"algorithm": {vectorFile(t, "two_ramdisks.eif"), -8, "algorithm: got -8, want -7, -35 or -36"},
	} {
		b, err := ToBeSigned(c.image, c.algorithm)
		if err == nil || !strings.HasPrefix(err.Error(), "preparing EIF for its signature: "+c.want) || b != nil {
			t.Errorf("%s: got %x and %v, want %s", name, b, err, c.want)
		}
	}
}

// TestSignAlgorithms signs with each kind of key, offline and here: both ways
// give the same file.
func TestSignAlgorithms(t *testing.T) {
	image := mustEncode(t, good(t))
	for _, c := range []struct {
		curve elliptic.Curve
		want  reader.Algorithm
	}{
		{elliptic.P256(), reader.ES256},
		{elliptic.P384(), reader.ES384},
		{elliptic.P521(), reader.ES512},
	} {
		key, certificate := newKey(t, c.curve)
		signed, err := Sign(image, key, certificate)
		if err != nil {
			t.Fatal(err)
		}
		f, err := open(signed)
		if err != nil {
			t.Fatal(err)
		}
		if f.Signature.Algorithm != c.want {
			t.Errorf("algorithm: got %v, want %v", f.Signature.Algorithm, c.want)
		}
		message, err := ToBeSigned(image, c.want)
		if err != nil {
			t.Fatal(err)
		}
		hash, _, err := c.want.Parts()
		if err != nil {
			t.Fatal(err)
		}
		signature, err := signMessage(key, hash, message)
		if err != nil {
			t.Fatal(err)
		}
		attached, err := Attach(image, signature, certificate)
		if err != nil || !bytes.Equal(attached, signed) {
			t.Errorf("%v: attached: got %x, %v, want %x", c.want, attached, err, signed)
		}
	}
}

// TestOpenSSL: the signer elsewhere is OpenSSL, which gets the bytes and the key
// and gives back what Attach takes.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	image := mustEncode(t, good(t))
	message, err := ToBeSigned(image, reader.ES384)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, vectorFile(t, "signer_key_TEST_ONLY.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(openssl, "dgst", "-sha384", "-sign", key)
	command.Stdin = bytes.NewReader(message)
	signature, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Attach(image, signature, vectorFile(t, "signer_cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	checkRegisters(t, signed, map[string]string{"PCR8": registers(t, "signed_p384.eif")["PCR8"]})
}
