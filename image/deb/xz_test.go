package deb

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// The lines of `seq 1 2000`, from sha256sum.
const numbersSum = "6251e5743b6fd6a7d606130bdf7c15077ce85ebd3a0fdee284d15a46df199e38"

func TestXZBlocks(t *testing.T) {
	x := newXZReader(bytes.NewReader(load(t, "blocks.xz")), 64<<20)
	b, err := io.ReadAll(x)
	if err != nil {
		t.Fatal(err)
	}
	if got := hexSum(b); got != numbersSum {
		t.Errorf("got %s, want %s", got, numbersSum)
	}
	if len(x.records) != 3 { // 8893 bytes in blocks of 4096
		t.Errorf("blocks: got %d, want 3", len(x.records))
	}
}

func TestXZRefuses(t *testing.T) {
	blocks := load(t, "blocks.xz")
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"dictionary", load(t, "dictionary-128m.xz"), "dictionary: got 134217728 bytes, limit is 67108864"},
		{"filter", load(t, "filter-x86.xz"), "want one filter"},
		{"check", load(t, "check-none.xz"), "integrity check: got ID 0x00"},
		{"empty", nil, "truncated"},
		{"magic", []byte("not an xz stream"), "magic"},
		{"trailing byte", append(bytes.Clone(blocks), 0), "data behind the end"},
		{"two streams", append(bytes.Clone(blocks), blocks...), "data behind the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := io.ReadAll(newXZReader(bytes.NewReader(tt.data), 64<<20))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// No cut and no changed byte of a stream goes unnoticed, wherever it lies.
func TestXZDamage(t *testing.T) {
	whole := load(t, "blocks.xz")
	for i := range whole {
		if _, err := io.ReadAll(newXZReader(bytes.NewReader(whole[:i]), 64<<20)); err == nil || !strings.Contains(err.Error(), "truncated") {
			t.Fatalf("cut at %#x: got %v, want truncated", i, err)
		}
		b := bytes.Clone(whole)
		b[i] ^= 0x01
		if _, err := io.ReadAll(newXZReader(bytes.NewReader(b), 64<<20)); err == nil {
			t.Fatalf("byte %#x changed: got no error", i)
		}
	}
}
