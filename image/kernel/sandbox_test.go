package kernel

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
)

// pinned reads the lock of the checkout and what finds its packages.
func pinned(t testing.TB) (*lock.Lock, *lock.Resolver) {
	t.Helper()
	const root = "../.."
	b, err := os.ReadFile(root + "/image/safebox.lock")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	return l, r
}

// smallTools are the packages without which no made kernel builds; only the
// real one needs a compiler.
func smallTools() []string {
	return []string{
		"bash", "coreutils", "grep", "libacl1", "libattr1", "libc6", "libcap2", "libgmp10", "liblzma5", "libpcre2-8-0",
		"libcrypt1", "libselinux1", "libssl3t64", "libtinfo6", "make", "patch", "perl-base", "sed", "tar", "xz-utils", "zlib1g",
	}
}

const testEpoch = 1_767_225_600 // 2026-01-01 00:00:00 UTC, by date(1)

// smallSandbox makes a sandbox with the real tools of the lock, but few.
func smallSandbox(t *testing.T) *sandbox {
	t.Helper()
	l, r := pinned(t)
	var few lock.Lock
	for _, p := range l.Tools {
		if slices.Contains(smallTools(), p.Name) {
			few.Tools = append(few.Tools, p)
		}
	}
	box, err := newSandbox(recipe{epoch: testEpoch}.environment())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(box.dir); err == nil {
			t.Errorf("%s is still there", box.dir)
		}
	})
	if err := (Options{Lock: &few, Resolver: r}).unpackTools(t.Context(), box); err != nil {
		t.Fatal(err)
	}
	if err := box.enterable(t.Context()); err != nil {
		t.Fatal(err)
	}
	return box
}

// look prints all that a program in the sandbox could learn of where it is. The
// loop of /dev/tcp is bash's; $1 is a port of the host.
const look = `env | sort; echo "user $(id -u):$(id -g)"; echo "folder $(pwd)"; echo "machine $(uname -n)"; echo "mask $(umask)"
echo "root $(ls / | tr '\n' ' ')"; echo "devices $(ls -A /dev)"; echo "process $$"; echo "input $(wc -c)"
test -c /dev/null && echo lost > /dev/null && test ! -s /dev/null && echo "null holds nothing"
(exec 3<>/dev/tcp/127.0.0.1/$1) 2>&1 | grep -o 'Network is unreachable' | sort -u
test -e "$2" && echo "sees $2"; mkdir -p d && stat -c 'new folder %a' d; ls -d /proc /sys /home /root /etc/passwd 2>/dev/null; true`

// seen is what look must print: the environment of the image specification,
// section 3, and nothing of a host.
const seen = `HOME=/
KBUILD_BUILD_HOST=safebox
KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026
KBUILD_BUILD_USER=safebox
KBUILD_BUILD_VERSION=1
LC_ALL=C
PATH=/usr/bin:/usr/sbin
PWD=/build
SHLVL=1
SOURCE_DATE_EPOCH=1767225600
TMPDIR=/tmp
TZ=UTC
ZSTD_NBTHREADS=1
_=/usr/bin/env
user 0:0
folder /build
machine safebox
mask 0022
root bin build dev etc lib lib64 sbin tmp usr 
devices null
process 1
input 0
null holds nothing
Network is unreachable
new folder 755
`

// TestSandboxHidesTheHost runs in each way that this user has: root has two.
func TestSandboxHidesTheHost(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "with space:and colon"))
	if err := os.Mkdir(os.Getenv("TMPDIR"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8", "MAKEFLAGS": "-n", "LD_LIBRARY_PATH": "/nowhere", "PERL5OPT": "-Mnone", "BASH_ENV": "/etc/profile"} {
		t.Setenv(name, value)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	port := fmt.Sprint(host.Addr().(*net.TCPAddr).Port)
	box := smallSandbox(t)
	ways := []bool{box.asUser}
	if os.Geteuid() == 0 {
		ways = []bool{true, false}
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, box.asUser = range ways {
		var out bytes.Buffer
		if err := box.run(t.Context(), nil, &out, "/usr/bin/bash", "-c", look, "look", port, box.dir); err != nil {
			t.Fatalf("user namespace %v: %v", box.asUser, err)
		}
		if diff := cmp.Diff(seen, out.String()); diff != "" {
			t.Errorf("user namespace %v (-want +got):\n%s", box.asUser, diff)
		}
		if err := box.root.Remove("build/d"); err != nil {
			t.Error(err)
		}
	}
	if now, err := os.Hostname(); err != nil || now != name {
		t.Errorf("the host's name: got %q, %v, want %q", now, err, name)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte("safebox-kernel-")) {
		t.Errorf("a mount of the sandbox is seen outside, or %v", err)
	}
}

func TestSandboxSaysWhatFailed(t *testing.T) {
	box := smallSandbox(t)
	tests := map[string]struct {
		program []string
		want    string
	}{
		"status":  {[]string{"/usr/bin/bash", "-c", "echo first; seq 100000; echo last words >&2; exit 3"}, "running bash: exit status 3; it said at the end:\n"},
		"last":    {[]string{"/usr/bin/bash", "-c", "seq 100000; echo last words >&2; exit 3"}, "100000\nlast words\n"},
		"missing": {[]string{"/usr/bin/absent"}, "entering sandbox: running /usr/bin/absent: No such file or directory"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := box.run(t.Context(), nil, &out, tt.program...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "first") {
				t.Errorf("got %v, want .. %q", err, tt.want)
			}
		})
	}
}

// TestCancelEndsEverything: a process that nobody waits for writes the time
// until the sandbox ends.
func TestCancelEndsEverything(t *testing.T) {
	box := smallSandbox(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- box.run(ctx, nil, &bytes.Buffer{}, "/usr/bin/bash", "-c", "trap '' TERM INT HUP; (trap '' TERM INT HUP; while :; do date +%s%N > beat.new; mv beat.new beat; sleep 0.02; done) & sleep 1000")
	}()
	beat := func() string {
		b, err := box.read("beat", 100)
		if err != nil {
			return ""
		}
		return string(b)
	}
	for start := time.Now(); beat() == ""; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("nothing runs in the sandbox")
		}
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the sandbox did not end")
	}
	last := beat()
	time.Sleep(300 * time.Millisecond)
	if now := beat(); now != last {
		t.Errorf("a process of the sandbox lives: it wrote %q after %q", now, last)
	}
}

func TestCheckRoom(t *testing.T) {
	dir := t.TempDir()
	err := checkRoom(dir, 1<<62)
	if err == nil || !strings.Contains(err.Error(), "room in "+dir+": got ") || !strings.Contains(err.Error(), "want 4398046511104 MiB; set TMPDIR") {
		t.Errorf("got %v, want room in %s: ..", err, dir)
	}
	if err := checkRoom(dir, 1); err != nil {
		t.Error(err)
	}
	if err := checkRoom(filepath.Join(dir, "absent"), 1); err == nil {
		t.Error("a folder that is not there has room")
	}
}

// archive packs files as a source of Debian is packed: below one folder.
func archive(t *testing.T, files map[string]string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "linux-source.tar.xz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	packed, err := xz.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(packed)
	for name, text := range files {
		h := &tar.Header{Name: "linux-source-0/" + name, Mode: 0o664, Uid: 1234, Gid: 1234, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []func() error{w.Close, packed.Close, func() error { _, err := f.Seek(0, 0); return err }} {
		if err := c(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
