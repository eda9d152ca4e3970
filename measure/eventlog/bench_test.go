package eventlog

import (
	"crypto/sha256"
	"crypto/sha512"
	"testing"

	"safebox/measure/benchtest"
)

// BenchmarkReplay decodes the log of a real boot and replays two banks. It
// compares with the hashing alone: a TPM's extend is one hash of two digests
// for each event and bank.
func BenchmarkReplay(b *testing.B) {
	raw := readFile(b, "uefi/esp/evlog.bin")
	l, err := Decode(raw)
	if err != nil {
		b.Fatal(err)
	}
	pair := make([]byte, 2*sha512.Size384)
	benchtest.Ratio(b, "x-of-hash-bound", func() {
		l, err := Decode(raw)
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range []Algorithm{SHA256, SHA384} {
			if _, err := l.Replay(a); err != nil {
				b.Fatal(err)
			}
		}
	}, func() {
		for range l.Events {
			sha256.Sum256(pair[:2*sha256.Size])
			sha512.Sum384(pair)
		}
	})
}
