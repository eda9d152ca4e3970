package compare

import (
	"strings"
	"testing"
)

// A release.json and a bill of materials, cut down to what names elements.
const (
	releaseText = `{"artifacts":[{"name":"cmdline","sha256":"a1","sha384":"x"},{"name":"initrd.cpio.zst","sha256":"a2","sha384":"x"},{"name":"safebox-init","sha256":"a3","sha384":"x"}],` +
		`"command_lines":[{"form":"uki","platform":"vtpm","text":"a b"}],"epoch":1,"inputs":[{"package":"ovmf","sha256":"b1"},{"package":"stub","sha256":"b2"}],"kernel":"distro",` +
		`"launches":[{"platform":"snp","snp":{"seed":"c1"}},{"platform":"tdx"}],"lock_sha256":"d1",` +
		`"measurements":[{"bank":"sha256","boot":"esp","platform":"vtpm","registers":[{"name":"pcr4","value":"e1"}]},{"bank":"sha384","boot":"esp","platform":"vtpm","registers":[{"name":"pcr4","value":"e2"}]}],` +
		`"toolchain":{"go":"1.26.8"},"type":"safebox/release/v1"}`
	bomText = `{"components":[{"bom-ref":"file:initrd.cpio.zst","hashes":[{"alg":"SHA-256","content":"a2"},{"alg":"SHA-384","content":"x"}],"name":"initrd.cpio.zst"},` +
		`{"bom-ref":"file:safebox-init","hashes":[{"alg":"SHA-256","content":"a3"}],"name":"safebox-init"},` +
		`{"bom-ref":"pkg:golang/x/y@v1","name":"x/y","purl":"pkg:golang/x/y@v1","version":"v1"},{"bom-ref":"pkg:golang/x/z@v1","name":"x/z","version":"v1"}],` +
		`"dependencies":[{"dependsOn":["pkg:golang/x/y@v1"],"ref":"file:safebox-init"}],"serialNumber":"urn:uuid:1"}`
)

// TestElements changes things and what follows from them, and wants the cause.
func TestElements(t *testing.T) {
	tests := map[string]struct {
		text    string
		replace []string
		want    string
	}{
		"register":        {releaseText, []string{"e2", "e3"}, `f: measurements: vtpm esp sha384: registers: pcr4: value: "e3", want "e2"`},
		"init and initrd": {releaseText, []string{`"a2"`, `"a4"`, `"a3"`, `"a5"`, "e1", "e3"}, `f: artifacts: safebox-init: sha256: "a5", want "a3"`},
		"input":           {releaseText, []string{"b2", "b3", "a1", "a4"}, `f: inputs: stub: sha256: "b3", want "b2"`},
		"lock":            {releaseText, []string{"d1", "d2", "b2", "b3", "a1", "a4"}, `f: lock_sha256: "d2", want "d1"`},
		"toolchain":       {releaseText, []string{"1.26.8", "1.26.9", "d1", "d2"}, `f: toolchain: go: "1.26.9", want "1.26.8"`},
		"kernel":          {releaseText, []string{"distro", "source", "1.26.8", "1.26.9"}, `f: kernel: "source", want "distro"`},
		"command line":    {releaseText, []string{"a b", "a c", "a1", "a4"}, `f: command_lines: vtpm uki: text: "a c", want "a b"`},
		"launch":          {releaseText, []string{"c1", "c2"}, `f: launches: snp: snp: seed: "c2", want "c1"`},
		"no launch":       {releaseText, []string{`,{"platform":"tdx"}`, ""}, `f: launches: tdx: none, want {"platform":"tdx"}`},
		"extra artifact":  {releaseText, []string{`"artifacts":[`, `"artifacts":[{"name":"a","sha384":"x"},`, "a1", "a4"}, `f: artifacts: a: {"name":"a","sha384":"x"}, want none`},
		"other order":     {releaseText, []string{`{"package":"ovmf","sha256":"b1"},{"package":"stub","sha256":"b2"}`, `{"package":"stub","sha256":"b2"},{"package":"ovmf","sha256":"b1"}`}, `f: inputs: order: element 0: stub, want ovmf`},
		"name twice":      {releaseText, []string{"stub", "ovmf"}, `f: inputs: [1]: package: "ovmf", want "stub"`},
		"no objects":      {releaseText, []string{`[{"package":"ovmf","sha256":"b1"},{"package":"stub","sha256":"b2"}]`, `[1]`}, `f: inputs: [0]: 1, want {"package":"ovmf","sha256":"b1"}`},

		"module version":  {bomText, []string{`"x/y","purl":"pkg:golang/x/y@v1","version":"v1"`, `"x/y","purl":"pkg:golang/x/y@v2","version":"v2"`, "x/y@v1", "x/y@v2", "a2", "a4", "a3", "a5"}, `f: components: x/y: version: "v2", want "v1"`},
		"module left out": {bomText, []string{`,{"bom-ref":"pkg:golang/x/z@v1","name":"x/z","version":"v1"}`, "", "a2", "a4"}, `f: components: x/z: none, want {"bom-ref":"pkg:golang/x/z@v1","name":"x/z","version":"v1"}`},
		"artifacts":       {bomText, []string{"a2", "a4", "a3", "a5"}, `f: components: safebox-init: hashes: SHA-256: content: "a5", want "a3"`},
		"made of":         {bomText, []string{`["pkg:golang/x/y@v1"]`, `["pkg:golang/x/z@v1"]`, "uuid:1", "uuid:2"}, `f: dependencies: file:safebox-init: dependsOn: [0]: "pkg:golang/x/z@v1", want "pkg:golang/x/y@v1"`},
		"serial number":   {bomText, []string{"uuid:1", "uuid:2"}, `f: serialNumber: "urn:uuid:2", want "urn:uuid:1"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			changed := tt.text
			for i := 0; i < len(tt.replace); i += 2 {
				if !strings.Contains(changed, tt.replace[i]) {
					t.Fatalf("%q is not in the text", tt.replace[i])
				}
				changed = strings.Replace(changed, tt.replace[i], tt.replace[i+1], 1)
			}
			check(t, []byte(changed), []byte(tt.text), tt.want)
		})
	}
}
