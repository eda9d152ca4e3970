package deb

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// pack makes a package by hand: ar(5) headers around tars that the standard
// library writes. tail is what the data archive ends with.
func pack(t *testing.T, tail []byte, entries ...tar.Header) []byte {
	t.Helper()
	archive := func(list ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range list {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, strings.Repeat("x", int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	text := "Package: small\nVersion: 1\nArchitecture: all\n"
	control := archive(tar.Header{Name: "./control", Size: int64(len(text)), Mode: 0o644})
	control = bytes.Replace(control, []byte(strings.Repeat("x", len(text))), []byte(text), 1)
	b := []byte("!<arch>\n")
	for _, m := range []struct {
		name    string
		content []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar", append(control, make([]byte, 1024)...)},
		{"data.tar", append(archive(entries...), tail...)},
	} {
		b = fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", m.name, 0, 0, 0, 0o100644, len(m.content))
		b = append(b, m.content...)
	}
	return b
}

// TestRefusedEntries: what a package may not hold. Files listed twice are two
// answers to one question, and a path that leads out of the package is meant
// for somebody who unpacks it.
func TestRefusedEntries(t *testing.T) {
	end := make([]byte, 1024) // POSIX.1-2017, pax, "ustar Interchange Format": two zero blocks
	file := func(name string) tar.Header { return tar.Header{Name: name, Size: 3, Mode: 0o644} }
	for _, tt := range []struct {
		name string
		b    []byte
		want string // empty for none
	}{
		{"good", pack(t, end, tar.Header{Name: "./usr/", Typeflag: tar.TypeDir}, file("./usr/a"), file("./usr/b")), ""},
		{"twice", pack(t, end, file("./a"), file("./b"), file("./a")), `"a": listed twice`},
		{"twice by other names", pack(t, end, file("./a"), file("a")), `"a": listed twice`},
		{"file and folder", pack(t, end, file("./a"), tar.Header{Name: "./a/", Typeflag: tar.TypeDir}), `"a": listed twice`},
		{"parent", pack(t, end, file("./../a")), `path "./../a": want a relative path`},
		{"parent inside", pack(t, end, file("./a/../b")), "want a relative path"},
		{"absolute", pack(t, end, file("/etc/passwd")), `path "/etc/passwd": want a relative path`},
		{"file as root", pack(t, end, file(".")), `path ".": want a relative path`},
		{"backslash", pack(t, end, file(`a\b`)), "byte 0x5c is not allowed"},
		{"newline", pack(t, end, file("a\nb")), "byte 0x0a is not allowed"},
		{"device", pack(t, end, tar.Header{Name: "a", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}), "type flag '3' is not supported"},
		{"fifo", pack(t, end, tar.Header{Name: "a", Typeflag: tar.TypeFifo}), "type flag '6' is not supported"},
		{"pax", pack(t, end, tar.Header{Name: "a", Size: 3, Format: tar.FormatPAX, PAXRecords: map[string]string{"SAFEBOX.x": "1"}}), "pax extended header"},
		{"no end", pack(t, nil, file("a")), "ends without its two zero blocks"},
		{"data behind the end", pack(t, append(end, "more"...), file("a")), "data behind the end of the archive"},
	} {
		p, err := open(tt.b, DefaultLimits())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		err = p.Files(func(Entry, io.Reader) error { return nil })
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
