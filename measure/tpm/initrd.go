package tpm

import (
	"errors"
	"fmt"
	"strings"
)

// initrd is the initrd that systemd-stub hands to the kernel, in its parts.
type initrd []initrdPart

type initrdPart struct {
	name    string // of the section
	content []byte
}

// initrdSections are the sections that the stub makes the initrd of, in their
// order (systemd, src/boot/stub.c). A file name means that the stub packs the
// section into an archive of its own, as that file.
func initrdSections() []struct{ section, file string } {
	return []struct{ section, file string }{
		{".ucode", ""},
		{".initrd", ""},
		{".pcrsig", "tpm2-pcr-signature.json"},
		{".pcrpkey", "tpm2-pcr-public-key.pem"},
		{".osrel", "os-release"},
		{".profile", "profile"},
	}
}

// combineInitrd puts the initrd together. Where stub 262 adds a part with a
// secret of the machine (addsBootSecret), PCR 9 cannot be predicted; what is
// returned here is for a disk that firmware cannot write to.
func combineInitrd(sections map[string][]byte) (initrd, error) {
	var parts initrd
	for _, s := range initrdSections() {
		content := sections[s.section]
		if content == nil {
			continue
		}
		if s.file != "" {
			content = extraFile(s.file, content)
		}
		parts = append(parts, initrdPart{s.section, content})
	}
	if len(parts) == 0 {
		return nil, errors.New("no section .initrd or .ucode: a kernel without an initrd was not seen")
	}
	return parts, nil
}

// String lists the parts.
func (r initrd) String() string {
	names := make([]string, len(r))
	for i, p := range r {
		names[i] = p.name
	}
	return strings.Join(names, " ")
}

// Bytes returns the parts, each padded with zeros to a multiple of 4. A lone
// part is handed on as it is.
func (r initrd) Bytes() [][]byte {
	if len(r) == 1 {
		return [][]byte{r[0].content}
	}
	var list [][]byte
	for _, p := range r {
		list = append(list, p.content, make([]byte, -len(p.content)&3))
	}
	return list
}

// extraFile is the cpio archive in which systemd-stub puts one file under
// /.extra (systemd, src/boot/cpio.c, pack_cpio_literal): newc headers of
// Linux's Documentation/driver-api/early-userspace/buffer-format.rst.
func extraFile(name string, content []byte) []byte {
	b := cpioEntry(nil, 1, 0o040555, ".extra", nil)
	b = cpioEntry(b, 2, 0o100444, ".extra/"+name, content)
	return append(b, cpioTrailer()...)
}

// cpioEntry appends a header, the name with its NUL and the content, the last
// two padded to a multiple of 4.
func cpioEntry(b []byte, inode, mode uint32, name string, content []byte) []byte {
	b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	b = pad4(append(append(b, name...), 0))
	return pad4(append(b, content...))
}

// cpioTrailer ends the archive. The stub writes it as one constant, and in
// that the size of the name is an upper-case digit, as nowhere else.
func cpioTrailer() []byte {
	const zero, one, nameSize = "00000000", "00000001", "0000000B"
	header := "070701" + strings.Repeat(zero, 4) + one + strings.Repeat(zero, 6) + nameSize + zero
	return pad4([]byte(header + "TRAILER!!!\x00"))
}

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
