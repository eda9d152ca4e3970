package lock

import (
	"bytes"
	"fmt"
	"strings"
)

// preamble starts every lock that Encode writes.
const preamble = `# Every input of a build, pinned by size and hash. The format is described in
# package image/lock; "safebox lock update" writes this file anew.
`

// Encode returns the text of the lock in its one canonical form.
func (l *Lock) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(preamble)
	fmt.Fprintf(&b, "format %s\nepoch %d\ngo %s\n", Format, l.Epoch, l.Go)
	fmt.Fprintf(&b, "toolchain %s@%s %s\n", l.Toolchain.Path, l.Toolchain.Version, l.Toolchain.Sum)
	for _, p := range l.Packages {
		b.WriteString("\n" + p.lines("package"))
	}
	for i, p := range l.Tools {
		if i == 0 {
			b.WriteString("\n")
		}
		b.WriteString(p.lines("tool"))
	}
	return b.Bytes()
}

// lines is the package's part of a lock, as a line of the kind and its files.
func (p Package) lines(kind string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s %d %s %s\n", kind, p.Name, p.Version, p.Architecture, p.Size, p.SHA256, p.Pool)
	for _, f := range p.Files {
		fmt.Fprintf(&b, "  file %s %s %d %s\n", f.Role, f.Path, f.Size, f.SHA256)
	}
	return b.String()
}
