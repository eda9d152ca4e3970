package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"safebox/image"
	"safebox/image/lock/locktest"
	"safebox/initrd/layout"
)

// Limits of a release with the distribution's kernel.
const (
	maxUKI  = 24 << 20
	maxInit = 14 << 20
)

// options are those of a release from the pinned inputs.
func options(t *testing.T) image.Options {
	t.Helper()
	lockFile, err := os.ReadFile("safebox.lock")
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver("..")
	if err != nil {
		t.Fatal(err)
	}
	return image.Options{
		Lock: lockFile, LockName: "safebox.lock", Resolver: r, Source: "..", Init: image.InitPackage, Kernel: layout.Distro, Platforms: []string{"vtpm"}, Progress: func(image.Progress) {},
	}
}

// write builds a release into a new folder.
func write(t *testing.T) string {
	t.Helper()
	a, err := image.Build(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "release")
	if err := a.Write(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// found is what lies at a path: the mode, and what a file holds.
type found struct {
	Mode    fs.FileMode
	Content string
}

func walk(t *testing.T, folder string) map[string]found {
	t.Helper()
	all := map[string]found{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		f := found{Mode: info.Mode()}
		if !e.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f.Content = string(b)
		}
		all[name] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestBuild looks at the folder that a real build writes.
func TestBuild(t *testing.T) {
	folder := write(t)
	all := walk(t, folder)
	t.Run("files", func(t *testing.T) { checkFiles(t, all) })
	t.Run("sizes", func(t *testing.T) {
		if got := len(all["safebox.efi"].Content); got == 0 || got > maxUKI {
			t.Errorf("UKI: got %d bytes, want at most %d", got, maxUKI)
		}
		if got := len(all["safebox-init"].Content); got == 0 || got > maxInit {
			t.Errorf("init: got %d bytes, want at most %d", got, maxInit)
		}
	})
	t.Run("initrd", func(t *testing.T) { checkInitrd(t, all) })
	t.Run("digests", func(t *testing.T) { checkDigests(t, folder, all) })
	t.Run("again", func(t *testing.T) { checkAgain(t, all) })
}

// TestBuildInterrupted: an interruption in any step ends the build, the last
// step's too.
func TestBuildInterrupted(t *testing.T) {
	o := options(t)
	var steps []string
	o.Progress = func(p image.Progress) { steps = append(steps, p.Step) }
	if _, err := image.Build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		ctx, interrupt := context.WithCancel(t.Context())
		var last string
		o.Progress = func(p image.Progress) {
			if last = p.Step; last == step {
				interrupt()
			}
		}
		_, err := image.Build(ctx, o)
		interrupt()
		if !errors.Is(err, context.Canceled) || last != step {
			t.Errorf("interrupted in step %q: got error %v after step %q", step, err, last)
		}
	}
	if want := 5; len(steps) != want {
		t.Errorf("steps: got %q, want %d", steps, want)
	}
}

// checkFiles: the files that the command-line contract lists for platform
// vtpm, no other, with the modes that everybody may read.
func checkFiles(t *testing.T, all map[string]found) {
	want := map[string]fs.FileMode{
		".": fs.ModeDir | 0o755, "firmware": fs.ModeDir | 0o755, "firmware/OVMF_CODE_4M.fd": 0o644, "firmware/OVMF_VARS_4M.fd": 0o644,
		"cmdline": 0o644, "initrd.cpio.zst": 0o644, "release.json": 0o644, "safebox-init": 0o644, "safebox.efi": 0o644,
		"safebox.raw": 0o644, "sbom.cdx.json": 0o644, "vmlinuz": 0o644,
	}
	got := map[string]fs.FileMode{}
	for name, f := range all {
		got[name] = f.Mode
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// initrdList is everything that the machine has to run with: one program, the
// modules of the network card in load order, and empty mount points. It is
// written by hand: mode, owner, group and name, as `cpio -tvn` shows them.
const initrdList = `drwxr-xr-x 0 0 dev
-r-xr-xr-x 0 0 init
drwxr-xr-x 0 0 modules
-r--r--r-- 0 0 modules/00-failover.ko
-r--r--r-- 0 0 modules/01-net_failover.ko
-r--r--r-- 0 0 modules/02-virtio_net.ko
drwxr-xr-x 0 0 proc
drwxr-xr-x 0 0 run
drwxr-xr-x 0 0 sys
drwxr-xr-x 0 0 tmp
`

// checkInitrd lists the archive with GNU cpio.
func checkInitrd(t *testing.T, all map[string]found) {
	unpack, err := zstd.NewReader(strings.NewReader(all["initrd.cpio.zst"].Content))
	if err != nil {
		t.Fatal(err)
	}
	defer unpack.Close()
	unpacked, err := io.ReadAll(unpack)
	if err != nil {
		t.Fatal(err)
	}
	archive := string(unpacked)
	var list strings.Builder
	for line := range strings.Lines(tool(t, archive, "cpio", "-tvn", "--quiet")) {
		f := strings.Fields(line) // mode, links, owner, group, size, month, day, time, name
		fmt.Fprintln(&list, f[0], f[2], f[3], f[len(f)-1])
	}
	if diff := cmp.Diff(initrdList, list.String()); diff != "" {
		t.Error(diff)
	}
	if got := tool(t, archive, "cpio", "-i", "--to-stdout", "--quiet", "init"); got != all["safebox-init"].Content {
		t.Error("/init is not safebox-init")
	}
}

// tool runs a program that ci/setup installs.
func tool(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, stderr.String())
	}
	return stdout.String()
}

// checkDigests: release.json lists every file but itself, with the digests
// that sha256sum and sha384sum give for what lies on the disk.
func checkDigests(t *testing.T, folder string, all map[string]found) {
	var r struct {
		LockSHA256 string `json:"lock_sha256"`
		Artifacts  []struct {
			Name           string
			Size           int
			SHA256, SHA384 string
		}
	}
	if err := json.Unmarshal([]byte(all["release.json"].Content), &r); err != nil {
		t.Fatal(err)
	}
	var names, sums256, sums384 []string
	for _, a := range r.Artifacts {
		names = append(names, a.Name)
		path := filepath.Join(folder, a.Name)
		sums256 = append(sums256, a.SHA256+"  "+path+"\n")
		sums384 = append(sums384, a.SHA384+"  "+path+"\n")
		if got := len(all[a.Name].Content); got != a.Size {
			t.Errorf("%s: size: got %d, want %d", a.Name, a.Size, got)
		}
	}
	var files []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name].Mode.IsRegular() && name != "release.json" {
			files = append(files, name)
		}
	}
	if diff := cmp.Diff(files, names); diff != "" {
		t.Error(diff)
	}
	tool(t, strings.Join(sums256, ""), "sha256sum", "--strict", "--quiet", "-c")
	tool(t, strings.Join(sums384, ""), "sha384sum", "--strict", "--quiet", "-c")
	if want, _, _ := strings.Cut(tool(t, "", "sha256sum", "safebox.lock"), " "); r.LockSHA256 != want {
		t.Errorf("lock_sha256: got %s, want %s", r.LockSHA256, want)
	}
}

// checkAgain builds once more under a umask that takes everything from
// everybody else: the bytes and the modes are the same.
func checkAgain(t *testing.T, want map[string]found) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	got := walk(t, write(t))
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: mode %v, %d bytes; the first time mode %v, %d bytes, and the bytes are equal: %t",
				name, got[name].Mode, len(got[name].Content), want[name].Mode, len(want[name].Content), got[name].Content == want[name].Content)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s: not there the first time", name)
	}
}
