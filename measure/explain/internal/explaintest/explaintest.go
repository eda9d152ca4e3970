// Package explaintest holds what the tests of explanations share: launches and
// images of measure/testdata, and sums by hand.
package explaintest

import (
	"crypto/sha512"
	"encoding/hex"
	"io/fs"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/explain"
	"safebox/measure/ovmf"
	"safebox/measure/vectortest"
)

// Files of measure/testdata.
const (
	DebianVectors = "debian-ovmf/vectors.json"
	DebianImage   = "debian-ovmf/OVMF.fd"
	SSMVectors    = "sev-snp-measure/vectors.json"
	SVSMVectors   = "sev-snp-measure/vectors-svsm-history.json"
	RustVectors   = "sev-rust/vectors.json"
	DstackVectors = "dstack/snp-vectors.json"
)

// Unhex decodes hex digits.
func Unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Fold is the register of zeros that SHA-384 digests were extended into.
func Fold(digests ...[48]byte) []byte {
	var value [48]byte
	for _, d := range digests {
		value = sha512.Sum384(append(value[:], d[:]...))
	}
	return value[:]
}

// Sentences are those of the findings.
func Sentences(r *explain.Result) []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Sentence)
	}
	return list
}

// Summaries joins what was found out about all registers.
func Summaries(list []*explain.Result) (all []string) {
	for _, r := range list {
		all = append(all, r.Summary()...)
	}
	return all
}

// WantSentences compares the sentences of the findings.
func WantSentences(t *testing.T, r *explain.Result, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, Sentences(r)); diff != "" {
		t.Errorf("-want +got:\n%s\nnotes: %q", diff, r.Notes)
	}
}

// Data is the folder measure/testdata.
type Data struct {
	root fs.FS
	// images are those that were read: unpacking one takes longer than explaining it.
	images sync.Map
}

// New is the folder at root, os.DirFS("../testdata").
func New(root fs.FS) *Data { return &Data{root: root} }

// File reads a file, unpacked.
func (d *Data) File(t testing.TB, path string) []byte {
	t.Helper()
	return vectortest.File(t, d.root, path)
}

// Image reads a firmware.
func (d *Data) Image(t testing.TB, path string) *ovmf.Image {
	t.Helper()
	if im, ok := d.images.Load(path); ok {
		return im.(*ovmf.Image)
	}
	im, err := ovmf.Decode(d.File(t, path))
	if err != nil {
		t.Fatal(err)
	}
	d.images.Store(path, im)
	return im
}
