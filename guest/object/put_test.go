package object

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"safebox/verifier/object"
)

// vectors reads those of docs/format-object.md, which Python computed
// (verifier/object/testdata/README.md).
func vectors(t *testing.T) map[string]string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-object.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := bytes.Cut(doc, []byte("```vectors\n"))
	if !ok {
		t.Fatal("the document has no vectors")
	}
	values := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(block)); s.Scan() && s.Text() != "```"; {
		name, value, _ := strings.Cut(s.Text(), " ")
		values[name] = value
	}
	return values
}

func TestPutVectors(t *testing.T) {
	v := vectors(t)
	var secret secrets
	for name, dst := range map[string][]byte{"fs": secret.fs[:], "oid": secret.oid[:], "writer_seed": secret.seed[:]} {
		b, err := hex.DecodeString(v[name])
		if err != nil || copy(dst, b) != 32 {
			t.Fatalf("%s: %q, %v", name, v[name], err)
		}
	}
	plain := pattern(1048660)
	small := object.Profile{Name: "small", K: 4, M: 2}
	s, err := put(t.Context(), bytes.NewReader(plain), 1048660, Options{Profile: small, Time: 1700000000}, newMemory(), &secret)
	if err != nil {
		t.Fatal(err)
	}
	if s.CID != v["cid"] {
		t.Errorf("identifier: got %s, want %s", s.CID, v["cid"])
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(s.Envelope)), v["envelope_sha256"]; got != want {
		t.Errorf("SHA-256 of the envelope: got %s, want %s", got, want)
	}
	for i := range 4 {
		if got, want := hex.EncodeToString(s.Leaves[i*object.LeafSize:][:object.LeafSize]), v[fmt.Sprintf("leaf%d", i)]; got != want {
			t.Errorf("leaf %d: got\n%s, want\n%s", i, got, want)
		}
	}
}

// TestCode: parity of unit vectors is the matrix that the document describes.
func TestCode(t *testing.T) {
	v := vectors(t)
	for _, p := range object.Profiles() {
		code, err := newCode(p)
		if err != nil {
			t.Fatal(err)
		}
		shards := make([][]byte, p.K+p.M)
		for i := range shards {
			shards[i] = make([]byte, p.K)
			if i < p.K {
				shards[i][i] = 1
			}
		}
		if err := code.Encode(shards); err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, row := range shards[p.K:] {
			rows = append(rows, hex.EncodeToString(row))
		}
		if got, want := strings.Join(rows, " "), v["parity_"+p.Name]; got != want {
			t.Errorf("%s: got %s, want %s", p.Name, got, want)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	small, errRead := object.Profile{Name: "small", K: 4, M: 2}, errors.New("bad sector")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tt := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		size int64
		o    Options
		s    Store
		want error
	}{
		"short input":  {t.Context(), bytes.NewReader(make([]byte, 99)), 100, Options{Profile: small}, newMemory(), errLength},
		"no input":     {t.Context(), bytes.NewReader(nil), 100, Options{Profile: small}, newMemory(), errLength},
		"long input":   {t.Context(), bytes.NewReader(make([]byte, 101)), 100, Options{Profile: small}, newMemory(), errLength},
		"read error":   {t.Context(), &slow{bytes.NewReader(make([]byte, 50)), errRead}, 100, Options{Profile: small}, newMemory(), errRead},
		"error at end": {t.Context(), &slow{bytes.NewReader(make([]byte, 100)), errRead}, 100, Options{Profile: small}, newMemory(), errRead},
		"full store":   {t.Context(), bytes.NewReader(make([]byte, 100)), 100, Options{Profile: small}, full{}, errFull},
		"interrupted":  {stopped, bytes.NewReader(make([]byte, 100)), 100, Options{Profile: small}, newMemory(), context.Canceled},
		"negative":     {t.Context(), bytes.NewReader(nil), -1, Options{Profile: small}, newMemory(), nil},
		"no profile":   {t.Context(), bytes.NewReader(nil), 0, Options{}, newMemory(), nil},
		"time":         {t.Context(), bytes.NewReader(nil), 0, Options{Profile: small, Time: -1}, newMemory(), nil},
		"prev":         {t.Context(), bytes.NewReader(nil), 0, Options{Profile: small, Prev: "b"}, newMemory(), nil},
	} {
		s, err := Put(tt.ctx, tt.r, tt.size, tt.o, tt.s)
		if err == nil || s != nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v and error %v, want %v", name, s, err, tt.want)
		}
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Put(context.Context, [32]byte, []byte) error { return errFull }

// TestPutIsFresh: two objects of one file share nothing that could be
// compared, and neither holds the file's text.
func TestPutIsFresh(t *testing.T) {
	a, b := newSealed(t, "small", 3*object.ChunkSize), newSealed(t, "small", 3*object.ChunkSize)
	if a.CID == b.CID || a.Keys.FS == b.Keys.FS || a.Keys.OID == b.Keys.OID || a.Keys.WriterSeed == b.Keys.WriterSeed {
		t.Error("two objects share a secret or a name")
	}
	marker := a.plain[1000:1032]
	for root, shard := range a.store.shards {
		if _, shared := b.store.shards[root]; shared {
			t.Errorf("two objects share shard %x", root)
		}
		if bytes.Contains(shard, marker) {
			t.Errorf("shard %x holds plaintext", root)
		}
	}
}

func TestPutProgress(t *testing.T) {
	const size = 9 * object.ChunkSize / 2
	var got []int64
	o := Options{Profile: object.Profile{Name: "small", K: 4, M: 2}, Progress: func(done int64) { got = append(got, done) }}
	if _, err := Put(t.Context(), &slow{r: bytes.NewReader(make([]byte, size))}, size, o, newMemory()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != 4*object.ChunkSize || got[1] != size {
		t.Errorf("got %v, want two stripes", got)
	}
}
