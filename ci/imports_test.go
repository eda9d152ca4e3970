// Package ci holds the checks that look at the whole tree.
package ci

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list -deps -json` says of one package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func load(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps", "safebox/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// room gives the top folder of one of our packages, "" for others.
func room(path string) string {
	rest, ok := strings.CutPrefix(path, "safebox/")
	if !ok {
		return ""
	}
	room, _, _ := strings.Cut(rest, "/")
	return room
}

// TestImportRules is design/architecture.md, "Folders", as a test.
func TestImportRules(t *testing.T) {
	packages := load(t)
	seen := map[string]int{}
	for path, p := range packages {
		from := room(path)
		seen[from]++
		for _, imported := range p.Imports {
			to := room(imported)
			if to == "cmd" && from != "cmd" || to == "ci" || to == "host" && from != "host" && from != "cmd" && from != "ci" {
				t.Errorf("%s imports %s: nothing imports %s", path, imported, to)
			}
		}
		for _, dep := range p.Deps {
			to := room(dep)
			if from == "guest" && to == "host" || from == "host" && to == "guest" {
				t.Errorf("%s reaches %s: guest and host never import each other", path, dep)
			}
			if path == "safebox/cmd/safebox" && to == "host" {
				t.Errorf("%s reaches %s: the people's command never links the host agent", path, dep)
			}
		}
		if (from == "measure" || from == "verifier") && path != "safebox/verifier/collateral" {
			pure(t, p)
		}
	}
	for _, want := range []string{"measure", "verifier", "guest", "host", "image", "cmd"} {
		if seen[want] == 0 {
			t.Errorf("no package seen in %s: the test looks at nothing", want)
		}
	}
}

// TestNoClock: measure and verifier take the time as an argument.
func TestNoClock(t *testing.T) {
	files := 0
	for _, root := range []string{"../measure", "../verifier"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.HasPrefix(path, "../verifier/collateral/") {
				return err
			}
			files++
			tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Now" {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
						t.Errorf("%s calls time.Now", path)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("no file seen")
	}
}

func pure(t *testing.T, p listed) {
	t.Helper()
	for _, banned := range []string{"net", "net/http", "os", "os/exec", "log", "log/slog"} {
		if slices.Contains(p.Imports, banned) {
			t.Errorf("%s imports %s: measure and verifier are pure", p.ImportPath, banned)
		}
	}
	for _, banned := range []string{"net/http", "os/exec"} {
		if slices.Contains(p.Deps, banned) {
			t.Errorf("%s reaches %s: measure and verifier are pure at any depth", p.ImportPath, banned)
		}
	}
}
