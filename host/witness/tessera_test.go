package witness

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"

	"safebox/verifier/tlog"
)

// TestTessera: a log by tessera, whose own client asks our witnesses of both
// kinds, gets every checkpoint cosigned, also after a restart, when it does
// not know what they hold. formats/note and verifier/tlog verify the result.
func TestTessera(t *testing.T) {
	dir := t.TempDir()
	log := newTestLog(t, testOrigin)
	policy := "log " + log.vkey + "\n"
	var vkeys []string
	for i, kind := range []tlog.Algorithm{tlog.CosignatureEd25519, tlog.CosignatureMLDSA44} {
		b := newBench(t, kind)
		b.log, b.opts.Logs = log, []string{log.vkey}
		b.opts.Now = time.Now
		must(t, b.w.Close())
		b.dir += "-tessera"
		_, err := Add(b.dir, log.vkey)
		must(t, err)
		b.open(t)
		server := httptest.NewServer(b.w.Handler())
		t.Cleanup(server.Close)
		policy += fmt.Sprintf("witness w%d %s %s\n", i, b.vkeys[0], server.URL)
		vkeys = append(vkeys, b.vkeys[0])
	}
	policy += "group both all w0 w1\nquorum both\n"
	parsed, err := tlog.ParsePolicy([]byte(policy))
	must(t, err)
	for restart := range 3 {
		note, entry, proof := tesseraRun(t, dir, log, policy, 300)
		opened, err := parsed.Open(note)
		must(t, err)
		if _, ok := parsed.Quorum(opened.Cosignatures); !ok || opened.Checkpoint.Size != int64(300*(restart+1)) {
			t.Errorf("run %d: quorum %v, size %d, want %d", restart, ok, opened.Checkpoint.Size, 300*(restart+1))
		}
		n, err := tlog.DecodeNote(note)
		must(t, err)
		lines := ""
		for _, s := range n.Signatures[1:] {
			lines += s.String()
		}
		cosignatureTimes(t, log.sign(t, string(n.Text)), lines, vkeys)
		decoded, err := tlog.DecodeProof(proof)
		must(t, err)
		if err := decoded.Check(entry, &opened.Checkpoint); err != nil {
			t.Errorf("run %d: tessera's proof: %v", restart, err)
		}
	}
}

// tesseraRun appends n entries and gives the log's checkpoint and the last
// entry with its proof.
func tesseraRun(t *testing.T, dir string, log *testLog, policy string, n int) (note, entry, file []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	group, err := tessera.NewWitnessGroupFromPolicy([]byte(policy))
	must(t, err)
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	must(t, err)
	o := tessera.NewAppendOptions().WithCheckpointSigner(log.signer).WithBatching(50, 20*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).WithWitnesses(group, &tessera.WitnessOptions{Timeout: 10 * time.Second})
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, o)
	must(t, err)
	var last tessera.IndexFuture
	for i := range n {
		entry = fmt.Appendf(nil, "entry %d", i)
		last = appender.Add(ctx, tessera.NewEntry(entry))
	}
	index, note, err := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 20*time.Millisecond).Await(ctx, last)
	must(t, err)
	c, err := tlog.DecodeCheckpoint(note)
	must(t, err)
	builder, err := client.NewProofBuilder(ctx, uint64(c.Size), reader.ReadTile)
	must(t, err)
	hashes, err := builder.InclusionProof(ctx, index.Index)
	must(t, err)
	must(t, shutdown(ctx))
	return note, entry, proofFile(index.Index, hashes, note)
}

// proofFile writes a tlog-proof by transparency-dev/formats.
func proofFile(index uint64, hashes [][]byte, note []byte) []byte {
	p := fproof.TLogProof{Index: index, Checkpoint: note}
	for _, h := range hashes {
		p.Hashes = append(p.Hashes, [32]byte(h))
	}
	return p.Marshal()
}
