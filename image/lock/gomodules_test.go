package lock_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/module"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
)

// Hashes of modules that locktest.WriteModule makes of the one file "text" with
// "content\n": computed with sha256sum and basenc as docs/format-lock.md shows.
const (
	toolchainSum = "h1:bLK6Y3ppYbOMlyH2qIaYIaiZhAgHyeFP0nsn6GrK5c0="
	goSum        = "example.test/m v1.2.3 h1:qu1JFHJgdXR4tMfRqD0HplU0G2Xzrc4JNA5scLprFSM=\n" +
		"example.test/m v1.2.3/go.mod h1:e3CRhw7vlK9Img+VHyPVLqaAQkK125LpuRewbqJ9vLY=\n"
)

func example() module.Version { return module.Version{Path: "example.test/m", Version: "v1.2.3"} }

// useProxy gives the go command an empty cache, and a proxy that has the
// toolchain and a module. No other place is named, the checksum database would
// be asked over the network.
func useProxy(t *testing.T) *lock.Lock {
	t.Helper()
	l, err := lock.ReadFile("testdata/old.lock")
	if err != nil {
		t.Fatal(err)
	}
	l.Toolchain.Sum = toolchainSum
	proxy := t.TempDir()
	for _, m := range []module.Version{example(), {Path: l.Toolchain.Path, Version: l.Toolchain.Version}} {
		if err := locktest.WriteModule(proxy, m.Path, m.Version, "text", "content\n"); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOPROXY", "file://"+proxy)
	emptyModCache(t)
	return l
}

func emptyModCache(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GOMODCACHE", dir)
	t.Cleanup(func() { // its folders can't be written
		cmd := exec.Command("go", "clean", "-modcache")
		cmd.Env = append(os.Environ(), "GOMODCACHE="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestGoModules(t *testing.T) {
	l := useProxy(t)
	r := lock.Resolver{CacheDir: t.TempDir()}
	modules, err := r.GoModules(t.Context(), l, []byte(goSum), []module.Version{example()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range modules {
		got = append(got, m.String())
	}
	if diff := cmp.Diff([]string{"example.test/m@v1.2.3", "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"}, got); diff != "" {
		t.Error(diff)
	}

	// Now they are in the cache, offline too.
	r.Offline = true
	again, err := r.GoModules(t.Context(), l, []byte(goSum), []module.Version{example()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(modules, again); diff != "" {
		t.Error(diff)
	}
}

// The go command takes the content of its cache for good; we don't.
func TestGoModulesDamagedCache(t *testing.T) {
	l := useProxy(t)
	r := lock.Resolver{CacheDir: t.TempDir()}
	modules, err := r.GoModules(t.Context(), l, []byte(goSum), nil)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := locktest.WriteModule(other, l.Toolchain.Path, l.Toolchain.Version, "text", "other content\n"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(other, l.Toolchain.Path, "@v", l.Toolchain.Version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(modules[0].Zip, b, 0o644); err != nil {
		t.Fatal(err)
	}
	var mismatch *lock.MismatchError
	_, err = r.GoModules(t.Context(), l, []byte(goSum), nil)
	if !errors.As(err, &mismatch) || mismatch.Want != toolchainSum || mismatch.Place != modules[0].Zip || !strings.Contains(mismatch.Hint(), "go clean -modcache") {
		t.Errorf("got %v, want the toolchain refused by its hash", err)
	}
}

func TestGoModulesRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		goSum, toolchain string
		offline          bool
		want             string
	}{
		"no hash of the module": {strings.Replace(goSum, "v1.2.3 ", "v1.2.4 ", 1), toolchainSum, false, "go.sum has no hash of example.test/m@v1.2.3"},
		"no hash of its go.mod": {strings.Replace(goSum, "v1.2.3/", "v1.2.4/", 1), toolchainSum, false, "go.sum has no hash of example.test/m@v1.2.3"},
		"other module":          {strings.Replace(goSum, "h1:qu1", "h1:qu2", 1), toolchainSum, false, "checksum mismatch"},
		"other go.mod":          {strings.Replace(goSum, "h1:e3C", "h1:e4C", 1), toolchainSum, false, "checksum mismatch"},
		"other toolchain":       {goSum, strings.Replace(toolchainSum, "h1:bLK", "h1:cLK", 1), false, "checksum mismatch"},
		"offline":               {goSum, toolchainSum, true, "disabled by GOPROXY=off"},
	} {
		t.Run(name, func(t *testing.T) {
			l := useProxy(t)
			l.Toolchain.Sum = tt.toolchain
			r := lock.Resolver{CacheDir: t.TempDir(), Offline: tt.offline}
			_, err := r.GoModules(t.Context(), l, []byte(tt.goSum), []module.Version{example()})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestPackModules packs from two caches of the go command and wants the same
// bytes, each content once, and links that lead to it.
func TestPackModules(t *testing.T) {
	l := useProxy(t)
	archive := httptest.NewServer(http.FileServer(http.Dir("testdata/archive")))
	t.Cleanup(archive.Close)
	pack := func() *bytes.Buffer {
		emptyModCache(t)
		r := lock.Resolver{CacheDir: t.TempDir(), Mirrors: []string{archive.URL}}
		modules, err := r.GoModules(t.Context(), l, []byte(goSum), []module.Version{example()})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.Pack(t.Context(), l, modules, &b); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	first, second := pack(), pack()
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of the same inputs differ")
	}
	contents, links := map[string]string{}, map[string]string{}
	for a := tar.NewReader(first); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeLink {
			links[h.Name] = contents[h.Linkname]
			continue
		}
		b, err := io.ReadAll(a)
		if err != nil {
			t.Fatal(err)
		}
		contents[h.Name] = string(b)
	}
	// The lock, two packages, and six files of two modules.
	if len(contents) != 9 || len(links) != 6 {
		t.Errorf("got %d contents and %d links, want 9 and 6", len(contents), len(links))
	}
	if got, want := links["goproxy/example.test/m/@v/v1.2.3.info"], "{\"Version\":\"v1.2.3\"}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := links["goproxy/golang.org/toolchain/@v/v0.0.1-go1.26.8.linux-amd64.mod"], "module golang.org/toolchain\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := links["goproxy/example.test/m/@v/v1.2.3.zip"]; !strings.HasPrefix(got, "PK") {
		t.Errorf("got %q, want a zip", got)
	}
}

// A path must reach the go command as one entry of the list, whatever is in it.
func TestGoProxy(t *testing.T) {
	l := useProxy(t)
	place, ok := strings.CutPrefix(os.Getenv("GOPROXY"), "file://")
	if !ok {
		t.Fatal("no proxy")
	}
	packages, archive := t.TempDir(), filepath.Join(t.TempDir(), "a b,off|c")
	if err := os.Mkdir(archive, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(place, filepath.Join(archive, lock.PackedProxy)); err != nil {
		t.Fatal(err)
	}
	r := lock.Resolver{CacheDir: t.TempDir(), Inputs: []string{packages, archive}, Offline: true}
	got, err := r.GoProxy()
	if want := "file://" + filepath.Dir(archive) + "/a%20b%2Coff%7Cc/goproxy,off"; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	// And the go command reads it so.
	t.Setenv("GOPROXY", "off")
	if _, err := r.GoModules(t.Context(), l, []byte(goSum), []module.Version{example()}); err != nil {
		t.Error(err)
	}
}
