package lock

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAptSources(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sources.list"), []byte(`# deb http://commented.example/debian trixie main
deb http://one.example/debian/ trixie main
deb-src http://source.example/debian trixie main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://two.example/debian trixie main # why
deb cdrom:[Debian]/ trixie main
deb http://one.example/debian trixie-updates main
debx http://no.example x
`))
	write(t, filepath.Join(dir, "sources.list.d/a.sources"), []byte(`Types: deb deb-src
# a comment inside
URIs: http://three.example/debian
 http://four.example/debian/
Suites: trixie
Components: main

Types: deb
URIs: http://disabled.example/debian
Enabled: no

Types: deb-src
URIs: http://source.example/debian
`))
	write(t, filepath.Join(dir, "sources.list.d/b.list.disabled"), []byte("deb http://off.example/debian trixie main\n"))
	got, err := aptSources(dir)
	if err != nil {
		t.Fatal(err)
	}
	// By reading sources.list(5).
	want := []string{"http://one.example/debian", "https://two.example/debian", "http://three.example/debian", "http://four.example/debian"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := aptSources(filepath.Join(dir, "none")); err != nil || len(got) != 0 {
		t.Errorf("no apt: got %v, %v", got, err)
	}
}

// A machine that has apt-get answers; one without falls back to the files.
func TestAptMirrors(t *testing.T) {
	list, err := AptMirrors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mirrors(list), list); diff != "" {
		t.Errorf("not http or https, or not each once: %s", diff)
	}
}

// A container image comes with sources but without indexes.
func TestAptMirrorsWithoutIndexes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sources.list"), []byte("deb [trusted=yes] http://one.example/debian trixie main\n"))
	write(t, filepath.Join(dir, "lists/partial/none"), nil)
	write(t, filepath.Join(dir, "apt.conf"), []byte(`Dir::Etc::sourcelist "`+dir+`/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "`+dir+`/lists";
`))
	t.Setenv("APT_CONFIG", filepath.Join(dir, "apt.conf"))
	got, err := AptMirrors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"http://one.example/debian"}, got); diff != "" {
		t.Error(diff)
	}
}
