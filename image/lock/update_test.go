package lock

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/image/deb"
)

func options(l *Lock) UpdateOptions {
	return UpdateOptions{
		Suites:  []string{"example"},
		Keyring: "testdata/archive.gpg",
		toolchain: func(context.Context, string) (Toolchain, error) {
			return l.Toolchain, nil
		},
	}
}

// changed serves the test archive with one file passed through edit.
func changed(t *testing.T, suffix string, edit func([]byte) []byte) string {
	return serve(t, func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, suffix) {
			body(edit(load(t, filepath.Join("testdata/archive", req.URL.Path))))(w, req)
			return
		}
		http.FileServer(http.Dir("testdata/archive")).ServeHTTP(w, req)
	})
}

func needGPGV(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("gpgv"); err != nil {
		t.Fatal("gpgv is missing: run ci/setup")
	}
}

// The new locks were written by make.sh with sha256sum and stat.
func TestUpdate(t *testing.T) {
	needGPGV(t)
	for name, wanted := range map[string]string{oldLock: newLock, newLock: newLock, oldSource: newSource, newSource: newSource} {
		want, l := string(load(t, wanted)), parse(t, name)
		r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{serve(t, http.NotFound), mirror(t)}}
		got, err := Update(t.Context(), l, &r, options(l))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got.Encode())); diff != "" {
			t.Errorf("from %s: %s", name, diff)
		}
	}
}

// TestUpdateKeeps: a package that no suite has stays as it is pinned when it is
// named, and the others move.
func TestUpdateKeeps(t *testing.T) {
	needGPGV(t)
	l, want := parse(t, oldLock), parse(t, newLock)
	l.Packages[1].Pool = strings.ReplaceAll(l.Packages[1].Pool, l.Packages[1].Name, "elsewhere")
	l.Packages[1].Name = "elsewhere"
	want.Packages[1] = l.Packages[1]
	opt := options(l)
	opt.Keep = []string{"elsewhere"}
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	got, err := Update(t.Context(), l, &r, opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Packages, got.Packages); diff != "" {
		t.Error(diff)
	}
}

// TestUpdateKeepsTool: what stays is looked at for what it depends on all the same.
func TestUpdateKeepsTool(t *testing.T) {
	needGPGV(t)
	l, want := parse(t, oldSource), parse(t, newSource)
	want.Tools[0] = l.Tools[0]
	opt := options(l)
	opt.Keep = []string{"small-cc"}
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	got, err := Update(t.Context(), l, &r, opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	opt.Keep = []string{"libsmall1"}
	var incomplete *DependencyError
	_, err = Update(t.Context(), l, &r, opt)
	if !errors.As(err, &incomplete) || err.Error() != "updating lock: tools: no tool satisfies a dependency: small-cc 4.3-1 needs libsmall-abi (= 2)" || !strings.Contains(incomplete.Hint(), "version 0") {
		t.Errorf("got %v", err)
	}
}

// TestUpdateFillsIn: a tool that was written in by hand, without knowing more
// than its name, gets its line. docs/format-lock.md, "Tools".
func TestUpdateFillsIn(t *testing.T) {
	needGPGV(t)
	text := string(load(t, oldSource))
	at := strings.Index(text, "tool libsmall1")
	l, err := Parse([]byte(text[:at] + "tool libsmall1 0 amd64 1 " + Digest{}.String() + " pool/libsmall1_0_amd64.deb\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	got, err := Update(t.Context(), l, &r, options(l))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(load(t, newSource)), string(got.Encode())); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateRefusesTools(t *testing.T) {
	needGPGV(t)
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }
	for _, tt := range []struct {
		name string
		file string // that the mirror has damaged
		set  func(*Lock)
		want string
	}{
		{"incomplete", "none", func(l *Lock) { l.Tools = l.Tools[:1] }, "small-cc 4.3-1 needs libsmall-abi (= 2)"},
		{"older on offer", "none", func(l *Lock) { l.Tools[1].Version = "1.2-1" }, "package libsmall1 1.2-1: the newest on offer is 1.1-1+b1, which is older"},
		{"unknown", "none", func(l *Lock) { l.Tools[1].Name = "nothing" }, "no suite has nothing"},
		{"changed", "libsmall1_1.1-1+b1_amd64.deb", func(*Lock) {}, "package libsmall1 1.1-1+b1 from "},
		{"changed source", "small-source-9.9_9.9.10-1_all.deb", func(*Lock) {}, "package small-source-9.9 9.9.10-1 from "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := parse(t, oldSource)
			tt.set(l)
			r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{changed(t, tt.file, flip)}}
			_, err := Update(t.Context(), l, &r, options(l))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestUpdateRefuses(t *testing.T) {
	needGPGV(t)
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }
	keep := func(b []byte) []byte { return b }
	for _, tt := range []struct {
		name string
		file string
		edit func([]byte) []byte
		set  func(*Lock, *UpdateOptions)
		want string
	}{
		{"other key", "InRelease", keep, func(_ *Lock, o *UpdateOptions) { o.Keyring = "testdata/else.gpg" }, "gpgv: exit status 2: "},
		{"no keyring", "InRelease", keep, func(_ *Lock, o *UpdateOptions) { o.Keyring = "testdata/none.gpg" }, "install debian-archive-keyring"},
		{"changed release", "InRelease", func(b []byte) []byte { return bytes.Replace(b, []byte("Origin: Test"), []byte("Origin: Best"), 1) }, nil, "gpgv: exit status"},
		{"no signature", "InRelease", func(b []byte) []byte {
			return b[bytes.Index(b, []byte("Origin")):bytes.Index(b, []byte("-----BEGIN PGP SIGNATURE"))]
		}, nil, "gpgv: exit status"},
		{"changed index", "Packages.xz", flip, nil, "index main/binary-amd64/Packages.xz from "},
		{"longer index", "Packages.xz", func(b []byte) []byte { return append(bytes.Clone(b), 0) }, nil, "got more than"},
		{"expired", "InRelease", keep, func(_ *Lock, o *UpdateOptions) { o.Now = time.Date(2100, 1, 2, 0, 0, 0, 0, time.UTC) }, "field Valid-Until: expired on Fri, 01 Jan 2100 00:00:00 UTC"},
		{"changed package", "small-boot_2.0-1_all.deb", flip, nil, "package small-boot 1:2.0-1 from "},
		{"older on offer", "InRelease", keep, func(l *Lock, _ *UpdateOptions) { l.Packages[1].Version = "1:2.1-1" }, "the newest on offer is 1:2.0-1, which is older"},
		{"unknown package", "InRelease", keep, func(l *Lock, _ *UpdateOptions) { l.Packages[1].Name = "nothing" }, "no suite has nothing"},
		{"kept and not there", "InRelease", keep, func(_ *Lock, o *UpdateOptions) { o.Keep = []string{"nothing"} }, `package to keep: "nothing" is not in the lock`},
		{"file gone", "InRelease", keep, func(l *Lock, _ *UpdateOptions) { l.Packages[1].Files[0].Path = "usr/none" }, `extracting "usr/none"`},
		{"suite name", "InRelease", keep, func(_ *Lock, o *UpdateOptions) { o.Suites = []string{"../x"} }, `suite: got "../x"`},
		{"no such suite", "none", keep, func(_ *Lock, o *UpdateOptions) { o.Suites = []string{"other"} }, "reading the index of other: no mirror has it: "},
		{"toolchain", "InRelease", keep, func(_ *Lock, o *UpdateOptions) {
			o.toolchain = func(context.Context, string) (Toolchain, error) { return Toolchain{}, errors.New("no go") }
		}, "no go"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := parse(t, oldLock)
			opt := options(l)
			if tt.set != nil {
				tt.set(l, &opt)
			}
			r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{changed(t, tt.file, tt.edit)}}
			_, err := Update(t.Context(), l, &r, opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// A signed release of another suite, given under the name asked for.
func TestUpdateRefusesOtherSuite(t *testing.T) {
	needGPGV(t)
	l := parse(t, oldLock)
	opt := options(l)
	opt.Suites = []string{"newer"}
	base := serve(t, func(w http.ResponseWriter, req *http.Request) {
		req.URL.Path = strings.Replace(req.URL.Path, "/newer/", "/example/", 1)
		http.FileServer(http.Dir("testdata/archive")).ServeHTTP(w, req)
	})
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{base}}
	_, err := Update(t.Context(), l, &r, opt)
	if err == nil || !strings.Contains(err.Error(), `suite: got "stable" (codename "example"), want "newer"`) {
		t.Errorf("got %v", err)
	}
}

func TestGPGVMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := verifySignature(t.Context(), nil, "testdata/archive.gpg")
	if err == nil || !strings.Contains(err.Error(), "install gpgv") {
		t.Errorf("got %v", err)
	}
}

func TestKernelRelease(t *testing.T) {
	for _, tt := range []struct {
		name, release, flavour string
		ok                     bool
	}{ // names of Debian 12 and 13
		{"linux-image-6.12.107+deb13-cloud-amd64", "6.12.107+deb13", "cloud-amd64", true},
		{"linux-image-6.1.0-50-cloud-amd64", "6.1.0-50", "cloud-amd64", true},
		{"linux-image-6.12.107+deb13-amd64", "6.12.107+deb13", "amd64", true},
		{"linux-image-cloud-amd64", "", "", false},
		{"ovmf", "", "", false},
	} {
		release, flavour, ok := kernelRelease(tt.name)
		if release != tt.release || flavour != tt.flavour || ok != tt.ok {
			t.Errorf("%s: got %q %q %v", tt.name, release, flavour, ok)
		}
	}
}

func FuzzSelectStanzas(f *testing.F) {
	f.Add([]byte("Package: a1\nVersion: 1\nArchitecture: all\nFilename: pool/main/a/a1/a1_1_all.deb\nSize: 1\nSHA256: 1a798999619ebdd8184815da47fee7276e93fad01891548c5fb6f0bdd3a53c54\n\nPackage: b1\nVersion: 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := selectStanzas(bytes.NewReader(b), func(string) bool { return true })
		if err != nil {
			return
		}
		for _, c := range found {
			if p, err := packageFrom(c); err == nil && !deb.ValidVersion(p.Version) {
				t.Fatalf("got %+v", p)
			}
		}
	})
}

func TestDecodeDownload(t *testing.T) {
	want := toolchainFor("1.26.8")
	// The go command's own answer, without the paths of the machine.
	const answer = `{"Path": "golang.org/toolchain", "Version": "v0.0.1-go1.26.8.linux-amd64", "Sum": "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=", "GoModSum": "h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0="}`
	sum, err := decodeDownload([]byte(answer), want)
	if err != nil || sum != "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=" {
		t.Errorf("got %q, %v", sum, err)
	}
	for name, tt := range map[string]struct{ out, want string }{
		"error":        {`{"Path":"golang.org/toolchain","Error":"dial:\nno route"}`, "dial:; no route"},
		"other module": {strings.Replace(answer, "1.26.8", "1.26.7", 1), "got module"},
		"no sum":       {strings.Replace(answer, `"Sum"`, `"Some"`, 1), "toolchain: hash"},
		"no JSON":      {"x", "decoding"},
	} {
		if _, err := decodeDownload([]byte(tt.out), want); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestChecksumDatabaseOff(t *testing.T) {
	for name, value := range map[string]string{"GOSUMDB": "off", "GONOSUMDB": "golang.org/*", "GOPRIVATE": "example.com,golang.org"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := ResolveToolchain(t.Context(), "1.26.8")
			if err == nil || !strings.Contains(err.Error(), "checksum database") {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}
