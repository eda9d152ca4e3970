package collateral

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
)

// TestCache: what was fetched is used for an hour, then asked for again, but
// for the chip's certificate; offline it is used for ever.
func TestCache(t *testing.T) {
	v := start(t)
	cache := t.TempDir() + "/made/by/the/fetcher"
	first, err := v.fetcher(cache).SNP(t.Context(), milan(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, cache); len(got) != 3 {
		t.Errorf("kept %q", got)
	}
	v.reset()
	for _, c := range []struct {
		name    string
		after   time.Duration
		offline bool
		asked   []string
	}{
		{"at once", 0, false, nil},
		{"a second before the hour", time.Hour - time.Second, false, nil},
		{"after an hour", time.Hour, false, []string{"/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl"}},
		{"by a clock that went back", -time.Second, false, []string{"/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl"}},
		{"offline after a year", 365 * 24 * time.Hour, true, nil},
	} {
		f := v.fetcher(t.TempDir() + "/copy")
		if err := os.CopyFS(f.Cache, os.DirFS(cache)); err != nil {
			t.Fatal(err)
		}
		f.Offline = c.offline
		f.Now = func() time.Time { return now().Add(c.after) }
		got, err := f.SNP(t.Context(), milan(t))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.asked, v.reset()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if !bytes.Equal(encode(t, got), encode(t, first)) {
			t.Errorf("%s: another set", c.name)
		}
	}
}

// TestFallback: when the vendor cannot be had the kept copy is used, and that
// is said. What was never fetched is an error.
func TestFallback(t *testing.T) {
	v := start(t)
	cache := t.TempDir()
	first, err := v.fetcher(cache).TDX(t.Context(), intel())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{tcbInfo, identity, pckCRL, rootCRL} {
		v.pages[p] = status(http.StatusForbidden)
	}
	v.reset()
	f := v.fetcher(cache)
	f.Now = func() time.Time { return now().Add(24 * time.Hour) }
	got, err := f.TDX(t.Context(), intel())
	if err != nil || !bytes.Equal(encode(t, got), encode(t, first)) {
		t.Errorf("got %v", err)
	}
	if !slices.Contains(v.said, "TCB info: got HTTP status 403, want 200; kept copy of 2026-11-21T12:00:00Z is used") {
		t.Errorf("said %q", v.said)
	}
	other := intel()
	other.FMSPC[5] = 1
	if _, err := f.TDX(t.Context(), other); err == nil || !strings.HasPrefix(err.Error(), "fetching TCB info: got HTTP status 404") {
		t.Errorf("another platform: got %v", err)
	}
	f.Offline = true
	if _, err := f.TDX(t.Context(), other); err == nil || !strings.Contains(err.Error(), "no kept copy of "+v.URL+"/tdx/certification/v4/tcb?fmspc=B0C06F000001&update=standard, and dialling is off") {
		t.Errorf("another platform, offline: got %v", err)
	}
	f.Cache = ""
	if _, err := f.TDX(t.Context(), intel()); err == nil || !strings.Contains(err.Error(), "no folder for kept copies") {
		t.Errorf("offline without a folder: got %v", err)
	}
}

// TestDamage: a kept copy that is not as it was written is not used.
func TestDamage(t *testing.T) {
	v := start(t)
	good := t.TempDir()
	if _, err := v.fetcher(good).SNP(t.Context(), milan(t)); err != nil {
		t.Fatal(err)
	}
	page := func(f *Fetcher, url string) string { return f.path(v.URL + url) }
	change := func(f *Fetcher, url string, edit func(*copied)) error {
		b, err := os.ReadFile(page(f, url))
		if err != nil {
			return err
		}
		var c copied
		if err := json.Unmarshal(b, &c); err != nil {
			return err
		}
		edit(&c)
		b, err = canon.Marshal(c)
		return errors.Join(err, os.WriteFile(page(f, url), b, 0o644))
	}
	for name, damage := range map[string]func(*Fetcher) error{
		"empty":   func(f *Fetcher) error { return os.WriteFile(page(f, milanVCEK), nil, 0o644) },
		"cut":     func(f *Fetcher) error { return os.Truncate(page(f, milanVCEK), 1000) },
		"too big": func(f *Fetcher) error { return os.Truncate(page(f, milanVCEK), maxCopy+1) },
		"folder": func(f *Fetcher) error {
			return errors.Join(os.Remove(page(f, milanVCEK)), os.Mkdir(page(f, milanVCEK), 0o755))
		},
		"of another address": func(f *Fetcher) error { return os.Rename(page(f, "/vcek/v1/Milan/cert_chain"), page(f, milanVCEK)) },
		"another body": func(f *Fetcher) error {
			return change(f, milanVCEK, func(c *copied) { c.Body = der(t, "snp/ms-tav/genoa_vcek.pem") })
		},
		"other issuers": func(f *Fetcher) error {
			return change(f, milanVCEK, func(c *copied) { c.Issuers = string(read(t, "nitro/root.pem")) })
		},
		"another type": func(f *Fetcher) error { return change(f, milanVCEK, func(c *copied) { c.Type = "x" }) },
		"nothing":      func(f *Fetcher) error { return change(f, "/vcek/v1/Milan/crl", func(*copied) {}) },
		"no certificate": func(f *Fetcher) error {
			return change(f, milanVCEK, func(c *copied) { c.Body = []byte("x"); c.SHA256 = c.digest() })
		},
	} {
		f := v.fetcher(t.TempDir() + "/copy")
		if err := errors.Join(os.CopyFS(f.Cache, os.DirFS(good)), damage(f)); err != nil {
			t.Fatal(err)
		}
		f.Offline = true
		v.reset()
		got, err := f.SNP(t.Context(), milan(t))
		if name == "nothing" { // written again as it was: the change above is all that is refused below
			if err != nil {
				t.Errorf("unchanged: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "fetching chip certificate: no kept copy") || len(v.said) == 0 {
			t.Errorf("%s: got %v, said %q", name, err, v.said)
		}
		if got == nil || len(got.CRLs) != 1 {
			t.Errorf("%s: the rest is lost", name)
		}
		if name == "folder" {
			continue // which no file can replace
		}
		f.Offline = false
		if _, err := f.SNP(t.Context(), milan(t)); err != nil {
			t.Errorf("%s: fetching again: %v", name, err)
		}
		f.Offline = true
		if _, err := f.SNP(t.Context(), milan(t)); err != nil {
			t.Errorf("%s: not mended: %v", name, err)
		}
	}
}

// TestStoreFails: a folder that cannot be written is said, and nothing of a
// copy is left.
func TestStoreFails(t *testing.T) {
	v := start(t)
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := v.fetcher(file).SNP(t.Context(), milan(t)); err == nil || !strings.Contains(err.Error(), "keeping copy") {
		t.Errorf("got %v", err)
	}
	f := v.fetcher(t.TempDir())
	if err := os.Mkdir(f.path(v.URL+milanVCEK), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.SNP(t.Context(), milan(t)); err == nil || !strings.Contains(err.Error(), "keeping copy: rename") {
		t.Errorf("got %v", err)
	}
	for _, n := range names(t, f.Cache) {
		if strings.Contains(n, ".new-") {
			t.Errorf("left %s", n)
		}
	}
}
