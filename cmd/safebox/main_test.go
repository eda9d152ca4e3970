package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/ulikunitz/xz"

	"safebox/image/disk"
	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/measure/fat"
	"safebox/measure/gpt"
)

// root is the root folder of the source, seen from this package.
const root = "../.."

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == peakCommand {
		os.Exit(runPeak(os.Args[2:]))
	}
	testscript.Main(m, map[string]func(){"safebox": main})
}

// TestScripts runs testdata/*.txt: see testdata/README.md.
func TestScripts(t *testing.T) {
	for _, tool := range []string{"unshare", "cpio", "sfdisk", "sha256sum", "apt-get"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: run ci/setup", err)
		}
	}
	s := newStage(t)
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: s.setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails":   fails,
			"no":      answersNo,
			"empty":   empty,
			"dialled": dialled,
			"patch":   patch,
			"folds":   folds,
			"isjson":  isJSON,
		},
	})
}

// stage is what all scripts share, read-only.
type stage struct {
	source  string            // root, absolute
	release string            // a folder that `safebox build` wrote
	inputs  string            // the pinned packages under their own names
	env     map[string]string // of this machine: compiler caches
	proxy   string            // has a toolchain of one small file
	disk    []byte
	uki     []byte
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{release: filepath.Join(t.TempDir(), "release"), inputs: t.TempDir(), proxy: t.TempDir(), env: map[string]string{}}
	var err error
	if s.source, err = filepath.Abs(root); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		s.env[name] = strings.TrimSpace(string(out))
	}
	if s.env["WARM_CACHE"], err = os.UserCacheDir(); err != nil {
		t.Fatal(err)
	}
	s.linkInputs(t)
	err = locktest.WriteModule(s.proxy, "golang.org/toolchain", "v0.0.1-go1.26.8.linux-amd64", "text", "content\n")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := []string{"build", "--source", s.source, "--inputs", s.inputs, "--out", s.release}
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("safebox %q: got code %d and %q", args, code, stderr.String())
	}
	s.readDisk(t)
	return s
}

// linkInputs gives the packages of a build with the distribution's kernel the
// names under which mirrors have them.
func (s *stage) linkInputs(t *testing.T) {
	t.Helper()
	l, err := lock.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.WithoutSource().Packages {
		path, err := r.Package(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(s.inputs, filepath.Base(p.Pool))); err != nil {
			t.Fatal(err)
		}
	}
}

// readDisk unpacks the disk of measure/tpm, which foreign tools made, and the
// UKI on it.
func (s *stage) readDisk(t *testing.T) {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join(root, "measure/tpm/testdata/disk.img.xz"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	s.disk = b.Bytes()
	table, err := gpt.Decode(bytes.NewReader(s.disk), int64(len(s.disk)))
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[0]
	esp, err := fat.Open(p.Section(bytes.NewReader(s.disk)), p.Size())
	if err != nil {
		t.Fatal(err)
	}
	if s.uki, err = esp.ReadFile(disk.Boot); err != nil {
		t.Fatal(err)
	}
}

// setUp gives a script an empty cache and a mirror of its own that has
// nothing, and writes down who asks it.
func (s *stage) setUp(env *testscript.Env) error {
	m := &mirror{}
	server := httptest.NewServer(m)
	env.Defer(server.Close)
	env.Values[mirrorKey{}] = m
	for name, value := range s.env {
		env.Setenv(name, value)
	}
	env.Setenv("SOURCE", s.source)
	env.Setenv("LOCK", filepath.Join(s.source, "image", "safebox.lock"))
	env.Setenv("RELEASE", s.release)
	env.Setenv("INPUTS", s.inputs)
	env.Setenv("TOOLCHAIN", "file://"+s.proxy)
	env.Setenv("MIRROR", server.URL)
	env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
	env.Setenv("APT_CONFIG", filepath.Join(env.WorkDir, "apt.conf"))
	env.Setenv("PATH", env.Getenv("PATH")+":/usr/sbin:/sbin")
	sources := filepath.Join(env.WorkDir, "sources.list")
	for name, b := range map[string][]byte{
		"disk.raw":     s.disk,
		"plain.efi":    s.uki,
		"sources.list": []byte("deb [trusted=yes] " + server.URL + " trixie main\n"),
		"apt.conf":     fmt.Appendf(nil, "Dir::Etc::sourcelist %q;\nDir::Etc::sourceparts \"/dev/null\";\n", sources),
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mirror is a server that has nothing.
type mirror struct {
	mu    sync.Mutex
	asked []string
}

type mirrorKey struct{}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, r.URL.Path)
	http.NotFound(w, r)
}

// dialled reports whether the mirror was asked for anything: dialled, or ! dialled.
func dialled(ts *testscript.TestScript, neg bool, _ []string) {
	m := ts.Value(mirrorKey{}).(*mirror)
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := len(m.asked) > 0; got == neg {
		ts.Fatalf("the mirror was asked for %q", m.asked)
	}
}

// execute runs safebox, whose exit code must be the one given, and returns what
// it printed.
func execute(ts *testscript.TestScript, code int, args []string) (stdout, stderr string) {
	got := 0
	err := ts.Exec("safebox", args...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil && !errors.Is(err, context.Canceled):
		ts.Fatalf("safebox: %v", err)
	}
	stdout, stderr = ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if got != code {
		ts.Fatalf("safebox %q: got code %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout, stderr
}

// fails CODE ARGS runs safebox, which must fail as docs/cli.md says: that exit
// code, nothing on stdout, and at the end of stderr one line with the error
// and one with a hint, after nothing but lines of progress.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	code, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: fails CODE ARGUMENT...")
	}
	stdout, stderr := execute(ts, code, args[1:])
	if stdout != "" {
		ts.Fatalf("got %q on stdout, want nothing", stdout)
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	for i, line := range lines {
		want := "safebox: "
		switch len(lines) - i {
		case 2:
			want = "safebox: error: "
		case 1:
			want = "safebox: hint: "
		}
		if len(lines) < 2 || !strings.HasPrefix(line, want) || strings.Count(stderr, "safebox: error: ") != 1 {
			ts.Fatalf("got %q on stderr, want one line with an error and one with a hint at the end", stderr)
		}
	}
}

// answersNo ARGS runs safebox, which must print a result, say in one line that
// the answer is no, and exit with 1.
func answersNo(ts *testscript.TestScript, neg bool, args []string) {
	stdout, stderr := execute(ts, 1, args)
	if neg || stdout == "" || !strings.HasPrefix(stderr, "safebox: error: ") || strings.Count(stderr, "\n") != 1 {
		ts.Fatalf("got %q on stdout and %q on stderr, want a result and one line", stdout, stderr)
	}
}

// empty DIR: the folder holds nothing, hidden files included.
func empty(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %v, want nothing", args[0], entries)
	}
}

// patch FILE OFFSET changes one byte.
func patch(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	offset, err := strconv.ParseInt(args[1], 0, 64)
	ts.Check(err)
	b, err := os.ReadFile(name)
	ts.Check(err)
	b[offset] ^= 1
	ts.Check(os.WriteFile(name, b, 0o644))
}

// folds FILE BANK: in the output of `measure tpm --trace`, each register is the
// fold of the digests below it (TPM 2.0 Library, part 1, 17.2: Extend).
func folds(ts *testscript.TestScript, _ bool, args []string) {
	newHash := map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384}[args[1]]
	zero := make([]byte, newHash().Size())
	var name, want string
	value, registers := zero, 0
	check := func() {
		if got := hex.EncodeToString(value); got != want {
			ts.Fatalf("%s: its events fold to %s, want %s", name, got, want)
		}
	}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, " ") {
			if name != "" {
				check()
			}
			name, want, value = fields[0], fields[1], zero
			registers++
			continue
		}
		digest, err := hex.DecodeString(fields[0])
		ts.Check(err)
		h := newHash()
		h.Write(value)
		h.Write(digest)
		value = h.Sum(nil)
	}
	check()
	if registers != 13 && registers != 14 {
		ts.Fatalf("got %d registers, want 13, or 14 with PCR 0", registers)
	}
}

// isJSON FILE: one JSON value and the end of a line.
func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	if s := ts.ReadFile(args[0]); !json.Valid([]byte(s)) || !strings.HasSuffix(s, "\n") {
		ts.Fatalf("%s holds no JSON: %q", args[0], s)
	}
}
