package sbom

import (
	"bytes"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"safebox/verifier/release"
)

// goSum is the property that holds a module's hash in the form of go.sum: it is
// over the list of the module's files, so it is no hash of a file.
const goSum = "safebox:go-sum"

func fileRef(name string) string { return "file:" + name }

// artifact describes a file of the release.
func artifact(a release.Artifact) cdx.Component {
	kind := cdx.ComponentTypeFile
	if strings.HasPrefix(a.Name, "firmware/") {
		kind = cdx.ComponentTypeFirmware
	}
	return cdx.Component{
		BOMRef: fileRef(a.Name),
		Type:   kind,
		Name:   a.Name,
		Hashes: &[]cdx.Hash{
			{Algorithm: cdx.HashAlgoSHA256, Value: a.SHA256},
			{Algorithm: cdx.HashAlgoSHA384, Value: a.SHA384},
		},
	}
}

// sourceFile describes a file of our source.
func sourceFile(f File) cdx.Component {
	return cdx.Component{
		BOMRef: "source:" + f.Name,
		Type:   cdx.ComponentTypeFile,
		Name:   path.Base(f.Name),
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: f.SHA256}},
	}
}

// debian describes a pinned package; the form of the package URL is fixed by
// the purl specification, type "deb".
func debian(in release.Input) cdx.Component {
	purl := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s", escape(in.Package), escape(in.Version), escape(in.Architecture))
	return cdx.Component{
		BOMRef:     purl,
		Type:       cdx.ComponentTypeApplication,
		Name:       in.Package,
		Version:    in.Version,
		PackageURL: purl,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: in.SHA256}},
	}
}

// goModules lists the modules that the linker recorded in a Go program, the
// standard library, which is the toolchain's, as "stdlib" first.
func goModules(program []byte, t release.Toolchain) ([]cdx.Component, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("reading build information: %w", err)
	}
	return listModules(info, t)
}

// listModules lists the modules of a program. One that the source's go.mod
// replaces is refused: it would bring code that no go.sum knows.
func listModules(info *buildinfo.BuildInfo, t release.Toolchain) ([]cdx.Component, error) {
	if want := "go" + t.Go; t.Go != "" && info.GoVersion != want {
		return nil, fmt.Errorf("compiled by %s, want %s", info.GoVersion, want)
	}
	list := []cdx.Component{module("stdlib", info.GoVersion, t.Sum)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("module %s is replaced by %s: a release takes modules as published", m.Path, m.Replace.Path)
		}
		list = append(list, module(m.Path, m.Version, m.Sum))
	}
	return list, nil
}

// module describes a Go module: purl specification, type "golang".
func module(name, version, sum string) cdx.Component {
	purl := "pkg:golang/" + name + "@" + escape(version)
	c := cdx.Component{
		BOMRef:     purl,
		Type:       cdx.ComponentTypeLibrary,
		Name:       name,
		Version:    version,
		PackageURL: purl,
	}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: goSum, Value: sum}}
	}
	return c
}

// escape percent-encodes what the purl specification does not allow in a name
// or a version.
func escape(s string) string {
	var out []byte
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '.', c == '-', c == '_', c == '~', c == ':':
			out = append(out, c)
		default:
			out = append(out, '%')
			out = append(out, bytes.ToUpper([]byte(hex.EncodeToString([]byte{c})))...)
		}
	}
	return string(out)
}
