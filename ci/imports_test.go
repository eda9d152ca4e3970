// Package ci holds the checks that look at the whole tree.
package ci

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
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
	for _, v := range violations(packages) {
		t.Error(v)
	}
	for _, want := range []string{"measure", "verifier", "guest", "host", "image", "cmd"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(packages)), func(p string) bool { return room(p) == want }) {
			t.Errorf("no package seen in %s: the test looks at nothing", want)
		}
	}
}

// TestViolations: each rule finds what breaks it.
func TestViolations(t *testing.T) {
	for want, p := range map[string]listed{
		"nothing imports cmd":  {ImportPath: "safebox/image", Imports: []string{"safebox/cmd/internal/cli"}},
		"nothing imports ci":   {ImportPath: "safebox/host/vmm", Imports: []string{"safebox/ci/e2e"}},
		"nothing imports host": {ImportPath: "safebox/image", Imports: []string{"safebox/host/vmm"}},
		"guest reaches host":   {ImportPath: "safebox/guest/api", Deps: []string{"safebox/host/relay"}},
		"host reaches guest":   {ImportPath: "safebox/host/relay", Deps: []string{"safebox/guest/api"}},
		"people's command":     {ImportPath: "safebox/cmd/safebox", Deps: []string{"safebox/host/relay"}},
		"test authority":       {ImportPath: "safebox/cmd/safebox", Deps: []string{"safebox/verifier/snp/snptest"}},
		"measure imports os":   {ImportPath: "safebox/measure/pe", Imports: []string{"os"}},
		"verifier imports net": {ImportPath: "safebox/verifier/canon", Imports: []string{"net"}},
		"verifier imports log": {ImportPath: "safebox/verifier/canon", Imports: []string{"log/slog"}},
		"measure reaches http": {ImportPath: "safebox/measure/tpm", Deps: []string{"net/http"}},
		"measure reaches exec": {ImportPath: "safebox/measure/tpm", Deps: []string{"os/exec"}},
		"somebody else's code": {ImportPath: "safebox/measure/snp", Deps: []string{"github.com/google/go-sev-guest/abi"}},
		"u-root in measure":    {ImportPath: "safebox/measure/tpm", Deps: []string{"github.com/u-root/u-root/pkg/cpio"}},
	} {
		if got := violations(map[string]listed{p.ImportPath: p}); len(got) != 1 {
			t.Errorf("%s: got %q, want one violation", want, got)
		}
	}
	for _, p := range []listed{
		{ImportPath: "safebox/cmd/safebox", Imports: []string{"safebox/cmd/internal/cli", "os"}},
		{ImportPath: "safebox/cmd/safebox-host", Imports: []string{"safebox/host/vmm"}, Deps: []string{"net/http"}},
		{ImportPath: "safebox/ci/e2e", Imports: []string{"safebox/host/vmm"}},
		{ImportPath: "safebox/verifier/collateral", Imports: []string{"net/http", "os"}, Deps: []string{"net/http"}},
		{ImportPath: "golang.org/x/net", Imports: []string{"os"}},
	} {
		if got := violations(map[string]listed{p.ImportPath: p}); len(got) != 0 {
			t.Errorf("%s: got %q, want none", p.ImportPath, got)
		}
	}
}

// violations lists what breaks a rule.
func violations(packages map[string]listed) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for path, p := range packages {
		from := room(path)
		for _, imported := range p.Imports {
			to := room(imported)
			if to == "cmd" && from != "cmd" || to == "ci" || to == "host" && from != "host" && from != "cmd" && from != "ci" {
				report("%s imports %s: nothing imports %s", path, imported, to)
			}
		}
		for _, dep := range p.Deps {
			to := room(dep)
			if from == "guest" && to == "host" || from == "host" && to == "guest" {
				report("%s reaches %s: guest and host never import each other", path, dep)
			}
			if from == "cmd" && to != "" && strings.HasSuffix(dep, "test") {
				report("%s reaches %s: test authorities and simulators are in no program", path, dep)
			}
			if path == "safebox/cmd/safebox" && to == "host" {
				report("%s reaches %s: the people's command never links the host agent", path, dep)
			}
		}
		if (from == "measure" || from == "verifier") && path != "safebox/verifier/collateral" {
			found = append(found, impurities(p)...)
		}
	}
	return found
}

func impurities(p listed) []string {
	var found []string
	for _, banned := range []string{"net", "net/http", "os", "os/exec", "log", "log/slog"} {
		if slices.Contains(p.Imports, banned) {
			found = append(found, p.ImportPath+" imports "+banned+": measure and verifier are pure")
		}
	}
	for _, banned := range []string{"net/http", "os/exec"} {
		if slices.Contains(p.Deps, banned) {
			found = append(found, p.ImportPath+" reaches "+banned+": measure and verifier are pure at any depth")
		}
	}
	for _, other := range []string{"github.com/google/go-sev-guest/", "github.com/u-root/u-root/"} {
		if room(p.ImportPath) == "measure" && slices.ContainsFunc(p.Deps, func(dep string) bool { return strings.HasPrefix(dep, other) }) {
			found = append(found, p.ImportPath+" reaches "+other+": what is measured is computed here, by nobody else's code")
		}
	}
	return found
}

// TestPureSource: measure and verifier take the time as an argument and hold no
// globals.
func TestPureSource(t *testing.T) {
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
			for _, finding := range impureSource(tree) {
				t.Errorf("%s: %s", path, finding)
			}
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

// impureSource finds clocks and package variables in a file.
func impureSource(tree *ast.File) []string {
	var found []string
	for _, i := range tree.Imports {
		if i.Path.Value == `"time"` && i.Name != nil {
			found = append(found, "imports time under another name")
		}
	}
	for _, d := range tree.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			found = append(found, "has a package variable")
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Tick", "NewTimer", "Sleep"}, s.Sel.Name) {
			found = append(found, "calls time."+s.Sel.Name)
		}
		return true
	})
	return found
}

func TestImpureSource(t *testing.T) {
	for source, want := range map[string]int{
		"package p; import \"time\"; func f() { time.Now() }":              1,
		"package p; import \"time\"; func f() { time.Since(time.Time{}) }": 1,
		"package p; import t \"time\"; func f() { t.Now() }":               1,
		"package p; var x int": 1,
		"package p; import \"time\"; const x = time.Second; func f() { var y int; g(y) }": 0,
	} {
		tree, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := impureSource(tree); len(got) != want {
			t.Errorf("%s: got %q, want %d findings", source, got, want)
		}
	}
}
