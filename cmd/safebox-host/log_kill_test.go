package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	hosttlog "safebox/host/tlog"
	"safebox/measure/benchtest"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

const (
	kills   = 20
	clients = 48
)

// killAppends is how many entries TestLogKilled appends in all: 10,000, or for
// a longer run as many as LOG_KILL_APPENDS says (200000: 10,000 for each kill).
func killAppends(t *testing.T) int {
	text, ok := os.LookupEnv("LOG_KILL_APPENDS")
	if !ok {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < kills {
		t.Fatalf("LOG_KILL_APPENDS=%q, want a number from %d", text, kills)
	}
	return n
}

// TestLogKilled kills the log server with SIGKILL 20 times while 48 clients
// append 10,000 entries. Afterwards every entry that was acknowledged is where
// its receipt said, none is there twice, and all checkpoints that anybody ever
// saw (in the file, over HTTP, or sent to the witness, published or not) are of
// one tree.
func TestLogKilled(t *testing.T) {
	total := killAppends(t)
	k := newKillTest(t, total)
	for round := range kills {
		until := int64(total * (round + 1) / (kills + 1)) // of all that are to be acknowledged
		k.run(t, until, syscall.SIGKILL)
	}
	k.run(t, int64(total), syscall.SIGTERM)
	k.check(t)
}

// killTest is a log, its clients, and all that was seen of it.
type killTest struct {
	dir, keyFile, policyFile, submitters string
	key                                  tlog.Key
	entries                              [][]byte
	todo                                 chan int // entries not acknowledged yet
	acked                                atomic.Int64

	mu       sync.Mutex
	receipts map[int]hosttlog.Receipt // by entry
	seen     map[string]string        // checkpoint text to who saw it first
	notes    map[string][]byte        // checkpoint text to a signed note of it
}

func newKillTest(t *testing.T, total int) *killTest {
	dir := t.TempDir()
	k := &killTest{
		dir: filepath.Join(dir, "log"), keyFile: filepath.Join(dir, "log.key"),
		policyFile: filepath.Join(dir, "policy"), submitters: filepath.Join(dir, "submitters"),
		todo: make(chan int, total), receipts: map[int]hosttlog.Receipt{},
		seen: map[string]string{}, notes: map[string][]byte{},
	}
	skey, vkey, err := tlog.GenerateLogKey("log.example/killed", bytes.NewReader(benchtest.Bytes(32)))
	if err != nil {
		t.Fatal(err)
	}
	if k.key, err = tlog.ParseKey(vkey); err != nil {
		t.Fatal(err)
	}
	publisher, err := dsse.NewSigner(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	witnessLine := k.startWitness(t)
	for path, text := range map[string]string{
		k.keyFile:    skey,
		k.submitters: publisher.Public().String(),
		k.policyFile: "log " + vkey + "\n" + witnessLine + "\nquorum W",
	} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("safebox-host", "log", "create", "--dir", k.dir, "--key", k.keyFile).CombinedOutput(); err != nil {
		t.Fatalf("log create: %v: %s", err, out)
	}
	for i := range total {
		k.entries = append(k.entries, logEntry(t, publisher, i))
		k.todo <- i
	}
	return k
}

// logEntry makes a release record that no other number has.
func logEntry(t testing.TB, s dsse.Signer, n int) []byte {
	r := record.Release{
		Digest: canon.Octets32{0: 1}, Version: fmt.Sprintf("1.0.%d", n), SVN: 1,
		Source: record.Source{
			Commit: strings.Repeat("a1", 20), Tree: strings.Repeat("b2", 20),
			Sum: "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", // of nothing at all: sha256("")
		},
	}
	statement, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	entry, err := record.Sign(statement, s)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// startWitness starts a witness that cosigns whatever it is sent, and keeps
// it: what a server signed and never published counts too. It gives its line
// in the policy.
func (k *killTest) startWitness(t *testing.T) string {
	skey, vkey, err := tlog.GenerateWitnessKey("witness.example/w", tlog.CosignatureEd25519, bytes.NewReader(benchtest.Bytes(64)[32:]))
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := tlog.NewCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the log was killed meanwhile
		}
		a, err := tlog.DecodeAddCheckpoint(body)
		if err != nil {
			t.Errorf("witness: %v", err)
			return
		}
		c := k.saw(t, "witness", a.Checkpoint)
		if c == nil {
			return
		}
		line, err := cosigner.Cosign(c, time.Now().Unix())
		if err != nil {
			t.Errorf("witness: %v", err)
			return
		}
		if _, err := w.Write(line); err != nil {
			return // likewise
		}
	}))
	t.Cleanup(server.Close)
	return "witness W " + vkey + " " + server.URL
}

// saw remembers a checkpoint, which the log must have signed.
func (k *killTest) saw(t *testing.T, who string, note []byte) *tlog.Checkpoint {
	c, err := tlog.OpenSigned(note, []tlog.Key{k.key})
	if err != nil {
		t.Errorf("%s saw a checkpoint %q: %v", who, note, err)
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if text := string(c.Text()); k.notes[text] == nil {
		k.seen[text], k.notes[text] = who, note
	}
	return c
}

// run serves the log until that many entries have been acknowledged in all,
// and ends it with the signal while clients append.
func (k *killTest) run(t *testing.T, until int64, end syscall.Signal) {
	cmd := exec.Command("safebox-host", "log", "serve", "--dir", k.dir, "--key", k.keyFile,
		"--listen", "127.0.0.1:0", "--witnesses", k.policyFile, "--submitters", k.submitters)
	url, stderr := listening(t, cmd)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range clients {
		working.Go(func() { k.client(ctx, t, url) })
	}
	working.Go(func() { k.watch(ctx, t, url) })
	for deadline := time.Now().Add(2 * time.Minute); k.acked.Load() < until; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%d entries acknowledged after 2 minutes, want %d", k.acked.Load(), until)
			break
		}
	}
	if end == syscall.SIGKILL {
		time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond) // anywhere between two fsyncs
	}
	if err := cmd.Process.Signal(end); err != nil {
		t.Error(err)
	}
	err := cmd.Wait()
	cancel()
	working.Wait()
	if end == syscall.SIGTERM && err != nil {
		t.Errorf("ended by SIGTERM: %v: %s", err, stderr.String())
	}
	if t.Failed() {
		t.FailNow()
	}
}

// client appends what is still to do.
func (k *killTest) client(ctx context.Context, t *testing.T, url string) {
	c, err := hosttlog.NewClient(url)
	if err != nil {
		t.Error(err)
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case i := <-k.todo:
			r, err := c.Append(ctx, k.entries[i])
			if err != nil { // killed under our hands: again, next time
				k.todo <- i
				if ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				continue
			}
			k.mu.Lock()
			k.receipts[i] = r
			k.mu.Unlock()
			k.acked.Add(1)
		}
	}
}

// watch looks at the published checkpoint as often as it can, in turn in the
// file and over HTTP.
func (k *killTest) watch(ctx context.Context, t *testing.T, url string) {
	for ctx.Err() == nil {
		note, err := os.ReadFile(filepath.Join(k.dir, "checkpoint"))
		if err != nil {
			t.Error(err)
			return
		}
		k.saw(t, "file", note)
		if resp, err := http.Get(url + "/checkpoint"); err == nil {
			note, err := io.ReadAll(resp.Body)
			if errors.Join(err, resp.Body.Close()) == nil {
				k.saw(t, "HTTP", note)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// check reads the folder as a static file server would give it.
func (k *killTest) check(t *testing.T) {
	note, err := os.ReadFile(filepath.Join(k.dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	last := k.saw(t, "file", note)
	if last.Size != int64(len(k.entries)) {
		t.Errorf("the log has %d entries, want %d: each once", last.Size, len(k.entries))
	}
	inLog := readLog(t, k.dir, last.Size)
	leaves := make([][32]byte, len(inLog))
	for i, e := range inLog {
		leaves[i] = tlog.LeafHash(e)
	}
	if len(k.receipts) != len(k.entries) {
		t.Errorf("%d entries acknowledged, want %d", len(k.receipts), len(k.entries))
	}
	for i, r := range k.receipts {
		if r.Index >= last.Size || !bytes.Equal(inLog[r.Index], k.entries[i]) {
			t.Errorf("LOST: entry %d, acknowledged at index %d", i, r.Index)
		}
	}
	k.checkSeen(t, leaves)
}

// checkSeen proves all checkpoints consistent, each with the next larger one.
func (k *killTest) checkSeen(t *testing.T, leaves [][32]byte) {
	bySize := map[int64]*tlog.Checkpoint{}
	unpublished := 0
	for text, note := range k.notes {
		c, err := tlog.OpenSigned(note, []tlog.Key{k.key})
		if err != nil {
			t.Fatal(err)
		}
		if other := bySize[c.Size]; other != nil {
			t.Errorf("FORK: two trees of size %d: %x and %x (seen by %s)", c.Size, c.Root, other.Root, k.seen[text])
		}
		bySize[c.Size] = c
		if k.seen[text] == "witness" {
			unpublished++
		}
	}
	sizes := slices.Sorted(maps.Keys(bySize))
	for i := 1; i < len(sizes); i++ {
		old, c := bySize[sizes[i-1]], bySize[sizes[i]]
		proof := tlog.Consistency(leaves[:c.Size], old.Size)
		if err := tlog.CheckConsistency(proof, old.Size, old.Root, c.Size, c.Root); err != nil {
			t.Errorf("FORK: from %d to %d entries: %v", old.Size, c.Size, err)
		}
	}
	if len(sizes) < 2*kills {
		t.Errorf("only %d checkpoints were seen: the test looks at nothing", len(sizes))
	}
	t.Logf("%d checkpoints of different size, %d of them seen first by the witness", len(sizes), unpublished)
}

// readLog reads all entries from the entry bundles in the folder.
func readLog(t *testing.T, dir string, size int64) [][]byte {
	var entries [][]byte
	for n := int64(0); n*tlog.BundleWidth < size; n++ {
		path, err := tlog.EntryBundlePath(n, int(min(size-n*tlog.BundleWidth, tlog.BundleWidth)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		list, err := tlog.DecodeEntries(b)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, list...)
	}
	if int64(len(entries)) != size {
		t.Fatalf("%d entries in the bundles, want %d", len(entries), size)
	}
	return entries
}
