package witness

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"
)

// testLog is a log by golang.org/x/mod/sumdb (notes, Merkle trees and proofs),
// so that nothing it submits comes from the packages under test.
type testLog struct {
	signer note.Signer
	vkey   string
	hashes []xtlog.Hash // stored hashes
	size   int64
}

func newTestLog(t testing.TB, origin string) *testLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &testLog{signer: signer, vkey: vkey}
}

// fork is another log of the same key.
func (l *testLog) fork() *testLog {
	return &testLog{signer: l.signer, vkey: l.vkey, hashes: bytesClone(l.hashes), size: l.size}
}

func bytesClone(h []xtlog.Hash) []xtlog.Hash { return append([]xtlog.Hash(nil), h...) }

// ReadHashes is tlog.HashReader.
func (l *testLog) ReadHashes(indexes []int64) ([]xtlog.Hash, error) {
	out := make([]xtlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

// grow appends entries named after branch until the log has n.
func (l *testLog) grow(t testing.TB, n int64, branch string) {
	t.Helper()
	for ; l.size < n; l.size++ {
		h, err := xtlog.StoredHashes(l.size, fmt.Appendf(nil, "%s %d", branch, l.size), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
	}
}

func (l *testLog) root(t testing.TB, size int64) xtlog.Hash {
	t.Helper()
	h, err := xtlog.TreeHash(size, l)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// checkpoint is the signed checkpoint of the first size entries.
func (l *testLog) checkpoint(t testing.TB, size int64) []byte {
	t.Helper()
	root := l.root(t, size)
	return l.sign(t, fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), size, base64.StdEncoding.EncodeToString(root[:])))
}

// sign signs any text as the log.
func (l *testLog) sign(t testing.TB, text string) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (l *testLog) proof(t testing.TB, old, size int64) []xtlog.Hash {
	t.Helper()
	if old == 0 || old == size {
		return nil
	}
	p, err := xtlog.ProveTree(size, old, l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request is the body of add-checkpoint.
func request(old int64, proof []xtlog.Hash, checkpoint []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h[:]))
	}
	fmt.Fprintf(&b, "\n%s", checkpoint)
	return b.Bytes()
}

// step is the request for a step of the log from old to size.
func (l *testLog) step(t testing.TB, old, size int64) []byte {
	t.Helper()
	return request(old, l.proof(t, old, size), l.checkpoint(t, size))
}
