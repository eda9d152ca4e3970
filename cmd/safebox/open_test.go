package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/host/shard"
	"safebox/measure/benchtest"
)

// TestOpenFromServer opens an object whose shards the host agent serves.
func TestOpenFromServer(t *testing.T) {
	dir := t.TempDir()
	plain := benchtest.Bytes(3_000_000)
	path := filepath.Join(dir, "plain")
	if err := os.WriteFile(path, plain, 0o644); err != nil {
		t.Fatal(err)
	}
	safebox := func(args ...string) (code int, stderr string) {
		var stdout, errors bytes.Buffer
		code = run(t.Context(), args, strings.NewReader(""), &stdout, &errors)
		return code, errors.String()
	}
	sealed := filepath.Join(dir, "object")
	if code, stderr := safebox("seal", path, "--out", sealed, "--profile", "small"); code != 0 {
		t.Fatal(stderr)
	}
	store, err := shard.NewFolder(filepath.Join(sealed, "shards"))
	if err != nil {
		t.Fatal(err)
	}
	handler := shard.Handler(store)
	opened := filepath.Join(dir, "opened")
	open := func(h http.HandlerFunc) (int, string) {
		server := httptest.NewServer(h)
		defer server.Close()
		return safebox("open", "--manifest", filepath.Join(sealed, "manifest.json"), "--keys", filepath.Join(sealed, "keys.json"),
			"--shards", server.URL, "--out", opened)
	}
	if code, stderr := open(handler.ServeHTTP); code != 0 || stderr != "" {
		t.Fatalf("got code %d and %q", code, stderr)
	}
	if got, err := os.ReadFile(opened); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %d other bytes, %v", len(got), err)
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"nothing": {http.NotFound, "shard-missing: "},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, "status 302"},
		"other bytes":    {func(w http.ResponseWriter, _ *http.Request) { write(t, w, make([]byte, 1<<20)) }, "shard-hash: "},
		"too many bytes": {func(w http.ResponseWriter, _ *http.Request) { write(t, w, make([]byte, 3<<20)) }, "longer than"},
	} {
		if err := os.RemoveAll(opened); err != nil {
			t.Fatal(err)
		}
		code, stderr := open(tt.answer)
		if code != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: got code %d and %q, want %q", name, code, stderr, tt.want)
		}
		if _, err := os.Stat(opened); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
}

// write sends bytes to a client that may stop listening.
func write(t *testing.T, w http.ResponseWriter, b []byte) {
	if _, err := w.Write(b); err != nil {
		t.Logf("the client went away: %v", err)
	}
}
