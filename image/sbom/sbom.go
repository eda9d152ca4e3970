// Package sbom writes the bill of materials of a release as CycloneDX 1.6
// JSON (ECMA-424): the pinned packages, the Go modules inside the init, and
// every artifact with its hashes. It holds no time and no random serial
// number, so that equal releases have equal bills.
package sbom

import (
	"bytes"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"safebox/verifier/release"
)

// Encode gives the bill for a release's inputs and artifacts. goBinary is the
// init, whose build information names its modules.
func Encode(inputs []release.Input, artifacts []release.Artifact, goBinary []byte) ([]byte, error) {
	bom := cdx.NewBOM()
	components := make([]cdx.Component, 0, len(inputs)+len(artifacts))
	for _, in := range inputs {
		components = append(components, debian(in))
	}
	modules, err := goModules(goBinary)
	if err != nil {
		return nil, fmt.Errorf("writing bill of materials: %w", err)
	}
	components = append(components, modules...)
	for _, a := range artifacts {
		components = append(components, cdx.Component{
			BOMRef: "file:" + a.Name,
			Type:   cdx.ComponentTypeFile,
			Name:   a.Name,
			Hashes: &[]cdx.Hash{
				{Algorithm: cdx.HashAlgoSHA256, Value: a.SHA256},
				{Algorithm: cdx.HashAlgoSHA384, Value: a.SHA384},
			},
		})
	}
	bom.Components = &components
	var out bytes.Buffer
	e := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := e.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("writing bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// debian describes a pinned package; the form of the package URL is fixed by
// the purl specification, type "deb".
func debian(in release.Input) cdx.Component {
	purl := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s", in.Package, escape(in.Version), in.Architecture)
	return cdx.Component{
		BOMRef:     purl,
		Type:       cdx.ComponentTypeApplication,
		Name:       in.Package,
		Version:    in.Version,
		PackageURL: purl,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: in.SHA256}},
	}
}

// goModules lists the modules that the linker recorded in a Go binary, the
// standard library as "stdlib" first.
func goModules(binary []byte) ([]cdx.Component, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("reading build information of the init: %w", err)
	}
	list := []cdx.Component{module("stdlib", info.GoVersion)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("module %s is replaced by %s: a release takes modules as published", m.Path, m.Replace.Path)
		}
		list = append(list, module(m.Path, m.Version))
	}
	return list, nil
}

func module(path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + escape(version)
	return cdx.Component{
		BOMRef:     purl,
		Type:       cdx.ComponentTypeLibrary,
		Name:       path,
		Version:    version,
		PackageURL: purl,
	}
}

// escape percent-encodes what the purl specification does not allow in a
// version.
func escape(version string) string {
	var out []byte
	for _, c := range []byte(version) {
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
