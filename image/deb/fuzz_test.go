package deb

import (
	"bytes"
	"io"
	"io/fs"
	"testing"
)

// fuzzLimits keep one run short; the fixtures fit.
func fuzzLimits() Limits {
	return Limits{Member: 1 << 20, Control: 1 << 20, Unpacked: 4 << 20, Entries: 1000, Path: 256, Dictionary: 8 << 20}
}

// FuzzOpen changes real packages: plain and gzip ones lead past the
// compression into tar and control, xz ones into the container.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"small-xz.deb", "small-gzip.deb", "small-none.deb", "small-zstd.deb"} {
		b := load(f, name)
		f.Add(b)
		f.Add(b[:len(b)*3/4])
		f.Add(b[:100])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := open(b, fuzzLimits())
		if err != nil {
			return
		}
		if !ValidName(p.Name) || !ValidVersion(p.Version) || !ValidArchitecture(p.Architecture) {
			t.Fatalf("invalid identity %q %q %q", p.Name, p.Version, p.Architecture)
		}
		first := map[string][]byte{}
		err = p.Files(func(e Entry, content io.Reader) error {
			if !fs.ValidPath(e.Path) {
				t.Fatalf("invalid path %q", e.Path)
			}
			b, err := io.ReadAll(content)
			if err == nil && int64(len(b)) != e.Size {
				t.Fatalf("%q: got %d bytes, want %d", e.Path, len(b), e.Size)
			}
			if e.Type == File {
				first[e.Path] = b
			}
			return err
		})
		if err != nil {
			return
		}
		for path, want := range first {
			got, err := p.Extract(path)
			if err != nil || !bytes.Equal(got[path], want) {
				t.Fatalf("extracting %q: %v, differs from the walk", path, err)
			}
		}
	})
}

// FuzzControl takes the texts of real packages.
func FuzzControl(f *testing.F) {
	f.Add([]byte("Package: small\nVersion: 1:2.0~rc1-3+deb13u1\nArchitecture: all\nDescription: two small files\n with a folded\n .\n description\n"))
	f.Add([]byte("Package: systemd-boot-efi\nSource: systemd\nVersion: 257.13-1~deb13u1\nArchitecture: amd64\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseControl(b)
		if err != nil {
			return
		}
		if _, version, _, err := c.identity(); err == nil && CompareVersions(version, version) != 0 {
			t.Fatalf("version %q differs from itself", version)
		}
	})
}

// FuzzXZ changes streams of several blocks.
func FuzzXZ(f *testing.F) {
	for _, name := range []string{"blocks.xz", "dictionary-128m.xz", "filter-x86.xz", "check-none.xz"} {
		f.Add(load(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := io.Copy(io.Discard, io.LimitReader(NewXZReader(bytes.NewReader(b), 1<<20), 4<<20)); err != nil {
			return
		}
	})
}
