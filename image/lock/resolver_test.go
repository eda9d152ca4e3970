package lock

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// noNetwork fails the test when anybody dials.
type noNetwork struct{ t *testing.T }

func (n noNetwork) RoundTrip(req *http.Request) (*http.Response, error) {
	n.t.Errorf("dialled %s", req.URL)
	return nil, errors.New("no network in this test")
}

// small is the package small-boot of the test archive, with its bytes.
func small(t *testing.T) (Package, []byte) {
	t.Helper()
	in, err := parse(t, oldLock).File(Stub)
	if err != nil {
		t.Fatal(err)
	}
	return in.Package, load(t, filepath.Join("testdata/archive", in.Package.Pool))
}

// serve starts a server and returns its URL. Paths that no handler has are 404.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func mirror(t *testing.T) string {
	return serve(t, http.FileServer(http.Dir("testdata/archive")).ServeHTTP)
}

func body(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		if _, err := w.Write(b); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// chunked sends bytes without telling their length first.
func chunked(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(b); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// cut promises all and sends half.
func cut(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		if _, err := w.Write(b[:len(b)/2]); err != nil {
			panic(http.ErrAbortHandler)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
		panic(http.ErrAbortHandler)
	}
}

// stored lists what lies in a cache, temporary files included.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(filepath.Join(dir, "sha256"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPackageFromMirror(t *testing.T) {
	p, want := small(t)
	var last int64
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{serve(t, http.NotFound), mirror(t) + "/"}, Progress: func(name string, done, total int64) {
		if name != "small-boot_2.0~rc1-1_all.deb" || total != p.Size || done <= last {
			t.Errorf("progress: got %s %d of %d after %d", name, done, total, last)
		}
		last = done
	}}
	name, err := r.Package(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, name); !bytes.Equal(got, want) {
		t.Errorf("got other bytes than the archive's")
	}
	if last != p.Size {
		t.Errorf("progress ended at %d of %d", last, p.Size)
	}
	// The second time it comes from the cache.
	r.transport, r.Progress = noNetwork{t}, nil
	if _, err := r.Package(t.Context(), p); err != nil {
		t.Error(err)
	}
}

func TestPlusIsEscaped(t *testing.T) {
	l := parse(t, oldLock)
	var raw string
	base := serve(t, func(w http.ResponseWriter, req *http.Request) {
		raw = req.URL.EscapedPath()
		http.FileServer(http.Dir("testdata/archive")).ServeHTTP(w, req)
	})
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{base}}
	if _, err := r.Package(t.Context(), l.Packages[0]); err != nil {
		t.Fatal(err)
	}
	// As apt requests it.
	if want := "/pool/main/l/linux-signed-amd64/linux-image-9.9.9%2Bdeb99-cloud-amd64_9.9.9-1_amd64.deb"; raw != want {
		t.Errorf("got %s, want %s", raw, want)
	}
}

// Servers in front of a good one: which failures let the next one be asked,
// and which stop.
func TestServers(t *testing.T) {
	p, b := small(t)
	wrong := bytes.Clone(b)
	wrong[300] ^= 1
	const wrongSum = "sha256: got "
	for _, tt := range []struct {
		name  string
		first http.HandlerFunc
		next  bool   // the good server is asked
		want  string // else the error
	}{
		{"404", http.NotFound, true, ""},
		{"410", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, true, ""},
		{"503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, true, ""},
		{"connection cut", cut(b), true, ""},
		{"redirect to a file", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}, true, ""},
		{"redirect loop", func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, req.URL.Path, http.StatusFound)
		}, true, ""},
		{"wrong hash", body(wrong), false, wrongSum},
		{"wrong hash, chunked", chunked(wrong), false, wrongSum},
		{"short, announced", body(b[:100]), false, "size: got 100, want 744"},
		{"short, chunked", chunked(b[:100]), false, "size: got 100, want 744"},
		{"long, announced", body(append(bytes.Clone(b), 0, 0)), false, "size: got 746, want 744"},
		{"long, chunked", chunked(append(bytes.Clone(b), make([]byte, 1<<20)...)), false, "size: got 745, want 744"},
		{"empty", body(nil), false, "size: got 0, want 744"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first := serve(t, tt.first)
			r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{first}, Snapshot: mirror(t)}
			_, err := r.Package(t.Context(), p)
			if tt.next {
				if err != nil {
					t.Errorf("got %v, want the next server", err)
				}
				if diff := cmp.Diff([]string{p.SHA256.String()}, stored(t, r.CacheDir)); diff != "" {
					t.Error(diff)
				}
				return
			}
			var mismatch *MismatchError
			place := "package small-boot 1:2.0~rc1-1 from " + first + "/" + p.Pool + ": "
			if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), place+tt.want) {
				t.Errorf("got %v, want %q", err, place+tt.want)
			}
			if got := stored(t, r.CacheDir); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

func TestMissingEverywhere(t *testing.T) {
	p, b := small(t)
	inputs, absent, broken := t.TempDir(), serve(t, http.NotFound), serve(t, cut(b))
	r := Resolver{CacheDir: t.TempDir(), Inputs: []string{inputs}, Mirrors: []string{absent, broken}}
	_, err := r.Package(t.Context(), p)
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Offline {
		t.Fatalf("got %v", err)
	}
	want := "package small-boot 1:2.0~rc1-1 (744 bytes, sha256 " + p.SHA256.String() + "): not found; looked in cache " + r.CacheDir +
		"; inputs " + inputs + "; " + absent + "/" + p.Pool + ": 404 Not Found; " + broken + "/" + p.Pool + ": reading after 372 bytes: unexpected EOF"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if !strings.Contains(missing.Hint(), "--inputs") || len(stored(t, r.CacheDir)) != 0 {
		t.Errorf("hint %q, left behind %v", missing.Hint(), stored(t, r.CacheDir))
	}
	r.Mirrors = nil
	if _, err := r.Package(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no mirror, for none is configured") {
		t.Errorf("no mirrors: got %v", err)
	}
}

// Mirrors are looked for when one is needed, and then once.
func TestFindMirrors(t *testing.T) {
	p, _ := small(t)
	calls := 0
	find := func(list []string, err error) func(context.Context) ([]string, error) {
		return func(context.Context) ([]string, error) {
			calls++
			return list, err
		}
	}
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{serve(t, http.NotFound)}, FindMirrors: find([]string{mirror(t)}, nil)}
	absent := p
	absent.SHA256[0] ^= 1
	for range 2 {
		if _, err := r.Package(t.Context(), absent); err == nil {
			t.Error("a package with another hash was found")
		}
	}
	if _, err := r.Package(t.Context(), p); err != nil || calls != 1 {
		t.Errorf("got %v after %d calls, want one", err, calls)
	}

	full := Resolver{CacheDir: r.CacheDir, FindMirrors: find(nil, errors.New("not to be asked"))}
	if _, err := full.File(t.Context(), p, p.Files[0]); err != nil || calls != 1 {
		t.Errorf("from the cache: got %v after %d calls", err, calls-1)
	}
	empty := Resolver{CacheDir: t.TempDir(), FindMirrors: find(nil, errors.New("apt is broken"))}
	if _, err := empty.Package(t.Context(), p); err == nil || err.Error() != "apt is broken" {
		t.Errorf("got %v, want apt is broken", err)
	}
}

func TestOfflineNeverDials(t *testing.T) {
	p, _ := small(t)
	r := Resolver{CacheDir: t.TempDir(), Inputs: []string{t.TempDir()}, Mirrors: []string{"http://mirror.example"}, Snapshot: "http://snapshot.example", Offline: true, transport: noNetwork{t}}
	_, err := r.File(t.Context(), p, p.Files[0])
	var missing *MissingError
	if !errors.As(err, &missing) || !missing.Offline {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"small-boot 1:2.0~rc1-1", p.SHA256.String(), "offline", "cache " + r.CacheDir, "inputs " + r.Inputs[0]} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to hold %q", err, want)
		}
	}
	if _, err := Update(t.Context(), parse(t, oldLock), &r, UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "offline") {
		t.Errorf("update: got %v", err)
	}
}

func TestBadMirrorURL(t *testing.T) {
	p, _ := small(t)
	for _, base := range []string{"file:///srv/mirror", "ftp://mirror.example", "mirror.example", "http://"} {
		r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{base}, transport: noNetwork{t}}
		if _, err := r.Package(t.Context(), p); err == nil || !strings.Contains(err.Error(), "want http or https") {
			t.Errorf("%s: got %v", base, err)
		}
	}
}

func TestInputs(t *testing.T) {
	p, b := small(t)
	for _, tt := range []struct {
		name, file string
		content    []byte
		want       string // error
	}{
		{"by file name", p.base(), b, ""},
		{"by hash", "sha256/" + p.SHA256.String(), b, ""},
		{"wrong bytes by file name", p.base(), append([]byte("x"), b[1:]...), "sha256: got"},
		{"wrong size by file name", p.base(), b[1:], "size: got 743, want 744"},
		{"wrong bytes by hash", "sha256/" + p.SHA256.String(), append([]byte("x"), b[1:]...), "sha256: got"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, tt.file)
			write(t, name, tt.content)
			// The good file in the second folder must not heal the first.
			good := t.TempDir()
			write(t, filepath.Join(good, p.base()), b)
			r := Resolver{CacheDir: t.TempDir(), Inputs: []string{dir, good}, Offline: true}
			_, err := r.Package(t.Context(), p)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "package small-boot 1:2.0~rc1-1 from "+name+": "+tt.want) {
				t.Errorf("got %v, want %s and %q", err, name, tt.want)
			}
			if got := stored(t, r.CacheDir); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
	r := Resolver{CacheDir: t.TempDir(), Inputs: []string{"testdata/none"}, Offline: true}
	if _, err := r.Package(t.Context(), p); err == nil || !strings.Contains(err.Error(), "testdata/none") {
		t.Errorf("no folder: got %v", err)
	}
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A warm cache serves files without a package; a damaged one is refused by
// name, and stays as it is for its owner to look at.
func TestFileAndDamagedCache(t *testing.T) {
	l := parse(t, oldLock)
	in, err := l.File(Kernel)
	if err != nil {
		t.Fatal(err)
	}
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	if err := r.Fetch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if got := len(stored(t, r.CacheDir)); got != 5 {
		t.Errorf("cache: got %d files, want 2 packages and 3 files", got)
	}
	r.Offline, r.transport = true, noNetwork{t}
	cache := store(r.CacheDir)
	if err := os.Remove(cache.path(in.Package.SHA256)); err != nil {
		t.Fatal(err)
	}
	b, err := r.File(t.Context(), in.Package, in.File)
	// What make.sh wrote into the package.
	if want := "boot/vmlinuz-9.9.9+deb99-cloud-amd64 of 9.9.9-1\n"; err != nil || string(b) != want {
		t.Errorf("got %q, %v, want %q", b, err, want)
	}

	name := cache.path(in.File.SHA256)
	damaged := append([]byte("X"), b[1:]...)
	write(t, name, damaged)
	_, err = r.File(t.Context(), in.Package, in.File)
	checkDamage(t, err, "file boot/vmlinuz-9.9.9+deb99-cloud-amd64 of package linux-image-9.9.9+deb99-cloud-amd64 9.9.9-1 from "+name)
	if !bytes.Equal(load(t, name), damaged) {
		t.Error("the damaged file was replaced")
	}
	write(t, name, b[1:])
	_, err = r.File(t.Context(), in.Package, in.File)
	checkDamage(t, err, "size: got 47, want 48")
}

// Unpacking a package for one file does not write over another one of it that
// is damaged.
func TestUnpackKeepsDamagedNeighbour(t *testing.T) {
	l := parse(t, oldLock)
	p := l.Packages[0]
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	neighbour := store(r.CacheDir).path(p.Files[1].SHA256)
	write(t, neighbour, make([]byte, p.Files[1].Size))
	_, err := r.File(t.Context(), p, p.Files[0])
	checkDamage(t, err, neighbour)
}

func TestDamagedPackageInCache(t *testing.T) {
	p, b := small(t)
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}, transport: noNetwork{t}}
	name := store(r.CacheDir).path(p.SHA256)
	write(t, name, append([]byte("X"), b[1:]...))
	_, err := r.Package(t.Context(), p)
	checkDamage(t, err, "package small-boot 1:2.0~rc1-1 from "+name+": sha256: got")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = r.Package(t.Context(), p)
	checkDamage(t, err, "want a regular file")
}

func checkDamage(t *testing.T, err error, want string) {
	t.Helper()
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), want) || !strings.Contains(mismatch.Hint(), "delete this file") {
		t.Errorf("got %v, want %q with a hint to delete it", err, want)
	}
}

func TestFileNotInLock(t *testing.T) {
	p, _ := small(t)
	r := Resolver{CacheDir: t.TempDir(), Inputs: []string{filepath.Join("testdata/archive", filepath.Dir(p.Pool))}, Offline: true}
	other := p.Files[0]
	other.SHA256[0] ^= 1
	if _, err := r.File(t.Context(), p, other); err == nil || !strings.Contains(err.Error(), "the lock lists no file") {
		t.Errorf("got %v", err)
	}
	if _, err := (&Resolver{}).File(t.Context(), p, p.Files[0]); err == nil || !strings.Contains(err.Error(), "no cache folder") {
		t.Errorf("no cache: got %v", err)
	}
}

// A failing disk or a cancelled context leaves nothing in the cache.
func TestWriteIsWhole(t *testing.T) {
	p, b := small(t)
	cache := store(t.TempDir())
	failing := io.MultiReader(bytes.NewReader(b[:200]), iotest.ErrReader(errors.New("disk on fire")))
	err := cache.write(t.Context(), p.pinned(), failing, "somewhere", "")
	if err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cache.write(ctx, p.pinned(), bytes.NewReader(b), "somewhere", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a cancelled context", err)
	}
	if got := stored(t, string(cache)); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestPack(t *testing.T) {
	l := parse(t, oldLock)
	var first, second bytes.Buffer
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	if err := r.Pack(t.Context(), l, nil, &first); err != nil {
		t.Fatal(err)
	}
	r.CacheDir = t.TempDir()
	if err := r.Pack(t.Context(), l, nil, &second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one lock differ")
	}
	// Unpacked, it is all that an offline build needs.
	dir := t.TempDir()
	var names []string
	for archive := tar.NewReader(&first); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		write(t, filepath.Join(dir, h.Name), b)
	}
	want := []string{"safebox.lock", "sha256/1a798999619ebdd8184815da47fee7276e93fad01891548c5fb6f0bdd3a53c54", "sha256/1bff4a3c8cd4fa3f7320bff6e1cdd89b08bbb55f9c897564826da4a1cdb54793"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	offline := Resolver{CacheDir: t.TempDir(), Inputs: []string{dir}, Offline: true, transport: noNetwork{t}}
	if err := offline.Fetch(t.Context(), parse(t, filepath.Join(dir, PackedLock))); err != nil {
		t.Error(err)
	}
}
