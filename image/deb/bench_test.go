package deb

import (
	"bytes"
	"io"
	"testing"

	ulikunitz "github.com/ulikunitz/xz"

	"safebox/measure/benchtest"
)

// BenchmarkFiles reads every file of a Debian package and compares with the
// decompression of the same member by a reader that checks no more than xz
// itself does.
func BenchmarkFiles(b *testing.B) {
	whole := load(b, "systemd-boot-efi_257.13-1~deb13u1_amd64.deb")
	p, err := open(whole, DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	member, err := io.ReadAll(p.data.reader())
	if err != nil {
		b.Fatal(err)
	}
	benchtest.Ratio(b, "x-of-xz", func() {
		p, err := open(whole, DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		err = p.Files(func(_ Entry, content io.Reader) error {
			_, err := io.Copy(io.Discard, content)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}, func() {
		r, err := ulikunitz.NewReader(bytes.NewReader(member))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	})
}
