package publishtest

import (
	"bytes"
	"encoding/base64"
	"testing"

	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// Envelope signs any statement, also one that package record would refuse.
func Envelope(t testing.TB, statement []byte, signers ...dsse.Signer) []byte {
	t.Helper()
	e := &dsse.Envelope{Payload: statement, PayloadType: record.PayloadType}
	for _, s := range signers {
		if err := e.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FlipSignature changes one bit of the first signature of an entry, which
// stays canonical.
func FlipSignature(t testing.TB, entry []byte) []byte {
	t.Helper()
	const name = `"sig":"`
	from := bytes.Index(entry, []byte(name)) + len(name)
	n := bytes.IndexByte(entry[max(from, 0):], '"')
	if from < len(name) || n < 0 {
		t.Fatalf("no signature in %s", entry)
	}
	sig, err := base64.StdEncoding.DecodeString(string(entry[from : from+n]))
	if err != nil {
		t.Fatal(err)
	}
	sig[len(sig)/2] ^= 1
	out := bytes.Clone(entry)
	copy(out[from:], base64.StdEncoding.EncodeToString(sig))
	return out
}
