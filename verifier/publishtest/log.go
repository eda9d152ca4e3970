package publishtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// Log is a log in memory. It keeps no promise: Sign states whatever it is
// asked to, so that one Log can fork another.
type Log struct {
	Name    string // origin and name of the key
	Entries [][]byte
}

// Cosigner is a witness that cosigns a checkpoint.
type Cosigner struct {
	Name string
	Time time.Time
}

// Body is the text of the checkpoint of all entries (C2SP tlog-checkpoint,
// section "Note text").
func (l *Log) Body() []byte {
	root := treeHash(l.Entries)
	return fmt.Appendf(nil, "%s\n%d\n%s\n", l.Name, len(l.Entries), base64.StdEncoding.EncodeToString(root[:]))
}

// Checkpoint is the checkpoint of all entries, signed by the log and cosigned.
func (l *Log) Checkpoint(t testing.TB, cosigners ...Cosigner) []byte {
	t.Helper()
	return SignCheckpoint(t, l.Name, l.Body(), cosigners...)
}

// SignCheckpoint signs a note text as the log of a name and cosigns it, even
// if it is no checkpoint.
func SignCheckpoint(t testing.TB, name string, body []byte, cosigners ...Cosigner) []byte {
	t.Helper()
	note := append(bytes.Clone(body), '\n')
	key := logKey(name)
	note = appendSignature(note, &key, key.sign(t, body))
	for _, c := range cosigners {
		key := witnessKey(t, c.Name)
		stamp := binary.BigEndian.AppendUint64(nil, uint64(c.Time.Unix()))
		note = appendSignature(note, &key, append(stamp, key.sign(t, cosigned(t, &key, body, c.Time))...))
	}
	return note
}

// appendSignature adds a line "— name base64(key ID || signature)"
// (C2SP signed-note, section "Format").
func appendSignature(note []byte, key *noteKey, signature []byte) []byte {
	value := append(binary.BigEndian.AppendUint32(nil, key.id()), signature...)
	return fmt.Appendf(note, "\u2014 %s %s\n", key.name, base64.StdEncoding.EncodeToString(value))
}

// cosigned is what a witness signs (C2SP tlog-cosignature, sections "Ed25519
// signed message" and "ML-DSA-44 signed message").
func cosigned(t testing.TB, key *noteKey, body []byte, at time.Time) []byte {
	t.Helper()
	if key.algorithm != algorithmMLDSA {
		return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at.Unix()), body...)
	}
	var origin, encoded string
	var size uint64
	if _, err := fmt.Sscanf(string(body), "%s\n%d\n%s\n", &origin, &size, &encoded); err != nil {
		t.Fatalf("checkpoint %q: %v", body, err)
	}
	root, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatalf("checkpoint %q: %v", body, err)
	}
	m := append([]byte("subtree/v1\n\x00"), byte(len(key.name)))
	m = append(m, key.name...)
	m = binary.BigEndian.AppendUint64(m, uint64(at.Unix()))
	m = append(append(m, byte(len(origin))), origin...)
	m = binary.BigEndian.AppendUint64(m, 0) // from the first entry
	m = binary.BigEndian.AppendUint64(m, size)
	return append(m, root...)
}

// Proof is the proof of an entry with the checkpoint in it (C2SP tlog-proof,
// section "Format").
func (l *Log) Proof(i int, checkpoint []byte) []byte {
	p := fmt.Appendf(nil, "c2sp.org/tlog-proof@v1\nindex %d\n", i)
	for _, h := range auditPath(l.Entries, i) {
		p = fmt.Appendf(p, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	return append(append(p, '\n'), checkpoint...)
}

// treeHash is MTH (RFC 6962, section 2.1), straight from its definition: the
// tests of package tlog's callers then compare two ways.
func treeHash(entries [][]byte) [sha256.Size]byte {
	switch len(entries) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	}
	k := split(len(entries))
	return parent(treeHash(entries[:k]), treeHash(entries[k:]))
}

func parent(left, right [sha256.Size]byte) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// split is the largest power of two below n, which is 2 or more.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// auditPath is PATH (RFC 6962, section 2.1.1).
func auditPath(entries [][]byte, i int) [][sha256.Size]byte {
	if len(entries) <= 1 {
		return nil
	}
	k := split(len(entries))
	if i < k {
		return append(auditPath(entries[:k], i), treeHash(entries[k:]))
	}
	return append(auditPath(entries[k:], i-k), treeHash(entries[:k]))
}
