package object

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"safebox/verifier/dsse"
	"safebox/verifier/guestapi"
)

// example is the object of the vectors.
type example struct {
	manifest string
	cid      string
	leaves   []byte
	key      ed25519.PrivateKey
}

func newExample(t testing.TB) *example {
	t.Helper()
	v := vectors(t)
	e := &example{manifest: v["manifest"], cid: v["cid"], key: ed25519.NewKeyFromSeed(octets(t, v, "writer_seed"))}
	for i := range 4 {
		e.leaves = append(e.leaves, octets(t, v, fmt.Sprintf("leaf%d", i))...)
	}
	return e
}

func (e *example) envelope() []byte { return dsse.Sign(dsse.TypeManifest, []byte(e.manifest), e.key) }

// named makes the manifest name its leaf table and itself, as a lying writer
// would: what is wrong then is not a hash.
func (e *example) named(t *testing.T) {
	t.Helper()
	m, err := DecodeManifest([]byte(e.manifest))
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := DecodeLeaves(e.leaves)
	if err != nil {
		t.Fatal(err)
	}
	m.Root = Root(leaves)
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e.manifest, e.cid = string(b), CID(b)
}

func TestOpenManifest(t *testing.T) {
	e := newExample(t)
	o, err := OpenManifest(e.envelope(), e.cid, e.leaves)
	if err != nil {
		t.Fatal(err)
	}
	if o.CID != e.cid || o.Geometry.Chunks != 2 || o.Leaf(1).StoredLen != 116 || len(o.AAD(1)) != 55 {
		t.Errorf("got %+v", o)
	}
}

func TestOpenManifestRefuses(t *testing.T) {
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	leaf := func(e *example, i int) []byte { return e.leaves[i*LeafSize:][:LeafSize] }
	for name, tt := range map[string]struct {
		change func(t *testing.T, e *example)
		id     string
		want   string
	}{
		"not in its one form": {func(_ *testing.T, e *example) { e.manifest += "\n" }, ProblemManifest, "one form"},
		"signed by another":   {func(_ *testing.T, e *example) { e.key = other }, ProblemManifest, "not signed by the writer"},
		"identifier":          {func(_ *testing.T, e *example) { e.cid = strings.Replace(e.cid, "xdz", "xdy", 1) }, ProblemCID, "got object"},
		"no identifier":       {func(_ *testing.T, e *example) { e.cid = "" }, ProblemCID, "got object"},
		"other version": {func(_ *testing.T, e *example) {
			e.manifest = strings.Replace(e.manifest, "1700000000", "1700000001", 1)
		}, ProblemCID, "got object"},
		"leaf changed":       {func(_ *testing.T, e *example) { leaf(e, 1)[68] ^= 1 }, ProblemLeaves, "root"},
		"commitment changed": {func(_ *testing.T, e *example) { leaf(e, 0)[5] ^= 1 }, ProblemLeaves, "root"},
		"leaves swapped": {func(_ *testing.T, e *example) {
			e.leaves = append(bytes.Clone(leaf(e, 1)), append(bytes.Clone(leaf(e, 0)), e.leaves[2*LeafSize:]...)...)
		}, ProblemLeaves, "root"},
		"leaf table cut":       {func(_ *testing.T, e *example) { e.leaves = e.leaves[:3*LeafSize] }, ProblemLeaves, "root"},
		"leaf table truncated": {func(_ *testing.T, e *example) { e.leaves = e.leaves[:100] }, ProblemLeaves, "multiple of 69"},
		"no leaf table":        {func(_ *testing.T, e *example) { e.leaves = nil }, ProblemLeaves, "multiple of 69"},
		"too few leaves": {func(t *testing.T, e *example) {
			e.leaves = e.leaves[:3*LeafSize]
			e.named(t)
		}, ProblemLeaves, "got 3 leaves, want 4"},
		"length of another geometry": {func(t *testing.T, e *example) {
			leaf(e, 1)[4]++
			e.named(t)
		}, ProblemLeaves, "leaf 1: got type 1 and stored length 117, want 1 and 116"},
		"short parity": {func(t *testing.T, e *example) {
			copy(leaf(e, 3)[1:5], []byte{0, 0, 0, 128})
			e.named(t)
		}, ProblemLeaves, "leaf 3: got type 2 and stored length 128, want 2 and 1048576"},
		"parity in the place of data": {func(t *testing.T, e *example) {
			copy(leaf(e, 0), leaf(e, 2))
			e.named(t)
		}, ProblemLeaves, "leaf 0: got type 2"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExample(t)
			tt.change(t, e)
			_, err := OpenManifest(e.envelope(), e.cid, e.leaves)
			var p *guestapi.Problem
			if !errors.As(err, &p) || p.ID != tt.id || !strings.Contains(p.Detail, tt.want) {
				t.Errorf("got error %v, want %s about %q", err, tt.id, tt.want)
			}
		})
	}
	e := newExample(t)
	for name, envelope := range map[string][]byte{
		"empty":        nil,
		"bare":         []byte(e.manifest),
		"other type":   dsse.Sign(dsse.TypeGrant, []byte(e.manifest), e.key),
		"signature":    bytes.Replace(e.envelope(), []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1),
		"line feed":    append(e.envelope(), '\n'),
		"above 32 KiB": dsse.Sign(dsse.TypeManifest, make([]byte, MaxEnvelope), e.key),
	} {
		_, err := OpenManifest(envelope, e.cid, e.leaves)
		var p *guestapi.Problem
		if !errors.As(err, &p) || p.ID != ProblemManifest {
			t.Errorf("%s: got error %v, want %s", name, err, ProblemManifest)
		}
	}
}

// FuzzOpenManifest: whatever arrives, only the one object with this identifier
// opens.
func FuzzOpenManifest(f *testing.F) {
	e := newExample(f)
	f.Add(e.envelope(), e.leaves)
	f.Fuzz(func(t *testing.T, envelope, leaves []byte) {
		o, err := OpenManifest(envelope, e.cid, leaves)
		if err != nil {
			var p *guestapi.Problem
			if !errors.As(err, &p) {
				t.Errorf("got %v, want a problem", err)
			}
			return
		}
		if b, err := o.Manifest.Encode(); err != nil || string(b) != e.manifest || !bytes.Equal(leaves, e.leaves) {
			t.Errorf("opened another object: %s, %v", b, err)
		}
	})
}
