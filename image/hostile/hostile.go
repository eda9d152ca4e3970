// Package hostile makes what a hostile host would make of a release, for the
// demo and for tests: each function returns a disk that boots and is not the
// published one. Nothing here is used to build a release.
package hostile

import (
	"bytes"
	"fmt"

	"github.com/u-root/u-root/pkg/cpio"

	"safebox/image"
	"safebox/image/disk"
	"safebox/image/uki"
	"safebox/measure/pe"
)

// Credential plants a file beside the UKI, where systemd-stub takes
// credentials from and hands them to the kernel (systemd-stub(7), "Companion
// Files"). The UKI itself stays as it is.
func Credential(unified []byte) ([]byte, error) {
	return image.Disk(unified, disk.File{Path: disk.Boot + ".extra.d/evil.cred", Data: []byte("evil")})
}

// InitrdEntry appends an archive with one more program to the initrd, as the
// kernel allows (Linux buffer-format.rst), and assembles a new UKI around it
// with the same stub.
func InitrdEntry(stub, unified []byte) ([]byte, error) {
	f, err := pe.Decode(unified)
	if err != nil {
		return nil, err
	}
	evil, err := archive("evil")
	if err != nil {
		return nil, err
	}
	var sections []uki.Section
	for _, name := range []string{".cmdline", ".uname", ".linux", ".initrd"} {
		data, ok := f.Section(name)
		if !ok {
			return nil, fmt.Errorf("tampering with UKI: no section %s", name)
		}
		if name == ".initrd" {
			data = bytes.Join([][]byte{padded(data), padded(evil)}, nil)
		}
		sections = append(sections, uki.Section{Name: name, Data: data})
	}
	changed, err := uki.Assemble(stub, sections)
	if err != nil {
		return nil, err
	}
	return image.Disk(changed)
}

// archive is a newc archive with one program that no release holds.
func archive(name string) ([]byte, error) {
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	if err := w.WriteRecord(cpio.MakeReproducible(cpio.StaticFile(name, name, 0o755))); err != nil {
		return nil, err
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// padded fills up to four bytes with zeros: the kernel skips them between
// archives.
func padded(b []byte) []byte {
	return append(b[:len(b):len(b)], make([]byte, -len(b)&3)...)
}
