package tlog

import (
	"bytes"
	"encoding/hex"
	"errors"
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

	"github.com/transparency-dev/tessera/api/layout"

	"safebox/verifier/guestapi"
	"safebox/verifier/tlog"
)

// request asks the handler; target is the request line's path as it is.
func request(t testing.TB, h http.Handler, method, target string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://log.example/", body)
	r.RequestURI = target
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func readBody(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHandler: what each path answers, word for word where it is short.
func TestHandler(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	h := log.Handler()
	entry := string(l.entry(t, 0))
	for i, want := range []struct {
		status int
		body   string
	}{{201, `{"index":0,"size":1}`}, {200, `{"index":0,"size":1}`}} {
		r := request(t, h, "POST", "/v1/entries", strings.NewReader(entry))
		if got := readBody(t, r); r.StatusCode != want.status || got != want.body || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("post %d: %d %s (%v), want %d %s", i, r.StatusCode, got, r.Header, want.status, want.body)
		}
	}
	leaf := tlog.LeafHash([]byte(entry))
	checkpoint, err := os.ReadFile(filepath.Join(l.Dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := tlog.EncodeEntries([][]byte{[]byte(entry)})
	if err != nil {
		t.Fatal(err)
	}
	const text, octets = "text/plain; charset=utf-8", "application/octet-stream"
	for path, want := range map[string]struct{ body, media, cache string }{
		"/checkpoint":              {string(checkpoint), text, "no-cache"},
		"/tile/0/000.p/1":          {string(leaf[:]), octets, "public, max-age=31536000, immutable"},
		"/tile/entries/000.p/1":    {string(bundle), octets, "public, max-age=31536000, immutable"},
		"/v1/proof/" + hexOf(leaf): {"c2sp.org/tlog-proof@v1\nindex 0\n\n" + string(checkpoint), text, "no-cache"},
	} {
		r := request(t, h, "GET", path, nil)
		got := []string{readBody(t, r), r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"), r.Header.Get("X-Content-Type-Options")}
		if d := cmp.Diff([]string{want.body, want.media, want.cache, "nosniff"}, got); d != "" || r.StatusCode != 200 {
			t.Errorf("%s: status %d: %s", path, r.StatusCode, d)
		}
		if r := request(t, h, "HEAD", path, nil); r.StatusCode != 200 {
			t.Errorf("HEAD %s: status %d", path, r.StatusCode)
		}
	}
}

func hexOf(h [32]byte) string { return hex.EncodeToString(h[:]) }

func TestHandlerRefuses(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	l.fill(t, log, 0, 1)
	h := log.Handler()
	stranger := string(newEntry(t, 7, newSigner(t, 3)))
	for name, tt := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		id                 string
	}{
		"root":               {"GET", "/", "", nil, 404, "log-path"},
		"state":              {"GET", "/.state/treeState", "", nil, 404, "log-path"},
		"lock":               {"GET", "/.lock", "", nil, 404, "log-path"},
		"query":              {"GET", "/checkpoint?x", "", nil, 404, "log-path"},
		"escape":             {"GET", "/%63heckpoint", "", nil, 404, "log-path"},
		"dots":               {"GET", "/tile/../checkpoint", "", nil, 404, "log-path"},
		"two slashes":        {"GET", "//checkpoint", "", nil, 404, "log-path"},
		"whole URL":          {"GET", "http://log.example/checkpoint", "", nil, 404, "log-path"},
		"wider tile":         {"GET", "/tile/0/000.p/2", "", nil, 404, "log-missing"},
		"full tile":          {"GET", "/tile/0/000", "", nil, 404, "log-missing"},
		"next tile":          {"GET", "/tile/0/001.p/1", "", nil, 404, "log-missing"},
		"next level":         {"GET", "/tile/1/000.p/1", "", nil, 404, "log-missing"},
		"wider bundle":       {"GET", "/tile/entries/000.p/2", "", nil, 404, "log-missing"},
		"post a tile":        {"POST", "/tile/0/000.p/1", "", nil, 405, "log-method"},
		"put an entry":       {"PUT", "/v1/entries", stranger, nil, 405, "log-method"},
		"get entries":        {"GET", "/v1/entries", "", nil, 405, "log-method"},
		"entries query":      {"POST", "/v1/entries?x", stranger, nil, 404, "log-path"},
		"short leaf":         {"GET", "/v1/proof/00", "", nil, 400, "log-path"},
		"upper-case leaf":    {"GET", "/v1/proof/" + strings.Repeat("A", 64), "", nil, 400, "log-path"},
		"unknown leaf":       {"GET", "/v1/proof/" + strings.Repeat("00", 32), "", nil, 404, "log-missing"},
		"post a proof":       {"POST", "/v1/proof/" + strings.Repeat("00", 32), "", nil, 405, "log-method"},
		"stranger":           {"POST", "/v1/entries", stranger, nil, 403, "log-submitter"},
		"empty":              {"POST", "/v1/entries", "", nil, 400, "log-entry"},
		"no record":          {"POST", "/v1/entries", "{}", nil, 400, "log-entry"},
		"most bytes":         {"POST", "/v1/entries", strings.Repeat(" ", 60<<10), nil, 400, "log-entry"},
		"one byte more":      {"POST", "/v1/entries", strings.Repeat(" ", 60<<10+1), nil, 413, "log-size"},
		"a page":             {"POST", "/v1/entries", stranger, []string{"Sec-Fetch-Site", "cross-site"}, 403, "log-origin"},
		"a page, old engine": {"POST", "/v1/entries", stranger, []string{"Origin", "https://evil.example"}, 403, "log-origin"},
	} {
		r := request(t, h, tt.method, tt.path, strings.NewReader(tt.body), tt.header...)
		p, err := guestapi.DecodeProblem([]byte(readBody(t, r)))
		if err != nil || r.StatusCode != tt.status || p.ID != tt.id {
			t.Errorf("%s: %d, %v, %v, want %d %s", name, r.StatusCode, p, err, tt.status, tt.id)
		}
	}
	r := request(t, h, "POST", "/v1/entries", io.MultiReader(strings.NewReader("{"), failing{}))
	if p, err := guestapi.DecodeProblem([]byte(readBody(t, r))); err != nil || p.ID != "log-size" || r.StatusCode != 400 {
		t.Errorf("a body that breaks off: %d, %v, %v", r.StatusCode, p, err)
	}
	if c, err := tlog.DecodeCheckpoint(log.Checkpoint()); err != nil || c.Size != 1 {
		t.Errorf("the log has %+v, %v, want one entry", c, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("gone") }

// TestHandlerWaits: no quorum, a stopped log, and too many requests have an
// answer each.
func TestHandlerWaits(t *testing.T) {
	l := newLab(t)
	one := newActor(t, 1, ed25519Key)
	one.answer(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true })
	l.Policy = l.policy(t, lines("all", one)...)
	log := l.open(t)
	h := &handler{log: log, appends: make(chan struct{}, 2), reads: make(chan struct{}, 1), wait: 200 * time.Millisecond}
	post := func(n int) (int, string) {
		r := request(t, h, "POST", "/v1/entries", bytes.NewReader(l.entry(t, n)))
		p, err := guestapi.DecodeProblem([]byte(readBody(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, p.ID
	}
	if status, id := post(0); status != 503 || id != "log-witness" {
		t.Errorf("no quorum: %d %s", status, id)
	}
	h.appends <- struct{}{}
	h.appends <- struct{}{}
	if r := request(t, h, "GET", "/checkpoint", nil); r.StatusCode != 200 {
		t.Errorf("the checkpoint, while all places for appends are taken: %d", r.StatusCode)
	}
	<-h.appends
	<-h.appends
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range 6 {
		wg.Go(func() {
			_, id := post(i)
			mu.Lock()
			defer mu.Unlock()
			got[id]++
		})
	}
	wg.Wait()
	if got["log-busy"] == 0 || got["log-witness"] < 2 || got["log-busy"]+got["log-witness"] != 6 {
		t.Errorf("six at once, two places: %v", got)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if status, id := post(9); status != 503 || id != "log-stopped" {
		t.Errorf("stopped: %d %s", status, id)
	}
}

// TestServerLimits: no connection can hang for ever.
func TestServerLimits(t *testing.T) {
	l := newLab(t)
	s := l.open(t).Server()
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.IdleTimeout <= 0 || s.WriteTimeout <= appendTime || s.MaxHeaderBytes > 64<<10 || s.MaxHeaderBytes == 0 {
		t.Errorf("got %+v", s)
	}
}

// TestParseTile: paths by hand, from tlog-tiles, "Merkle Tree".
func TestParseTile(t *testing.T) {
	for path, want := range map[string]tile{
		"tile/0/000":                  {0, 0, 256},
		"tile/0/000.p/1":              {0, 0, 1},
		"tile/7/255.p/255":            {7, 255, 255},
		"tile/0/x001/x234/067":        {0, 1234067, 256}, // the document's own example
		"tile/0/x001/x234/067.p/10":   {0, 1234067, 10},
		"tile/entries/x001/000.p/200": {0, 1000, 200},
		"tile/entries/999":            {0, 999, 256},

		"tile/0/x018/x014/x398/x509/x481/983": {0, 1<<54 - 1, 256},
	} {
		if got, ok := parseTile(path); !ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", path, got, ok, want)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/8/000", "tile/64/000", "tile/-1/000",
		"tile/0/000/", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/300", "tile/0/000.p/-1",
		"tile/0/x000/001", "tile/0/001/000", "tile/0/x001/x000", "tile/0/x01/000", "tile/0/+01", "tile/0/000.p/+1", "Tile/0/000", "tile/data/000",
		"tile/entries", "tile/entries/../0/000", "tile/0/000\x00", "tile/0/x018/x014/x398/x509/x481/984", // 2^54
		"tile/0/x999/x999/x999/x999/x999/x999/x999/999", "entries/000",
	} {
		if got, ok := parseTile(path); ok {
			t.Errorf("%q is read as %+v", path, got)
		}
	}
}

// TestWithin: which tiles a tree has, counted by hand.
func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		t    tile
		size int64
		want bool
	}{
		{tile{0, 0, 1}, 0, false},
		{tile{0, 0, 1}, 1, true},
		{tile{0, 0, 256}, 255, false},
		{tile{0, 0, 256}, 256, true},
		{tile{0, 1, 1}, 256, false},
		{tile{0, 1, 1}, 257, true},
		{tile{1, 0, 1}, 255, false},
		{tile{1, 0, 1}, 256, true},
		{tile{1, 0, 2}, 511, false},
		{tile{1, 0, 256}, 65535, false},
		{tile{1, 0, 256}, 65536, true},
		{tile{2, 0, 1}, 65535, false},
		{tile{2, 0, 1}, 65536, true},
		{tile{7, 0, 1}, 1 << 56, true},
		{tile{7, 0, 1}, 1<<56 - 1, false},
		{tile{0, 1<<54 - 1, 256}, 1<<62 - 1, false},
		{tile{0, 1<<54 - 1, 256}, 1 << 62, true},
	} {
		if got := tt.t.within(tt.size); got != tt.want {
			t.Errorf("%+v in a tree of %d: got %v", tt.t, tt.size, got)
		}
	}
}

// FuzzParseTile: a path has one reading, and a reading one path.
func FuzzParseTile(f *testing.F) {
	for _, path := range []string{"tile/0/000", "tile/0/x001/x234/067.p/10", "tile/entries/999", "tile/7/255.p/255", "tile/entries/000.p/0"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := parseTile(path)
		if !ok {
			return
		}
		again := layout.TilePath(uint64(got.level), uint64(got.index), uint8(got.width%256))
		if strings.HasPrefix(path, "tile/entries/") {
			again = layout.EntriesPath(uint64(got.index), uint8(got.width%256))
		}
		if again != path || got.width < 1 || got.width > 256 || got.index < 0 || !filepath.IsLocal(path) {
			t.Errorf("%q is read as %+v, %q", path, got, again)
		}
	})
}
