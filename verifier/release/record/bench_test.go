package record_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// entries makes a log's entries: of ten, three releases, six rebuilds and one
// revocation, all different.
func entries(b *testing.B, n int) [][]byte {
	b.Helper()
	signer, err := dsse.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		b.Fatal(err)
	}
	list := make([][]byte, n)
	for i := range list {
		var digest canon.Octets32
		binary.BigEndian.PutUint32(digest[:], uint32(i)+1)
		var statement []byte
		switch {
		case i%10 < 3:
			r := goodRelease()
			r.Digest = digest
			statement, err = r.Encode()
		case i%10 < 9:
			r := goodMatch()
			r.Digest, r.Rebuilt = digest, digest
			statement, err = r.Encode()
		default:
			r := goodRevoke()
			r.Digests = []canon.Octets32{digest}
			statement, err = r.Encode()
		}
		if err != nil {
			b.Fatal(err)
		}
		if list[i], err = record.Sign(statement, signer); err != nil {
			b.Fatal(err)
		}
	}
	return list
}

// BenchmarkDecode reads the 1,000 entries of a log, compared with what
// encoding/json takes to read only the envelopes, without any check.
func BenchmarkDecode(b *testing.B) {
	list := entries(b, 1000)
	b.ReportAllocs()
	benchtest.Ratio(b, "x-of-json.Unmarshal", func() {
		for _, entry := range list {
			if _, err := record.Decode(entry); err != nil {
				b.Fatal(err)
			}
		}
	}, func() {
		for _, entry := range list {
			var e dsse.Envelope
			if err := json.Unmarshal(entry, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
