package tlog

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// origin is the name of the log under test.
const origin = "log.example/test"

// seed gives a key's 32 octets, other ones for each number.
func seed(n int) []byte { return benchtest.Bytes(32 * (n + 1))[32*n:] }

// newSigner makes a submitter's key.
func newSigner(t testing.TB, n int) dsse.Signer {
	t.Helper()
	s, err := dsse.NewSigner(ed25519.NewKeyFromSeed(seed(n)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newEntry makes a release record that no other number has.
func newEntry(t testing.TB, n int, signers ...dsse.Signer) []byte {
	t.Helper()
	r := record.Release{
		Digest: canon.Octets32{0: 1}, Version: fmt.Sprintf("1.0.%d", n), SVN: 1,
		Source: record.Source{
			Commit: strings.Repeat("a1", 20), Tree: strings.Repeat("b2", 20),
			Sum: "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", // sha256(""), from sha256sum
		},
	}
	statement, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	entry, err := record.Sign(statement, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// lab is a log's folder and what runs in it.
type lab struct {
	Options
	publisher dsse.Signer
	vkey      string
	notes     *notes
}

// notes is what a log had to tell.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.list, "\n")
}

func newLab(t testing.TB) *lab {
	t.Helper()
	skey, vkey, err := tlog.GenerateLogKey(origin, bytes.NewReader(seed(0)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := tlog.NewLogSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{publisher: newSigner(t, 1), vkey: vkey, notes: &notes{}}
	l.Options = Options{
		Dir: filepath.Join(t.TempDir(), "deep", "log"), Key: key,
		Submitters: []dsse.PublicKey{l.publisher.Public()}, Note: l.notes.add,
	}
	if err := Create(l.Dir, key); err != nil {
		t.Fatal(err)
	}
	return l
}

// open opens the log, and closes it with the test.
func (l *lab) open(t testing.TB) *Log {
	t.Helper()
	log, err := Open(l.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return log
}

// entry makes an entry of the publisher.
func (l *lab) entry(t testing.TB, n int) []byte { return newEntry(t, n, l.publisher) }

// fill appends entries n to m-1, all at once.
func (l *lab) fill(t testing.TB, log *Log, n, m int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := n; i < m; i++ {
		entry := l.entry(t, i)
		wg.Go(func() {
			if _, err := log.Append(t.Context(), entry); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// client serves the log and gives a client of it.
func serve(t testing.TB, log *Log) (*Client, string) {
	t.Helper()
	server := httptest.NewServer(log.Handler())
	t.Cleanup(server.Close)
	c, err := NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return c, server.URL
}

// policy parses a policy that lists the log and has these lines.
func (l *lab) policy(t testing.TB, lines ...string) *tlog.Policy {
	t.Helper()
	p, err := tlog.ParsePolicy([]byte("log " + l.vkey + "\n" + strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
