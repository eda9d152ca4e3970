package witness

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/tlog"
)

const testOrigin = "log.example/releases"

// testTime is when the tests' clock starts: 2026-11-21T00:00:00Z by `date -ud`.
const testTime = 1795219200

// bench is a witness for one log in a temporary folder.
type bench struct {
	dir   string
	log   *testLog
	w     *Witness
	vkeys []string
	opts  Options

	mu   sync.Mutex
	at   int64
	said []string
}

func newBench(t testing.TB, algorithms ...tlog.Algorithm) *bench {
	t.Helper()
	b := &bench{dir: filepath.Join(t.TempDir(), "state"), log: newTestLog(t, testOrigin), at: testTime}
	if len(algorithms) == 0 {
		algorithms = []tlog.Algorithm{tlog.CosignatureEd25519}
	}
	for i, a := range algorithms {
		skey, vkey := witnessKey(t, "witness.example/w1", byte(i), a)
		k, err := tlog.NewCosigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		b.vkeys = append(b.vkeys, vkey)
		b.opts.Cosigners = append(b.opts.Cosigners, k)
	}
	b.opts.Logs = []string{b.log.vkey}
	b.opts.Now = func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return time.Unix(b.at, 0) }
	b.opts.Say = func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said = append(b.said, fmt.Sprintf(format, args...))
	}
	if _, err := Add(b.dir, b.log.vkey); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	t.Cleanup(func() { b.w.Close() }) //nolint:errcheck // some tests closed it
	return b
}

func witnessKey(t testing.TB, name string, seed byte, a tlog.Algorithm) (skey, vkey string) {
	t.Helper()
	skey, vkey, err := tlog.GenerateWitnessKey(name, a, bytes.NewReader(bytes.Repeat([]byte{seed + 1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return skey, vkey
}

func (b *bench) open(t testing.TB) {
	t.Helper()
	w, err := Open(b.dir, b.opts)
	if err != nil {
		t.Fatal(err)
	}
	b.w = w
}

func (b *bench) reopen(t testing.TB) {
	t.Helper()
	if err := b.w.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(t)
}

func (b *bench) clock(at int64) { b.mu.Lock(); b.at = at; b.mu.Unlock() }

func (b *bench) spoken() string { b.mu.Lock(); defer b.mu.Unlock(); return strings.Join(b.said, "\n") }

// answer is what the handler says.
type answer struct {
	Status int
	Type   string
	Body   string
}

func (b *bench) post(t testing.TB, body []byte) answer {
	t.Helper()
	return do(t, b.w.Handler(), http.MethodPost, "/add-checkpoint", body)
}

func do(t testing.TB, h http.Handler, method, path string, body []byte) answer {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, bytes.NewReader(body)))
	got, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{rec.Code, rec.Header().Get("Content-Type"), string(got)}
}

// cosigned demands a 200 and gives the times of the cosignatures, verified by
// transparency-dev/formats.
func (b *bench) cosigned(t testing.TB, body, checkpoint []byte) []int64 {
	t.Helper()
	a := b.post(t, body)
	if a.Status != http.StatusOK {
		t.Fatalf("got %d %q, want 200", a.Status, a.Body)
	}
	return cosignatureTimes(t, checkpoint, a.Body, b.vkeys)
}

func cosignatureTimes(t testing.TB, checkpoint []byte, lines string, vkeys []string) []int64 {
	t.Helper()
	var verifiers []note.Verifier
	for _, vkey := range vkeys {
		v, err := fnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(append(bytes.Clone(checkpoint), lines...), note.VerifierList(verifiers...))
	if err != nil {
		t.Fatalf("formats/note: %v", err)
	}
	if len(n.Sigs) != len(vkeys) || strings.Count(lines, "\n") != len(vkeys) {
		t.Fatalf("got %d good cosignatures in %d lines, want %d", len(n.Sigs), strings.Count(lines, "\n"), len(vkeys))
	}
	var times []int64
	for _, s := range n.Sigs {
		at, err := fnote.CoSigV1Timestamp(s)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, at.Unix())
	}
	return times
}

// TestAnswers has the statuses of C2SP tlog-witness, add-checkpoint, one case
// for each sentence that names one. The witness holds size 5 of 12 entries.
func TestAnswers(t *testing.T) {
	text := "text/plain; charset=utf-8"
	held := answer{409, "text/x.tlog.size", "5\n"}
	stranger := newTestLog(t, "other.example")
	stranger.grow(t, 12, "main")
	impostor := newTestLog(t, testOrigin) // the origin with another key
	impostor.grow(t, 12, "main")
	cases := []struct {
		name   string
		method string
		path   string
		body   func(l *testLog) []byte
		want   answer // of errors the status and type alone
	}{
		{"next", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 5, 9) }, answer{200, text, ""}},
		{"far", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 5, 12) }, answer{200, text, ""}},
		{"same size again", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 5, 5) }, answer{200, text, ""}},
		{"strangers' signatures beside", "POST", "/add-checkpoint", func(l *testLog) []byte {
			line := strings.Replace(string(impostor.checkpoint(t, 9)), "\n\n", "\x00", 1)
			_, line, _ = strings.Cut(line, "\x00")
			return append(l.step(t, 5, 9), line...)
		}, answer{200, text, ""}},
		{"get", "GET", "/add-checkpoint", func(*testLog) []byte { return nil }, answer{405, text, ""}},
		{"other path", "POST", "/", func(l *testLog) []byte { return l.step(t, 5, 9) }, answer{404, text, ""}},
		{"unknown origin", "POST", "/add-checkpoint", func(*testLog) []byte { return stranger.step(t, 5, 9) }, answer{404, text, ""}},
		{"unknown key", "POST", "/add-checkpoint", func(*testLog) []byte { return impostor.step(t, 5, 9) }, answer{403, text, ""}},
		{"a bit of the root", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return bytes.Replace(l.step(t, 5, 9), []byte("\n9\n"), []byte("\n8\n"), 1)
		}, answer{403, text, ""}},
		{"empty", "POST", "/add-checkpoint", func(*testLog) []byte { return nil }, answer{400, text, ""}},
		{"no old line", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.checkpoint(t, 9) }, answer{400, text, ""}},
		{"old above size", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return request(10, nil, l.checkpoint(t, 9))
		}, answer{400, text, ""}},
		{"unsigned", "POST", "/add-checkpoint", func(l *testLog) []byte {
			text, _, _ := bytes.Cut(l.step(t, 5, 9), []byte("— "))
			return text
		}, answer{400, text, ""}},
		{"64 hashes", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return request(5, append(l.proof(t, 5, 9), l.hashes[:64]...)[:64], l.checkpoint(t, 9))
		}, answer{400, text, ""}},
		{"too large", "POST", "/add-checkpoint", func(*testLog) []byte { return make([]byte, maxBody+1) }, answer{413, text, ""}},
		{"old below held", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 4, 9) }, held},
		{"old above held", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 6, 9) }, held},
		{"old unknown", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 0, 9) }, held},
		{"rollback", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 3, 4) }, held},
		{"rollback to nothing", "POST", "/add-checkpoint", func(l *testLog) []byte { return l.step(t, 0, 0) }, held},
		{"no proof", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return request(5, nil, l.checkpoint(t, 9))
		}, answer{422, text, ""}},
		{"proof of another step", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return request(5, l.proof(t, 5, 12), l.checkpoint(t, 9))
		}, answer{422, text, ""}},
		{"a hash too many", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return request(5, append(l.proof(t, 5, 9), l.hashes[0]), l.checkpoint(t, 9))
		}, answer{422, text, ""}},
		{"same size with a proof", "POST", "/add-checkpoint", func(l *testLog) []byte {
			return request(5, l.hashes[:1], l.checkpoint(t, 5))
		}, answer{422, text, ""}},
		{"fork, larger", "POST", "/add-checkpoint", func(l *testLog) []byte { return forked(t, l).step(t, 5, 9) }, answer{422, text, ""}},
		{"fork, same size", "POST", "/add-checkpoint", func(l *testLog) []byte { return forked(t, l).step(t, 5, 5) }, answer{409, text, ""}},
		{"fork, same size, old unknown", "POST", "/add-checkpoint", func(l *testLog) []byte { return forked(t, l).step(t, 0, 5) }, held},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.log.grow(t, 80, "main")
			b.cosigned(t, b.log.step(t, 0, 5), b.log.checkpoint(t, 5))
			before := b.file(t)
			got := do(t, b.w.Handler(), c.method, c.path, c.body(b.log))
			body := got.Body
			if got.Type != sizeType {
				got.Body = ""
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\nbody %q", diff, body)
			}
			if same := bytes.Equal(before, b.file(t)); c.want.Status != 200 && !same {
				t.Error("a refusal changed the state")
			}
			if c.want.Status == 200 {
				return
			}
			// It goes on as before, and after a restart.
			b.cosigned(t, b.log.step(t, 5, 6), b.log.checkpoint(t, 6))
			b.reopen(t)
			b.cosigned(t, b.log.step(t, 6, 12), b.log.checkpoint(t, 12))
		})
	}
}

// forked is a log of l's key that shares two entries with it.
func forked(t testing.TB, l *testLog) *testLog {
	t.Helper()
	f := &testLog{signer: l.signer, vkey: l.vkey}
	f.grow(t, 2, "main")
	f.grow(t, 12, "other")
	return f
}

// file gives the bytes of the log's state file.
func (b *bench) file(t testing.TB) []byte {
	t.Helper()
	state, err := os.ReadFile(b.statePath())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func (b *bench) statePath() string { return filepath.Join(b.dir, stateName(b.log.signer.Name())) }

// TestFirst: of a log that was added, the first checkpoint is taken without a
// proof, and only without.
func TestFirst(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	if a := b.post(t, request(0, b.log.hashes[:1], b.log.checkpoint(t, 9))); a.Status != 422 {
		t.Errorf("with a proof: got %d %q, want 422", a.Status, a.Body)
	}
	if a := b.post(t, b.log.step(t, 1, 9)); a != (answer{409, sizeType, "0\n"}) {
		t.Errorf("old size 1: got %v, want 409 with 0", a)
	}
	b.cosigned(t, b.log.step(t, 0, 0), b.log.checkpoint(t, 0))
	b.reopen(t)
	b.cosigned(t, b.log.step(t, 0, 9), b.log.checkpoint(t, 9))
	b.reopen(t)
	if a := b.post(t, b.log.step(t, 0, 0)); a != (answer{409, sizeType, "9\n"}) {
		t.Errorf("back to nothing: got %v, want 409 with 9", a)
	}
}

// TestKinds: both kinds of cosignature and several keys at once, verified by
// transparency-dev/formats; the lines have the order of the keys.
func TestKinds(t *testing.T) {
	for _, kinds := range [][]tlog.Algorithm{
		{tlog.CosignatureEd25519},
		{tlog.CosignatureMLDSA44},
		{tlog.CosignatureEd25519, tlog.CosignatureMLDSA44, tlog.CosignatureEd25519},
	} {
		b := newBench(t, kinds...)
		b.log.grow(t, 7, "main")
		want := make([]int64, len(kinds))
		for i := range want {
			want[i] = testTime
		}
		if diff := cmp.Diff(want, b.cosigned(t, b.log.step(t, 0, 7), b.log.checkpoint(t, 7))); diff != "" {
			t.Errorf("%v: times: %s", kinds, diff)
		}
	}
}

// TestTime: a clock that steps back a little repeats the last time; one that
// is far behind gets no signature, also after a restart.
func TestTime(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	steps := []struct {
		at, want int64 // want 0: refused with 503
	}{
		{testTime, testTime},
		{testTime + 100, testTime + 100},
		{testTime + 90, testTime + 100},
		{testTime + 89, 0},
		{0, 0},
		{-5, 0},
		{testTime + 101, testTime + 101},
	}
	size := int64(0)
	for _, s := range steps {
		b.clock(s.at)
		b.reopen(t)
		if s.want == 0 {
			if a := b.post(t, b.log.step(t, size, size+1)); a.Status != 503 {
				t.Errorf("at %d: got %d %q, want 503", s.at, a.Status, a.Body)
			}
			continue
		}
		if got := b.cosigned(t, b.log.step(t, size, size+1), b.log.checkpoint(t, size+1)); got[0] != s.want {
			t.Errorf("at %d: got time %d, want %d", s.at, got[0], s.want)
		}
		size++
	}
	if !strings.Contains(b.spoken(), "clock") {
		t.Errorf("the operator heard nothing of the clock: %q", b.spoken())
	}
}

// TestTimeBeforeAnything: a clock at zero signs nothing, for a state with
// time 0 says that nothing was cosigned.
func TestTimeBeforeAnything(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 1, "main")
	b.clock(0)
	if a := b.post(t, b.log.step(t, 0, 1)); a.Status != 503 {
		t.Errorf("got %d %q, want 503", a.Status, a.Body)
	}
	b.reopen(t)
}

// TestSameOldSize: of many requests that continue the same tree, one wins.
func TestSameOldSize(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 40, "main")
	b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
	const n = 32
	bodies := make([][]byte, n)
	for i := range bodies {
		bodies[i] = b.log.step(t, 3, int64(4+i))
	}
	var wg sync.WaitGroup
	statuses := make([]int, n)
	h := b.w.Handler()
	for i := range n {
		wg.Go(func() { statuses[i] = do(t, h, "POST", "/add-checkpoint", bodies[i]).Status })
	}
	wg.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	if diff := cmp.Diff(map[int]int{200: 1, 409: n - 1}, count); diff != "" {
		t.Error(diff)
	}
}

// TestSeveralKeysOfALog: one origin, two keys, one state.
func TestSeveralKeysOfALog(t *testing.T) {
	b := newBench(t)
	second := newTestLog(t, testOrigin)
	b.opts.Logs = append(b.opts.Logs, second.vkey)
	b.reopen(t)
	b.log.grow(t, 9, "main")
	second.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
	b.cosigned(t, second.step(t, 3, 6), second.checkpoint(t, 6))
	b.cosigned(t, b.log.step(t, 6, 9), b.log.checkpoint(t, 9))
}

// TestStrangersLines: what is stored is the checkpoint and the log's own
// signature, whatever lines came beside it.
func TestStrangersLines(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 3, "main")
	stranger := newTestLog(t, "stranger.example")
	stranger.grow(t, 3, "main")
	_, line, _ := strings.Cut(string(stranger.checkpoint(t, 3)), "\n\n")
	b.cosigned(t, append(b.log.step(t, 0, 3), line...), b.log.checkpoint(t, 3))
	if state := b.file(t); bytes.Contains(state, []byte("stranger")) || !bytes.Contains(state, b.log.checkpoint(t, 3)) {
		t.Errorf("stored %q", state)
	}
	b.reopen(t)
}

// endless gives zeros and counts them.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.n += len(p)
	return len(p), nil
}

// TestBodyBounded: of a body without end no more is read than a request may
// have.
func TestBodyBounded(t *testing.T) {
	b := newBench(t)
	body := &endless{}
	rec := httptest.NewRecorder()
	b.w.Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", body))
	if rec.Code != http.StatusRequestEntityTooLarge || body.n > maxBody+64<<10 {
		t.Errorf("got status %d after %d bytes, want 413 after %d", rec.Code, body.n, maxBody)
	}
}

// TestServerLimits: no connection can hang for ever.
func TestServerLimits(t *testing.T) {
	s := newBench(t).w.Server()
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("got %+v", s)
	}
}
