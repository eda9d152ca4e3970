package rebuild

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/release"
)

const lockText = "safebox-lock v1\n"

// contents are the files of a small release.
func contents() map[string]string {
	return map[string]string{
		"cmdline": "console=ttyS0 panic=1", "safebox-init": "\x00init", "safebox.efi": "\x00uki", "vmlinuz": "\x00kernel",
		"firmware/OVMF_CODE_4M.fd": "\x00code",
	}
}

func describe(name, content string) release.Artifact {
	a, b := sha256.Sum256([]byte(content)), sha512.Sum384([]byte(content))
	return release.Artifact{Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(a[:]), SHA384: hex.EncodeToString(b[:])}
}

// describeAll is a release of these files; all else is that of a captured one
// (verifier/testdata/boot).
func describeAll(t testing.TB, files map[string]string) *release.Release {
	t.Helper()
	b, err := os.ReadFile("../../verifier/testdata/boot/release.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(lockText))
	r.LockSHA256, r.Launches, r.Artifacts = hex.EncodeToString(sum[:]), nil, nil
	for _, name := range slices.Sorted(maps.Keys(files)) {
		r.Artifacts = append(r.Artifacts, describe(name, files[name]))
	}
	return r
}

// publish writes a release folder.
func publish(t testing.TB, r *release.Release, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, release.FileName), string(b))
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// builder builds these files, whatever is asked.
func builder(t testing.TB, files map[string]string, change func(*release.Release)) Builder {
	return func(context.Context, Request) (*Built, error) {
		r := describeAll(t, files)
		if change != nil {
			change(r)
		}
		return &Built{Release: r, File: func(name string) []byte {
			if s, ok := files[name]; ok {
				return []byte(s)
			}
			return nil
		}}, nil
	}
}

func sentences(r *Result) (list []string) {
	for _, d := range r.Differences {
		list = append(list, d.String())
	}
	return list
}

// TestRun: what is published is the release of contents.
func TestRun(t *testing.T) {
	hash := func(s string) string { return describe("", s).SHA256 }
	tests := map[string]struct {
		built  func(map[string]string)
		change func(*release.Release)
		hide   []string // files that are not in the folder
		want   []string
	}{
		"match":                   {},
		"match by digests alone":  {hide: []string{"safebox.efi", "vmlinuz", "cmdline", "safebox-init", "firmware/OVMF_CODE_4M.fd"}},
		"command line":            {built: func(m map[string]string) { m["cmdline"] = "console=ttyS0 panic=0" }, want: []string{`cmdline: word 2: "panic=0", want "panic=1"`, `release.json: artifacts: cmdline: sha256: "` + hash("console=ttyS0 panic=0") + `", want "` + hash("console=ttyS0 panic=1") + `"`}},
		"cause first":             {built: func(m map[string]string) { m["safebox.efi"], m["safebox-init"] = "\x00ukI", "\x00inIt" }, want: []string{"safebox-init: byte 3: 0x49, want 0x69", "safebox.efi: byte 3: 0x49, want 0x69", `release.json: artifacts: safebox-init: sha256: "` + hash("\x00inIt") + `", want "` + hash("\x00init") + `"`}},
		"size by digests alone":   {built: func(m map[string]string) { m["vmlinuz"] = "\x00" }, hide: []string{"vmlinuz"}, want: []string{"vmlinuz: size: 1 byte, want 7 bytes (the published file is not here: only its digests were compared)", `release.json: artifacts: vmlinuz: sha256: "` + hash("\x00") + `", want "` + hash("\x00kernel") + `"`}},
		"digest":                  {built: func(m map[string]string) { m["vmlinuz"] = "\x00kerneL" }, hide: []string{"vmlinuz"}, want: []string{"vmlinuz: SHA-256: " + hash("\x00kerneL") + ", want " + hash("\x00kernel") + " (the published file is not here: only its digests were compared)", `release.json: artifacts: vmlinuz: sha256: "` + hash("\x00kerneL") + `", want "` + hash("\x00kernel") + `"`}},
		"file not rebuilt":        {built: func(m map[string]string) { delete(m, "vmlinuz") }, want: []string{"vmlinuz: none, want 7 bytes", `release.json: artifacts: vmlinuz: none, want {"name":"vmlinuz","sha256":"` + hash("\x00kernel") + `","sha384":"` + describe("", "\x00kernel").SHA384[:94] + ".."}},
		"file in addition":        {built: func(m map[string]string) { m["notes"] = "x" }, want: []string{"notes: 1 byte, want none", `release.json: artifacts: notes: {"name":"notes","sha256":"` + hash("x") + `","sha384":"` + describe("", "x").SHA384[:60] + ".."}},
		"only release.json":       {change: func(r *release.Release) { r.Epoch++ }, want: []string{"release.json: epoch: 1767225601, want 1767225600"}},
		"lists what it lacks":     {change: func(r *release.Release) { r.Artifacts = r.Artifacts[1:] }, want: []string{`release.json: artifacts: cmdline: none, want {"name":"cmdline","sha256":"` + hash("console=ttyS0 panic=1") + `","sha384":"` + describe("", "console=ttyS0 panic=1").SHA384[:94] + ".."}},
		"digest of another file":  {change: func(r *release.Release) { r.Artifacts[0].SHA256 = hash("x") }, want: []string{`release.json: artifacts: cmdline: sha256: "` + hash("x") + `", want "` + hash("console=ttyS0 panic=1") + `"`}},
		"digest told, other file": {built: func(m map[string]string) { m["vmlinuz"] = "\x00kerneL" }, change: func(r *release.Release) { r.Artifacts[4] = describe("vmlinuz", "\x00kernel") }, want: []string{"vmlinuz: byte 6: 0x4c, want 0x6c"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			here := contents()
			for _, name := range tt.hide {
				delete(here, name)
			}
			p, err := Open(publish(t, describeAll(t, contents()), here))
			if err != nil {
				t.Fatal(err)
			}
			files := contents()
			if tt.built != nil {
				tt.built(files)
			}
			r, err := Run(t.Context(), p, []byte(lockText), builder(t, files, tt.change))
			if err != nil {
				t.Fatal(err)
			}
			got := sentences(r)
			for i := range min(len(got), len(tt.want)) {
				if strings.HasSuffix(tt.want[i], "..") && strings.HasPrefix(got[i], strings.TrimSuffix(tt.want[i], "..")) {
					got[i] = tt.want[i] // the rest is cut in another place
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || r.Match() != (tt.want == nil) {
				t.Errorf("match %t (-want +got):\n%s", r.Match(), diff)
			}
			if r.Release != sha256.Sum256(p.Encoded) {
				t.Errorf("release %x, want SHA-256 of release.json", r.Release)
			}
		})
	}
}

// TestRunOtherLock: nothing is built from another lock.
func TestRunOtherLock(t *testing.T) {
	p, err := Open(publish(t, describeAll(t, contents()), nil))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), p, []byte(lockText+"#\n"), func(context.Context, Request) (*Built, error) {
		t.Error("built")
		return nil, errors.New("built")
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"release.json: lock_sha256: " + describe("", lockText+"#\n").SHA256 + ", want " + describe("", lockText).SHA256 +
		" (the source has another lock file: nothing was built)"}
	if diff := cmp.Diff(want, sentences(r)); diff != "" || r.Match() || r.Rebuilt != [32]byte{} {
		t.Errorf("match %t, rebuilt %x (-want +got):\n%s", r.Match(), r.Rebuilt, diff)
	}
}

// TestRunErrors: what is no answer.
func TestRunErrors(t *testing.T) {
	dir := publish(t, describeAll(t, contents()), contents())
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no compiler")
	_, err = Run(t.Context(), p, []byte(lockText), func(context.Context, Request) (*Built, error) { return nil, failure })
	if !errors.Is(err, failure) {
		t.Errorf("failing build: got %v", err)
	}
	_, err = Run(t.Context(), p, []byte(lockText), builder(t, contents(), func(r *release.Release) { r.Type = "x" }))
	if err == nil {
		t.Error("a release that can't be encoded: got no error")
	}
	_, err = Run(t.Context(), p, []byte(lockText), builder(t, contents(), func(r *release.Release) {
		r.Artifacts = append(r.Artifacts, describe("zz", ""))
	}))
	if want := "comparing zz: listed by the rebuilt release, which does not hold it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	write(t, filepath.Join(dir, "cmdline"), "console=ttyS0 panic=9")
	other := contents()
	other["cmdline"] = "console=ttyS0 panic=9"
	if _, err = Run(t.Context(), p, []byte(lockText), builder(t, other, nil)); err == nil || !strings.Contains(err.Error(), "cmdline is not the file that release.json describes") {
		t.Errorf("a file that changed behind our back: got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"other file":  {func(dir string) error { return os.WriteFile(dir+"/vmlinuz", []byte("\x00kerneL"), 0o600) }, "/vmlinuz is not the file that release.json describes: SHA-256: got "},
		"longer file": {func(dir string) error { return os.WriteFile(dir+"/vmlinuz", []byte("\x00kernel\x00"), 0o600) }, "size: got 8 bytes, want 7"},
		"link": {func(dir string) error {
			return errors.Join(os.Rename(dir+"/vmlinuz", dir+"/real"), os.Symlink("real", dir+"/vmlinuz"))
		}, "/vmlinuz: got L--------- of 4 bytes, want a file"},
		"link above": {func(dir string) error {
			return errors.Join(os.Rename(dir+"/firmware", dir+"/real"), os.Symlink("real", dir+"/firmware"))
		}, "/firmware: got L---------, want a folder"},
		"folder":     {func(dir string) error { return errors.Join(os.Remove(dir+"/vmlinuz"), os.Mkdir(dir+"/vmlinuz", 0o700)) }, "/vmlinuz: got d--------- "},
		"no release": {func(dir string) error { return os.Remove(dir + "/release.json") }, "release.json: no such file"},
		"not canonical": {func(dir string) error {
			f, err := os.OpenFile(dir+"/release.json", os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("\n")
			return errors.Join(err, f.Close())
		}, "decoding release"},
		"too large": {func(dir string) error { return os.Truncate(dir+"/release.json", release.MaxSize+1) }, "1048577 bytes, want a file of at most 1048576"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := publish(t, describeAll(t, contents()), contents())
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("nothing there: got no error")
	}
}

// TestOpenFile: release.json alone, although the files lie beside it.
func TestOpenFile(t *testing.T) {
	dir := publish(t, describeAll(t, contents()), contents())
	p, err := Open(filepath.Join(dir, release.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.read(describe("vmlinuz", contents()["vmlinuz"])); !errors.Is(err, errNoFile) {
		t.Errorf("got %v, want %v", err, errNoFile)
	}
}

func TestRequest(t *testing.T) {
	files := contents()
	files["safebox.gcp.tar.gz"], files["safebox.qcow2"], files["safebox.igvm"] = "g", "q", "i"
	r := describeAll(t, files)
	r.Kernel = "source"
	r.Launches = []release.Launch{{Platform: "snp"}, {Platform: "tdx"}}
	r.Measurements = append(r.Measurements, release.Measurement{Platform: "nitro"})
	want := Request{Kernel: "source", Platforms: []string{"vtpm", "snp", "tdx", "nitro"}, Disks: []string{"qcow2", "gcp"}, IGVM: true}
	if diff := cmp.Diff(want, (&Published{Release: r}).Request()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = Request{Kernel: "distro", Platforms: []string{"vtpm"}}
	if diff := cmp.Diff(want, (&Published{Release: describeAll(t, contents())}).Request()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
