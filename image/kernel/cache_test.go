package kernel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"safebox/image/lock"
)

func quiet(Step) {}

// maker makes a kernel and counts how often.
func maker(t *testing.T, calls *atomic.Int32) func(string) (*Kernel, error) {
	return func(string) (*Kernel, error) {
		calls.Add(1)
		return &Kernel{Image: setup(t), Config: []byte("CONFIG_SMP=y\n"), Release: "made"}, nil
	}
}

func TestCache(t *testing.T) {
	s := store{dir: filepath.Join(t.TempDir(), "kernel"), key: "k"}
	var calls atomic.Int32
	for i, wantCached := range []bool{false, true, true} {
		k, err := s.build(t.Context(), quiet, maker(t, &calls))
		if err != nil || k.Cached != wantCached || string(k.Image) != string(setup(t)) || string(k.Config) != "CONFIG_SMP=y\n" {
			t.Fatalf("build %d: %v, cached %v", i, err, k.Cached)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("made %d times, want once", n)
	}
	other := store{dir: s.dir, key: "other"}
	if k, err := other.build(t.Context(), quiet, maker(t, &calls)); err != nil || k.Cached {
		t.Errorf("another key: %v, cached %v", err, k.Cached)
	}
}

func TestCacheFindsDamage(t *testing.T) {
	flip := func(name string) func(string) error {
		return func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			b[len(b)-2] ^= 1
			return os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
	}
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	tests := map[string]func(dir string) error{
		"image": flip("bzImage"), "config": flip("config"), "sums": flip("SHA256SUMS"),
		"no image": remove("bzImage"), "no config": remove("config"), "no sums": remove("SHA256SUMS"),
		"cut": func(dir string) error { return os.Truncate(filepath.Join(dir, "bzImage"), 100) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			s := store{dir: t.TempDir(), key: "k"}
			var calls atomic.Int32
			if _, err := s.build(t.Context(), quiet, maker(t, &calls)); err != nil {
				t.Fatal(err)
			}
			if err := damage(s.folder()); err != nil {
				t.Fatal(err)
			}
			var notes []string
			k, err := s.build(t.Context(), func(s Step) { notes = append(notes, s.Note) }, maker(t, &calls))
			if err != nil || k.Cached || calls.Load() != 2 || string(k.Image) != string(setup(t)) {
				t.Errorf("got %v, cached %v, made %d times", err, k.Cached, calls.Load())
			}
			if len(notes) != 1 || !strings.Contains(notes[0], "is damaged") || !strings.HasSuffix(notes[0], ": building it again") {
				t.Errorf("notes: %q", notes)
			}
			if k, err := s.build(t.Context(), quiet, maker(t, &calls)); err != nil || !k.Cached {
				t.Errorf("after that: %v, cached %v", err, k.Cached)
			}
		})
	}
}

func TestCacheSecondBuildWaits(t *testing.T) {
	s := store{dir: t.TempDir(), key: "k"}
	var calls atomic.Int32
	started, finish := make(chan bool), make(chan bool)
	first := make(chan error, 1)
	go func() {
		_, err := s.build(t.Context(), quiet, func(log string) (*Kernel, error) {
			close(started)
			<-finish
			return maker(t, &calls)(log)
		})
		first <- err
	}()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.build(ctx, quiet, maker(t, &calls)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another build runs: got %v, want %v", err, context.DeadlineExceeded)
	}
	second := make(chan *Kernel, 1)
	waits := make(chan string, 1)
	go func() {
		k, err := s.build(t.Context(), func(s Step) { waits <- s.Note }, maker(t, &calls))
		if err != nil {
			t.Error(err)
		}
		second <- k
	}()
	if note := <-waits; note != "another build makes the same kernel" {
		t.Errorf("note: %q", note)
	}
	close(finish)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if k := <-second; !k.Cached || calls.Load() != 1 {
		t.Errorf("second: cached %v, made %d times", k.Cached, calls.Load())
	}
}

func TestCacheKeepsLogOfFailure(t *testing.T) {
	s := store{dir: t.TempDir(), key: "k"}
	failed := errors.New("no compiler")
	var log string
	_, err := s.build(t.Context(), quiet, func(l string) (*Kernel, error) {
		log = l
		return nil, errors.Join(os.WriteFile(l, []byte("said"), 0o644), failed)
	})
	if !errors.Is(err, failed) || !strings.Contains(err.Error(), "(log: "+log+")") {
		t.Errorf("got %v, want %v with the log %s", err, failed, log)
	}
	if b, err := os.ReadFile(log); err != nil || string(b) != "said" {
		t.Errorf("log: %q, %v", b, err)
	}
	var calls atomic.Int32
	if _, err := s.build(t.Context(), quiet, maker(t, &calls)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("the log of the failure outlived a build that succeeded")
	}
}

// TestKeyHoldsEverything changes each input and wants another key.
func TestKeyHoldsEverything(t *testing.T) {
	source := lock.Input{File: lock.File{Path: "usr/src/linux.tar.xz", SHA256: lock.Digest{1}}}
	tools := []lock.Package{{Name: "make", Version: "1", Architecture: "amd64", SHA256: lock.Digest{2}}, {Name: "gcc"}}
	base := madeRecipe()
	keys := map[string]string{base.key(source, tools): "unchanged"}
	add := func(name string, r recipe, s lock.Input, p []lock.Package) {
		k := r.key(s, p)
		if old, ok := keys[k]; ok {
			t.Errorf("%s has the key of %s", name, old)
		}
		keys[k] = name
	}
	for name, change := range map[string]func(*recipe){
		"fragment": func(r *recipe) { r.fragment += "#" },
		"policy":   func(r *recipe) { r.policy += "#" },
		"moved":    func(r *recipe) { r.policy, r.fragment = r.fragment+r.policy, "" },
		"epoch":    func(r *recipe) { r.epoch++ },
		"patch":    func(r *recipe) { r.patches = []patch{{r.patches[0].name, r.patches[0].text + "\n"}} },
		"no patch": func(r *recipe) { r.patches = nil },
		"name":     func(r *recipe) { r.patches = []patch{{"patches/0002.patch", r.patches[0].text}} },
	} {
		r := madeRecipe()
		change(&r)
		add(name, r, source, tools)
	}
	add("source", base, lock.Input{File: lock.File{Path: source.File.Path, SHA256: lock.Digest{3}}}, tools)
	add("source path", base, lock.Input{File: lock.File{Path: "usr/src/linux.tar.gz", SHA256: lock.Digest{1}}}, tools)
	add("tool", base, source, []lock.Package{{Name: "make", Version: "1", Architecture: "amd64", SHA256: lock.Digest{4}}, {Name: "gcc"}})
	add("version", base, source, []lock.Package{{Name: "make", Version: "2", Architecture: "amd64", SHA256: lock.Digest{2}}, {Name: "gcc"}})
	add("order", base, source, []lock.Package{tools[1], tools[0]})
	add("fewer", base, source, tools[:1])
	if k := madeRecipe().key(source, tools); keys[k] != "unchanged" || len(k) != 64 {
		t.Errorf("equal inputs: got key %s", k)
	}
}

func TestBuildErrors(t *testing.T) {
	r := &lock.Resolver{CacheDir: t.TempDir(), Offline: true}
	source := lock.Package{Name: "linux-source", Version: "1", Architecture: "all", Size: 1, Pool: "pool/main/l/linux/linux-source_1_all.deb", Files: []lock.File{{Role: lock.KernelSource, Path: "x.tar.xz", Size: 1}}}
	whole := &lock.Lock{Packages: []lock.Package{source}, Tools: []lock.Package{{Name: "make", Version: "1", Architecture: "amd64", Size: 1, Pool: "pool/main/m/make/make_1_amd64.deb"}}}
	tests := map[string]struct {
		o    Options
		want string
	}{
		"no lock":     {Options{Resolver: r}, "want a lock and a resolver"},
		"no resolver": {Options{Lock: whole}, "want a lock and a resolver"},
		"no cache":    {Options{Lock: whole, Resolver: &lock.Resolver{}}, "the resolver has no cache folder"},
		"jobs":        {Options{Lock: whole, Resolver: r, Jobs: -1}, "jobs: got -1"},
		"no source":   {Options{Lock: &lock.Lock{}, Resolver: r}, "files of role kernel-source: got 0, want 1"},
		"no tool":     {Options{Lock: whole, Resolver: r}, "unpacking make: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Build(t.Context(), tt.o); err == nil || !strings.HasPrefix(err.Error(), "building kernel: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want building kernel: .. %s", err, tt.want)
			}
		})
	}
}
