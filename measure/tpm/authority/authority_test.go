package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"safebox/image/secureboot/keytest"
	"safebox/measure/eventlog"
	"safebox/measure/pe"
	"safebox/measure/pkcs7"
	"safebox/measure/tpm/varstore"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// databases returns db and dbx of a flash of ../testdata/boots/inputs.
func databases(t testing.TB, name string) (db, dbx []byte) {
	t.Helper()
	r, err := xz.NewReader(bytes.NewReader(readFile(t, "../testdata/boots/inputs/"+name+".xz")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	s, err := varstore.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := s.Variable(varstore.SecurityDatabase(), "db"); ok {
		db = v.Data
	}
	if v, ok := s.Variable(varstore.SecurityDatabase(), "dbx"); ok {
		dbx = v.Data
	}
	return db, dbx
}

// logged returns the entry that firmware measured as the authority in a boot of
// ../testdata/boots: what follows the name "db" in its UEFI_VARIABLE_DATA.
func logged(t testing.TB, boot string) []byte {
	t.Helper()
	l, err := eventlog.Decode(readFile(t, "../testdata/boots/"+boot+"/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Events {
		if e.Type == eventlog.EFIVariableAuthority {
			return e.Data[32+2*len("db"):]
		}
	}
	t.Fatalf("%s: no authority event", boot)
	return nil
}

// digest is the SHA-256 Authenticode digest of the UKI that all the signed
// boots with stub 257 share, from the firmware's log (PCR 4) of sb-ca257.
func digest(t testing.TB) [32]byte {
	t.Helper()
	l, err := eventlog.Decode(readFile(t, "../testdata/boots/sb-ca257/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Events {
		if e.Type == eventlog.EFIBootServicesApplication {
			return [32]byte(e.Digest(eventlog.SHA256))
		}
	}
	t.Fatal("no image in the log")
	return [32]byte{}
}

// TestSignersOfRealBoots finds the entry of db for signatures that firmware
// accepted: first the issuer, then the signer's own certificate, as db has them.
func TestSignersOfRealBoots(t *testing.T) {
	for boot, flash := range map[string]string{"sb-ca257": "ca.fd", "sb-leaf257": "leaf.fd"} {
		signer, err := OpenSignature(readFile(t, "../testdata/boots/"+boot+"/signature.bin"), digest(t))
		if err != nil {
			t.Fatalf("%s: %v", boot, err)
		}
		db, dbx := decodeBoth(t, flash)
		e, err := findSigner(db, dbx, signer)
		if err != nil {
			t.Fatalf("%s: %v", boot, err)
		}
		if want := logged(t, boot); !bytes.Equal(e.Raw, want) {
			t.Errorf("%s: got %x, firmware measured %x", boot, e.Raw, want)
		}
	}
}

func decodeBoth(t testing.TB, flash string) (allowed, forbidden []Entry) {
	t.Helper()
	db, dbx := databases(t, flash)
	allowed, err := DecodeDatabase(db)
	if err != nil {
		t.Fatal(err)
	}
	if forbidden, err = DecodeDatabase(dbx); err != nil {
		t.Fatal(err)
	}
	return allowed, forbidden
}

// addon is a small signed image of ../../pe/testdata, and its certificate table.
func addon(t testing.TB) (image *pe.File, table []byte) {
	t.Helper()
	b := readFile(t, "../../pe/testdata/addonx64.signed.efi")
	f, err := pe.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return f, b[f.Certificates.Offset:]
}

// certificate is the one in a certificate table.
func certificate(t testing.TB, image *pe.File, table []byte) []byte {
	t.Helper()
	signer, err := OpenSignature(table, [32]byte(image.Authenticode(sha256.New())))
	if err != nil {
		t.Fatal(err)
	}
	return signer.Raw
}

// Signature types as UEFI 2.10, section 32.4.1 writes them.
const (
	typeX509   = "a159c0a5e494a74a87b5ab155c2bf072" // a5c059a1-94e4-4aa7-87b5-ab155c2bf072
	typeSHA256 = "2616c4c14c509240aca941f936934328" // c1c41626-504c-4092-aca9-41f936934328
	typeRSA    = "e8665a3c95c81c4c963e0ca0c1a5b6ce" // some other
)

// list writes an EFI_SIGNATURE_LIST with one owner.
func list(t testing.TB, kind string, data ...[]byte) []byte {
	t.Helper()
	b, err := hex.DecodeString(kind)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(28+len(data)*(16+len(data[0]))))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(16+len(data[0])))
	for _, d := range data {
		b = append(append(b, "owner of an entry"[:16]...), d...)
	}
	return b
}

func TestFind(t *testing.T) {
	image, table := addon(t)
	cert := certificate(t, image, table)
	// pesign 0.112, as in ../../pe/testdata/README.md and pe_test.go.
	sum, err := hex.DecodeString("cf9f98edc997e3717bb93a395c6a0aed30b1274ff46f19143f3b72e7aa90edca")
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Repeat([]byte{1}, 32)
	caDB, ca := databases(t, "ca.fd")
	tests := []struct {
		name    string
		table   []byte
		db, dbx []byte
		data    []byte // of the entry that is found
		want    string // in the error
	}{
		{"certificate", table, list(t, typeX509, cert), nil, cert, ""},
		{"behind others", table, slices.Concat(caDB, list(t, typeSHA256, other), list(t, typeX509, cert)), ca, cert, ""},
		{"digest", nil, list(t, typeSHA256, other, sum), list(t, typeSHA256, other), sum, ""},
		{"no db", table, nil, nil, nil, "neither it nor its issuer"},
		{"other certificates", table, caDB, nil, nil, "neither it nor its issuer"},
		// edk2 lets it run (DxeImageVerificationLib.c, DxeImageVerificationHandler).
		{"signed, in db by digest only", table, list(t, typeSHA256, sum), nil, nil, "db: allows the signed image cf9f98ed"},
		{"unsigned, in db by certificate only", nil, list(t, typeX509, cert), nil, nil, "unsigned image cf9f98ed"},
		{"digest in dbx", table, list(t, typeX509, cert), list(t, typeSHA256, sum), nil, "dbx: forbids the image cf9f98ed"},
		{"certificate in dbx", table, list(t, typeX509, cert), list(t, typeX509, cert), nil, "dbx: forbids the signer"},
		{"unknown type in db", table, list(t, typeRSA, other), nil, nil, "db: entry 0: signature type e8665a3c"},
		{"unknown type in dbx", table, list(t, typeX509, cert), slices.Concat(list(t, typeSHA256, other), list(t, typeRSA, other)), nil, "dbx: entry 1: signature type e8665a3c"},
		{"unknown type in dbx, unsigned", nil, list(t, typeSHA256, sum), list(t, typeRSA, other), nil, "dbx: entry 0: signature type e8665a3c"},
		{"db cut", table, list(t, typeX509, cert)[:40], nil, nil, "db: parsing signature list at 0x0: size"},
		{"dbx cut", table, list(t, typeX509, cert), []byte{1}, nil, "dbx: parsing signature list at 0x0: header: got 1 bytes"},
		{"db of rubbish", table, list(t, typeX509, other), nil, nil, "db: entry 0: x509"},
	}
	for _, tt := range tests {
		e, err := Find(image, tt.table, tt.db, tt.dbx)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want == "" && (!bytes.Equal(e.Data(), tt.data) || string(e.Raw[:16]) != "owner of an entry"[:16]):
			t.Errorf("%s: got %x", tt.name, e.Raw)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestLargeKey: a key of half a million bits takes 20 s to check once.
func TestLargeKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for bits, ok := range map[uint]bool{16384: true, 16385: false} {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 3}, key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = pkcs7.ParseCertificate(der)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "RSA key: got 16385 bits, want at most 16384") {
			t.Errorf("%d bits: got error %v", bits, err)
		}
	}
	image, table := addon(t)
	cert := certificate(t, image, table)
	huge := new(big.Int).Lsh(big.NewInt(1), 16385)
	issuer := mustParse(t, cert).RawIssuer
	template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: issuer}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: huge.SetBit(huge, 0, 1), E: 3}, key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Find(image, table, list(t, typeX509, der), nil)
	if err == nil || !strings.Contains(err.Error(), "db: entry 0: x509: RSA key") {
		t.Errorf("in db: got error %v", err)
	}
}

// TestEveryBitOfASignatureCounts flips one bit of every byte of a signature:
// either it is refused, or the same entry of db is found.
func TestEveryBitOfASignatureCounts(t *testing.T) {
	image, table := addon(t)
	db := list(t, typeX509, certificate(t, image, table))
	refused := 0
	for i := range table {
		bad := bytes.Clone(table)
		bad[i] ^= 0x10
		e, err := Find(image, bad, db, nil)
		if err != nil {
			refused++
		} else if !bytes.Equal(e.Raw, db[28:]) {
			t.Errorf("byte %#x: got %x", i, e.Raw)
		}
	}
	// What firmware does not look at either stays: algorithm parameters, version
	// numbers, padding, the program name.
	if least := len(table) * 95 / 100; refused < least {
		t.Errorf("%d of %d flips are refused, want at least %d", refused, len(table), least)
	}
}

func TestSignatureRefuses(t *testing.T) {
	image, table := addon(t)
	sum := [32]byte(image.Authenticode(sha256.New()))
	twice := slices.Concat(table, table)
	change := func(at int, b byte) []byte {
		c := bytes.Clone(table)
		c[at] = b
		return c
	}
	for _, tt := range []struct {
		name   string
		table  []byte
		digest [32]byte
		want   string
	}{
		{"other image", table, [32]byte{}, "want 0000000000000000000000000000000000000000000000000000000000000000, the image's"},
		{"short", table[:7], sum, "certificate table: got 7 bytes"},
		{"long", make([]byte, maxSignature+1), sum, "certificate table: got 65537 bytes"},
		{"two signatures", twice, sum, "several signatures were not seen"},
		{"size", change(1, 0xff), sum, "certificate table: first certificate"},
		{"revision", change(4, 1), sum, "revision and type: got 0x0201 0x0002"},
		{"type", change(6, 1), sum, "revision and type: got 0x0200 0x0001"},
		{"not PKCS #7", change(8, 0x31), sum, "PKCS #7 message"},
	} {
		_, err := OpenSignature(tt.table, tt.digest)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestMessageRefuses changes single bytes of a PKCS #7 message. Offsets are
// those that "openssl asn1parse" (3.0.19) prints for it. The length counts the
// padding, as sbsigntool's does.
func TestMessageRefuses(t *testing.T) {
	image, table := addon(t)
	sum := [32]byte(image.Authenticode(sha256.New()))
	const length = 1538 // of the message; padding follows
	binary.LittleEndian.PutUint32(table, uint32(len(table)))
	for _, tt := range []struct {
		name string
		at   int
		b    byte
		want string
	}{
		{"type", 14, 3, "PKCS #7 message: type: got 1.2.840.113549.1.7.3, want 1.2.840.113549.1.7.2"},
		{"type of the content", 56, 5, "signed content: type: got 1.3.6.1.4.1.311.2.1.5"},
		{"digest algorithm of the content", 128, 2, "signed content: digest algorithm: got 2.16.840.1.101.3.4.2.2"},
		{"digest", 133, 0, "signed content: digest: got 009f98ed"},
		{"serial number", 996, 0x22, "the one there is not the signer's"},
		{"name of the issuer", 982, 'S', "the one there is not the signer's"},
		{"digest algorithm of the signer", 1028, 2, "signer: digest algorithm: got 2.16.840.1.101.3.4.2.2"},
		{"signing time as a digest", 1073, 4, "signer: authenticated attributes: message digest: asn1"},
		{"no message digest", 1103, 6, "message digest: missing"},
		{"message digest", 1108, 0, "signer: message digest: got 00fa242e"},
		{"two message digests", 1152, 4, "message digest: told twice"},
		{"attribute", 1140, 0x31, "signer: authenticated attributes: asn1"},
		{"signature algorithm", 1275, 0x0b, "signer: signature algorithm: got 1.2.840.113549.1.1.11"},
		{"signing time", 1078, '3', "signer: crypto/rsa"},
		{"signature", 1290, 0, "signer: crypto/rsa"},
		{"padding", length, 1, "PKCS #7 message: 6 bytes follow it"},
	} {
		b := bytes.Clone(table)
		b[CertificateHeaderSize+tt.at] = tt.b
		_, err := OpenSignature(b, sum)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	// Two bytes more within the message, behind SignedData.
	b := bytes.Clone(table)
	be := binary.BigEndian
	for _, at := range []int{2, 17} {
		be.PutUint16(b[CertificateHeaderSize+at:], be.Uint16(b[CertificateHeaderSize+at:])+2)
	}
	b[CertificateHeaderSize+length] = 5 // a NULL
	if _, err := OpenSignature(b, sum); err == nil || !strings.Contains(err.Error(), "signed data: 2 bytes follow") {
		t.Errorf("two bytes more: got error %v", err)
	}
}

// TestPadding: a table is padded to a multiple of 8 (PE Format, "The Attribute
// Certificate Table"), and more would be another certificate.
func TestPadding(t *testing.T) {
	image, table := addon(t)
	sum := [32]byte(image.Authenticode(sha256.New()))
	size := int(binary.LittleEndian.Uint32(table))
	for n, ok := range map[int]bool{0: true, 7: true, 8: false} {
		b := append(bytes.Clone(table[:size]), make([]byte, n)...)
		if _, err := OpenSignature(b, sum); (err == nil) != ok {
			t.Errorf("%d bytes of padding: got error %v", n, err)
		}
	}
}

// TestCountedPadding: dwLength may count the padding, of up to 7 zeros.
func TestCountedPadding(t *testing.T) {
	image, table := addon(t)
	sum := [32]byte(image.Authenticode(sha256.New()))
	const message = CertificateHeaderSize + 1538 // TestMessageRefuses
	for n, ok := range map[int]bool{0: true, 1: true, 7: true, 8: false, 16: false} {
		b := append(bytes.Clone(table[:message]), make([]byte, n)...)
		binary.LittleEndian.PutUint32(b, uint32(len(b)))
		if _, err := OpenSignature(b, sum); (err == nil) != ok {
			t.Errorf("%d zeros: got error %v", n, err)
		}
	}
}

// TestAttributesMissing: an image's signature is over attributes (Authenticode
// 1.0, "SignerInfo"), and one over the content itself was not seen to boot.
func TestAttributesMissing(t *testing.T) {
	image, table := addon(t)
	sum := [32]byte(image.Authenticode(sha256.New()))
	der, err := openTable(table)
	if err != nil {
		t.Fatal(err)
	}
	s, err := pkcs7.Decode(der)
	if err != nil {
		t.Fatal(err)
	}
	by := keytest.New(t, "db")
	s.Signer, s.Attributes = by.Certificate, nil
	if s.Signature, err = pkcs7.Sign(s.Content[2:], by.Key, by.Certificate); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(s.Content[2:]); err != nil {
		t.Fatal(err)
	}
	if der, err = s.Encode(); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(CertificateHeaderSize+len(der)))
	b = le.AppendUint16(le.AppendUint16(b, CertificateRevision), CertificatePKCS)
	if _, err := OpenSignature(append(b, der...), sum); err == nil || !strings.Contains(err.Error(), "authenticated attributes: missing") {
		t.Errorf("got %v", err)
	}
}

func TestDatabaseRefuses(t *testing.T) {
	le := binary.LittleEndian
	good := list(t, typeSHA256, make([]byte, 32), make([]byte, 32))
	change := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		le.PutUint32(b[at:], v)
		return b
	}
	if l, err := DecodeDatabase(good); err != nil || len(l) != 2 {
		t.Fatalf("got %d entries, %v", len(l), err)
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"too large", make([]byte, maxDatabase+1), "size: got 1048577"},
		{"header", good[:27], "header: got 27 bytes"},
		{"short list", change(16, 27), "size: got 27"},
		{"long list", change(16, uint32(len(good)+1)), "size: got 125"},
		{"signature header", change(20, 1), "signature header size: got 1"},
		{"signature size 0", change(24, 0), "signature size: got 0"},
		{"signature size 16", change(24, 16), "signature size: got 16"},
		{"no content", list(t, typeRSA, nil, nil), "signature size: got 16, want above 16"},
		{"does not divide", change(24, 47), "signature size: got 47"},
		{"not SHA-256", change(24, 32), "signature size: got 32, want 48 for SHA-256"},
		{"no signatures", change(16, 28)[:28], "signature size: got 48"},
		{"second list", append(bytes.Clone(good), 1), "parsing signature list at 0x7c"},
		{"certificates", list(t, typeX509, []byte("a"), []byte("b")), "certificates: got 2, want 1 in a list"},
	} {
		_, err := DecodeDatabase(tt.b)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func FuzzDatabase(f *testing.F) {
	for _, name := range []string{"ca.fd", "hash.fd"} {
		db, dbx := databases(f, name)
		f.Add(db)
		f.Add(dbx)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := DecodeDatabase(b)
		if err != nil {
			return
		}
		// Every byte is either of a list's header or of an entry.
		n := 0
		for _, e := range entries {
			n += len(e.Raw)
		}
		if lists := len(b) - n; lists%listHeaderSize != 0 || lists/listHeaderSize > len(entries) {
			t.Errorf("%d bytes hold %d bytes of %d entries", len(b), n, len(entries))
		}
	})
}

func FuzzSignature(f *testing.F) {
	image, table := addon(f)
	f.Add(table)
	for _, boot := range []string{"sb-ca257", "sb-leaf257", "sb-esp257"} {
		f.Add(readFile(f, "../testdata/boots/"+boot+"/signature.bin"))
	}
	sum := [32]byte(image.Authenticode(sha256.New()))
	want := certificate(f, image, table)
	f.Fuzz(func(t *testing.T, b []byte) {
		signer, err := OpenSignature(b, sum)
		if err == nil && !bytes.Equal(signer.RawSubjectPublicKeyInfo, mustParse(t, want).RawSubjectPublicKeyInfo) {
			t.Errorf("a signature by another key, %x, passed", signer.Raw)
		}
	})
}

func mustParse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
