package authenticode_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"safebox/image/secureboot/authenticode"
	"safebox/image/secureboot/keytest"
	"safebox/measure/pe"
	"safebox/measure/pkcs7"
	"safebox/measure/tpm/authority"
)

// peData holds images of other people's: measure/pe/testdata/README.md.
const peData = "../../../measure/pe/testdata/"

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tool runs another program, which must succeed.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func decode(t testing.TB, b []byte) *pe.File {
	t.Helper()
	f, err := pe.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOthersAccept signs images of other people's, and has sbsigntool verify.
func TestOthersAccept(t *testing.T) {
	for _, name := range []string{"addonx64.efi.stub", "linuxx64.efi.stub"} {
		for _, bits := range []int{2048, 3072, 4096} {
			by, image, dir := keytest.NewRSA(t, "db", bits), read(t, peData+name), t.TempDir()
			signed, err := authenticode.Sign(image, by.Key, by.Certificate)
			if err != nil {
				t.Fatalf("%s, %d: %v", name, bits, err)
			}
			_, cert := by.Write(t, dir, "db")
			tool(t, "sbverify", "--cert", cert, write(t, dir+"/signed.efi", signed))
			unsigned, table, err := authenticode.Detach(signed)
			if err != nil || !bytes.Equal(unsigned, image) || !bytes.Equal(table, signed[len(image):]) {
				t.Errorf("%s, %d: detached: other bytes, %v", name, bits, err)
			}
			if got, want := decode(t, signed).Authenticode(sha256.New()), decode(t, image).Authenticode(sha256.New()); !bytes.Equal(got, want) {
				t.Errorf("%s, %d: digest %x, want %x", name, bits, got, want)
			}
		}
	}
}

// TestSameAsOthers: what is signed is, byte for byte, what sbsigntool 0.9.4
// signed about the same image; of its attributes ours are two.
func TestSameAsOthers(t *testing.T) {
	theirs := read(t, peData+"addonx64.signed.efi")
	image, table, err := authenticode.Detach(theirs)
	if err != nil {
		t.Fatal(err)
	}
	der := table[8:]
	message, err := pkcs7.Decode(der[:4+int(binary.BigEndian.Uint16(der[2:]))])
	if err != nil {
		t.Fatal(err)
	}
	by := keytest.New(t, "db")
	ours, err := authenticode.Sign(image, by.Key, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	// The header: the length without the padding, as sbsign writes it.
	header := func(table []byte) string {
		size := 4 + int(binary.BigEndian.Uint16(table[10:]))
		return fmt.Sprintf("%d %x", int(binary.LittleEndian.Uint32(table))-size, table[4:8])
	}
	if got, want := header(ours[len(image):]), header(table); got != want {
		t.Errorf("header: got %s, want %s", got, want)
	}
	if !bytes.Contains(ours[len(image):], message.Content) {
		t.Errorf("signed content: not %x, as sbsign wrote it", message.Content)
	}
	tbs, err := authenticode.ToBeSigned(image)
	if err != nil {
		t.Fatal(err)
	}
	// "openssl asn1parse" of the message: two attributes, at 1040 the type, at
	// 1095 the digest, between them the time of signing.
	for _, want := range []string{
		"\x30\x19\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0c\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04",
		"\x30\x2f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04\x31\x22\x04\x20",
	} {
		at := bytes.Index(message.Attributes, []byte(want))
		if at < 0 {
			t.Fatalf("sbsign has no attribute %x", want)
		}
		size := 2 + int(want[1])
		if !bytes.Contains(tbs, message.Attributes[at:at+size]) {
			t.Errorf("got attributes %x, want %x among them", tbs, message.Attributes[at:at+size])
		}
	}
	if len(tbs) != 2+27+49 {
		t.Errorf("got attributes of %d bytes, want two: %x", len(tbs), tbs)
	}
	// Without a signature the image is the stub again, but for CheckSum, which
	// sbsign sets.
	stub := read(t, peData+"addonx64.efi.stub")
	sum := decode(t, image).Header.OptionalOffset + 64
	copy(stub[sum:sum+4], image[sum:])
	if !bytes.Equal(image, stub) {
		t.Error("sbsign's signature detached: other bytes than before")
	}
}

// TestElsewhere signs by openssl what ToBeSigned gives: the same bytes come out.
func TestElsewhere(t *testing.T) {
	by, image, dir := keytest.New(t, "db"), read(t, peData+"addonx64.efi.stub"), t.TempDir()
	key, _ := by.Write(t, dir, "db")
	tbs, err := authenticode.ToBeSigned(image)
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "openssl", "dgst", "-sha256", "-sign", key, "-out", dir+"/sig", write(t, dir+"/tbs", tbs))
	attached, err := authenticode.Attach(image, read(t, dir+"/sig"), by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		signed, err := authenticode.Sign(image, by.Key, by.Certificate)
		if err != nil || !bytes.Equal(attached, signed) {
			t.Errorf("signed here: other bytes, %v", err)
		}
	}
}

func TestRefuses(t *testing.T) {
	by, other := keytest.New(t, "db"), keytest.New(t, "db")
	image := read(t, peData+"addonx64.efi.stub")
	signed, err := authenticode.Sign(image, by.Key, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	tbs, err := authenticode.ToBeSigned(image)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := pkcs7.Sign(tbs, by.Key, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(image)
	changed[len(changed)-1] ^= 1
	for _, tt := range []struct {
		name      string
		image     []byte
		signature []byte
		by        keytest.Pair
		want      string
	}{
		{"signed already", signed, signature, by, "it is signed already"},
		{"no PE", image[:100], signature, by, "signing image: parsing PE"},
		{"size", append(bytes.Clone(image), 1, 2, 3, 4), signature, by, "size of the image: got 2052, want a multiple of 8"},
		{"other image", changed, signature, by, "attaching signature: signer: crypto/rsa"},
		{"other certificate", image, signature, other, "attaching signature: signer: crypto/rsa"},
		{"no signature", image, nil, by, "attaching signature: signer: crypto/rsa"},
		{"certificate with ECDSA", image, signature, keytest.NewOf(t, "db", key), "key: got ECDSA, want RSA"},
		{"few directories", fewDirectories(image), signature, by, "no data directory for certificates"},
	} {
		if b, err := authenticode.Attach(tt.image, tt.signature, tt.by.Certificate); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %d bytes, %v, want %q", tt.name, len(b), err, tt.want)
		}
	}
	if _, err := authenticode.Sign(image, other.Key, by.Certificate); err == nil || !strings.Contains(err.Error(), "not the one of the certificate") {
		t.Errorf("another's key: got %v", err)
	}
	if _, _, err := authenticode.Detach(image); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("detaching nothing: got %v", err)
	}
}

// fewDirectories rewrites the image to have four data directories: the section
// table moves up.
func fewDirectories(image []byte) []byte {
	le := binary.LittleEndian
	b := bytes.Clone(image)
	coff := int(le.Uint32(b[0x3c:])) + 4
	opt := coff + 20
	table, sections := opt+112+16*8, int(le.Uint16(b[coff+2:]))
	le.PutUint16(b[coff+16:], 112+4*8)
	le.PutUint32(b[opt+108:], 4)
	copy(b[opt+112+4*8:], b[table:table+40*sections])
	clear(b[opt+112+4*8+40*sections : table+40*sections])
	return b
}

// FuzzDetach: what is detached is an image with the same digest, and unsigned.
func FuzzDetach(f *testing.F) {
	for _, name := range []string{"addonx64.signed.efi", "addonx64.efi.stub"} {
		f.Add(read(f, filepath.Join(peData, name)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		image, table, err := authenticode.Detach(b)
		if err != nil {
			return
		}
		before, after := decode(t, b), decode(t, image)
		if !bytes.Equal(before.Authenticode(sha256.New()), after.Authenticode(sha256.New())) {
			t.Error("the digest moved")
		}
		if after.Certificates.Size != 0 || len(image)+len(table) != len(b) {
			t.Errorf("%d bytes give %d and %d, with a table of %d", len(b), len(image), len(table), after.Certificates.Size)
		}
		// Whatever is in the table: no panic, and an error or a signer.
		if signer, err := authority.OpenSignature(table, [32]byte(before.Authenticode(sha256.New()))); err == nil && signer == nil {
			t.Error("neither signer nor error")
		}
	})
}

func BenchmarkSign(b *testing.B) {
	by := keytest.New(b, "db")
	image := append(read(b, peData+"linuxx64.efi.stub"), make([]byte, 16<<20)...)
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		if _, err := authenticode.Sign(image, by.Key, by.Certificate); err != nil {
			b.Fatal(err)
		}
	}
}
