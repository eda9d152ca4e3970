// Package vectortest hands test vectors of other people's tools and of real
// hardware to the tests that run them, and sees to it that none is dropped
// silently: list.txt says which package runs which, and both directions are
// checked.
package vectortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ulikunitz/xz"
)

// Vector is one expected result with its inputs.
type Vector struct {
	ID     string          // as in list.txt
	Origin string          // folder that holds it, such as "sev-snp-measure"
	Raw    json.RawMessage // its JSON; nil for a boot, which is a folder of its own
	Common json.RawMessage // what the file says for all its vectors, nil if nothing

	root     fs.FS
	unpacked *sync.Map // of Each: vectors share files, and unpacking takes longer than measuring
}

// Each runs f, as a subtest, for every vector that list.txt assigns to pkg.
// Root is the folder measure/testdata.
func Each(t *testing.T, root fs.FS, pkg string, f func(t *testing.T, v Vector)) {
	t.Helper()
	entries, err := readList(root)
	if err != nil {
		t.Fatal(err)
	}
	count, unpacked := 0, &sync.Map{}
	for _, e := range entries {
		if !slices.Contains(e.packages, pkg) {
			continue
		}
		count++
		v, err := e.load(root)
		if err != nil {
			t.Fatal(err)
		}
		v.unpacked = unpacked
		t.Run(e.id, func(t *testing.T) { f(t, v) })
	}
	if count == 0 {
		t.Fatalf("list.txt assigns no vector to %s", pkg)
	}
}

// Decode reads the vector's JSON.
func (v Vector) Decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(v.Raw, into); err != nil {
		t.Fatalf("%s: %v", v.ID, err)
	}
}

// File reads a file that the vector names, relative to its own folder.
func (v Vector) File(t testing.TB, name string) []byte {
	t.Helper()
	if name == "/dev/null" {
		return nil
	}
	name = path.Join(v.Origin, name)
	b, ok := v.unpacked.Load(name)
	if !ok {
		b = File(t, v.root, name)
		v.unpacked.Store(name, b)
	}
	return bytes.Clone(b.([]byte))
}

// File reads a file below measure/testdata, or unpacks it when it lies there
// with the suffix .xz.
func File(t testing.TB, root fs.FS, name string) []byte {
	t.Helper()
	if name == ovmf {
		return slices.Concat(File(t, root, ovmfVars), File(t, root, ovmfCode))
	}
	b, err := fs.ReadFile(root, name)
	if err == nil {
		return b
	}
	packed, err := fs.ReadFile(root, name+".xz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if b, err = io.ReadAll(r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// The unified image of the Debian package is its two halves, one after the
// other; the vectors name its SHA-256.
const (
	ovmf     = "debian-ovmf/OVMF.fd"
	ovmfVars = "debian-ovmf/OVMF_VARS_4M.fd"
	ovmfCode = "debian-ovmf/OVMF_CODE_4M.fd"
)

// entry is a line of list.txt.
type entry struct {
	id, file string
	packages []string // empty: not run
	reason   string   // why not
}

// boots is what list.txt calls the folders of real UEFI boots.
const boots = "uefi"

func readList(root fs.FS) ([]entry, error) {
	text, err := fs.ReadFile(root, "list.txt")
	if err != nil {
		return nil, err
	}
	var list []entry
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("list.txt: %q: want vector, file, packages", line)
		}
		e := entry{id: f[0], file: f[1]}
		if f[2] == "-" {
			e.reason = strings.Join(f[3:], " ")
		} else {
			e.packages = strings.Split(f[2], ",")
		}
		if (len(e.packages) == 0) == (e.reason == "") || len(e.packages) > 0 && len(f) != 3 {
			return nil, fmt.Errorf("list.txt: %q: want packages, or a dash and a reason", line)
		}
		key := e.file + " " + e.id
		if seen[key] {
			return nil, fmt.Errorf("list.txt: %s: listed twice", key)
		}
		seen[key] = true
		list = append(list, e)
	}
	return list, nil
}

func (e entry) load(root fs.FS) (Vector, error) {
	if e.file == boots {
		return Vector{ID: e.id, Origin: boots, root: root}, nil
	}
	all, common, err := readFile(root, e.file)
	if err != nil {
		return Vector{}, err
	}
	raw, ok := all[e.id]
	if !ok {
		return Vector{}, fmt.Errorf("%s: no vector %s", e.file, e.id)
	}
	return Vector{ID: e.id, Origin: path.Dir(e.file), Raw: raw, Common: common, root: root}, nil
}

// readFile gives the vectors of a file by their names. The files have three
// forms: an object with a list "vectors" (with results of other kinds beside
// it under names of their own), a list of objects that name a file, an object
// whose members are the vectors.
func readFile(root fs.FS, name string) (vectors map[string]json.RawMessage, common json.RawMessage, err error) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, nil, err
	}
	vectors = map[string]json.RawMessage{}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		return vectors, nil, addList(vectors, b)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	for key, raw := range object {
		switch {
		case key == "vectors":
			if err := addList(vectors, raw); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
		case key == "common":
			common = raw
		case !slices.Contains(remarks(), key):
			vectors[key] = raw
		}
	}
	return vectors, common, nil
}

// remarks are the members that say where vectors come from.
func remarks() []string { return []string{"source", "licence", "how", "common_args", "_rule"} }

func addList(vectors map[string]json.RawMessage, b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for i, raw := range list {
		var name struct {
			ID   string `json:"id"`
			File string
		}
		if err := json.Unmarshal(raw, &name); err != nil {
			return err
		}
		id := name.ID + name.File
		if _, twice := vectors[id]; twice || id == "" {
			return fmt.Errorf("vector %d: name %q: empty or twice", i, id)
		}
		vectors[id] = raw
	}
	return nil
}
