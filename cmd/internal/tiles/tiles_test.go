package tiles

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"safebox/verifier/publishtest"
)

const large = 1 << 30

// limits are those of a test that is not about them.
func limits() Limits { return Limits{Entries: large, Bytes: large} }

// entries are so many, each another one.
func entries(n int) [][]byte {
	var list [][]byte
	for i := range n {
		list = append(list, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1+i%7))
	}
	return list
}

// encode is an entry bundle by C2SP tlog-tiles, section "Log entries": each
// entry after its length in two bytes.
func encode(entries [][]byte) []byte {
	var b []byte
	for _, e := range entries {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
	}
	return b
}

// logFolder writes a log of n entries, at a checkpoint that publishtest (whose
// trees are tested against transparency-dev/merkle) makes.
func logFolder(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	log := &publishtest.Log{Name: publishtest.Origin, Entries: entries(n)}
	put(t, dir, "checkpoint", log.Checkpoint(t))
	for first := 0; first < n; first += 256 {
		name := fmt.Sprintf("tile/entries/%03d", first/256)
		if n-first < 256 {
			name += fmt.Sprintf(".p/%d", n-first)
		}
		put(t, dir, name, encode(log.Entries[first:min(first+256, n)]))
	}
	return dir
}

func put(t testing.TB, dir, name string, b []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// serve is a static file server of a folder.
func serve(t testing.TB, dir string) string {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return s.URL
}

// TestRead: logs around the width of a bundle, from a folder and a server.
func TestRead(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 512, 600} {
		dir := logFolder(t, n)
		for _, where := range []string{dir, serve(t, dir), serve(t, dir) + "/"} {
			log, err := Read(t.Context(), where, limits())
			if err != nil {
				t.Errorf("%d entries: %v", n, err)
				continue
			}
			note, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(log.Checkpoint, note) || log.Tree.Size != int64(n) || len(log.Entries) != n || len(log.Leaves()) != n {
				t.Errorf("%d entries: got %d, size %d", n, len(log.Entries), log.Tree.Size)
			}
			for i, want := range entries(n) {
				if !bytes.Equal(log.Entries[i], want) {
					t.Fatalf("%d entries: entry %d: got %x, want %x", n, i, log.Entries[i], want)
				}
			}
		}
	}
}

// TestPartialIsGone: the log has gone on since the checkpoint, and removed the
// partial bundle that it named (C2SP tlog-tiles allows that).
func TestPartialIsGone(t *testing.T) {
	dir := logFolder(t, 300)
	if err := os.RemoveAll(filepath.Join(dir, "tile/entries/001.p")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), dir, limits()); err == nil || !strings.Contains(err.Error(), "001.p/44") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the missing file named", err)
	}
	put(t, dir, "tile/entries/001", encode(entries(512)[256:]))
	for _, where := range []string{dir, serve(t, dir)} {
		if log, err := Read(t.Context(), where, limits()); err != nil || len(log.Entries) != 300 {
			t.Errorf("got %v and %v, want 300 entries", log, err)
		}
	}
}

// TestReadRefuses: what a log server or a folder can do wrong.
func TestReadRefuses(t *testing.T) {
	all := entries(300)
	for name, tt := range map[string]struct {
		change func(dir string)
		limits Limits
		want   string
	}{
		"no checkpoint":   {change: func(dir string) { remove(t, dir, "checkpoint") }, want: "checkpoint"},
		"no note":         {change: func(dir string) { put(t, dir, "checkpoint", []byte("nothing\n")) }, want: "checkpoint: decoding"},
		"long checkpoint": {change: func(dir string) { put(t, dir, "checkpoint", make([]byte, 60<<10+1)) }, want: "more than 61440 bytes"},
		"no bundle":       {change: func(dir string) { remove(t, dir, "tile/entries/000") }, want: "tile/entries/000"},
		"one entry less":  {change: func(dir string) { put(t, dir, "tile/entries/001.p/44", encode(all[256:299])) }, want: "tile/entries/001.p/44: got 43 entries, want 44"},
		"one entry more":  {change: func(dir string) { put(t, dir, "tile/entries/001.p/44", encode(entries(301)[256:])) }, want: "tile/entries/001.p/44: got 45 entries, want 44"},
		"cut":             {change: func(dir string) { b := encode(all[256:]); put(t, dir, "tile/entries/001.p/44", b[:len(b)-1]) }, want: "tile/entries/001.p/44: decoding entry bundle"},
		"empty":           {change: func(dir string) { put(t, dir, "tile/entries/000", nil) }, want: "tile/entries/000: decoding entry bundle"},
		"one bit":         {change: func(dir string) { b := encode(all[256:]); b[2] ^= 1; put(t, dir, "tile/entries/001.p/44", b) }, want: "the entries are not those of the checkpoint: root of 300 entries"},
		"order": {change: func(dir string) {
			put(t, dir, "tile/entries/000", encode(append([][]byte{all[1], all[0]}, all[2:256]...)))
		}, want: "the entries are not those of the checkpoint"},
		"too many entries": {limits: Limits{Entries: 299, Bytes: large}, want: "size 300: more than 299 entries"},
		"too many bytes":   {limits: Limits{Entries: large, Bytes: int64(len(bytes.Join(all, nil))) - 1}, want: "bytes"},
		"pipe":             {change: func(dir string) { remove(t, dir, "tile/entries/000"); pipe(t, dir, "tile/entries/000") }, want: "regular file"},
		"folder":           {change: func(dir string) { remove(t, dir, "tile/entries/000"); put(t, dir, "tile/entries/000/x", nil) }, want: "tile/entries/000"},
	} {
		dir := logFolder(t, 300)
		if tt.limits == (Limits{}) {
			tt.limits = limits()
		}
		if tt.change != nil {
			tt.change(dir)
		}
		if log, err := Read(t.Context(), dir, tt.limits); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v and %v, want %q", name, log, err, tt.want)
		}
	}
	exact := Limits{Entries: 300, Bytes: int64(len(bytes.Join(all, nil)))}
	if _, err := Read(t.Context(), logFolder(t, 300), exact); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func pipe(t testing.TB, dir, name string) {
	t.Helper()
	if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ where, want string }{
		{"", "no such file"},
		{file, "want a folder or a URL"},
		{file + "/none", "not a directory"},
		{"ftp://host/log", "want http://"},
		{"http:///log", "want http://"},
		{"http://host/log?x=1", "want http://"},
		{"http://user@host/log", "want http://"},
		{"http://host/%zz", "invalid URL"},
	} {
		if _, err := Read(t.Context(), tt.where, limits()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.where, err, tt.want)
		}
	}
}

// failing answers the first requests of each path with a status, then as the
// folder has it.
func failing(t testing.TB, dir string, status, times int) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= int64(times) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func readQuickly(ctx context.Context, t testing.TB, url string) error {
	t.Helper()
	p, err := openPlace(url)
	if err != nil {
		t.Fatal(err)
	}
	p.(*server).pause = time.Millisecond
	_, err = read(ctx, p, limits())
	return err
}

// TestServerFails: what passes is asked for again, three times in all; what a
// server means is not.
func TestServerFails(t *testing.T) {
	dir := logFolder(t, 1)
	for _, tt := range []struct {
		status, times int
		asked         int64
		want          string
	}{
		{http.StatusServiceUnavailable, 2, 4, ""},
		{http.StatusServiceUnavailable, 3, 3, "checkpoint: status 503, want 200"},
		{http.StatusTooManyRequests, 1, 3, ""},
		{http.StatusNotFound, 1, 1, "checkpoint: status 404"},
		{http.StatusFound, 1, 1, "checkpoint: status 302, want 200"},
		{http.StatusForbidden, 1, 1, "checkpoint: status 403, want 200"},
		{http.StatusNoContent, 1, 1, "checkpoint: status 204, want 200"},
	} {
		url, asked := failing(t, dir, tt.status, tt.times)
		err := readQuickly(t.Context(), t, url)
		if got := fmt.Sprint(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) || asked.Load() != tt.asked {
			t.Errorf("status %d, %d times: got %v after %d requests, want %q after %d", tt.status, tt.times, err, asked.Load(), tt.want, tt.asked)
		}
	}
}

// TestServerLies: an answer without end, one that breaks off, and none.
func TestServerLies(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	if err := readQuickly(t.Context(), t, endless.URL); err == nil || !strings.Contains(err.Error(), "more than 61440 bytes") {
		t.Errorf("without end: got %v", err)
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
	}))
	defer broken.Close()
	if err := readQuickly(t.Context(), t, broken.URL); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("broken off: got %v", err)
	}
	broken.Close()
	if err := readQuickly(t.Context(), t, broken.URL); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: got %v", err)
	}
}

// TestServerSlow: a server that never comes to the end of a file is given up.
func TestServerSlow(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}))
	defer slow.Close()
	p, err := openPlace(slow.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := p.(*server)
	if !ok || s.client.Timeout != requestTime {
		t.Fatalf("got %+v, want a server that is asked for at most %v", p, requestTime)
	}
	s.client.Timeout, s.pause = 50*time.Millisecond, time.Millisecond
	if _, err := s.read(t.Context(), "checkpoint", 1<<20); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := logFolder(t, 1)
	for _, where := range []string{dir, serve(t, dir)} {
		if _, err := Read(ctx, where, limits()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}
