package sbom

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/release"
)

// program is a real init, compiled once, and what `go version -m` says of it.
func program(t *testing.T) (content []byte, modules map[string][2]string) {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "init")
	if out, err := exec.Command("go", "build", "-o", exe, "safebox/cmd/safebox-init").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "version", "-m", exe).Output()
	if err != nil {
		t.Fatal(err)
	}
	modules = map[string][2]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "dep" {
			modules[f[1]] = [2]string{f[2], f[3]}
		}
	}
	return content, modules
}

func sha(c string) string { return strings.Repeat(c, 32) }

func file(name, c string) release.Artifact {
	return release.Artifact{Name: name, Size: 1, SHA256: sha(c), SHA384: strings.Repeat(c, 48)}
}

// example is a small release of both kinds of kernel at once.
func example(init []byte) Bill {
	return Bill{
		Toolchain: release.Toolchain{Go: "", Module: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", Sum: "h1:tool="},
		Packages: []release.Input{
			{Package: "linux-source-6.12", Version: "6.12.107-1", Architecture: "all", SHA256: sha("a1")},
			{Package: "g++-14", Version: "14.2.0-19+b1", Architecture: "amd64", SHA256: sha("a2")},
			{Package: "ovmf", Version: "1:2025.02-8+deb13u1", Architecture: "all", SHA256: sha("a3")},
		},
		Files: []File{{Name: "image/kernel/patches/0001-x.patch", SHA256: sha("b1")}},
		Artifacts: []Artifact{
			{Artifact: file("vmlinuz", "c1"), From: []string{"linux-source-6.12", "g++-14", "image/kernel/patches/0001-x.patch"}},
			{Artifact: file("safebox-init", "c2"), Program: init},
			{Artifact: file("initrd.cpio.zst", "c3"), From: []string{"safebox-init"}},
			{Artifact: file("firmware/OVMF_CODE_4M.fd", "c4"), From: []string{"ovmf"}},
			{Artifact: file("safebox.efi", "c5"), From: []string{"vmlinuz", "initrd.cpio.zst", "vmlinuz"}},
		},
	}
}

// decoded is what a reader of CycloneDX 1.6 JSON sees.
type decoded struct {
	BOMFormat    string `json:"bomFormat"`
	SpecVersion  string `json:"specVersion"`
	SerialNumber string `json:"serialNumber"`
	Metadata     struct {
		Timestamp string `json:"timestamp"`
		Component struct {
			Ref  string `json:"bom-ref"`
			Name string `json:"name"`
		} `json:"component"`
	} `json:"metadata"`
	Components []struct {
		Ref        string                          `json:"bom-ref"`
		Type       string                          `json:"type"`
		Name       string                          `json:"name"`
		Version    string                          `json:"version"`
		Purl       string                          `json:"purl"`
		Hashes     []struct{ Alg, Content string } `json:"hashes"`
		Properties []struct{ Name, Value string }  `json:"properties"`
	} `json:"components"`
	Dependencies []struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	} `json:"dependencies"`
}

func decode(t *testing.T, out []byte) decoded {
	t.Helper()
	var d decoded
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBill(t *testing.T) {
	init, modules := program(t)
	out, err := example(init).Encode()
	if err != nil {
		t.Fatal(err)
	}
	d := decode(t, out)
	if d.BOMFormat != "CycloneDX" || d.SpecVersion != "1.6" || d.Metadata.Timestamp != "" {
		t.Errorf("got %s %s, time %q, want CycloneDX 1.6 and no time", d.BOMFormat, d.SpecVersion, d.Metadata.Timestamp)
	}
	// The pattern of bom-1.6.schema.json, and version 5 of RFC 9562, 5.5.
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(d.SerialNumber) {
		t.Errorf("serial number %q", d.SerialNumber)
	}

	// Purls by the rules of the purl specification: percent-encode all but
	// letters, digits, ".-_~" and ":".
	type short struct{ Type, Name, Purl, Hash string }
	got := map[string]short{}
	for _, c := range d.Components {
		s := short{Type: c.Type, Name: c.Name, Purl: c.Purl}
		if len(c.Hashes) > 0 {
			s.Hash = c.Hashes[0].Alg + " " + c.Hashes[0].Content
		}
		if !strings.HasPrefix(c.Ref, "pkg:golang/") {
			got[c.Ref] = s
			continue
		}
		m := modules[c.Name]
		if c.Name == "stdlib" {
			m = [2]string{c.Version, "h1:tool="}
		}
		if c.Version != m[0] || len(c.Properties) != 1 || c.Properties[0].Value != m[1] {
			t.Errorf("module %s: got %s %v, want %v", c.Name, c.Version, c.Properties, m)
		}
		delete(modules, c.Name)
	}
	if len(modules) > 0 {
		t.Errorf("modules missing from the bill: %v", modules)
	}
	want := map[string]short{
		"pkg:deb/debian/linux-source-6.12@6.12.107-1?arch=all": {"application", "linux-source-6.12", "pkg:deb/debian/linux-source-6.12@6.12.107-1?arch=all", "SHA-256 " + sha("a1")},
		"pkg:deb/debian/g%2B%2B-14@14.2.0-19%2Bb1?arch=amd64":  {"application", "g++-14", "pkg:deb/debian/g%2B%2B-14@14.2.0-19%2Bb1?arch=amd64", "SHA-256 " + sha("a2")},
		"pkg:deb/debian/ovmf@1:2025.02-8%2Bdeb13u1?arch=all":   {"application", "ovmf", "pkg:deb/debian/ovmf@1:2025.02-8%2Bdeb13u1?arch=all", "SHA-256 " + sha("a3")},
		"source:image/kernel/patches/0001-x.patch":             {"file", "0001-x.patch", "", "SHA-256 " + sha("b1")},
		"file:vmlinuz":                  {"file", "vmlinuz", "", "SHA-256 " + sha("c1")},
		"file:safebox-init":             {"file", "safebox-init", "", "SHA-256 " + sha("c2")},
		"file:initrd.cpio.zst":          {"file", "initrd.cpio.zst", "", "SHA-256 " + sha("c3")},
		"file:firmware/OVMF_CODE_4M.fd": {"firmware", "firmware/OVMF_CODE_4M.fd", "", "SHA-256 " + sha("c4")},
		"file:safebox.efi":              {"file", "safebox.efi", "", "SHA-256 " + sha("c5")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

// TestGraph follows what everything is made of.
func TestGraph(t *testing.T) {
	init, modules := program(t)
	out, err := example(init).Encode()
	if err != nil {
		t.Fatal(err)
	}
	d := decode(t, out)
	refs := []string{d.Metadata.Component.Ref}
	for _, c := range d.Components {
		refs = append(refs, c.Ref)
	}
	slices.Sort(refs)
	graph := map[string][]string{}
	var order []string
	for _, e := range d.Dependencies {
		graph[e.Ref] = e.DependsOn
		order = append(order, e.Ref)
		for _, to := range e.DependsOn {
			if !slices.Contains(refs, to) {
				t.Errorf("%s depends on %s, which is no component", e.Ref, to)
			}
		}
	}
	if diff := cmp.Diff(refs, order); diff != "" {
		t.Errorf("each component once in the graph, sorted (-want +got):\n%s", diff)
	}
	if got, want := len(graph["file:safebox-init"]), len(modules)+1; got != want {
		t.Errorf("the init depends on %d, want its %d modules and the standard library", got, len(modules))
	}
	delete(graph, "file:safebox-init")
	for ref, to := range graph {
		if len(to) == 0 {
			delete(graph, ref)
		}
	}
	want := map[string][]string{
		"release":                       {"file:firmware/OVMF_CODE_4M.fd", "file:initrd.cpio.zst", "file:safebox-init", "file:safebox.efi", "file:vmlinuz"},
		"file:firmware/OVMF_CODE_4M.fd": {"pkg:deb/debian/ovmf@1:2025.02-8%2Bdeb13u1?arch=all"},
		"file:initrd.cpio.zst":          {"file:safebox-init"},
		"file:safebox.efi":              {"file:initrd.cpio.zst", "file:vmlinuz"},
		"file:vmlinuz": {
			"pkg:deb/debian/g%2B%2B-14@14.2.0-19%2Bb1?arch=amd64", "pkg:deb/debian/linux-source-6.12@6.12.107-1?arch=all",
			"source:image/kernel/patches/0001-x.patch",
		},
	}
	if diff := cmp.Diff(want, graph); diff != "" {
		t.Errorf("graph (-want +got):\n%s", diff)
	}
}

// TestDeterministic: the order in which a caller lists things is not told; the
// serial number follows every value.
func TestDeterministic(t *testing.T) {
	init, _ := program(t)
	encode := func(change func(*Bill)) []byte {
		b := example(init)
		change(&b)
		out, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := encode(func(*Bill) {})
	if again := encode(func(b *Bill) { slices.Reverse(b.Packages); slices.Reverse(b.Artifacts) }); !bytes.Equal(first, again) {
		t.Error("another order of the same gives another bill")
	}
	other := encode(func(b *Bill) { b.Files[0].SHA256 = sha("b2") })
	if decode(t, first).SerialNumber == decode(t, other).SerialNumber {
		t.Error("two bills have one serial number")
	}
}

func TestRefused(t *testing.T) {
	init, _ := program(t)
	tests := map[string]struct {
		change func(*Bill)
		want   string
	}{
		"unknown cause":    {func(b *Bill) { b.Artifacts[2].From = []string{"nothing"} }, "artifact initrd.cpio.zst: made of nothing, which is not in the bill"},
		"of itself":        {func(b *Bill) { b.Artifacts[2].From = []string{"initrd.cpio.zst"} }, "artifact initrd.cpio.zst: made of itself"},
		"artifact twice":   {func(b *Bill) { b.Artifacts = append(b.Artifacts, b.Artifacts[0]) }, "vmlinuz is there twice"},
		"package twice":    {func(b *Bill) { b.Packages = append(b.Packages, b.Packages[0]) }, "linux-source-6.12 is there twice"},
		"two meanings":     {func(b *Bill) { b.Files[0].Name = "vmlinuz" }, "vmlinuz is there twice"},
		"no name":          {func(b *Bill) { b.Packages[0].Package = "" }, "has no name"},
		"no Go program":    {func(b *Bill) { b.Artifacts[1].Program = []byte("\x7fELF") }, "artifact safebox-init: reading build information: "},
		"another compiler": {func(b *Bill) { b.Toolchain.Go = "1.2.3" }, "want go1.2.3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := example(init)
			tt.change(&b)
			out, err := b.Encode()
			if out != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d bytes and %v, want an error with %q", len(out), err, tt.want)
			}
		})
	}
}

// TestSerialNumber: computed with Python's uuid.uuid5(namespace, sha256("bill").hexdigest()).
func TestSerialNumber(t *testing.T) {
	if got, want := serialNumber([]byte("bill")), "urn:uuid:8b921628-9117-5478-983d-7ec7a8f0d6eb"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	space := namespace()
	if got := hex.EncodeToString(space[:]); got != "3f0a9e446d1b4b7e8a5295c1d7e60b28" {
		t.Errorf("namespace %s", got)
	}
}
