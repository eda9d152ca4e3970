package eif

import (
	"bytes"
	"io"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// FuzzOpen: what is accepted is all that the file holds. The checksum is put
// right first, as whoever changes a file would.
func FuzzOpen(f *testing.F) {
	for _, b := range realFiles(f) {
		f.Add(b)
	}
	f.Add(good().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = fixCRC(bytes.Clone(b))
		file, err := OpenOlder(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if again := rewrite(t, file); !bytes.Equal(again, b) {
			t.Errorf("written again: got %x, want %x", again, b)
		}
	})
}

// rewrite makes the file anew from what was read.
func rewrite(t *testing.T, f *File) []byte {
	t.Helper()
	im := image{version: f.Header.Version}
	if f.Header.Arch == ARM64 {
		im.flags = 1
	}
	for _, s := range f.Sections {
		data, err := io.ReadAll(s.Data())
		if err != nil || int64(len(data)) != s.Size {
			t.Fatalf("reading %v: got %d bytes and %v, want %d", s.Type, len(data), err, s.Size)
		}
		im.sections = append(im.sections, section{kind: s.Type, data: string(data)})
	}
	return im.patched(func(b []byte) {
		put64(8, f.Header.Memory)(b)
		put64(0x10, f.Header.CPUs)(b)
	}).encode()
}

// FuzzSignature: what is accepted says the same when it is written in the
// shortest form.
func FuzzSignature(f *testing.F) {
	f.Add(readFile(f, "signed_p384_signature_section.cbor"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxSignature {
			return
		}
		s, err := decodeSignature(b)
		if err != nil {
			return
		}
		var list []map[string][]byte
		if err := cbor.Unmarshal(b, &list); err != nil {
			t.Fatalf("accepted what is no CBOR: %v", err)
		}
		again, err := decodeSignature(encodeSection(t, list[0]["signing_certificate"], list[0]["signature"]))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Certificate.Raw, again.Certificate.Raw) || s.PCR0 != again.PCR0 {
			t.Errorf("got %x, want %x", again.PCR0, s.PCR0)
		}
		if diff := cmp.Diff(s.message, again.message, cmp.AllowUnexported(message{})); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
		one, two := s.Verify(s.PCR0), again.Verify(s.PCR0)
		if (one == nil) != (two == nil) {
			t.Errorf("verifying: got %v, want %v", two, one)
		}
	})
}
