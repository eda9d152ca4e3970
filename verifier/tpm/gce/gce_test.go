package gce

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/tpm"
)

const attestations = "../../testdata/evidence/vtpm/go-tpm-tools/attestations/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(attestations + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRealAttestation compares with what INDEX.md and a dump of the file by a
// program of its own (30 lines of Python) say.
func TestRealAttestation(t *testing.T) {
	a, err := Decode(read(t, "gce-cos-85-nonce9009.pb"))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.AKPublic) != 280 || len(a.EventLog) != 23970 || len(a.AKCertificate) != 1340 || len(a.Intermediates) != 0 ||
		a.Instance != nil || a.CanonicalLog || a.Report != "" {
		t.Errorf("got %d bytes of a key, a log of %d, a certificate of %d: %+v", len(a.AKPublic), len(a.EventLog), len(a.AKCertificate), a.Instance)
	}
	// Bank, size of the TPMT_SIGNATURE, register 0.
	want := []struct {
		bank tpm.Algorithm
		pcr0 string
	}{
		{tpm.AlgSHA1, "c032c3b51dbb6f96b047421512fd4b4dfde496f3"},
		{tpm.AlgSHA256, "0f35c214608d93c7a6e68ae7359b4a8be5a0e99eea9107ece427c4dea4e439cf"},
		{tpm.AlgSHA384, "46ce251b0b5b3da7917c5eb7a72e6e88f8f830445b149937921b095c1fd628db691963861c1153aba9c7097ff1c747f9"},
	}
	if len(a.Quotes) != len(want) {
		t.Fatalf("got %d quotes, want %d", len(a.Quotes), len(want))
	}
	for i, q := range a.Quotes {
		if q.Bank != want[i].bank || len(q.Values) != 24 || len(q.Attest) != 115 || len(q.Signature) != 262 ||
			hex.EncodeToString(q.Values[0]) != want[i].pcr0 {
			t.Errorf("quote %d: got bank %#x, %d registers, %d and %d bytes, register 0 %x", i, q.Bank, len(q.Values), len(q.Attest), len(q.Signature), q.Values[0])
		}
	}
	if a, err := Decode(read(t, "gce-cos-85-no-nonce.pb")); err != nil || len(a.Quotes) != 3 {
		t.Errorf("without a nonce: got %+v, %v", a, err)
	}
}

// TestRealInstance: the fields as openssl asn1parse shows them.
func TestRealInstance(t *testing.T) {
	a, err := Decode(read(t, "gce-cos-85-nonce9009.pb"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(a.AKCertificate)
	if err != nil {
		t.Fatal(err)
	}
	got, err := CertificateInstance(c)
	want := &Instance{
		Project: "google.com:wuale-gcp-testing", ProjectNumber: 0x1b5a475c69, Zone: "us-central1-a", Name: "cos-test",
		ID: 0x5e53e3fbbf8306c5, Production: true,
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	n := -1
	for i, e := range c.Extensions {
		if e.Id.Equal(instanceInfo()) {
			n = i
		}
	}
	whole := c.Extensions[n].Value
	for name, value := range map[string][]byte{
		"empty":           {},
		"trailing byte":   append(bytes.Clone(whole), 0),
		"cut":             whole[:len(whole)-1],
		"no DER boolean":  bytes.Replace(whole, []byte{0xa1, 3, 1, 1, 0xff}, []byte{0xa1, 3, 1, 1, 1}, 1),
		"unknown element": longer(whole),
	} {
		c.Extensions[n].Value = value
		if got, err := CertificateInstance(c); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
	c.Extensions[n].Value = whole
	c.Extensions = append(c.Extensions, c.Extensions[n])
	if _, err := CertificateInstance(c); err == nil {
		t.Error("extension twice: accepted")
	}
	c.Extensions = nil
	if got, err := CertificateInstance(c); got != nil || err != nil {
		t.Errorf("no extension: got %+v, %v", got, err)
	}
}

// longer adds an element [6] to the security properties, in DER.
func longer(b []byte) []byte {
	out := append(bytes.Clone(b), 0xa6, 3, 1, 1, 0)
	for _, off := range []int{1, 75, 77} { // lengths of the three sequences around, by openssl asn1parse
		out[off] += 5
	}
	return out
}

func sizedField(number int, value []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3|2), uint64(len(value))), value...)
}

func number(n int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3), value)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// good is the smallest attestation.
func good() (key, quote, pcrs []byte) {
	entry := sizedField(2, join(number(1, 7), sizedField(2, make([]byte, 32))))
	return sizedField(1, []byte("key")), join(sizedField(1, []byte("attest")), sizedField(2, []byte("signature"))), sizedField(3, join(number(1, 11), entry))
}

func TestDecodeRefuses(t *testing.T) {
	key, quote, pcrs := good()
	q := func(parts ...[]byte) []byte { return join(key, sizedField(2, join(parts...))) }
	registers := func(parts ...[]byte) []byte { return q(quote, sizedField(3, join(parts...))) }
	entry := func(parts ...[]byte) []byte { return sizedField(2, join(parts...)) }
	value := sizedField(2, make([]byte, 32))
	whole := q(quote, pcrs)
	if a, err := Decode(whole); err != nil || len(a.Quotes) != 1 || len(a.Quotes[0].Values[7]) != 32 {
		t.Fatalf("smallest: got %+v, %v", a, err)
	}
	for name, b := range map[string][]byte{
		"empty":                     {},
		"no key":                    sizedField(2, join(quote, pcrs)),
		"no quote":                  key,
		"key twice":                 join(key, whole),
		"field 0":                   join(whole, []byte{2, 0}),
		"field 10":                  join(whole, sizedField(10, nil)),
		"number for bytes":          join(whole, number(3, 1)),
		"64-bit field":              join(whole, []byte{3<<3 | 1, 0, 0, 0, 0, 0, 0, 0, 0}),
		"group":                     join(whole, []byte{3<<3 | 3}),
		"long number":               append([]byte{0x8a, 0}, whole[1:]...),
		"number of 65 bits":         join(whole, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}),
		"number without an end":     join(whole, bytes.Repeat([]byte{0xff}, 12)),
		"length beyond the file":    join(whole, []byte{3<<3 | 2, 5, 1}),
		"huge length":               join(whole, []byte{3<<3 | 2}, binary.AppendUvarint(nil, 1<<63)),
		"two reports":               join(whole, sizedField(8, nil), sizedField(9, nil)),
		"bank twice":                join(whole, sizedField(2, join(quote, pcrs))),
		"quote without registers":   q(quote),
		"quote without a signature": q(sizedField(1, []byte("attest")), pcrs),
		"quote with another field":  q(quote, pcrs, sizedField(4, nil)),
		"quote's attest twice":      q(quote, quote, pcrs),
		"bank unknown":              registers(number(1, 0x12), entry(number(1, 7), value)),
		"bank of 17 bits":           registers(number(1, 0x1000b), entry(number(1, 7), value)),
		"bank missing":              registers(entry(number(1, 7), value)),
		"bank twice in registers":   registers(number(1, 11), number(1, 11), entry(number(1, 7), value)),
		"register 24":               registers(number(1, 11), entry(number(1, 24), value)),
		"register twice":            registers(number(1, 11), entry(number(1, 7), value), entry(number(1, 7), value)),
		"register without index":    registers(number(1, 11), entry(value)),
		"register without value":    registers(number(1, 11), entry(number(1, 7))),
		"register of SHA-1 size":    registers(number(1, 11), entry(number(1, 7), sizedField(2, make([]byte, 20)))),
		"register's key twice":      registers(number(1, 11), entry(number(1, 7), number(1, 7), value)),
		"nine intermediates":        join(whole, bytes.Repeat(sizedField(7, []byte("x")), maxIntermediate+1)),
		"instance unknown field":    join(whole, sizedField(4, sizedField(6, nil))),
		"instance not UTF-8":        join(whole, sizedField(4, sizedField(1, []byte{0xff}))),
		"instance negative":         join(whole, sizedField(4, number(5, 1<<63))),
		"instance long name":        join(whole, sizedField(4, sizedField(1, bytes.Repeat([]byte("x"), maxName+1)))),
		"too long":                  make([]byte, maxSize+1),
	} {
		if a, err := Decode(b); err == nil || !strings.HasPrefix(err.Error(), "parsing attestation: ") {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
	// What is known and not read is said.
	a, err := Decode(join(whole, sizedField(5, nil), sizedField(9, []byte("quote")), sizedField(4, join(sizedField(1, []byte("z")), number(5, 9)))))
	if err != nil || !a.CanonicalLog || a.Report != "TDX" || a.Instance.Zone != "z" || a.Instance.ID != 9 {
		t.Errorf("got %+v, %v", a, err)
	}
}

// encode is the inverse of Decode but for the fields that are not read.
func encode(a *Attestation) []byte {
	b := sizedField(1, a.AKPublic)
	for _, q := range a.Quotes {
		pcrs := number(1, uint64(q.Bank))
		for i := range pcrsOf(q) {
			pcrs = append(pcrs, sizedField(2, join(number(1, uint64(i)), sizedField(2, q.Values[i])))...)
		}
		b = append(b, sizedField(2, join(sizedField(1, q.Attest), sizedField(2, q.Signature), sizedField(3, pcrs)))...)
	}
	b = append(b, sizedField(3, a.EventLog)...)
	b = append(b, sizedField(6, a.AKCertificate)...)
	for _, c := range a.Intermediates {
		b = append(b, sizedField(7, c)...)
	}
	return b
}

func pcrsOf(q Quote) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range 24 {
			if _, ok := q.Values[i]; ok && !yield(i) {
				return
			}
		}
	}
}

// FuzzDecode: what decodes does so again after encoding, and nothing takes
// memory beyond a small multiple of the file.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"gce-cos-85-nonce9009.pb", "gce-cos-85-no-nonce.pb"} {
		f.Add(read(f, name))
	}
	key, quote, pcrs := good()
	f.Add(join(key, sizedField(2, join(quote, pcrs)), sizedField(4, number(5, 9)), sizedField(8, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, err := Decode(b)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(64<<10+4*len(b)) {
			t.Errorf("%d bytes took %d", len(b), got)
		}
		if err != nil {
			return
		}
		again, err := Decode(encode(a))
		if err != nil {
			t.Fatal(err)
		}
		again.Instance, again.CanonicalLog, again.Report = a.Instance, a.CanonicalLog, a.Report
		if diff := cmp.Diff(hashes(a), hashes(again)); diff != "" {
			t.Error(diff)
		}
	})
}

// hashes is an attestation in which nil and empty bytes are the same.
func hashes(a *Attestation) []string {
	var out []string
	add := func(parts ...[]byte) {
		for _, p := range parts {
			sum := sha256.Sum256(p)
			out = append(out, hex.EncodeToString(sum[:8]))
		}
	}
	add(a.AKPublic, a.EventLog, a.AKCertificate)
	add(a.Intermediates...)
	for _, q := range a.Quotes {
		add(q.Attest, q.Signature, []byte{byte(q.Bank)})
		for i := range pcrsOf(q) {
			add([]byte{byte(i)}, q.Values[i])
		}
	}
	return out
}
