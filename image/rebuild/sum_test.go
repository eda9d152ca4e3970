package rebuild

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sourceTree writes a small source; what is below bin, out and .git is none.
func sourceTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module safebox\n", "guest/boot/boot.go": "package boot\n", "a b/ü.txt": "", "guest/bin/x": "counts\n", "guest.go": "package safebox\n",
		"guest/.git/config": "counts\n", "image/out/y": "counts\n", ".gitignore": "/out/\n/bin/\n",
		"bin/safebox": "no\n", "out/release/release.json": "no\n", ".git/HEAD": "no\n",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

// coreutilsSum is the sum by other programs, as the documentation of Go's
// dirhash.Hash1 says it: a SHA-256 over the lines of sha256sum.
func coreutilsSum(t testing.TB, dir string) string {
	t.Helper()
	const script = `find . -type f ! -path './.git/*' ! -path ./.git ! -path './bin/*' ! -path './out/*' -printf '%P\0' |
		sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64 | tr a-f A-F | basenc -d --base16 -i | base64`
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: find, sort, sha256sum and basenc are wanted, which every Debian has", err)
	}
	return "h1:" + strings.TrimSpace(string(out))
}

// TestSum: the sum is coreutils', before and after each change that counts,
// and after none that does not.
func TestSum(t *testing.T) {
	dir := sourceTree(t)
	sum := func() string {
		t.Helper()
		got, err := Sum(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := coreutilsSum(t, dir); got != want {
			t.Errorf("got %s, want sha256sum's %s", got, want)
		}
		return got
	}
	last := sum()
	for _, tt := range []struct {
		name   string
		counts bool
		change func() error
	}{
		{"a byte", true, func() error { return os.WriteFile(filepath.Join(dir, "guest.go"), []byte("package safebox \n"), 0o600) }},
		{"a name", true, func() error { return os.Rename(filepath.Join(dir, "guest.go"), filepath.Join(dir, "guess.go")) }},
		{"one file more", true, func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) }},
		{"one file less", true, func() error { return os.Remove(filepath.Join(dir, "new")) }},
		{"bin in a folder", true, func() error { return os.WriteFile(filepath.Join(dir, "guest/bin/z"), nil, 0o600) }},
		{"out in a folder", true, func() error { return os.WriteFile(filepath.Join(dir, "image/out/z"), nil, 0o600) }},
		{".git in a folder", true, func() error { return os.WriteFile(filepath.Join(dir, "guest/.git/z"), nil, 0o600) }},
		{"bin", false, func() error { return os.WriteFile(filepath.Join(dir, "bin/z"), nil, 0o600) }},
		{"out", false, func() error { return os.RemoveAll(filepath.Join(dir, "out")) }},
		{".git", false, func() error { return os.WriteFile(filepath.Join(dir, ".git/HEAD"), []byte("x"), 0o600) }},
		{"a link in bin", false, func() error { return os.Symlink("x", filepath.Join(dir, "bin/link")) }},
		{"a mode", false, func() error { return os.Chmod(filepath.Join(dir, "go.mod"), 0o755) }}, //nolint:gosec // the mode is the test
		{"an empty folder", false, func() error { return os.Mkdir(filepath.Join(dir, "empty"), 0o700) }},
		{"a work tree's .git", false, func() error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, ".git")), os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: x\n"), 0o600))
		}},
		{"a file called out", true, func() error { return os.WriteFile(filepath.Join(dir, "out"), nil, 0o600) }},
	} {
		if err := tt.change(); err != nil {
			t.Fatal(err)
		}
		if tt.name == "a file called out" {
			// find's pattern for what lies below out does not match a file.
			if got := sum(); got == last {
				t.Errorf("%s: got the same sum", tt.name)
			}
			continue
		}
		got := sum()
		if (got != last) != tt.counts {
			t.Errorf("%s: got %s after %s, want it to count: %v", tt.name, got, last, tt.counts)
		}
		last = got
	}
}

// TestSumRefuses: what is neither file nor folder, and what is no source.
func TestSumRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"link":           {func(dir string) error { return os.Symlink("go.mod", filepath.Join(dir, "guest/link")) }, "guest/link: got L---------, want files and folders only"},
		"link to folder": {func(dir string) error { return os.Symlink("guest", filepath.Join(dir, "more")) }, "more: got L"},
		"pipe":           {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) }, "pipe: got p"},
		"bin is a link": {func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "bin")), os.Symlink("guest", filepath.Join(dir, "bin")))
		}, "bin: got L"},
		".git is a link": {func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, ".git")), os.Symlink("guest", filepath.Join(dir, ".git")))
		}, ".git: got L"},
		"line break": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "a\nb"), nil, 0o600) }, "newlines"},
		"empty":      {func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) }, "no file in it"},
		"no folder":  {os.RemoveAll, "no such file"},
	} {
		dir := sourceTree(t)
		if err := tt.change(dir); err != nil {
			t.Fatal(err)
		}
		if sum, err := Sum(t.Context(), dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q and %v, want %q", name, sum, err, tt.want)
		}
		if c, err := (&Source{Dir: dir}).Copy(t.Context()); name != "line break" && err == nil {
			t.Errorf("%s: copied: %v, %v", name, c, c.Close())
		}
	}
}

func TestSumInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := sourceTree(t)
	if sum, err := Sum(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %q and %v", sum, err)
	}
	if _, err := (&Source{Dir: dir}).Copy(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestCopy: the copy has the sum, and nothing that the sum leaves out.
func TestCopy(t *testing.T) {
	dir, temporary := sourceTree(t), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	want, err := Sum(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&Source{Dir: dir, Digest: [32]byte{7}}).Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Sum(t.Context(), c.Dir); err != nil || got != want {
		t.Errorf("got %s and %v, want %s", got, err, want)
	}
	if c.Digest != [32]byte{7} {
		t.Errorf("digest of the archive: got %x", c.Digest)
	}
	for _, name := range []string{"bin", "out", ".git"} {
		if _, err := os.Lstat(filepath.Join(c.Dir, name)); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
		t.Errorf("got %v and %v left, want nothing", left, err)
	}
}
