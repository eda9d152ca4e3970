package shard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

// abc is a shard with its root from another program:
//
//	python3 -c 'import hashlib; print(hashlib.sha256(b"\0abc").hexdigest())'
const abc = "609f6e36d2405585188d5cfd761f407c7cc46a7d3f314c88270469dde315fcd1"

func parse(t testing.TB, s string) Root {
	t.Helper()
	var root Root
	if err := root.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return root
}

func newFolder(t testing.TB) (*Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a", "shards")
	f, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func content(t *testing.T, f *Folder, root Root) string {
	t.Helper()
	file, size, err := f.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil || int64(len(b)) != size {
		t.Fatalf("got %d of %d bytes, %v", len(b), size, err)
	}
	return string(b)
}

func TestFolder(t *testing.T) {
	f, dir := newFolder(t)
	root := parse(t, abc)
	if _, _, err := f.Open(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want not there", err)
	}
	for i, want := range []bool{true, false} {
		if created, err := f.Put(root, []byte("abc")); err != nil || created != want {
			t.Errorf("put %d: got %v, %v, want %v", i, created, err, want)
		}
	}
	if got := content(t, f, root); got != "abc" {
		t.Errorf("got %q", got)
	}
	// Damage of every kind is repaired by putting the shard again.
	path := filepath.Join(dir, abc)
	for _, damage := range []string{"abd", "", "ab", strings.Repeat("x", object.ShardSize+1)} {
		if err := os.WriteFile(path, []byte(damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if created, err := f.Put(root, []byte("abc")); err != nil || !created || content(t, f, root) != "abc" {
			t.Errorf("repair of %.10q: got %v, %v", damage, created, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want one file", entries, err)
	}
}

func TestFolderRefuses(t *testing.T) {
	f, dir := newFolder(t)
	for name, tt := range map[string]struct {
		shard []byte
		want  error
	}{
		"other bytes": {[]byte("abd"), ErrName},
		"empty":       {nil, ErrSize},
		"too long":    {make([]byte, object.ShardSize+1), ErrSize},
	} {
		if created, err := f.Put(parse(t, abc), tt.shard); created || !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, %v, want %v", name, created, err, tt.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, abc), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Open(parse(t, abc)); !errors.Is(err, ErrSize) {
		t.Errorf("an empty file: got error %v", err)
	}
	if err := os.Remove(filepath.Join(dir, abc)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, abc), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Open(parse(t, abc)); !errors.Is(err, ErrSize) {
		t.Errorf("a folder in place of a shard: got error %v", err)
	}
	if _, err := f.Put(parse(t, abc), []byte("abc")); err == nil {
		t.Error("stored over a folder")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := NewFolder(filepath.Join(dir, abc, "x\x00y")); err == nil {
		t.Error("a folder of that name")
	}
}

type request struct {
	method, path, body string
	header             map[string]string
}

func (q request) do(t testing.TB, h http.Handler) *http.Response {
	t.Helper()
	r := httptest.NewRequest(q.method, "http://host"+q.path, strings.NewReader(q.body))
	r.RequestURI = q.path
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler(t *testing.T) {
	f, _ := newFolder(t)
	h := Handler(f)
	big := benchtest.Bytes(3*4096 + 100)
	bigPath := guestapi.ShardPath + Root(object.ShardRoot(big)).String()
	abcPath := guestapi.ShardPath + abc
	ranged := func(s string) map[string]string { return map[string]string{"Range": s} }
	for _, tt := range []struct {
		request
		status int
		want   string // body, or the problem's ID
	}{
		{request{"GET", abcPath, "", nil}, 404, "shard-missing"},
		{request{"HEAD", abcPath, "", nil}, 404, "shard-missing"},
		{request{"PUT", abcPath, "abc", nil}, 201, ""},
		{request{"PUT", abcPath, "abc", nil}, 200, ""},
		{request{"PUT", abcPath, "abc", map[string]string{"If-None-Match": "*"}}, 412, "shard-name"},
		{request{"GET", abcPath, "", nil}, 200, "abc"},
		{request{"PUT", bigPath, string(big), map[string]string{"If-None-Match": "*"}}, 201, ""},
		{request{"GET", bigPath, "", nil}, 200, string(big)},
		{request{"GET", bigPath, "", ranged("bytes=0-4095")}, 206, string(big[:4096])},
		{request{"GET", bigPath, "", ranged("bytes=4096-12287")}, 206, string(big[4096:12288])},
		{request{"GET", bigPath, "", ranged("bytes=12288-12387")}, 206, string(big[12288:])},
		{request{"GET", bigPath, "", ranged("bytes=0-12387")}, 206, string(big)},
		{request{"GET", bigPath, "", ranged("bytes=0-12388")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=0-4096")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=1-4095")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=4096-4095")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=-100")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=4096-")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=0-4095,8192-12287")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=+0-4095")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("blocks=0-1")}, 416, "shard-range"},
		{request{"GET", bigPath, "", ranged("bytes=0-9223372036854775807")}, 416, "shard-range"},
		{request{"PUT", abcPath, "abd", nil}, 400, "shard-name"},
		{request{"PUT", abcPath, "", nil}, 400, "shard-size"},
		{request{"PUT", abcPath, strings.Repeat("x", object.ShardSize+1), nil}, 413, "shard-size"},
		{request{"DELETE", abcPath, "", nil}, 405, "shard-method"},
		{request{"POST", abcPath, "", nil}, 405, "shard-method"},
		{request{"GET", abcPath + "?x=1", "", nil}, 400, "shard-name"},
		{request{"GET", guestapi.ShardPath, "", nil}, 400, "shard-name"},
		{request{"GET", guestapi.ShardPath + "../" + abc, "", nil}, 400, "shard-name"},
		{request{"GET", guestapi.ShardPath + strings.ToUpper(abc), "", nil}, 400, "shard-name"},
		{request{"GET", guestapi.ShardPath + abc[1:], "", nil}, 400, "shard-name"},
		{request{"GET", "/v1/other/" + abc, "", nil}, 400, "shard-name"},
	} {
		resp := tt.do(t, h)
		body := read(t, resp)
		name := fmt.Sprintf("%s %s %v", tt.method, tt.path, tt.header)
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got status %d and %.200q, want %d", name, resp.StatusCode, body, tt.status)
			continue
		}
		if tt.status >= 400 {
			p, err := guestapi.DecodeProblem([]byte(body))
			if err != nil || p.ID != tt.want {
				t.Errorf("%s: got %q, %v, want %s", name, body, err, tt.want)
			}
		} else if body != tt.want {
			t.Errorf("%s: got %d bytes, want %d", name, len(body), len(tt.want))
		}
	}
	resp := request{"HEAD", bigPath, "", nil}.do(t, h)
	if got := resp.Header.Get("Content-Length"); resp.StatusCode != 200 || got != "12388" || read(t, resp) != "" {
		t.Errorf("HEAD: status %d, length %s", resp.StatusCode, got)
	}
	resp = request{"GET", bigPath, "", ranged("bytes=4096-8191")}.do(t, h)
	if got := resp.Header.Get("Content-Range"); got != "bytes 4096-8191/12388" {
		t.Errorf("Content-Range: got %q", got)
	}
}

// waiting is a body that does not come before it is told.
type waiting struct {
	started chan<- struct{}
	goOn    <-chan struct{}
}

func (w waiting) Read([]byte) (int, error) {
	w.started <- struct{}{}
	<-w.goOn
	return 0, io.EOF
}

// TestBusy: one request more than the limit is refused, and the next one after
// that served again.
func TestBusy(t *testing.T) {
	f, _ := newFolder(t)
	h := Handler(f)
	started, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	for range maxRequests {
		go func() {
			defer func() { done <- struct{}{} }()
			r := httptest.NewRequest("PUT", guestapi.ShardPath+abc, waiting{started, goOn})
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		<-started
	}
	q := request{"GET", guestapi.ShardPath + abc, "", nil}
	if resp := q.do(t, h); resp.StatusCode != 503 || !strings.Contains(read(t, resp), "shard-busy") {
		t.Errorf("got status %d, want 503", resp.StatusCode)
	}
	close(goOn)
	for range maxRequests {
		<-done
	}
	if resp := q.do(t, h); resp.StatusCode != 404 {
		t.Errorf("afterwards: got status %d, want 404", resp.StatusCode)
	}
}

// TestOverHTTP serves over a real connection.
func TestOverHTTP(t *testing.T) {
	f, _ := newFolder(t)
	server := httptest.NewServer(Handler(f))
	defer server.Close()
	shard := benchtest.Bytes(object.ShardSize)
	url := server.URL + guestapi.ShardPath + Root(object.ShardRoot(shard)).String()
	put, err := http.NewRequestWithContext(t.Context(), "PUT", url, bytes.NewReader(shard))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []*http.Request{put, mustGet(t, url)} {
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body := read(t, resp)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode >= 300 || q.Method == "GET" && body != string(shard) {
			t.Errorf("%s: status %d, %d bytes", q.Method, resp.StatusCode, len(body))
		}
	}
}

func mustGet(t *testing.T, url string) *http.Request {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), "GET", url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func FuzzHandler(f *testing.F) {
	folder, dir := newFolder(f)
	if _, err := folder.Put(parse(f, abc), []byte("abc")); err != nil {
		f.Fatal(err)
	}
	h := Handler(folder)
	f.Add("GET", guestapi.ShardPath+abc, "bytes=0-2", "")
	f.Add("PUT", guestapi.ShardPath+abc, "", "abc")
	f.Add("HEAD", guestapi.ShardPath+abc, "", "")
	f.Fuzz(func(t *testing.T, method, path, ranges, body string) {
		r := httptest.NewRequest("GET", "http://host/", strings.NewReader(body))
		r.Method, r.RequestURI = method, path
		r.Header["Range"] = []string{ranges}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		resp := w.Result()
		got := read(t, resp)
		if resp.StatusCode >= 400 {
			if _, err := guestapi.DecodeProblem([]byte(got)); err != nil {
				t.Errorf("status %d with %q: %v", resp.StatusCode, got, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil || Root(object.ShardRoot(b)).String() != e.Name() {
				t.Errorf("the store holds %s, which is not what its name says: %v", e.Name(), err)
			}
		}
	})
}
