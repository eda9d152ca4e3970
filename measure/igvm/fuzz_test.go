package igvm

import (
	"bytes"
	"testing"
)

// FuzzDecode: what is accepted has bodies that write back to the same bytes,
// but for offsets in the file, and measuring it ends within its bounds. The
// checksum is mended, or nothing behind it would be reached.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"small", "version2"} {
		f.Add(file(f, name))
	}
	headers := file(f, "small")
	f.Add(headers[:headerSize1])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= headerSize1 {
			b = fix(bytes.Clone(b))
		}
		got, err := Decode(b)
		if err != nil {
			return
		}
		for _, s := range got.Structures {
			body := s.Body.Append(nil)
			at := s.Offset + structureHeader
			want := bytes.Clone(b[at : at+len(body)])
			switch s.Body.(type) {
			case PageData, ParameterArea, VPContext:
				clear(want[0x0c:0x10])
			}
			if !bytes.Equal(body, want) {
				t.Fatalf("%v at %#x: got %x, want %x", s.Type, s.Offset, body, want)
			}
		}
		for _, o := range programs() {
			_, _ = MeasureSNP(got, o)
			_, _ = MeasureTDX(got, o)
		}
	})
}
