package tlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	mproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"safebox/host/lockfile"
	"safebox/verifier/tlog"
)

// TestAppend: an entry has one index for ever, also over restarts.
func TestAppend(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	for i, want := range []Receipt{{0, 1, true}, {1, 2, true}} {
		if got, err := log.Append(t.Context(), l.entry(t, i)); err != nil || got != want {
			t.Errorf("entry %d: got %+v, %v, want %+v", i, got, err, want)
		}
	}
	if got, err := log.Append(t.Context(), l.entry(t, 0)); err != nil || got != (Receipt{0, 2, false}) {
		t.Errorf("again: got %+v, %v", got, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), l.entry(t, 5)); !errors.Is(err, ErrStopped) {
		t.Errorf("after Close: got %v", err)
	}
	if err := log.Err(); err != nil {
		t.Errorf("after Close: got error %v", err)
	}
	log = l.open(t)
	for i, want := range []Receipt{{0, 2, false}, {1, 2, false}, {2, 3, true}} {
		if got, err := log.Append(t.Context(), l.entry(t, i)); err != nil || got != want {
			t.Errorf("after a restart, entry %d: got %+v, %v, want %+v", i, got, err, want)
		}
	}
}

// TestAppendTogether: the same entry from many sides is one entry.
func TestAppendTogether(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	entry := l.entry(t, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 40 {
		wg.Go(func() {
			r, err := log.Append(t.Context(), entry)
			if err != nil || r.Index != 0 {
				t.Errorf("got %+v, %v", r, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.New {
				created++
			}
		})
	}
	wg.Wait()
	if created != 1 {
		t.Errorf("%d calls say that they put it there, want 1", created)
	}
	c, err := tlog.DecodeCheckpoint(log.Checkpoint())
	if err != nil || c.Size != 1 {
		t.Errorf("got %+v, %v, want one entry", c, err)
	}
}

// TestOthersRead: programs of others read what the log serves. Checkpoint and
// proofs by transparency-dev/formats and merkle, all files over HTTP by
// tessera's client and fsck. 600 entries have two full tiles and a partial
// one; 1,000 begin a second level.
func TestOthersRead(t *testing.T) {
	l := newLab(t)
	l.batches(t, 600)
	server := l.open(t)
	_, url := serve(t, server)
	verifier, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := log.ParseCheckpoint(server.Checkpoint(), origin, verifier)
	if err != nil || checkpoint.Size != 600 {
		t.Fatalf("got %+v, %v", checkpoint, err)
	}
	for _, i := range []int{0, 255, 256, 511, 599} {
		leaf := rfc6962.DefaultHasher.HashLeaf(l.entry(t, i))
		b, ok, err := server.Proof([32]byte(leaf))
		if err != nil || !ok {
			t.Fatalf("proof of entry %d: %v, %v", i, ok, err)
		}
		var p proof.TLogProof
		if err := p.Unmarshal(b); err != nil {
			t.Fatalf("proof of entry %d: %v", i, err)
		}
		var hashes [][]byte
		for _, h := range p.Hashes {
			hashes = append(hashes, h[:])
		}
		if err := mproof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, checkpoint.Size, leaf, hashes, checkpoint.Hash); err != nil {
			t.Errorf("proof of entry %d: %v", i, err)
		}
		if !bytes.Equal(p.Checkpoint, server.Checkpoint()) {
			t.Errorf("proof of entry %d has another checkpoint", i)
		}
	}
	checkWithFsck(t, url, verifier)
}

// checkWithFsck has tessera's fsck recompute the whole log over HTTP.
func checkWithFsck(t *testing.T, base string, verifier note.Verifier) {
	t.Helper()
	root, err := url.Parse(base + "/")
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(root, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	hashes := func(bundle []byte) ([][]byte, error) {
		var list [][]byte
		entries, err := tlog.DecodeEntries(bundle)
		for _, e := range entries {
			list = append(list, rfc6962.DefaultHasher.HashLeaf(e))
		}
		return list, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := fsck.New(origin, verifier, fetcher, hashes, fsck.Opts{N: 2}).Check(ctx); err != nil {
		t.Errorf("fsck: %v", err)
	}
}

// batches fills the log with n entries in a few restarts.
func (l *lab) batches(t *testing.T, n int) {
	t.Helper()
	for from := 0; from < n; from += 250 {
		log, err := Open(l.Options)
		if err != nil {
			t.Fatal(err)
		}
		// In order: the tests want to know where an entry is.
		for i := from; i < min(from+250, n); i++ {
			l.place(t, log, i)
		}
		if _, err := log.await(t.Context(), int64(min(from+250, n)-1)); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// place gives the next entry to the store, without waiting for it.
func (l *lab) place(t *testing.T, log *Log, n int) {
	t.Helper()
	entry := l.entry(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if i, _, err := log.place(ctx, entry); err != nil && !errors.Is(err, ErrUnpublished) {
		t.Fatalf("entry %d: %d, %v", n, i, err)
	}
}

// TestCreate: a log begins once.
func TestCreate(t *testing.T) {
	l := newLab(t)
	if err := Create(l.Dir, l.Key); !errors.Is(err, ErrExists) {
		t.Errorf("a second time: got %v", err)
	}
	l.fill(t, l.open(t), 0, 1)
	o := l.Options
	o.Dir = t.TempDir()
	if _, err := Open(o); !errors.Is(err, ErrNone) {
		t.Errorf("no log: got %v", err)
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, ".state"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, treeState), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Create(o.Dir, l.Key); !errors.Is(err, ErrExists) {
		t.Errorf("a tree without checkpoint: got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	otherKey := func(t *testing.T) *tlog.LogSigner {
		skey, _, err := tlog.GenerateLogKey(origin, bytes.NewReader(seed(9)))
		if err != nil {
			t.Fatal(err)
		}
		k, err := tlog.NewLogSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, l *lab)
		want   string
	}{
		"no key":        {func(_ *testing.T, l *lab) { l.Key = nil }, "no key"},
		"another key":   {func(t *testing.T, l *lab) { l.Key = otherKey(t) }, "checkpoint: opening checkpoint"},
		"no submitters": {func(_ *testing.T, l *lab) { l.Submitters = nil }, "no submitters are listed"},
		"two rules":     {func(_ *testing.T, l *lab) { l.Anybody = true }, "anybody may submit"},
		"negative time": {func(_ *testing.T, l *lab) { l.Refresh = -1 }, "refreshing every -1ns"},
		"unlisted": {func(t *testing.T, l *lab) {
			l.Policy = parsePolicy(t, "log "+otherKey(t).Key().String()+"\nquorum none\n")
		}, "the policy does not list this log"},
		"no checkpoint":   {func(t *testing.T, l *lab) { remove(t, l, "checkpoint") }, "no log here"},
		"no tree":         {func(t *testing.T, l *lab) { remove(t, l, treeState) }, "there is no tree"},
		"no tree at all":  {func(t *testing.T, l *lab) { remove(t, l, ".state") }, "there is no tree"},
		"older tree":      {func(t *testing.T, l *lab) { shrink(t, l) }, "the tree on disk has 1 entries, and a checkpoint of 3"},
		"entry changed":   {func(t *testing.T, l *lab) { edit(t, l, "tile/entries/000.p/3", func(b []byte) { b[100] ^= 1 }) }, "have root"},
		"entries gone":    {func(t *testing.T, l *lab) { remove(t, l, "tile/entries/000.p/3") }, "reading entry bundle 0"},
		"length changed":  {func(t *testing.T, l *lab) { edit(t, l, "tile/entries/000.p/3", func(b []byte) { b[0] ^= 0x80 }) }, "decoding entry bundle"},
		"tile changed":    {func(t *testing.T, l *lab) { edit(t, l, "tile/0/000.p/3", func(b []byte) { b[95] ^= 1 }) }, "tile 0/0 of width 3"},
		"tile gone":       {func(t *testing.T, l *lab) { remove(t, l, "tile/0/000.p/3") }, "reading tile 0/0 of width 3"},
		"tile cut":        {func(t *testing.T, l *lab) { cut(t, l, "tile/0/000.p/3", 64) }, "tile"},
		"checkpoint edit": {func(t *testing.T, l *lab) { edit(t, l, "checkpoint", func(b []byte) { b[len(origin)+1] = '2' }) }, "checkpoint: opening checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			log := l.open(t)
			l.fill(t, log, 0, 3)
			l.fill(t, log, 0, 3) // one bundle of three: the last batch may have been smaller
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			tt.change(t, l)
			log, err := Open(l.Options)
			if err == nil {
				t.Fatal("opened", log.Close())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %q, want %q", err, tt.want)
			}
			if held, err := lockfile.Held(filepath.Join(l.Dir, lockName)); err != nil || held {
				t.Errorf("the lock is still held: %v, %v", held, err)
			}
		})
	}
}

func parsePolicy(t *testing.T, text string) *tlog.Policy {
	p, err := tlog.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func remove(t *testing.T, l *lab, name string) {
	if err := os.RemoveAll(filepath.Join(l.Dir, name)); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, l *lab, name string, change func([]byte)) {
	path := filepath.Join(l.Dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(b)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, l *lab, name string, size int64) {
	if err := os.Truncate(filepath.Join(l.Dir, name), size); err != nil {
		t.Fatal(err)
	}
}

// shrink puts the state of one entry in place of that of three.
func shrink(t *testing.T, l *lab) {
	leaf := tlog.LeafHash(l.entry(t, 0))
	state, err := json.Marshal(map[string]any{"size": 1, "root": base64.StdEncoding.EncodeToString(leaf[:])})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir, treeState), state, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestOneProcess: a folder that is open is not opened again.
func TestOneProcess(t *testing.T) {
	l := newLab(t)
	l.open(t)
	if _, err := Open(l.Options); !errors.Is(err, lockfile.ErrHeld) {
		t.Errorf("opened twice: got %v", err)
	}
	if err := Create(l.Dir, l.Key); !errors.Is(err, lockfile.ErrHeld) {
		t.Errorf("created anew while open: got %v", err)
	}
}

// TestKilledBatch: what a batch left that was killed before its last write,
// larger bundles and tiles than the tree has, is not the log's, and is written
// over.
func TestKilledBatch(t *testing.T) {
	l := newLab(t)
	l.batches(t, 3)
	for _, name := range []string{"tile/entries/000.p/4", "tile/entries/000.p/5", "tile/0/000.p/4", "tile/entries/000", "tile/0/000", "tile/1/000.p/1"} {
		path := filepath.Join(l.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte{7}, 256*32), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log := l.open(t)
	c, base := serve(t, log)
	resp, err := http.Get(base + "/tile/entries/000.p/4")
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("a bundle beyond the tree: status %d, want 404", resp.StatusCode)
	}
	for i := 3; i < 5; i++ {
		if r, err := c.Append(t.Context(), l.entry(t, i)); err != nil || r.Index != int64(i) {
			t.Errorf("entry %d: got %+v, %v", i, r, err)
		}
	}
	verifier, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	checkWithFsck(t, base, verifier)
}

// TestTileEdge: why batchSize is below 256. A batch of 256 that was killed when
// the tree ended on a tile's edge would leave a full tile, which tessera takes
// for the beginning of the next one. Were there such a tile, no checkpoint
// would be signed over it.
func TestTileEdge(t *testing.T) {
	l := newLab(t)
	l.batches(t, 256)
	if err := os.WriteFile(filepath.Join(l.Dir, "tile/0/001"), bytes.Repeat([]byte{7}, 256*32), 0o644); err != nil {
		t.Fatal(err)
	}
	log := l.open(t)
	if r, err := log.Append(t.Context(), l.entry(t, 256)); !errors.Is(err, ErrStopped) {
		t.Errorf("got %+v, %v: tessera is mended, batches may be larger", r, err)
	}
	if err := log.Err(); err == nil || !strings.Contains(err.Error(), "tile 0/1 of width 1: got 8192 bytes") {
		t.Errorf("got %v", err)
	}
	c, err := tlog.DecodeCheckpoint(log.Checkpoint())
	if err != nil || c.Size != 256 {
		t.Errorf("published: %+v, %v", c, err)
	}
}

// TestStorageError: the log ends when the disk fails, acknowledges nothing
// more, and goes on after a restart.
func TestStorageError(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	l.fill(t, log, 0, 2)
	dir := filepath.Join(l.Dir, "tile", "entries")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := log.Append(t.Context(), l.entry(t, 2)); !errors.Is(err, ErrStopped) {
		t.Errorf("appended to a broken disk: %+v, %v", r, err)
	}
	<-log.Stopped()
	if err := log.Err(); err == nil || !strings.Contains(err.Error(), "storing an entry") && !strings.Contains(err.Error(), "reading entry bundle") {
		t.Errorf("got %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	log = l.open(t)
	if r, err := log.Append(t.Context(), l.entry(t, 2)); err != nil || r.Index != 2 {
		t.Errorf("after the repair: %+v, %v", r, err)
	}
}

// TestChangedUnderneath: what changes on disk while the log runs is not signed.
func TestChangedUnderneath(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	l.fill(t, log, 0, 1)
	edit(t, l, "tile/0/000.p/1", func(b []byte) { b[0] ^= 1 }) // tessera takes it for the tree's
	if r, err := log.Append(t.Context(), l.entry(t, 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := log.Err(); err == nil || !strings.Contains(err.Error(), "tile 0/0 of width 2") {
		t.Errorf("got %v", err)
	}
	c, err := tlog.DecodeCheckpoint(log.Checkpoint())
	if err != nil || c.Size != 1 {
		t.Errorf("published: %+v, %v", c, err)
	}
}

// TestAdmit: what may be appended.
func TestAdmit(t *testing.T) {
	l := newLab(t)
	second, stranger := newSigner(t, 2), newSigner(t, 3)
	l.Submitters = append(l.Submitters, second.Public())
	broken := func(signers ...int) []byte { // the last signature does not verify
		var entry map[string]any
		e := newEntry(t, 0, l.publisher)
		if err := json.Unmarshal(e, &entry); err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(e, []byte(`"sig":"`)) + len(`"sig":"`)
		e[at] = map[bool]byte{true: 'B', false: 'A'}[e[at] == 'A']
		return e
	}
	for name, tt := range map[string]struct {
		entry   []byte
		foreign bool
		want    string // error; "" for none
	}{
		"one":             {newEntry(t, 0, l.publisher), false, ""},
		"two":             {newEntry(t, 0, l.publisher, second), false, ""},
		"other":           {newEntry(t, 0, second), false, ""},
		"stranger":        {newEntry(t, 0, stranger), true, "who is no submitter here"},
		"stranger added":  {newEntry(t, 0, l.publisher, stranger), true, "who is no submitter here"},
		"broken":          {broken(), true, "does not verify"},
		"empty":           {nil, false, "entry: "},
		"no record":       {[]byte("{}"), false, "entry: "},
		"newline after":   {append(newEntry(t, 0, l.publisher), '\n'), false, "entry: "},
		"too large":       {make([]byte, 60<<10+1), false, "entry: "},
		"space in JSON":   {bytes.Replace(newEntry(t, 0, l.publisher), []byte(`,"payloadType"`), []byte(`, "payloadType"`), 1), false, "entry: "},
		"other predicate": {bytes.Replace(newEntry(t, 0, l.publisher), []byte("in-toto"), []byte("in-tota"), 1), false, "entry: "},
	} {
		err := l.admit(tt.entry)
		var e *EntryError
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: refused: %v", name, err)
		case tt.want != "" && (!errors.As(err, &e) || e.Foreign != tt.foreign || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q (foreign %v)", name, err, tt.want, tt.foreign)
		}
	}
	for n := 3; n < 9; n++ { // whichever of the two is listed first in the envelope
		if err := l.admit(newEntry(t, 0, l.publisher, newSigner(t, n))); err == nil {
			t.Errorf("stranger %d added: taken", n)
		}
	}
	open := Options{Anybody: true}
	if err := open.admit(newEntry(t, 0, stranger)); err != nil {
		t.Errorf("anybody: %v", err)
	}
	if err := open.admit([]byte("{}")); err == nil {
		t.Error("anybody: not a record was taken")
	}
}
