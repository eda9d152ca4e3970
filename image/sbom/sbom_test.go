package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"safebox/verifier/release"
)

func TestEncode(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "init")
	if out, err := exec.Command("go", "build", "-o", exe, "safebox/cmd/safebox-init").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	binary, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	inputs := []release.Input{{Package: "linux-image", Version: "6.12.107-1+x", Architecture: "amd64", SHA256: "aa"}}
	artifacts := []release.Artifact{{Name: "safebox.efi", SHA256: "bb", SHA384: "cc"}}
	out, err := Encode(inputs, artifacts, binary)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Encode(inputs, artifacts, binary)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("two bills of one release differ, %v", err)
	}
	var bom struct {
		BOMFormat   string `json:"bomFormat"`
		SpecVersion string `json:"specVersion"`
		Serial      string `json:"serialNumber"`
		Components  []struct{ Name, Purl string }
	}
	if err := json.Unmarshal(out, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.Serial != "" {
		t.Errorf("got %s %s serial %q, want CycloneDX 1.6 without serial", bom.BOMFormat, bom.SpecVersion, bom.Serial)
	}
	got := map[string]string{}
	for _, c := range bom.Components {
		got[c.Name] = c.Purl
	}
	// The form of the first is the example of the purl specification for deb,
	// where "+" is percent-encoded.
	if want := "pkg:deb/debian/linux-image@6.12.107-1%2Bx?arch=amd64"; got["linux-image"] != want {
		t.Errorf("got %q, want %q", got["linux-image"], want)
	}
	for _, name := range []string{"stdlib", "github.com/google/go-tpm", "safebox.efi"} {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing from the bill", name)
		}
	}
}

func TestEncodeRefusesForeignBinary(t *testing.T) {
	if _, err := Encode(nil, nil, []byte("\x7fELF")); err == nil {
		t.Error("accepted a binary without build information")
	}
}
