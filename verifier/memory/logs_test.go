package memory

import (
	"fmt"
	"strings"
	"testing"
)

// rootA and rootB are values of no tree; the memory does not compute any.
const (
	rootA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	rootB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func treeOf(size int64, b byte) Tree {
	t := Tree{Size: size}
	for i := range t.Root {
		t.Root[i] = b
	}
	return t
}

// TestTrees: the largest tree of each log is kept, and a fork is none.
func TestTrees(t *testing.T) {
	var m Memory
	for _, c := range []struct {
		origin string
		tree   Tree
		want   string // error, if it is one
		kept   Tree
	}{
		{"log", treeOf(5, 0xaa), "", treeOf(5, 0xaa)},
		{"log", treeOf(5, 0xaa), "", treeOf(5, 0xaa)},
		{"log", treeOf(4, 0xbb), "", treeOf(5, 0xaa)},
		{"log", treeOf(5, 0xbb), "FORK: log log of size 5 has root " + rootB + ", seen root " + rootA, treeOf(5, 0xaa)},
		{"log", treeOf(6, 0xbb), "", treeOf(6, 0xbb)},
		{"other", treeOf(1, 0xcc), "", treeOf(1, 0xcc)},
		{"log", treeOf(0, 0xcc), "size: got 0, want 1 to 9007199254740991", treeOf(6, 0xbb)},
		{"log", treeOf(-1, 0xcc), "size: got -1", treeOf(6, 0xbb)},
		{"log", treeOf(1<<53, 0xcc), "size: got 9007199254740992", treeOf(6, 0xbb)},
	} {
		err := m.MergeTree(c.origin, c.tree)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.tree, err, c.want)
		}
		if got, ok := m.Tree(c.origin); !ok || got != c.kept {
			t.Errorf("%+v: kept %+v, %t, want %+v", c.tree, got, ok, c.kept)
		}
	}
	for _, origin := range []string{"", "a b", "é", strings.Repeat("k", 161)} {
		if err := m.MergeTree(origin, treeOf(1, 1)); err == nil {
			t.Errorf("origin %q: merged", origin)
		}
	}
	if _, ok := m.Tree("third"); ok {
		t.Error("seen what nobody saw")
	}
	if _, ok := (*Memory)(nil).Tree("log"); ok {
		t.Error("seen by no memory")
	}
	if err := (*Memory)(nil).MergeTree("log", treeOf(1, 1)); err == nil {
		t.Error("merged into no memory")
	}
	for i := range maxLogs - 2 {
		if err := m.MergeTree(fmt.Sprintf("log-%02d", i), treeOf(1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.MergeTree("one more", treeOf(1, 1)); err == nil {
		t.Error("65 logs merged")
	}
	if err := m.MergeTree("log", treeOf(7, 1)); err != nil {
		t.Errorf("a known log of a full memory: %v", err)
	}
}

// TestFormOfLogs is docs/format-memory.md: written by hand.
func TestFormOfLogs(t *testing.T) {
	var m Memory
	for _, origin := range []string{"b.example/log", "a.example/log"} {
		if err := m.MergeTree(origin, treeOf(5, 0xaa)); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"logs":[{"origin":"a.example/log","root":"` + rootA + `","size":5},{"origin":"b.example/log","root":"` + rootA + `","size":5}],` +
		`"seen":[],"type":"safebox/memory/v1"}`
	b, err := m.Encode()
	if err != nil || string(b) != want {
		t.Fatalf("got %s, %v, want %s", b, err, want)
	}
	again, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := again.Tree("b.example/log"); !ok || got != treeOf(5, 0xaa) {
		t.Errorf("got %+v, %t", got, ok)
	}
	old, err := Decode([]byte(`{"seen":[],"type":"safebox/memory/v1"}`))
	if err != nil {
		t.Fatalf("a memory of before logs: %v", err)
	}
	if err := old.MergeTree("a", treeOf(1, 1)); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefusesLogs(t *testing.T) {
	document := func(logs string) string { return `{"logs":` + logs + `,"seen":[],"type":"safebox/memory/v1"}` }
	l := func(origin, root, size string) string {
		return `{"origin":"` + origin + `","root":"` + root + `","size":` + size + `}`
	}
	var long []string
	for i := range maxLogs + 1 {
		long = append(long, l(fmt.Sprintf("%02d", i), rootA, "1"))
	}
	for name, c := range map[string]struct{ logs, want string }{
		"empty list":     {"[]", "canonical"},
		"null":           {"null", "canonical"},
		"unsorted":       {"[" + l("b", rootA, "1") + "," + l("a", rootA, "1") + "]", "not above"},
		"twice":          {"[" + l("a", rootA, "1") + "," + l("a", rootB, "2") + "]", "not above"},
		"no entry":       {"[" + l("a", rootA, "0") + "]", "size: got 0"},
		"below nothing":  {"[" + l("a", rootA, "-1") + "]", "size: got -1"},
		"above all":      {"[" + l("a", rootA, "9007199254740992") + "]", ""},
		"size of text":   {"[" + l("a", rootA, `"1"`) + "]", ""},
		"short root":     {"[" + l("a", rootA[:62], "1") + "]", ""},
		"upper-case":     {"[" + l("a", strings.ToUpper(rootA), "1") + "]", ""},
		"no origin":      {"[" + l("", rootA, "1") + "]", "origin: key: got 0 bytes"},
		"origin spaced":  {"[" + l("a b", rootA, "1") + "]", "no printable ASCII"},
		"unknown member": {`[{"more":1,"origin":"a","root":"` + rootA + `","size":1}]`, "unknown field"},
		"missing size":   {`[{"origin":"a","root":"` + rootA + `"}]`, ""},
		"too many":       {"[" + strings.Join(long, ",") + "]", "got 65, want at most 64"},
	} {
		if m, err := Decode([]byte(document(c.logs))); err == nil || m != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := Decode([]byte(document("[" + l("a", rootA, "9007199254740991") + "]"))); err != nil {
		t.Errorf("largest: %v", err)
	}
}
