// Package vectortest reads the test vectors that a document prints, so that
// tests check the code against what readers of the document see.
package vectortest

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Vectors are values by name.
type Vectors struct {
	t      testing.TB
	values map[string][]byte
}

// Parse reads the first block after the heading "## Vectors": a name alone on
// a line, then its value in hex in lines that start with two spaces.
func Parse(t testing.TB, document []byte) *Vectors {
	t.Helper()
	v := &Vectors{t, map[string][]byte{}}
	name := ""
	for line := range strings.Lines(Block(t, document, "Vectors")) {
		line = strings.TrimSuffix(line, "\n")
		digits, isValue := strings.CutPrefix(line, "  ")
		if !isValue {
			name = line
			if _, twice := v.values[name]; twice || name == "" {
				t.Fatalf("vector %q: twice, or without a name", name)
			}
			v.values[name] = nil
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("vector %s: %v", name, err)
		}
		v.values[name] = append(v.values[name], b...)
	}
	return v
}

// Block gives the first fenced block below the heading "## NAME".
func Block(t testing.TB, document []byte, heading string) string {
	t.Helper()
	_, section, ok := strings.Cut(string(document), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the document has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, ok := strings.Cut(section, "\n```\n")
	if !ok {
		t.Fatalf("section %q has no block", heading)
	}
	block, _, ok = strings.Cut(block, "```\n")
	if !ok {
		t.Fatalf("section %q: its block has no end", heading)
	}
	return block
}

// Value gives a vector, which must be there.
func (v *Vectors) Value(name string) []byte {
	v.t.Helper()
	if len(v.values[name]) == 0 {
		v.t.Fatalf("vector %s: missing", name)
	}
	return v.values[name]
}

// Octets32 gives a vector of 32 bytes.
func (v *Vectors) Octets32(name string) [32]byte {
	v.t.Helper()
	b := v.Value(name)
	if len(b) != 32 {
		v.t.Fatalf("vector %s: %d bytes, want 32", name, len(b))
	}
	return [32]byte(b)
}
