package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"safebox/host/lockfile"
	"safebox/verifier/tlog"
)

// TestOnDiskFirst: the new state is written and synced before it gets its
// name, the folder is synced after, and only then there is an answer.
func TestOnDiskFirst(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
	before := b.file(t)
	var seen []string
	b.w.folder.sync = func(f *os.File) error {
		written, err := os.ReadFile(b.statePath() + tmpSuffix)
		switch now := b.file(t); {
		case err == nil && bytes.Contains(written, []byte("\n5\n")) && bytes.Equal(now, before) &&
			f.Name() == filepath.Join(b.dir, stateName(testOrigin)+tmpSuffix):
			seen = append(seen, "file")
		case errors.Is(err, fs.ErrNotExist) && bytes.Contains(now, []byte("\n5\n")) && sameFile(t, f, b.dir):
			seen = append(seen, "folder")
		default:
			seen = append(seen, fmt.Sprintf("%s with %q, %v", f.Name(), now, err))
		}
		return f.Sync()
	}
	b.cosigned(t, b.log.step(t, 3, 5), b.log.checkpoint(t, 5))
	if got := strings.Join(seen, " "); got != "file folder" {
		t.Errorf("synced %s, want file folder", got)
	}
}

func sameFile(t *testing.T, f *os.File, path string) bool {
	t.Helper()
	a, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(a, b)
}

// TestDiskFails: no state on disk, no cosignature. A write that fails before
// the rename leaves the old state in force; when it is not known which state a
// crash would leave, nothing is signed until a restart.
func TestDiskFails(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
	errDisk := errors.New("input/output error")
	fail := func(n int) {
		b.w.folder.sync = func(f *os.File) error {
			if n--; n < 0 {
				return errDisk
			}
			return f.Sync()
		}
	}
	fail(0) // the file's
	if a := b.post(t, b.log.step(t, 3, 5)); a.Status != 500 || strings.Contains(a.Body, b.dir) {
		t.Errorf("file not synced: got %d %q, want 500 without a path", a.Status, a.Body)
	}
	fail(100)
	b.cosigned(t, b.log.step(t, 3, 4), b.log.checkpoint(t, 4))
	fail(1) // the folder's
	if a := b.post(t, b.log.step(t, 4, 5)); a.Status != 500 {
		t.Errorf("folder not synced: got %d %q, want 500", a.Status, a.Body)
	}
	fail(100)
	for _, old := range []int64{4, 5} {
		if a := b.post(t, b.log.step(t, old, 6)); a.Status != 500 {
			t.Errorf("in doubt, old size %d: got %d %q, want 500", old, a.Status, a.Body)
		}
	}
	b.reopen(t)
	b.cosigned(t, b.log.step(t, 5, 6), b.log.checkpoint(t, 6))
	if got := strings.Count(b.spoken(), "not on disk"); got != 2 {
		t.Errorf("the operator was told %d times, want 2: %s", got, b.spoken())
	}
}

// TestFolderReplaced: a folder that takes the place of the one in use gets no
// states.
func TestFolderReplaced(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	if err := os.Rename(b.dir, b.dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.post(t, b.log.step(t, 0, 3))
	entries, err := os.ReadDir(b.dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v in the new folder, want nothing", entries, err)
	}
}

// TestOpenRefuses: nothing is signed from a state that is not the one that
// was written.
func TestOpenRefuses(t *testing.T) {
	other := newTestLog(t, "other.example")
	_, mldsa := witnessKey(t, "w", 1, tlog.CosignatureMLDSA44)
	cases := []struct {
		name string
		edit func(b *bench)
		want string // in the error
	}{
		{"no folder", func(b *bench) { must(t, os.Rename(b.dir, b.dir+".old")) }, "opening state folder"},
		{"empty folder", func(b *bench) { must(t, os.Rename(b.dir, b.dir+".old")); must(t, os.Mkdir(b.dir, 0o700)) }, "no state of this log"},
		{"no state", func(b *bench) { must(t, os.Remove(b.statePath())) }, "no state of this log"},
		{"log not added", func(b *bench) { b.opts.Logs = append(b.opts.Logs, other.vkey) }, `no state of this log in the folder: log "other.example"`},
		{"cut", func(b *bench) { must(t, os.Truncate(b.statePath(), 100)) }, "is damaged"},
		{"empty", func(b *bench) { must(t, os.Truncate(b.statePath(), 0)) }, "is damaged"},
		{"longer", func(b *bench) { must(t, os.WriteFile(b.statePath(), append(b.file(t), '\n'), 0o600)) }, "is damaged"},
		{"of another log", func(b *bench) {
			_, err := Add(b.dir, other.vkey)
			must(t, err)
			must(t, os.Rename(filepath.Join(b.dir, stateName("other.example")), b.statePath()))
		}, `is of log "other.example"`},
		{"no key", func(b *bench) { b.opts.Cosigners = nil }, "0 keys"},
		{"no log", func(b *bench) { b.opts.Logs = nil }, "0 logs"},
		{"key twice", func(b *bench) { b.opts.Cosigners = append(b.opts.Cosigners, b.opts.Cosigners[0]) }, "given twice"},
		{"log twice", func(b *bench) { b.opts.Logs = append(b.opts.Logs, b.opts.Logs[0]) }, "given twice"},
		{"witness for a log", func(b *bench) { b.opts.Logs = append(b.opts.Logs, mldsa) }, "want Ed25519"},
		{"no vkey", func(b *bench) { b.opts.Logs = []string{"log.example"} }, "log key"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.log.grow(t, 3, "main")
			b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
			must(t, b.w.Close())
			c.edit(b)
			w, err := Open(b.dir, b.opts)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err == nil {
				must(t, w.Close())
			}
			if lock, err := lockfile.Try(filepath.Join(b.dir, lockName)); err == nil {
				must(t, lock.Close())
			} else if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the lock was not given back: %v", err)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOneProcess: flock(1) of util-linux stands for a second process.
func TestOneProcess(t *testing.T) {
	b := newBench(t)
	if _, err := Open(b.dir, b.opts); !errors.Is(err, lockfile.ErrHeld) {
		t.Errorf("second witness: got %v, want %v", err, lockfile.ErrHeld)
	}
	lock := filepath.Join(b.dir, lockName)
	if err := exec.Command("flock", "--nonblock", lock, "true").Run(); err == nil {
		t.Error("flock(1) got the lock of a running witness")
	}
	must(t, b.w.Close())
	if out, err := exec.Command("flock", "--nonblock", lock, "true").CombinedOutput(); err != nil {
		t.Errorf("flock(1) after the end: %v %s", err, out)
	}
	b.open(t)
}

// TestAddOnce: a log that has a state is never put back to nothing, not even
// beside a running witness.
func TestAddOnce(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
	before := b.file(t)
	half := b.statePath() + tmpSuffix // as if the witness were writing just now
	must(t, os.WriteFile(half, []byte("half"), 0o600))
	if _, err := Add(b.dir, b.log.vkey); !errors.Is(err, ErrExists) {
		t.Errorf("got %v, want %v", err, ErrExists)
	}
	if b, err := os.ReadFile(half); err != nil || string(b) != "half" {
		t.Errorf("what the witness writes holds %q, %v", b, err)
	}
	must(t, os.Remove(half))
	if !bytes.Equal(before, b.file(t)) {
		t.Error("the state changed")
	}
	entries, err := os.ReadDir(b.dir)
	must(t, err)
	if len(entries) != 2 { // lock and state
		t.Errorf("left behind: %v", entries)
	}
	other := newTestLog(t, "other.example")
	if origin, err := Add(b.dir, other.vkey); err != nil || origin != "other.example" {
		t.Errorf("another log: got %q, %v", origin, err)
	}
	b.opts.Logs = append(b.opts.Logs, other.vkey)
	b.reopen(t)
	other.grow(t, 2, "main")
	b.cosigned(t, other.step(t, 0, 2), other.checkpoint(t, 2))
	b.cosigned(t, b.log.step(t, 3, 4), b.log.checkpoint(t, 4))
}

// TestList shows what is held, and refuses damage.
func TestList(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 9, "main")
	b.cosigned(t, b.log.step(t, 0, 3), b.log.checkpoint(t, 3))
	b.post(t, forked(t, b.log).step(t, 3, 3))
	b.post(t, forked(t, b.log).step(t, 3, 6))
	b.post(t, forked(t, b.log).step(t, 3, 7))
	_, err := Add(b.dir, newTestLog(t, "a.example").vkey)
	must(t, err)
	list, err := List(b.dir)
	must(t, err)
	want := []Status{
		{Origin: "a.example", Root: [32]byte(b.log.root(t, 0))},
		{Origin: testOrigin, Size: 3, Root: [32]byte(b.log.root(t, 3)), Time: testTime, Forks: 1, Inconsistent: 2},
	}
	if fmt.Sprint(list) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", list, want)
	}
	must(t, os.Truncate(b.statePath(), 9))
	if _, err := List(b.dir); err == nil {
		t.Error("a damaged state was listed")
	}
	if _, err := List(b.dir + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: got %v", err)
	}
}

// TestClosed: a request that comes after Close is not signed, because another
// process may have the folder by now.
func TestClosed(t *testing.T) {
	b := newBench(t)
	b.log.grow(t, 3, "main")
	must(t, b.w.Close())
	before := b.file(t)
	if lines, err := b.w.AddCheckpoint(b.log.step(t, 0, 3)); !errors.Is(err, errClosed) || lines != nil {
		t.Errorf("got %q, %v, want %v", lines, err, errClosed)
	}
	if !bytes.Equal(before, b.file(t)) {
		t.Error("the state changed")
	}
	b.open(t)
}
