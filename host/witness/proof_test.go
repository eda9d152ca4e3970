package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"safebox/verifier/tlog"
)

// cosignedTree is a tree by verifier/tlog, its checkpoint signed by a log's
// key and cosigned by the witness of a bench.
type cosignedTree struct {
	log     tlog.Key
	witness tlog.Key
	leaves  [][32]byte
	root    [32]byte
	note    []byte
}

// newCosignedTree has n entries, one of which is given.
func newCosignedTree(t testing.TB, n int64, at int, entry []byte) *cosignedTree {
	t.Helper()
	skey, vkey := sigsumLogKey(t)
	signer, err := tlog.NewLogSigner(skey)
	must(t, err)
	b := newBench(t)
	b.opts.Logs = []string{vkey}
	_, err = Add(b.dir, vkey)
	must(t, err)
	b.reopen(t)
	c := &cosignedTree{log: signer.Key(), witness: b.opts.Cosigners[0].Key()}
	for i := range int(n) {
		e := fmt.Appendf(nil, "entry %d", i)
		if i == at {
			e = entry
		}
		c.leaves = append(c.leaves, tlog.LeafHash(e))
	}
	c.root = tlog.RootHash(c.leaves)
	signed, err := signer.SignCheckpoint(&tlog.Checkpoint{Origin: signer.Name(), Size: n, Root: c.root})
	must(t, err)
	a := b.post(t, (&tlog.AddCheckpoint{Checkpoint: signed}).Encode())
	if a.Status != 200 {
		t.Fatalf("got %v, want a cosignature", a)
	}
	c.note = append(signed, a.Body...)
	return c
}

// TestProofElsewhere: a proof of our log, read by transparency-dev/formats and
// verified by transparency-dev/merkle; with a flipped bit it is refused.
func TestProofElsewhere(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 8, 9, 257} {
		for _, at := range []int64{0, n / 2, n - 1} {
			entry := []byte("a release")
			c := newCosignedTree(t, n, int(at), entry)
			ours := tlog.Proof{Index: at, Hashes: tlog.Inclusion(c.leaves, at), Checkpoint: c.note}
			var theirs fproof.TLogProof
			must(t, theirs.Unmarshal(ours.Encode()))
			if !bytes.Equal(theirs.Checkpoint, c.note) || theirs.Index != uint64(at) {
				t.Errorf("%d of %d: formats reads index %d and %q", at, n, theirs.Index, theirs.Checkpoint)
			}
			var hashes [][]byte
			for _, h := range theirs.Hashes {
				hashes = append(hashes, h[:])
			}
			leaf := rfc6962.DefaultHasher.HashLeaf(entry)
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, theirs.Index, uint64(n), leaf, hashes, c.root[:]); err != nil {
				t.Errorf("%d of %d: merkle: %v", at, n, err)
			}
			leaf[0] ^= 1
			if proof.VerifyInclusion(rfc6962.DefaultHasher, theirs.Index, uint64(n), leaf, hashes, c.root[:]) == nil {
				t.Errorf("%d of %d: merkle accepts another entry", at, n)
			}
		}
	}
}

// TestSigsumVerify: sigsum-verify accepts a proof of our log. It wants an entry
// of sigsum's kind, which sigsum-submit makes, and its own file format; the
// tree, the checkpoint's signature and our witness's cosignature are ours.
func TestSigsumVerify(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	tool(t, "", "sigsum-key", "generate", "-o", at("submitter"))
	const file = "release.json of a release\n"
	leaf := sigsumLeaf(t, tool(t, file, "sigsum-submit", "-k", at("submitter")))
	const size, index = 100, 41
	c := newCosignedTree(t, size, index, leaf)
	n, err := tlog.DecodeNote(c.note)
	must(t, err)
	cosignature := n.Signatures[1].Sig
	if len(n.Signatures) != 2 || len(cosignature) != 8+64 {
		t.Fatalf("got %d signatures, the last of %d bytes", len(n.Signatures), len(cosignature))
	}
	public := func(k tlog.Key) []byte { // the vkey's key bytes, through sigsum-key
		tool(t, k.String()+"\n", "sigsum-key", "from-vkey", "-o", at("key.pub"))
		b, err := hex.DecodeString(strings.TrimSpace(tool(t, "", "sigsum-key", "to-hex", "-k", at("key.pub"))))
		must(t, err)
		return b
	}
	logKey, witnessKey := public(c.log), public(c.witness)
	var text strings.Builder
	// doc/sigsum-proof.md of sigsum-go, version 2.
	fmt.Fprintf(&text, "version=2\nlog=%x\nleaf=%x %x\n\n", sha256.Sum256(logKey), leaf[96:], leaf[32:96])
	fmt.Fprintf(&text, "size=%d\nroot_hash=%x\nsignature=%x\ncosignature=%x %d %x\n\n", size, c.root, n.Signatures[0].Sig,
		sha256.Sum256(witnessKey), binary.BigEndian.Uint64(cosignature), cosignature[8:])
	fmt.Fprintf(&text, "leaf_index=%d\n", index)
	for _, h := range tlog.Inclusion(c.leaves, index) {
		fmt.Fprintf(&text, "node_hash=%x\n", h)
	}
	must(t, os.WriteFile(at("policy"), fmt.Appendf(nil, "log %x\nwitness ours %x\nquorum ours\n", logKey, witnessKey), 0o600))
	verify := func(proof string) error {
		must(t, os.WriteFile(at("proof"), []byte(proof), 0o600))
		cmd := exec.Command("sigsum-verify", "-k", at("submitter.pub"), "-p", at("policy"), at("proof"))
		cmd.Stdin = strings.NewReader(file)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := verify(text.String()); err != nil {
		t.Errorf("sigsum-verify: %v\n%s", err, &text)
	}
	// It looks: one digit of the root, of our cosignature, of a hash.
	for _, field := range []string{"root_hash=", "\ncosignature=", "node_hash="} {
		i := strings.Index(text.String(), field) + len(field)
		if field == "\ncosignature=" {
			i = strings.Index(text.String(), "\n\nleaf_index") - 1
		}
		digit := "0"
		if text.String()[i] == '0' {
			digit = "1"
		}
		if verify(text.String()[:i]+digit+text.String()[i+1:]) == nil {
			t.Errorf("sigsum-verify accepts another digit in %q", field)
		}
	}
}

// sigsumLeaf gives the leaf that a sigsum log makes of an add-leaf request:
// checksum, signature and key hash (sigsum log.md, section 2.2.1).
func sigsumLeaf(t testing.TB, request string) []byte {
	t.Helper()
	value := map[string][]byte{}
	for line := range strings.Lines(request) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), "=")
		b, err := hex.DecodeString(text)
		must(t, err)
		value[name] = b
	}
	checksum, key := sha256.Sum256(value["message"]), sha256.Sum256(value["public_key"])
	leaf := append(append(checksum[:], value["signature"]...), key[:]...)
	if len(leaf) != 128 {
		t.Fatalf("got a leaf of %d bytes, want 128", len(leaf))
	}
	return leaf
}
