package tpm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
)

// captured is the evidence of a software TPM: ../testdata/README.md.
func captured(t testing.TB) *evidence.VTPM {
	t.Helper()
	e, err := evidence.Decode(readFile(t, "evidence.json"))
	if err != nil {
		t.Fatal(err)
	}
	return e.VTPM
}

func enrolled(t testing.TB) *challenge.Enrollment {
	t.Helper()
	e, err := challenge.DecodeEnrollment(readFile(t, "enrollment.json"))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/vtpm/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ecc384 is the public area of a P-384 endorsement key as swtpm 0.7.1 returned
// it (TPM2_ReadPublic of 0x81010016).
const ecc384 = "0023000c000300f20030b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12" +
	"00060100004300100004001000304646da29b3128f06b28a99aaa105da91ec259e1a616d41b136e0fa79f7e33f6390b8af273187f489db5193dfd385e312" +
	"0030b0e6e0f43713706270bd1690c7425a6491450d44b9fc7ea8967b27ccc61b850b8e81c3c110bf71728f726cf10df5399e"

// TestAKTemplate compares with bytes written by hand from the table in
// specs/protocol.md 6 and the TPM 2.0 Library.
func TestAKTemplate(t *testing.T) {
	const want = "0023" + "000b" + "00050472" + "0000" + "0010" + "0018" + "000b" + "0003" + "0010" + "0000" + "0000"
	if got := hex.EncodeToString(AKTemplate()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPublicAgainstGoTPM decodes the three kinds of keys and compares each field
// and the Name with what go-tpm makes of the same bytes.
func TestPublicAgainstGoTPM(t *testing.T) {
	for name, raw := range map[string][]byte{"ak": captured(t).AK, RSA2048: enrolled(t).EKPublic, ECC384: unhex(t, ecc384)} {
		got, err := DecodePublic(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := tpm2.Unmarshal[tpm2.TPMTPublic](raw)
		if err != nil {
			t.Fatal(err)
		}
		wantName, err := tpm2.ObjectName(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Name(), wantName.Buffer) {
			t.Errorf("%s: name: got %x, want %x", name, got.Name(), wantName.Buffer)
		}
		attributes := binary.BigEndian.Uint32(tpm2.Marshal(want.ObjectAttributes))
		if got.Type != Algorithm(want.Type) || got.NameAlg != Algorithm(want.NameAlg) || uint32(got.Attributes) != attributes || !bytes.Equal(got.AuthPolicy, want.AuthPolicy.Buffer) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if name == RSA2048 {
			rsa, err := want.Unique.RSA()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Modulus, rsa.Buffer) {
				t.Errorf("modulus: got %x, want %x", got.Modulus, rsa.Buffer)
			}
			continue
		}
		point, err := want.Unique.ECC()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.X, point.X.Buffer) || !bytes.Equal(got.Y, point.Y.Buffer) {
			t.Errorf("%s: point: got %x %x", name, got.X, got.Y)
		}
	}
}

// TestAttestAgainstGoTPM does the same with both quotes and their signatures.
func TestAttestAgainstGoTPM(t *testing.T) {
	v := captured(t)
	ak, err := DecodePublic(v.AK)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ak.ECDSA()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range v.Quotes {
		got, err := DecodeAttest(q.Attest)
		if err != nil {
			t.Fatal(err)
		}
		want, err := tpm2.Unmarshal[tpm2.TPMSAttest](q.Attest)
		if err != nil {
			t.Fatal(err)
		}
		info, err := want.Attested.Quote()
		if err != nil {
			t.Fatal(err)
		}
		c := want.ClockInfo
		if got.ResetCount != c.ResetCount || got.RestartCount != c.RestartCount || got.Clock != c.Clock || got.Safe != c.Safe ||
			got.Firmware != want.FirmwareVersion || !bytes.Equal(got.ExtraData, want.ExtraData.Buffer) ||
			!bytes.Equal(got.QualifiedSigner, want.QualifiedSigner.Buffer) || !bytes.Equal(got.PCRDigest, info.PCRDigest.Buffer) ||
			got.Bank != Algorithm(info.PCRSelect.PCRSelections[0].Hash) {
			t.Errorf("%s: got %+v, want %+v", q.Bank, got, want)
		}
		if len(got.PCRs) != 16 || got.PCRs[0] != 0 || got.PCRs[15] != 15 {
			t.Errorf("%s: registers: got %v, want 0 to 15", q.Bank, got.PCRs)
		}
		if err := got.CheckSigner(ak); err != nil {
			t.Error(err)
		}
		s, err := DecodeSignature(q.Signature)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Verify(key, q.Attest) || s.Verify(key, q.Attest[1:]) {
			t.Errorf("%s: signature", q.Bank)
		}
	}
}

// TestEveryByteOfAQuote: no signed byte can change, whether a decoder or the
// signature notices.
func TestEveryByteOfAQuote(t *testing.T) {
	v := captured(t)
	ak, err := DecodePublic(v.AK)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ak.ECDSA()
	if err != nil {
		t.Fatal(err)
	}
	valid := func(attest, signature []byte) bool {
		s, err := DecodeSignature(signature)
		return err == nil && s.Verify(key, attest)
	}
	for _, q := range v.Quotes {
		if !valid(q.Attest, q.Signature) {
			t.Fatal("good quote refused")
		}
		for _, b := range [][]byte{q.Attest, q.Signature} {
			for i := range 8 * len(b) {
				b[i/8] ^= 1 << (i % 8)
				if valid(q.Attest, q.Signature) {
					t.Errorf("%s: bit %d flipped: accepted", q.Bank, i)
				}
				b[i/8] ^= 1 << (i % 8)
			}
		}
	}
}

// edit gives a copy with bytes replaced.
func edit(b []byte, off int, to ...byte) []byte {
	out := bytes.Clone(b)
	copy(out[off:], to)
	return out
}

func TestPublicRefuses(t *testing.T) {
	ak, rsa, ecc := captured(t).AK, enrolled(t).EKPublic, unhex(t, ecc384)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":               {nil, "type"},
		"long":                {make([]byte, maxPublic+1), "length"},
		"x longer, y shorter": {slices.Concat(ak[:20], []byte{0, 33}, ak[22:54], ak[56:57], []byte{0, 31}, ak[57:]), "point: got 33 and 31 bytes"},
		"x shorter, y longer": {slices.Concat(ak[:20], []byte{0, 31}, ak[22:53], []byte{0, 33}, ak[53:54], ak[56:]), "point: got 31 and 33 bytes"},
		"keyed hash":          {edit(ak, 0, 0, 8), "type"},
		"SHA-1 name":          {edit(ak, 2, 0, 4), "name algorithm"},
		"SHA-512 name":        {edit(ak, 2, 0, 0x0d), "name algorithm"},
		"policy of one byte":  {append(append(bytes.Clone(ak[:8]), 0, 1, 7), ak[10:]...), "authorization policy"},
		"huge policy":         {edit(ak, 8, 0xff, 0xff), "authorization policy size"},
		"XOR":                 {edit(ak, 10, 0, 0x0a), "symmetric algorithm"},
		"AES-192":             {edit(rsa, 44, 0, 192), "symmetric key bits"},
		"CBC":                 {edit(rsa, 46, 0, 0x42), "symmetric mode"},
		"RSA scheme":          {edit(rsa, 48, 0, 0x14), "scheme"},
		"RSA 1024":            {edit(rsa, 50, 4, 0), "key bits"},
		"exponent 3":          {edit(rsa, 52, 0, 0, 0, 3), "exponent"},
		"short modulus":       {edit(rsa[:len(rsa)-1], 56, 0, 255), "modulus"},
		"even modulus":        {edit(rsa, len(rsa)-1, 0), "modulus"},
		"small modulus":       {edit(rsa, 58, 0x7f), "modulus"},
		"ECDAA":               {edit(ak, 12, 0, 0x1a), "scheme"},
		"ECDSA with SHA-1":    {edit(ak, 14, 0, 4), "hash of the scheme"},
		"P-521":               {edit(ak, 16, 0, 5), "curve"},
		"P-256 as P-384":      {edit(ak, 16, 0, 4), "point"},
		"with a KDF":          {edit(ak, 18, 0, 0x20), "key derivation"},
		"trailing byte":       {append(bytes.Clone(ecc), 0), "trailing bytes"},
		"cut":                 {ak[:len(ak)-1], "y"},
	} {
		if p, err := DecodePublic(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, p, err, c.want)
		}
	}
	for name, raw := range map[string][]byte{"ak": ak, "rsa": rsa, "ecc": ecc} {
		for n := range raw {
			if _, err := DecodePublic(raw[:n]); err == nil {
				t.Errorf("%s cut to %d bytes: accepted", name, n)
			}
		}
	}
}

func TestAttestRefuses(t *testing.T) {
	a := captured(t).Quotes[0].Attest
	const extra = 4 + 2 + 2 + 34
	const tail = extra + 2 + 32 + 8 + 4 + 4 // safe
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"long":            {make([]byte, maxAttest+1), "length"},
		"magic":           {edit(a, 0, 0xfe), "magic"},
		"certification":   {edit(a, 4, 0x80, 0x17), "type"},
		"huge signer":     {edit(a, 6, 0xff, 0xff), "qualified signer size"},
		"huge extra data": {edit(a, extra, 0xff, 0xff), "extra data size"},
		"safe is 2":       {edit(a, tail, 2), "safe"},
		"no bank":         {edit(a, tail+9, 0, 0, 0, 0), "bank count"},
		"two banks":       {edit(a, tail+9, 0, 0, 0, 2), "bank count"},
		"SHA-1 bank":      {edit(a, tail+13, 0, 4), "bank"},
		"long bitmap":     {edit(a, tail+15, 4), "bitmap size"},
		"trailing byte":   {append(bytes.Clone(a), 0), "trailing bytes"},
	} {
		if got, err := DecodeAttest(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, c.want)
		}
	}
	for n := range a {
		if _, err := DecodeAttest(a[:n]); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
}

func TestSignatureRefuses(t *testing.T) {
	s := captured(t).Quotes[0].Signature
	for name, b := range map[string][]byte{
		"empty":       nil,
		"RSASSA":      edit(s, 0, 0, 0x14),
		"SHA-384":     edit(s, 2, 0, 0x0c),
		"long r":      edit(s, 4, 0, 33),
		"empty r":     append([]byte{0, 0x18, 0, 0x0b, 0, 0}, s[4:]...),
		"empty s":     {0, 0x18, 0, 0x0b, 0, 1, 1, 0, 0},
		"trailing":    append(bytes.Clone(s), 0),
		"much longer": append(bytes.Clone(s), make([]byte, maxSignature)...),
	} {
		if got, err := DecodeSignature(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

// TestCheckDigest compares with a digest that the TPM made.
func TestCheckDigest(t *testing.T) {
	q := captured(t).Quotes[1]
	a, err := DecodeAttest(q.Attest)
	if err != nil {
		t.Fatal(err)
	}
	var values [][]byte
	for _, pcr := range q.PCRs {
		values = append(values, unhex(t, pcr.Value))
	}
	if err := a.CheckDigest(values); err != nil {
		t.Error(err)
	}
	values[3][0] ^= 1
	if a.CheckDigest(values) == nil || a.CheckDigest(values[1:]) == nil || a.CheckDigest(nil) == nil {
		t.Error("other registers: accepted")
	}
}

func FuzzDecodePublic(f *testing.F) {
	f.Add(captured(f).AK)
	f.Add(enrolled(f).EKPublic)
	f.Add(unhex(f, ecc384))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePublic(b)
		if err != nil {
			return
		}
		want, err := tpm2.Unmarshal[tpm2.TPMTPublic](b)
		if err != nil {
			t.Fatalf("accepted %x, go-tpm says %v", b, err)
		}
		if again := tpm2.Marshal(want); !bytes.Equal(again, b) || !bytes.Equal(p.Bytes(), b) {
			t.Errorf("accepted %x, go-tpm writes %x", b, again)
		}
		if CheckAK(p) == nil && !bytes.HasPrefix(b, AKTemplate()[:20]) {
			t.Errorf("%x is taken for an attestation key", b)
		}
	})
}

func FuzzDecodeAttest(f *testing.F) {
	for _, q := range captured(f).Quotes {
		f.Add(q.Attest)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := DecodeAttest(b); err != nil {
			return
		}
		want, err := tpm2.Unmarshal[tpm2.TPMSAttest](b)
		if err != nil {
			t.Fatalf("accepted %x, go-tpm says %v", b, err)
		}
		if again := tpm2.Marshal(want); !bytes.Equal(again, b) {
			t.Errorf("accepted %x, go-tpm writes %x", b, again)
		}
	})
}

func FuzzDecodeSignature(f *testing.F) {
	for _, q := range captured(f).Quotes {
		f.Add(q.Signature)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := DecodeSignature(b); err != nil {
			return
		}
		want, err := tpm2.Unmarshal[tpm2.TPMTSignature](b)
		if err != nil {
			t.Fatalf("accepted %x, go-tpm says %v", b, err)
		}
		if again := tpm2.Marshal(want); !bytes.Equal(again, b) {
			t.Errorf("accepted %x, go-tpm writes %x", b, again)
		}
	})
}
