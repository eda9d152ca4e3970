package vectortest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files are all files below measure/testdata that hold vectors.
func files() map[string]int {
	return map[string]int{
		"sev-snp-measure/vectors.json":              28,
		"sev-snp-measure/vectors-svsm-history.json": 6,
		"debian-ovmf/vectors.json":                  13 + 2,
		"sev-rust/vectors.json":                     2,
		"sev-rust/id-block.json":                    2,
		"sev-snp-measure-go/vectors.json":           2,
		"dstack/snp-vectors.json":                   2,
		"dstack/tdx-vectors.json":                   4,
		"dstack/vtpm-vectors.json":                  1,
		"gce/vectors.json":                          3,
		"go-eventlog/vectors.json":                  8,
		"tdx-measure/vectors.json":                  2,
		"qemu-acpi/vectors.json":                    3,
		"nitro/eif/vectors.json":                    10,
		"nitro/pcr/known_answers.json":              9,
	}
}

// TestListIsComplete: every vector of every file is in the list once, and the
// list names none that is not there. The counts were taken by hand from the
// INDEX.md of the vectors' collection: 28 + 13 + 2 + 2 + 2 of SNP, SEV, SEV-ES
// and SVSM make 47, and ten boots.
func TestListIsComplete(t *testing.T) {
	root := os.DirFS("../testdata")
	entries, err := readList(root)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{}
	for _, e := range entries {
		listed[e.file] = append(listed[e.file], e.id)
	}
	for name, want := range files() {
		vectors, _, err := readFile(root, name)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(vectors) != want {
			t.Errorf("%s: %d vectors, want %d", name, len(vectors), want)
		}
		for id := range vectors {
			if !slices.Contains(listed[name], id) {
				t.Errorf("%s: %s is not in list.txt", name, id)
			}
		}
		if len(listed[name]) != len(vectors) {
			t.Errorf("%s: list.txt has %d, want %d", name, len(listed[name]), len(vectors))
		}
	}
	logs, err := filepath.Glob("../eventlog/testdata/uefi/*/evlog.bin")
	if err != nil || len(logs) != 10 || len(listed[boots]) != 10 {
		t.Errorf("%d boots, %d listed, want 10: %v", len(logs), len(listed[boots]), err)
	}
	if want := len(files()) + 1; len(listed) != want {
		t.Errorf("list.txt names %d files, want %d", len(listed), want)
	}
}

// TestNoFileOfVectorsIsLeftOut: a new vectors.json must get into files.
func TestNoFileOfVectorsIsLeftOut(t *testing.T) {
	err := fs.WalkDir(os.DirFS("../testdata"), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".json") && strings.Contains(path, "vectors") && files()[path] == 0 {
			t.Errorf("%s is in no list", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoFileIsUnused: evidence that no test and no vector names would look as
// if it had been checked.
func TestNoFileIsUnused(t *testing.T) {
	var text strings.Builder
	for _, folder := range []string{"..", "../../image", "../../cmd"} {
		err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, "vectors.json") && !strings.HasSuffix(path, ".txt") && !strings.HasSuffix(path, "id-block.json") {
				return err
			}
			b, err := os.ReadFile(filepath.Join(folder, path))
			text.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	globs := []string{"nitro/docs/*.cbor"} // read as a whole by measure/nitro
	err := fs.WalkDir(os.DirFS("../testdata"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "README.md") || strings.HasSuffix(path, "copyright.txt") || files()[path] != 0 {
			return err
		}
		for _, g := range globs {
			if ok, err := filepath.Match(g, path); ok || err != nil {
				return err
			}
		}
		if name := strings.TrimSuffix(filepath.Base(path), ".xz"); !strings.Contains(text.String(), name) {
			t.Errorf("no test and no vector names %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryPackageRunsItsVectors: a package to which the list assigns vectors
// calls Each with its own name.
func TestEveryPackageRunsItsVectors(t *testing.T) {
	entries, err := readList(os.DirFS("../testdata"))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range entries {
		for _, p := range e.packages {
			count[p]++
		}
	}
	for p, n := range count {
		t.Logf("%s: %d vectors", p, n)
		folder := "../" + p
		if strings.HasPrefix(p, "image/") {
			folder = "../../" + p
		}
		tests, err := filepath.Glob(folder + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tests, func(path string) bool {
			source, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(source), `vectortest.Each(t, `) && strings.Contains(string(source), `"`+p+`"`)
		}) {
			t.Errorf("no test in %s runs the %d vectors of %q", folder, n, p)
		}
	}
}

// TestFirmware: the image put together from its halves has the SHA-256 that
// the vectors name.
func TestFirmware(t *testing.T) {
	const want = "14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db"
	if got := sha256.Sum256(File(t, os.DirFS("../testdata"), "debian-ovmf/OVMF.fd")); hex.EncodeToString(got[:]) != want {
		t.Errorf("SHA-256: got %x, want %s", got, want)
	}
}

// TestReadListRefuses: a line that says neither who runs it nor why nobody.
func TestReadListRefuses(t *testing.T) {
	for _, text := range []string{"a b\n", "a b -\n", "a b snp extra\n", "a b snp\na b snp\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/list.txt", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readList(os.DirFS(dir)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
