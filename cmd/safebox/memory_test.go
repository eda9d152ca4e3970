package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/verifier"
	"safebox/verifier/check"
	"safebox/verifier/memory"
)

// memoryWorld is a folder with a policy, collateral and the flags that accept a
// real quote of a TD (INDEX.md of verifier/testdata/evidence, dcap-qvl/tdx_quote).
type memoryWorld struct {
	dir  string
	args []string
}

func newMemoryWorld(t *testing.T) *memoryWorld {
	t.Helper()
	w := &memoryWorld{dir: t.TempDir()}
	if err := os.Mkdir(w.path("collateral"), 0o700); err != nil {
		t.Fatal(err)
	}
	v := acceptedVectors()["tdx-v4"]
	w.write(t, "collateral/c.json", readTestFile(t, v.collateral[0]))
	w.invoke(t, 0, "policy", "init", "--profile", "test", "--out", w.path("policy.toml"))
	v.collateral = []string{w.path("collateral")}
	w.args = v.args(w.path("policy.toml"))
	return w
}

func (w *memoryWorld) path(name string) string { return filepath.Join(w.dir, name) }

func (w *memoryWorld) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(w.path(name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readTestFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// invoke runs a command and wants its exit code.
func (w *memoryWorld) invoke(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(t.Context(), args, strings.NewReader(""), &out, &errs); got != code {
		t.Fatalf("%q: got code %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func (w *memoryWorld) verify(t *testing.T, code int, more ...string) (stdout, stderr string) {
	t.Helper()
	return w.invoke(t, code, append(w.args[:len(w.args):len(w.args)], more...)...)
}

// TestMemoryFile: it is made at the first acceptance, kept as it is by an equal
// one, and neither written nor touched by a refusal.
func TestMemoryFile(t *testing.T) {
	w := newMemoryWorld(t)
	path := w.path("memory")
	w.verify(t, 0, "--memory", path)
	first := readTestFile(t, path)
	m, err := memory.Decode(first)
	if err != nil {
		t.Fatal(err)
	}
	number, ok := m.Highest("tcb-eval/standard")
	if !ok || number != 17 { // tcbEvaluationDataNumber in tdx_quote_collateral.json
		t.Errorf("tcb-eval/standard: got %d, %t, want 17", number, ok)
	}
	w.verify(t, 0, "--memory", path)
	if !bytes.Equal(readTestFile(t, path), first) {
		t.Error("an equal verification changed the memory")
	}

	if err := m.Merge([]check.Observation{{Key: "tcb-eval/standard", Value: number + 1}}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	raised, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "memory", raised)
	out, _ := w.verify(t, 1, "--memory", path)
	if !strings.Contains(out, "ROLLBACK: tcb-eval standard: number 17, seen number 18") || !bytes.Equal(readTestFile(t, path), raised) {
		t.Errorf("memory changed by a refusal, or another one: %s", out)
	}
	w.write(t, "damaged", raised[:len(raised)-1])
	w.verify(t, 1, "--memory", w.path("damaged"))
	if !bytes.Equal(readTestFile(t, w.path("damaged")), raised[:len(raised)-1]) {
		t.Error("a damaged memory was written over")
	}
}

// TestMemoryNotWritten: nobody hears of an acceptance that is not remembered.
func TestMemoryNotWritten(t *testing.T) {
	w := newMemoryWorld(t)
	out, errs := w.verify(t, 1, "--memory", w.path("nosuch/memory"), "--html", w.path("page.html"))
	if out != "" || !strings.Contains(errs, "--memory") || exists(w.path("page.html")) {
		t.Errorf("got %q and %q, page %t", out, errs, exists(w.path("page.html")))
	}
}

// TestNamesOfOutputs: nothing that is read, or written by another flag, is lost.
func TestNamesOfOutputs(t *testing.T) {
	w := newMemoryWorld(t)
	w.verify(t, 0, "--memory", w.path("memory"))
	if err := os.Symlink(w.dir, w.path("link")); err != nil {
		t.Fatal(err)
	}
	before := map[string][]byte{}
	for _, name := range []string{"memory", "policy.toml", "collateral/c.json"} {
		before[name] = readTestFile(t, w.path(name))
	}
	for what, more := range map[string][]string{
		"page over the memory":              {"--memory", w.path("memory"), "--html", w.path("memory")},
		"page over the memory, by a link":   {"--memory", w.path("memory"), "--html", w.path("link/memory")},
		"page and memory that begin":        {"--memory", w.path("new"), "--html", w.path("new")},
		"page and memory by two names":      {"--memory", w.path("new"), "--html", w.path("link/new")},
		"page over a file of the folder":    {"--html", w.path("collateral/c.json")},
		"page over the policy":              {"--html", w.path("policy.toml")},
		"memory over a file of the folder":  {"--memory", w.path("collateral/c.json")},
		"page over the policy, by its link": {"--html", w.path("link/policy.toml")},
	} {
		if out, _ := w.verify(t, 2, more...); out != "" {
			t.Errorf("%s: %s", what, out)
		}
	}
	for name, want := range before {
		if !bytes.Equal(readTestFile(t, w.path(name)), want) {
			t.Errorf("%s was written over", name)
		}
	}
	if exists(w.path("new")) {
		t.Error("something was written")
	}
}

// TestCollateralFolder: by a link, and with too much in it.
func TestCollateralFolder(t *testing.T) {
	w := newMemoryWorld(t)
	if err := os.Symlink(w.path("collateral"), w.path("link")); err != nil {
		t.Fatal(err)
	}
	paths, err := collateralFiles(w.path("link"))
	if err != nil || len(paths) != 1 {
		t.Errorf("folder by a link: got %q, %v", paths, err)
	}
	list, err := readCollateral(nil, w.path("link"), paths)
	if err != nil || len(list) != 1 || list[0].Name != "c.json" {
		t.Errorf("folder by a link: got %v", err)
	}
	for i := range maxCollateral {
		if err := os.Symlink("nowhere", w.path("collateral/"+strings.Repeat("x", i%200+1)+string(rune('a'+i/200)))); err != nil {
			t.Fatal(err)
		}
		paths, err := collateralFiles(w.path("collateral"))
		if last := i == maxCollateral-1; last != (err != nil) || !last && len(paths) != 1 {
			t.Fatalf("%d links: got %q, %v", i+1, paths, err)
		}
	}
}

// TestMemoryOfTwo: of verifications that have read the same memory one is told
// to do it again; no number that one of them has seen is lost.
func TestMemoryOfTwo(t *testing.T) {
	const most = 8
	path := filepath.Join(t.TempDir(), "memory")
	var done sync.WaitGroup
	failed := make([]error, most)
	flags := make([]vendorFlags, most)
	for i := range flags {
		flags[i] = vendorFlags{memory: path}
		if _, err := flags[i].read(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range flags {
		done.Go(func() {
			m := &memory.Memory{}
			if failed[i] = m.Merge([]check.Observation{{Key: "n", Value: uint64(i + 1)}}, time.Time{}); failed[i] != nil {
				return
			}
			var b []byte
			if b, failed[i] = m.Encode(); failed[i] == nil {
				failed[i] = flags[i].remember(&verifier.Result{Memory: b})
			}
		})
	}
	done.Wait()
	m, err := memory.Decode(readTestFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	number, _ := m.Highest("n")
	for i, err := range failed {
		won := uint64(i+1) == number
		if won != (err == nil) || !won && !strings.Contains(err.Error(), "changed by another verification") {
			t.Errorf("verification %d, the file has %d: got %v", i+1, number, err)
		}
	}
}
