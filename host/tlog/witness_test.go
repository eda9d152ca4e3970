package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	hostwitness "safebox/host/witness"
	"safebox/verifier/tlog"
)

// actor is a witness of the test's own: it cosigns, unless reply says something
// else. It checks consistency with another library than the log's.
type actor struct {
	url       string
	vkeys     []string
	cosigners []*tlog.Cosigner

	mu    sync.Mutex
	size  int64
	root  []byte
	asked int
	reply func(w http.ResponseWriter, r *http.Request) bool // true: it answered
}

func newActor(t testing.TB, n int, algorithms ...tlog.Algorithm) *actor {
	t.Helper()
	a := &actor{}
	for i, algorithm := range algorithms {
		skey, vkey, err := tlog.GenerateWitnessKey(fmt.Sprintf("witness.example/%d", n), algorithm, bytes.NewReader(seed(20+10*n+i)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := tlog.NewCosigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		a.vkeys, a.cosigners = append(a.vkeys, vkey), append(a.cosigners, c)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(t, w, r) }))
	t.Cleanup(server.Close)
	a.url = server.URL + "/prefix"
	return a
}

func (a *actor) serve(t testing.TB, w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked++
	reply := a.reply
	a.mu.Unlock()
	if reply != nil && reply(w, r) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/prefix/add-checkpoint" {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
	q, err := tlog.DecodeAddCheckpoint(body)
	if err != nil {
		t.Errorf("asked %q: %v", body, err)
		return
	}
	c, err := tlog.DecodeCheckpoint(q.Checkpoint)
	if err != nil {
		t.Error(err)
		return
	}
	if q.Old != a.size {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		say(t, w, fmt.Sprintf("%d\n", a.size))
		return
	}
	if a.size > 0 {
		var hashes [][]byte
		for _, h := range q.Proof {
			hashes = append(hashes, h[:])
		}
		if err := mproof.VerifyConsistency(rfc6962.DefaultHasher, uint64(a.size), uint64(c.Size), hashes, a.root, c.Root[:]); err != nil {
			t.Errorf("from %d to %d entries: %v", a.size, c.Size, err)
		}
	}
	a.size, a.root = c.Size, c.Root[:]
	a.cosign(t, w, c)
}

func (a *actor) cosign(t testing.TB, w io.Writer, c *tlog.Checkpoint) {
	for _, s := range a.cosigners {
		line, err := s.Cosign(c, time.Now().Unix())
		if err != nil {
			t.Error(err)
		}
		say(t, w, string(line))
	}
}

// say writes to a log that may have enough already.
func say(t testing.TB, w io.Writer, text string) {
	if _, err := io.WriteString(w, text); err != nil {
		t.Log(err)
	}
}

func (a *actor) answer(reply func(w http.ResponseWriter, r *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply = reply
}

func (a *actor) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// lines gives the policy's lines for actors W1, W2, ..., each key one.
func lines(quorum string, actors ...*actor) []string {
	var list, names []string
	for _, a := range actors {
		for _, v := range a.vkeys {
			names = append(names, fmt.Sprintf("W%d", len(names)+1))
			list = append(list, fmt.Sprintf("witness %s %s %s", names[len(names)-1], v, a.url))
		}
	}
	return append(list, "group G "+quorum+" "+strings.Join(names, " "), "quorum G")
}

const (
	ed25519Key = tlog.CosignatureEd25519
	mldsaKey   = tlog.CosignatureMLDSA44
)

// TestWitnesses: two witnesses, one of them with an ML-DSA-44 key besides, all
// needed. The published checkpoint verifies with transparency-dev/formats.
func TestWitnesses(t *testing.T) {
	l := newLab(t)
	one, two := newActor(t, 1, ed25519Key), newActor(t, 2, ed25519Key, mldsaKey)
	l.Policy = l.policy(t, lines("all", one, two)...)
	log := l.open(t)
	for i := range 5 {
		l.fill(t, log, 60*i, 60*(i+1))
	}
	var verifiers []note.Verifier
	logKey, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	verifiers = append(verifiers, logKey)
	for _, vkey := range []string{one.vkeys[0], two.vkeys[0]} {
		v, err := fnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	pq, err := fnote.NewMLDSAVerifier(two.vkeys[1])
	if err != nil {
		t.Fatal(err)
	}
	verifiers = append(verifiers, pq)
	opened, err := note.Open(log.Checkpoint(), note.VerifierList(verifiers...))
	if err != nil || len(opened.Sigs) != 4 || len(opened.UnverifiedSigs) != 0 {
		t.Errorf("got %+v, %v, want four signatures that verify", opened, err)
	}
	entry := l.entry(t, 0)
	proof, ok, err := log.Proof(tlog.LeafHash(entry))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if index, err := Verify(proof, entry, l.Policy); err != nil || index < 0 || index > 59 {
		t.Errorf("got index %d, %v", index, err)
	}
	if _, err := Verify(proof, l.entry(t, 1), l.Policy); err == nil {
		t.Error("the proof of one entry verifies for another")
	}
	if got := l.notes.String(); got != "" {
		t.Errorf("told %q", got)
	}
}

// TestRealWitness: the project's own witness, which remembers and compares.
func TestRealWitness(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	if _, err := hostwitness.Add(dir, l.vkey); err != nil {
		t.Fatal(err)
	}
	a := newActor(t, 1, ed25519Key)
	w, err := hostwitness.Open(dir, hostwitness.Options{Cosigners: a.cosigners, Logs: []string{l.vkey}, Now: time.Now, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	l.Policy = l.policy(t, "witness W "+a.vkeys[0]+" "+server.URL, "quorum W")
	for i := range 3 { // each time the log must find the witness's size again
		log, err := Open(l.Options)
		if err != nil {
			t.Fatal(err)
		}
		l.fill(t, log, 30*i, 30*(i+1))
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.notes.String(); got != "" {
		t.Errorf("told %q", got)
	}
}

// TestQuorumMissing: while a witness that is needed is away nothing is
// published, the caller is told, and all is well when it is back.
func TestQuorumMissing(t *testing.T) {
	l := newLab(t)
	one, two := newActor(t, 1, ed25519Key), newActor(t, 2, ed25519Key)
	l.Policy = l.policy(t, lines("2", one, two)...)
	log := l.open(t)
	l.fill(t, log, 0, 1)
	before := log.Checkpoint()
	two.answer(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if r, err := log.Append(ctx, l.entry(t, 1)); !errors.Is(err, ErrUnpublished) || !strings.Contains(err.Error(), "entry 1:") {
		t.Errorf("got %+v, %v", r, err)
	}
	if !bytes.Equal(before, log.Checkpoint()) {
		t.Error("a checkpoint was published that one of two witnesses cosigned")
	}
	if _, ok, err := log.Proof(tlog.LeafHash(l.entry(t, 1))); ok || err != nil {
		t.Errorf("an entry that is not published has a proof: %v, %v", ok, err)
	}
	two.answer(nil)
	if r, err := log.Append(t.Context(), l.entry(t, 1)); err != nil || r != (Receipt{1, 2, false}) {
		t.Errorf("when it is back: got %+v, %v", r, err)
	}
	told := "\n" + l.notes.String()
	for _, want := range []string{"\nwitness W2: ", "\ncheckpoint of 2 entries is not published: 1 cosignatures are no quorum", "witness W2 answers again", "a quorum of witnesses cosigns again"} {
		if strings.Count(told, want) != 1 {
			t.Errorf("told %q, want %q once", told, want)
		}
	}
}

// TestSlowWitness: a witness that hangs and is not needed holds up nothing; one
// that is needed holds it up for witnessTime.
func TestSlowWitness(t *testing.T) {
	l := newLab(t)
	one, two := newActor(t, 1, ed25519Key), newActor(t, 2, ed25519Key)
	two.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		_, err := io.Copy(io.Discard, r.Body) // else the server does not see the log hang up
		<-r.Context().Done()
		return err == nil
	})
	l.Policy = l.policy(t, lines("1", one, two)...)
	log := l.open(t)
	start := time.Now()
	l.fill(t, log, 0, 1)
	if took := time.Since(start); took > witnessTime/2 {
		t.Errorf("took %v", took)
	}
	o, err := l.Policy.Open(log.Checkpoint())
	if err != nil || len(o.Cosignatures) != 1 || o.Cosignatures[0].Witness != "W1" {
		t.Errorf("got %+v, %v", o, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	l.Policy = l.policy(t, lines("2", one, two)...)
	w, err := newWitnesses(l.Policy, func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tlog.DecodeCheckpoint(log.Checkpoint())
	if err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	_, err = w.cosign(t.Context(), c, log.Checkpoint(), log.tree)
	var short *QuorumError
	if !errors.As(err, &short) || short.Got != 1 {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took < witnessTime-time.Second || took > witnessTime+2*time.Second {
		t.Errorf("took %v, want %v", took, witnessTime)
	}
}

// TestLateWitness: who answers shortly after the quorum is in the checkpoint
// too.
func TestLateWitness(t *testing.T) {
	l := newLab(t)
	one, two := newActor(t, 1, ed25519Key), newActor(t, 2, ed25519Key)
	two.answer(func(http.ResponseWriter, *http.Request) bool { time.Sleep(lateTime / 4); return false })
	l.Policy = l.policy(t, lines("any", one, two)...)
	log := l.open(t)
	l.fill(t, log, 0, 1)
	o, err := l.Policy.Open(log.Checkpoint())
	if err != nil || len(o.Cosignatures) != 2 {
		t.Errorf("got %+v, %v, want both", o, err)
	}
}

// TestQuorumNone: a policy that asks for nobody holds up nothing, and whoever
// is listed and answers is in the checkpoint.
func TestQuorumNone(t *testing.T) {
	l := newLab(t)
	l.Policy = l.policy(t, "quorum none")
	log := l.open(t)
	l.fill(t, log, 0, 1)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	one := newActor(t, 1, ed25519Key)
	l.Policy = l.policy(t, "witness W "+one.vkeys[0]+" "+one.url, "quorum none")
	log = l.open(t)
	l.fill(t, log, 1, 2)
	if o, err := l.Policy.Open(log.Checkpoint()); err != nil || len(o.Cosignatures) != 1 {
		t.Errorf("got %+v, %v", o, err)
	}
}

// TestRefresh: an unchanged tree is cosigned again.
func TestRefresh(t *testing.T) {
	l := newLab(t)
	one := newActor(t, 1, ed25519Key)
	l.Policy, l.Refresh = l.policy(t, lines("all", one)...), 50*time.Millisecond
	log := l.open(t)
	l.fill(t, log, 0, 1)
	at := func() int64 {
		o, err := l.Policy.Open(log.Checkpoint())
		if err != nil || o.Checkpoint.Size != 1 || len(o.Cosignatures) != 1 {
			t.Fatalf("got %+v, %v", o, err)
		}
		return o.Cosignatures[0].Time
	}
	first := at()
	for deadline := time.Now().Add(10 * time.Second); at() == first; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no newer cosignature after 10 seconds")
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	l.Refresh = time.Hour
	before := one.count()
	log = l.open(t)
	time.Sleep(300 * time.Millisecond)
	if got := one.count() - before; got != 1 {
		t.Errorf("asked %d times after a restart, want once: how old the cosignatures are is not known", got)
	}
}

// TestDue: a log that has nothing to cosign rests all the same.
func TestDue(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, tt := range map[string]struct {
		witnesses *witnesses
		published published
		want      time.Duration
	}{
		"no witnesses, nothing yet": {nil, published{}, time.Minute},
		"no witnesses, long ago":    {nil, published{size: 1, at: now.Add(-time.Hour)}, time.Minute},
		"empty log":                 {&witnesses{}, published{}, time.Minute},
		"just now":                  {&witnesses{}, published{size: 1, at: now}, time.Minute},
		"a while ago":               {&witnesses{}, published{size: 1, at: now.Add(-50 * time.Second)}, 10 * time.Second},
		"too long ago":              {&witnesses{}, published{size: 1, at: now.Add(-61 * time.Second)}, -time.Second},
	} {
		l := Log{o: Options{Refresh: time.Minute}, witnesses: tt.witnesses, published: tt.published}
		if got := l.due(now); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

// TestBadWitness: whatever a witness answers, only its own valid cosignature
// gets into the checkpoint, and the log goes on.
func TestBadWitness(t *testing.T) {
	other := newActor(t, 9, ed25519Key)
	status := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			w.WriteHeader(status)
			say(t, w, body)
			return true
		}
	}
	const size = "text/x.tlog.size"
	for name, tt := range map[string]struct {
		reply func(http.ResponseWriter, *http.Request) bool
		want  string // what is told of it
		asked int
	}{
		"empty":    {status(200, "", ""), "signatures: no newline", 1},
		"garbage":  {status(200, "", "hello\n"), "em dash", 1},
		"too long": {status(200, "", strings.Repeat("x", tlog.MaxNote+1)), "answer of more than", 1},
		"refused":  {status(403, "", "no\x1b[2J\n"), `status 403: "no\x1b[2J"`, 1},
		"redirect": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.url, http.StatusTemporaryRedirect)
			return true
		}, "status 307", 1},
		"server error":      {status(500, "", ""), "status 500", 1},
		"fork":              {status(409, "", "fork\n"), `status 409: "fork"`, 1},
		"size, other type":  {status(409, "text/plain", "0\n"), "status 409", 1},
		"larger size":       {status(409, size, "2\n"), "it has cosigned 2 entries, and this log has 1", 1},
		"size again":        {status(409, size, "1\n"), "named another size 3 times", 3},
		"no newline":        {status(409, size, "1"), "size: got", 1},
		"leading zero":      {status(409, size, "01\n"), "size: got", 1},
		"plus":              {status(409, size, "+1\n"), "size: got", 1},
		"negative":          {status(409, size, "-1\n"), "size: got", 1},
		"huge":              {status(409, size, "9223372036854775808\n"), "size: got", 1},
		"key of another":    {foreign(t, other, nil), "no cosignature of a key that the policy lists", 1},
		"other checkpoint":  {foreign(t, nil, func(c *tlog.Checkpoint) { c.Size++ }), "does not verify", 1},
		"other root":        {foreign(t, nil, func(c *tlog.Checkpoint) { c.Root[0] ^= 1 }), "does not verify", 1},
		"other log":         {foreign(t, nil, func(c *tlog.Checkpoint) { c.Origin = "log.example/other" }), "does not verify", 1},
		"good":              {nil, "", 1},
		"other key besides": {foreign(t, other, func(*tlog.Checkpoint) {}), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := newActor(t, 2, ed25519Key)
			reply := tt.reply
			if reply != nil {
				bad.answer(func(w http.ResponseWriter, r *http.Request) bool {
					return reply(w, r.WithContext(context.WithValue(r.Context(), self{}, bad)))
				})
			}
			good := newActor(t, 1, ed25519Key)
			l := newLab(t)
			l.Policy = l.policy(t, lines("any", good, bad)...)
			log := l.open(t)
			l.fill(t, log, 0, 1)
			o, err := l.Policy.Open(log.Checkpoint())
			if err != nil {
				t.Fatal(err)
			}
			wantOf := []string{"W1"}
			if tt.want == "" {
				wantOf = append(wantOf, "W2")
			}
			var got []string
			for _, c := range o.Cosignatures {
				got = append(got, c.Witness)
			}
			if !slices.Equal(got, wantOf) || bytes.Count(log.Checkpoint(), []byte("\u2014 ")) != 1+len(wantOf) {
				t.Errorf("cosigned by %q, want %q: %s", got, wantOf, log.Checkpoint())
			}
			if told := l.notes.String(); (told == "") != (tt.want == "") || !strings.Contains(told, tt.want) {
				t.Errorf("told %q, want %q", told, tt.want)
			}
			if got := bad.count(); got != tt.asked {
				t.Errorf("asked %d times, want %d", got, tt.asked)
			}
		})
	}
}

// self is the context key of the actor who is asked.
type self struct{}

// foreign answers with a cosignature of what change makes of the checkpoint:
// by other's key, if change is nil; by the witness's own, if other is; by both.
func foreign(t *testing.T, other *actor, change func(*tlog.Checkpoint)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return true
		}
		q, err := tlog.DecodeAddCheckpoint(body)
		if err != nil {
			t.Error(err)
			return true
		}
		c, err := tlog.DecodeCheckpoint(q.Checkpoint)
		if err != nil {
			t.Error(err)
			return true
		}
		if other != nil {
			other.cosign(t, w, c)
		}
		if change != nil {
			change(c)
			r.Context().Value(self{}).(*actor).cosign(t, w, c)
		}
		return true
	}
}

// TestNewWitnesses: which policies a log can be run by.
func TestNewWitnesses(t *testing.T) {
	l := newLab(t)
	one, two := newActor(t, 1, ed25519Key), newActor(t, 2, ed25519Key)
	w1, w2 := "witness W1 "+one.vkeys[0], "witness W2 "+two.vkeys[0]
	for name, tt := range map[string]struct {
		lines []string
		want  string // error; "" for none
		urls  int
	}{
		"none":         {[]string{"quorum none"}, "", 0},
		"no URL":       {[]string{w1, "quorum W1"}, "the 0 witnesses with a URL are no quorum", 0},
		"one of two":   {[]string{w1 + " http://a.example", w2, "group G any W1 W2", "quorum G"}, "", 1},
		"two of one":   {[]string{w1 + " http://a.example", w2, "group G all W1 W2", "quorum G"}, "the 1 witnesses with a URL are no quorum", 0},
		"one address":  {[]string{w1 + " http://a.example/x", w2 + " http://a.example/x/", "group G all W1 W2", "quorum G"}, "", 1},
		"two":          {[]string{w1 + " http://a.example/x", w2 + " https://a.example/y", "group G all W1 W2", "quorum G"}, "", 2},
		"with user":    {[]string{w1 + " http://a:b@a.example/", "quorum W1"}, "witness W1: URL", 0},
		"with query":   {[]string{w1 + " http://a.example/?x=1", "quorum W1"}, "witness W1: URL", 0},
		"with part":    {[]string{w1 + " http://a.example/#x", "quorum W1"}, "witness W1: URL", 0},
		"without host": {[]string{w1 + " http:///x", "quorum W1"}, "witness W1: URL", 0},
	} {
		w, err := newWitnesses(l.policy(t, tt.lines...), nil)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		case err == nil && len(w.list) != tt.urls:
			t.Errorf("%s: %d addresses, want %d", name, len(w.list), tt.urls)
		}
	}
}

// FuzzSize: what is read as a witness's size is written so.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"0\n", "20852163\n", "01\n", "", "9223372036854775807\n"} {
		f.Add([]byte(s), int64(1)<<40)
	}
	f.Fuzz(func(t *testing.T, b []byte, most int64) {
		n, err := parseSize(b, most)
		if err != nil {
			return
		}
		if n < 0 || n > most || fmt.Sprintf("%d\n", n) != string(b) {
			t.Errorf("%q is read as %d", b, n)
		}
	})
}
