package witness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// evidenceFiles reads the files of a kind.
func (b *bench) evidenceFiles(t testing.TB, kind string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.dir, evidenceDir, kind+"-*"))
	must(t, err)
	var files []string
	for _, path := range paths {
		f, err := os.ReadFile(path)
		must(t, err)
		files = append(files, string(f))
	}
	return files
}

// TestForkEvidence: the file of a fork holds two checkpoints of one size, both
// of which golang.org/x/mod/sumdb/note verifies with the log's key. It is kept
// also when the request is refused for its old size, and the operator hears it.
func TestForkEvidence(t *testing.T) {
	for _, old := range []int64{0, 3, 5} {
		b := newBench(t)
		b.log.grow(t, 9, "main")
		b.cosigned(t, b.log.step(t, 0, 5), b.log.checkpoint(t, 5))
		fork := forked(t, b.log)
		body := fork.step(t, old, 5)
		b.post(t, body)
		files := b.evidenceFiles(t, kindFork)
		if len(files) != 1 {
			t.Fatalf("old size %d: got %d files, want 1", old, len(files))
		}
		want := fmt.Sprintf("safebox-witness-evidence/v1\nkind fork\ntime %d\nheld %d\nrequest %d\n\n%s%s", testTime,
			len(b.log.checkpoint(t, 5)), len(body), b.log.checkpoint(t, 5), body)
		if files[0] != want {
			t.Errorf("got\n%s\nwant\n%s", files[0], want)
		}
		v, err := note.NewVerifier(b.log.vkey)
		must(t, err)
		var header struct{ time, held, request int }
		_, err = fmt.Sscanf(files[0], "safebox-witness-evidence/v1\nkind fork\ntime %d\nheld %d\nrequest %d\n", &header.time, &header.held, &header.request)
		must(t, err)
		_, rest, _ := strings.Cut(files[0], "\n\n")
		_, theirs, _ := strings.Cut(rest[header.held:], "\n\n")
		texts := map[string]bool{}
		for _, signed := range []string{rest[:header.held], theirs} {
			n, err := note.Open([]byte(signed), note.VerifierList(v))
			must(t, err)
			if !strings.HasPrefix(n.Text, testOrigin+"\n5\n") {
				t.Errorf("got checkpoint %q, want size 5", n.Text)
			}
			texts[n.Text] = true
		}
		if len(texts) != 2 {
			t.Error("the two checkpoints are one")
		}
		if said := b.spoken(); !strings.Contains(said, "FORK") || !strings.Contains(said, "evidence/fork-") {
			t.Errorf("the operator heard %q", said)
		}
	}
}

// TestEvidenceBounded: what is sent again gives no second file, wrong proofs
// fill at most their own share, and a fork still has room then.
func TestEvidenceBounded(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 5+maxEvidence+20, "main")
	b.cosigned(t, b.log.step(t, 0, 5), b.log.checkpoint(t, 5))
	var first []string
	for i := range int64(3) {
		b.clock(testTime + i)
		b.post(t, request(5, nil, b.log.checkpoint(t, 6)))
		if first == nil {
			first = b.evidenceFiles(t, kindInconsistent)
		}
		b.post(t, request(5, b.log.hashes[:2], b.log.checkpoint(t, 6)))
	}
	if diff := cmp.Diff(first, b.evidenceFiles(t, kindInconsistent)); diff != "" || len(first) != 1 {
		t.Errorf("one pair of trees: got %d files, want the first alone: %s", len(first), diff)
	}
	for size := int64(6); size <= b.log.size; size++ {
		if a := b.post(t, request(5, nil, b.log.checkpoint(t, size))); a.Status != 422 {
			t.Fatalf("got %v, want 422", a)
		}
	}
	if got := len(b.evidenceFiles(t, kindInconsistent)); got != maxEvidence {
		t.Errorf("got %d files, want %d", got, maxEvidence)
	}
	b.post(t, forked(t, b.log).step(t, 5, 5))
	if got := len(b.evidenceFiles(t, kindFork)); got != 1 {
		t.Errorf("got %d files of forks, want 1", got)
	}
	b.cosigned(t, b.log.step(t, 5, 6), b.log.checkpoint(t, 6))
}

// TestNoEvidence: strangers leave no files: without a signature of the log, and
// before anything was cosigned, there is nothing to prove.
func TestNoEvidence(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.post(t, request(0, b.log.hashes[:1], b.log.checkpoint(t, 3)))
	b.cosigned(t, b.log.step(t, 0, 5), b.log.checkpoint(t, 5))
	bad := bytes.Replace(forked(t, b.log).step(t, 5, 5), []byte("\n5\n"), []byte("\n6\n"), 1)
	b.post(t, bad)
	b.post(t, b.log.step(t, 3, 4))
	if _, err := os.Stat(filepath.Join(b.dir, evidenceDir)); !os.IsNotExist(err) {
		t.Errorf("got %v, want no folder of evidence", err)
	}
	if said := b.spoken(); said != "" {
		t.Errorf("the operator was told %q", said)
	}
}

// TestEvidenceFails: when evidence can't be kept the fork is refused all the
// same, and the operator hears both.
func TestEvidenceFails(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 5), b.log.checkpoint(t, 5))
	must(t, os.WriteFile(filepath.Join(b.dir, evidenceDir), nil, 0o600))
	if a := b.post(t, forked(t, b.log).step(t, 5, 5)); a.Status != 409 {
		t.Errorf("got %v, want 409", a)
	}
	if said := b.spoken(); !strings.Contains(said, "FORK") || !strings.Contains(said, "error: keeping evidence") {
		t.Errorf("the operator heard %q", said)
	}
}

// TestForkAgain: of a fork that is sent again and again the operator hears
// once a minute, of a new one at once.
func TestForkAgain(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 5), b.log.checkpoint(t, 5))
	other := &testLog{signer: b.log.signer, vkey: b.log.vkey}
	other.grow(t, 5, "third")
	steps := []struct {
		at   int64
		log  *testLog
		want int // times that the operator heard of a fork until now
	}{
		{0, forked(t, b.log), 1},
		{1, forked(t, b.log), 1},
		{2, other, 2},
		{3, other, 2},
		{61, other, 2},
		{62, forked(t, b.log), 3},
		{63, other, 3},
		{10, other, 4}, // the clock went back: rather too often
	}
	for _, s := range steps {
		b.clock(testTime + s.at)
		if a := b.post(t, s.log.step(t, 5, 5)); a.Status != 409 {
			t.Errorf("at %d: got %v, want 409", s.at, a)
		}
		if got := strings.Count(b.spoken(), "FORK"); got != s.want {
			t.Errorf("at %d: the operator heard of a fork %d times, want %d", s.at, got, s.want)
		}
	}
}
