package lock

import (
	"path/filepath"
	"strings"
	"testing"
)

// The package is the locked one but a line about its content is wrong.
func TestLockAgainstPackage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Package)
		want   string
	}{
		{"file hash", func(p *Package) { p.Files[0].SHA256[0] ^= 1 }, "usr/lib/small/x64.stub: sha256: got 58ad2f7b"},
		{"file size", func(p *Package) { p.Files[0].Size++ }, "size: got 38, want 39"},
		{"file path", func(p *Package) { p.Files[0].Path = "usr/lib/none" }, `extracting "usr/lib/none": package small-boot 1:2.0~rc1-1 has no such file`},
		{"version", func(p *Package) {
			p.Version, p.Pool = "1:2.0-1", "pool/main/s/small-boot/small-boot_2.0-1_all.deb"
		}, "control fields: got small-boot 1:2.0~rc1-1 all, want small-boot 1:2.0-1 all"},
		{"name", func(p *Package) {
			p.Name, p.Pool = "small-root", "pool/main/s/small-root/small-root_2.0~rc1-1_all.deb"
		}, "control fields: got small-boot 1:2.0~rc1-1 all, want small-root 1:2.0~rc1-1 all"},
		{"architecture", func(p *Package) {
			p.Architecture, p.Pool = "amd64", "pool/main/s/small-boot/small-boot_2.0~rc1-1_amd64.deb"
		}, "control fields: got small-boot 1:2.0~rc1-1 all, want small-boot 1:2.0~rc1-1 amd64"},
		{"pool path", func(p *Package) { p.Pool = "pool/../../x.deb" }, "pool path: got"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, b := small(t)
			tt.change(&p)
			dir := t.TempDir()
			write(t, filepath.Join(dir, "sha256", p.SHA256.String()), b)
			r := Resolver{CacheDir: t.TempDir(), Inputs: []string{dir}, Offline: true}
			_, err := r.File(t.Context(), p, p.Files[0])
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A cache that holds the files already proves nothing about another line for
// their package: it would be published in release.json as an input.
func TestWarmCacheAgainstWrongLine(t *testing.T) {
	good, _ := small(t)
	r := Resolver{CacheDir: t.TempDir(), Inputs: []string{filepath.Join("testdata/archive", filepath.Dir(good.Pool))}, Offline: true}
	if _, err := r.File(t.Context(), good, good.Files[0]); err != nil {
		t.Fatal(err)
	}
	r.Inputs = nil
	for name, change := range map[string]func(*Package){
		"hash": func(p *Package) { p.SHA256[0] ^= 1 },
		"size": func(p *Package) { p.Size++ },
		"version": func(p *Package) {
			p.Version, p.Pool = "1:2.0-1", "pool/main/s/small-boot/small-boot_2.0-1_all.deb"
		},
	} {
		wrong := good
		change(&wrong)
		for range 2 { // the failure leaves nothing behind that a second try believes
			if _, err := r.File(t.Context(), wrong, wrong.Files[0]); err == nil {
				t.Errorf("%s: got no error", name)
			}
		}
	}
	if _, err := r.File(t.Context(), good, good.Files[0]); err != nil {
		t.Errorf("the right line: %v", err)
	}
}
