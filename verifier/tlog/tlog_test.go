package tlog_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/verifier/tlog"
)

// now is a time of cosignatures, in Unix seconds.
const now = 1_760_000_000

// origin is the log of the tests.
const origin = "log.example/releases"

// seed gives a generator that makes one key.
func seed(n byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{n}, 32)) }

// logSigner makes a log's key from 32 equal bytes.
func logSigner(t testing.TB, name string, n byte) *tlog.LogSigner {
	t.Helper()
	skey, vkey, err := tlog.GenerateLogKey(name, seed(n))
	if err != nil {
		t.Fatal(err)
	}
	s, err := tlog.NewLogSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Key().String(); got != vkey {
		t.Fatalf("public key: got %s, want %s", got, vkey)
	}
	return s
}

// cosigner makes a witness's key from 32 equal bytes.
func cosigner(t testing.TB, name string, a tlog.Algorithm, n byte) *tlog.Cosigner {
	t.Helper()
	skey, vkey, err := tlog.GenerateWitnessKey(name, a, seed(n))
	if err != nil {
		t.Fatal(err)
	}
	s, err := tlog.NewCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Key().String(); got != vkey {
		t.Fatalf("public key: got %s, want %s", got, vkey)
	}
	return s
}

// signed is the log's note of a checkpoint.
func signed(t testing.TB, s *tlog.LogSigner, c *tlog.Checkpoint) []byte {
	t.Helper()
	note, err := s.SignCheckpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	return note
}

// cosigned adds a cosignature to a note.
func cosigned(t testing.TB, note []byte, s *tlog.Cosigner, time int64) []byte {
	t.Helper()
	c, err := tlog.DecodeCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	line, err := s.Cosign(c, time)
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(note), line...)
}

// policy reads a policy that must be good.
func policy(t testing.TB, lines ...string) *tlog.Policy {
	t.Helper()
	p, err := tlog.ParsePolicy([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// key reads a verifier key that must be good.
func key(t testing.TB, vkey string) tlog.Key {
	t.Helper()
	k, err := tlog.ParseKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// leaves are the hashes of n different entries.
func leaves(n int) [][32]byte {
	hashes := make([][32]byte, n)
	for i := range hashes {
		hashes[i] = tlog.LeafHash([]byte{byte(i), byte(i >> 8)})
	}
	return hashes
}

// read gives a file of testdata.
func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantError checks that err is there and says want.
func wantError(t testing.TB, name string, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got no error, want one of %q", name, want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got error %q, want one of %q", name, err, want)
	}
}

// loose sets the unused bits of the last character before one "=", which
// changes nothing of what a lenient decoder reads.
func loose(t testing.TB, s string) string {
	t.Helper()
	at := strings.LastIndex(s, "=")
	for at > 0 && s[at-1] == '=' {
		at--
	}
	changed := s[:at-1] + string(s[at-1]+1) + s[at:]
	a, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(changed)
	if err != nil || !bytes.Equal(a, b) {
		t.Fatalf("%q and %q do not decode to the same", s, changed)
	}
	return changed
}
