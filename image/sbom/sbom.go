// Package sbom writes the bill of materials of a release as CycloneDX 1.6
// JSON (ECMA-424, 1st edition): the pinned packages, files of ours that go into
// the kernel, the Go toolchain and modules inside the init, and every artifact
// with its hashes and what it is made of. It holds no time and no random number,
// so that equal releases have equal bills.
package sbom

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"safebox/verifier/release"
)

// Bill is what a bill of materials tells.
type Bill struct {
	Toolchain release.Toolchain // compiled the Go programs
	Packages  []release.Input   // pinned packages of which something was used
	Files     []File            // files of the source that are no Go code, such as kernel patches
	Artifacts []Artifact        // all but the bill itself and release.json
}

// File is a file of the source.
type File struct {
	Name   string // path in the source
	SHA256 string // hex
}

// Artifact is a file of the release.
type Artifact struct {
	release.Artifact

	// From names what it is made of: artifacts, packages or files of the same
	// bill.
	From []string

	// Program is the content of a Go program, whose modules and toolchain are
	// then listed; nil for other artifacts.
	Program []byte
}

// Encode gives the bytes of the bill. A name in From that is not in
// the bill, or means two things, is an error: the graph has no holes.
func (b Bill) Encode() ([]byte, error) {
	bom, err := b.bom()
	if err != nil {
		return nil, fmt.Errorf("writing bill of materials: %w", err)
	}
	plain, err := encode(bom)
	if err != nil {
		return nil, fmt.Errorf("writing bill of materials: %w", err)
	}
	bom.SerialNumber = serialNumber(plain)
	return encode(bom)
}

func encode(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	e := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	err := e.EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// rootRef is the reference of the release itself, the root of the graph.
const rootRef = "release"

// bom lists components and dependencies, each sorted by its reference.
func (b Bill) bom() (*cdx.BOM, error) {
	g := newGraph()
	for _, p := range b.Packages {
		if err := g.add(debian(p), p.Package); err != nil {
			return nil, err
		}
	}
	for _, f := range b.Files {
		if err := g.add(sourceFile(f), f.Name); err != nil {
			return nil, err
		}
	}
	for _, a := range b.Artifacts {
		if err := g.add(artifact(a.Artifact), a.Name); err != nil {
			return nil, err
		}
	}
	for _, a := range b.Artifacts {
		if err := b.edges(g, a); err != nil {
			return nil, fmt.Errorf("artifact %s: %w", a.Name, err)
		}
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: rootRef, Type: cdx.ComponentTypeOS, Name: "safebox",
	}}
	components, dependencies := g.sorted()
	bom.Components, bom.Dependencies = &components, &dependencies
	return bom, nil
}

// edges adds what one artifact is made of.
func (b Bill) edges(g *graph, a Artifact) error {
	from := fileRef(a.Name)
	g.edge(rootRef, from)
	for _, name := range a.From {
		ref, err := g.ref(name)
		if err != nil {
			return err
		}
		if ref == from {
			return errors.New("made of itself")
		}
		g.edge(from, ref)
	}
	if a.Program == nil {
		return nil
	}
	modules, err := goModules(a.Program, b.Toolchain)
	if err != nil {
		return err
	}
	for _, m := range modules {
		if err := g.add(m, m.BOMRef); err != nil {
			return err
		}
		g.edge(from, m.BOMRef)
	}
	return nil
}

// graph collects components and who is made of what.
type graph struct {
	components []cdx.Component
	refs       map[string]string   // by name
	depends    map[string][]string // by reference
}

func newGraph() *graph {
	return &graph{refs: map[string]string{}, depends: map[string][]string{}}
}

func (g *graph) add(c cdx.Component, name string) error {
	if name == "" {
		return fmt.Errorf("component %q has no name", c.BOMRef)
	}
	if _, ok := g.refs[name]; ok {
		return fmt.Errorf("%s is there twice", name)
	}
	g.refs[name] = c.BOMRef
	g.components = append(g.components, c)
	return nil
}

func (g *graph) ref(name string) (string, error) {
	ref, ok := g.refs[name]
	if !ok {
		return "", fmt.Errorf("made of %s, which is not in the bill", name)
	}
	return ref, nil
}

func (g *graph) edge(from, to string) { g.depends[from] = append(g.depends[from], to) }

// sorted gives each component and, for each, what it is made of; an empty list
// says that nothing more is known.
func (g *graph) sorted() ([]cdx.Component, []cdx.Dependency) {
	slices.SortFunc(g.components, func(x, y cdx.Component) int { return cmp.Compare(x.BOMRef, y.BOMRef) })
	refs := []string{rootRef}
	for _, c := range g.components {
		refs = append(refs, c.BOMRef)
	}
	slices.Sort(refs)
	dependencies := make([]cdx.Dependency, len(refs))
	for i, ref := range refs {
		list := slices.Clone(g.depends[ref])
		slices.Sort(list)
		list = slices.Compact(list)
		dependencies[i] = cdx.Dependency{Ref: ref}
		if len(list) > 0 {
			dependencies[i].Dependencies = &list
		}
	}
	return g.components, dependencies
}
