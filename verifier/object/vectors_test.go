package object

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// vectors reads the vectors of docs/format-object.md, which Python computed
// (testdata/README.md).
func vectors(t testing.TB) map[string]string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-object.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := bytes.Cut(doc, []byte("```vectors\n"))
	if !ok {
		t.Fatal("the document has no vectors")
	}
	block, _, ok = bytes.Cut(block, []byte("```"))
	if !ok {
		t.Fatal("the vectors have no end")
	}
	values := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(block)); s.Scan(); {
		name, value, ok := strings.Cut(s.Text(), " ")
		if _, twice := values[name]; !ok || twice {
			t.Fatalf("vector %q: want one name and value", s.Text())
		}
		values[name] = value
	}
	return values
}

func octets(t testing.TB, v map[string]string, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[name])
	if err != nil || len(b) == 0 {
		t.Fatalf("vector %s: %q, %v", name, v[name], err)
	}
	return b
}

func TestKeyVectors(t *testing.T) {
	v := vectors(t)
	fs, oid := [32]byte(octets(t, v, "fs")), [32]byte(octets(t, v, "oid"))
	root := RootNode(fs, oid, Suite)
	if got, want := hex.EncodeToString(root.Key[:]), v["node_0_0"]; got != want {
		t.Errorf("root: got %s, want %s", got, want)
	}
	for name, path := range map[string][]uint32{
		"node_1_1":           {1},
		"node_31_0":          make([]uint32, 31),
		"node_32_4294967295": ones(32),
		"chunk0_secret":      make([]uint32, 32),
		"chunk1_secret":      append(make([]uint32, 31), 1),
	} {
		n := root
		for _, bit := range path {
			n = n.child(bit)
		}
		if got, want := hex.EncodeToString(n.Key[:]), v[name]; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for i := range uint32(2) {
		k, err := root.Chunk(oid, i)
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string][]byte{"key": k.Key[:], "nonce": k.Nonce[:], "commit": k.Commit[:]} {
			if want := v[fmt.Sprintf("chunk%d_%s", i, name)]; hex.EncodeToString(got) != want {
				t.Errorf("chunk %d %s: got %x, want %s", i, name, got, want)
			}
		}
	}
}

func ones(n int) []uint32 {
	list := make([]uint32, n)
	for i := range list {
		list[i] = 1
	}
	return list
}

func TestObjectVectors(t *testing.T) {
	v := vectors(t)
	m, err := DecodeManifest([]byte(v["manifest"]))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := CID([]byte(v["manifest"])), v["cid"]; got != want {
		t.Errorf("CID: got %s, want %s", got, want)
	}
	g, err := NewGeometry(m.Size, Profile{Name: "small", K: 4, M: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(2) {
		if got, want := hex.EncodeToString(g.AAD(m.OID, i)), v[fmt.Sprintf("chunk%d_aad", i)]; got != want {
			t.Errorf("AAD of chunk %d: got %s, want %s", i, got, want)
		}
	}
	var table []byte
	for i := range 4 {
		table = append(table, octets(t, v, fmt.Sprintf("leaf%d", i))...)
	}
	leaves, err := DecodeLeaves(table)
	if err != nil {
		t.Fatal(err)
	}
	if got := Root(leaves); hex.EncodeToString(got[:]) != v["root"] || m.Root != got {
		t.Errorf("root: got %x and %x in the manifest, want %s", got, m.Root, v["root"])
	}
	if err := checkGeometry(leaves, g); err != nil {
		t.Error(err)
	}
}
