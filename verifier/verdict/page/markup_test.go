package page_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
	"safebox/verifier/verdict/page/pagetest"
)

// allowed are the elements of a page with the attributes that each may have.
func allowed() map[string]string {
	list := map[string]string{
		"html": "lang", "meta": "charset http-equiv content name", "section": "aria-labelledby", "header": "class",
		"h2": "id", "h3": "id", "a": "href", "ol": "class role aria-label", "ul": "class", "li": "class", "dl": "class", "dd": "class",
		"div": "class", "p": "class", "article": "class", "span": "class", "strong": "class", "bdo": "dir",
		"table": "role class aria-labelledby", "thead": "role", "tbody": "role", "tr": "role class id",
		"th": "role scope class", "td": "role class colspan",
		"svg": "class viewbox aria-hidden focusable", "circle": "class cx cy r", "path": "class d",
	}
	for _, name := range strings.Fields("head title style body main footer h1 dt code mark wbr") {
		list[name] = ""
	}
	return list
}

// foreign lists what no page of ours has: other elements, other attributes,
// links to elsewhere, comments.
func foreign(root *html.Node) []string {
	var found []string
	ok := allowed()
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode, html.DocumentNode, html.DoctypeNode:
			continue
		case html.ElementNode:
		default:
			found = append(found, "node "+n.Data)
			continue
		}
		attributes, known := ok[n.Data]
		if !known {
			found = append(found, "element "+n.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(strings.Fields(attributes), strings.ToLower(a.Key)) {
				found = append(found, "attribute "+a.Key+" of "+n.Data)
			}
			if a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
				found = append(found, "link to "+a.Val)
			}
		}
	}
	return found
}

// TestForeign: what the test of the pages looks for, it finds.
func TestForeign(t *testing.T) {
	for in, want := range map[string]string{
		"<p onclick=x>": "attribute onclick of p", "<script>x</script>": "element script", `<a href="http://x">`: "link to http://x",
		"<!-- x -->": "node  x ", "<p style=x>": "attribute style of p", "<svg onload=x>": "attribute onload of svg",
	} {
		if got := foreign(parse(t, []byte("<!DOCTYPE html><html><body>"+in))); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// TestExamplesAreClean: no example brings anything foreign into its page, and
// every link leads to a place that is there once.
func TestExamplesAreClean(t *testing.T) {
	for _, e := range pagetest.Examples() {
		root := parse(t, render(t, e.Verdict, e.Events))
		for _, f := range foreign(root) {
			t.Errorf("%s: %s", e.Name, f)
		}
		places := map[string]int{}
		for n := range root.Descendants() {
			if id := attribute(n, "id"); id != "" {
				places["#"+id]++
			}
		}
		for id, n := range places {
			if n != 1 {
				t.Errorf("%s: %d places %s", e.Name, n, id)
			}
		}
		for _, a := range find(root, "a", "") {
			if places[attribute(a, "href")] != 1 {
				t.Errorf("%s: link %s leads nowhere", e.Name, attribute(a, "href"))
			}
		}
	}
}

// outline is the page without its text: names, attributes and nesting. What
// shows a character by its number, a difference or a place to break is part of
// a text.
func outline(root *html.Node) string {
	var b strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		partOfText := n.Type != html.ElementNode || n.Data == "mark" || n.Data == "wbr" || n.Data == "span" && attribute(n, "class") == "code"
		if !partOfText {
			b.WriteString("<" + n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key + "=" + a.Val)
			}
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
		if !partOfText {
			b.WriteString(">")
		}
	}
	walk(root)
	return b.String()
}

// filled is a verdict with one text in every string, and its log.
func filled(s string) (*verdict.Verdict, []page.Event) {
	v := &verdict.Verdict{
		Platform: s, Type: s, At: s, Boot: s, Profile: s, Evidence: s, Bundle: s, Policy: s, Challenge: s, Release: s, Collateral: s,
		Waived: []verdict.Waiver{{What: s, Reason: s}},
	}
	for _, ok := range []bool{true, false} {
		for _, reached := range []bool{true, false} {
			v.Checks = append(v.Checks, verdict.Check{
				ID: "ZZZZZZZZZZZZZZZZZ-" + s, OK: ok, Reached: reached, Want: s, Got: s, Hint: s, Name: s, Source: s,
			})
		}
	}
	e := page.Event{Register: s, Type: s, Digest: s, Description: s, Want: s}
	d := e
	d.Diverges = true
	return v, []page.Event{e, d}
}

// FuzzRender: no string makes a tag, an attribute or a comment: the page has
// the outline of one with harmless text. And a string that is shown in full can
// be read on it.
func FuzzRender(f *testing.F) {
	hostile := pagetest.Hostile()
	for _, c := range hostile.Verdict.Checks {
		f.Add(c.ID)
		f.Add(c.Want)
		f.Add(c.Got)
		f.Add(c.Hint)
	}
	f.Add("<script>")
	f.Add("' onload='x")
	f.Add("</title></style><!--")
	f.Add("\u202e\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 300 || s == "" || strings.Contains(" snp tdx nitro nitrotpm vtpm ", " "+s+" ") {
			return // shortened, or shown by words of the page's own
		}
		v, events := filled(s)
		b := render(t, v, events)
		if !utf8.Valid(b) {
			t.Fatal("the page is not UTF-8")
		}
		root := parse(t, b)
		if found := foreign(root); len(found) > 0 {
			t.Fatalf("got %q", found)
		}
		var harmless []string
		for _, word := range []string{"x", "any"} { // the page looks for the second
			v, events = filled(word)
			harmless = append(harmless, outline(parse(t, render(t, v, events))))
		}
		if got := outline(root); !slices.Contains(harmless, got) {
			t.Fatalf("got outline\n%s\nwant\n%s", got, harmless[0])
		}
		plain := !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
		if plain && strings.Count(text(root), s) < 40 {
			t.Fatalf("the text is on the page %d times, want at least 40", strings.Count(text(root), s))
		}
	})
}

// TestLiterals: markup is constants. Nothing is converted to the type of
// markup, and one file alone writes the page.
func TestLiterals(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, f := range unsafeMarkup(tree, path == "markup.go") {
			t.Errorf("%s: %s", path, f)
		}
	}
	if seen < 5 {
		t.Errorf("looked at %d files", seen)
	}
	for source, want := range map[string]int{
		"func f(s string) { _ = literal(s) }":                  1,
		"func f(s string) { _ = []literal(nil) }":              1,
		"func f(w *writer, s string) { w.b.WriteString(s) }":   1,
		"func f(w *writer) { var l literal = `<p>`; w.raw(l)}": 0,
		"import \"unsafe\"":                                    1,
		"import \"reflect\"":                                   1,
	} {
		tree, err := parser.ParseFile(token.NewFileSet(), "p.go", "package page\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := unsafeMarkup(tree, false); len(got) != want {
			t.Errorf("%s: got %q, want %d findings", source, got, want)
		}
	}
}

// unsafeMarkup finds ways around the type of markup.
func unsafeMarkup(tree *ast.File, writes bool) []string {
	var found []string
	for _, i := range tree.Imports {
		if i.Path.Value == `"unsafe"` || i.Path.Value == `"reflect"` {
			found = append(found, "imports "+i.Path.Value)
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			kind := n.Fun
			if list, ok := kind.(*ast.ArrayType); ok {
				kind = list.Elt
			}
			if id, ok := kind.(*ast.Ident); ok && id.Name == "literal" {
				found = append(found, "converts to literal")
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "b" && !writes {
				found = append(found, "writes the page by itself")
			}
		}
		return true
	})
	return found
}
