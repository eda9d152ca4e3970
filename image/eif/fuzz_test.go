package eif

import (
	"bytes"
	"crypto/elliptic"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"testing"

	"safebox/measure/vectortest"
)

// addImages seeds with all images of the vectors.
func addImages(f *testing.F) {
	f.Helper()
	names, err := fs.Glob(vectors(), "nitro/eif/*.eif")
	if err != nil || len(names) == 0 {
		f.Fatalf("no image in testdata: %v", err)
	}
	for _, n := range names {
		f.Add(vectortest.File(f, vectors(), n))
	}
	f.Add(mustEncode(f, good(f)))
}

// summed puts the checksum right, as whoever changes a file would.
func summed(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) >= 0x224 {
		sum := crc32.Update(crc32.ChecksumIEEE(b[:0x220]), crc32.IEEETable, b[0x224:])
		binary.BigEndian.PutUint32(b[0x220:], sum)
	}
	return b
}

// FuzzDetach: what is taken away can be put back.
func FuzzDetach(f *testing.F) {
	addImages(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = summed(b)
		unsigned, section, err := Detach(b)
		if err != nil {
			return
		}
		again, err := appendSignature(unsigned, section)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("put back: got %x, %v, want %x", again, err, b)
		}
		// Detach verifies nothing, AttachSection does.
		verified, err := AttachSection(unsigned, section)
		if err == nil && !bytes.Equal(verified, b) {
			t.Errorf("attached: got %x, want %x", verified, b)
		}
	})
}

// FuzzAttach: what is put in can be taken away, and what was there before does
// not change.
func FuzzAttach(f *testing.F) {
	addImages(f)
	key, certificate := newKey(f, elliptic.P384())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = summed(b)
		signed, err := Sign(b, key, certificate)
		if err != nil {
			return
		}
		unsigned, section, err := Detach(signed)
		if err != nil || !bytes.Equal(unsigned, b) {
			t.Fatalf("detached: got %x, %v, want %x", unsigned, err, b)
		}
		again, err := AttachSection(b, section)
		if err != nil || !bytes.Equal(again, signed) {
			t.Errorf("attached again: got %x, %v, want %x", again, err, signed)
		}
	})
}
