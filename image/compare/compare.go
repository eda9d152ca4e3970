// Package compare says where two builds differ, by the name of the innermost
// component: not "safebox.raw differs at byte 1234567" but
// "safebox.raw: EFI/BOOT/BOOTX64.EFI: section .initrd: entry /init: section
// .text: byte 5: 0x41, want 0x42".
//
// It implements the test of specs/image.md, section 3: compare bytes, then on a
// mismatch name the first differing structure. Whether two files differ is
// decided by their bytes alone; the readers only find the name. What a format
// derives from its contents (sizes, checksums, positions) is looked at last, so
// that the cause is named and not its consequences.
package compare

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxFile bounds the files that are compared.
const MaxFile = 1 << 30

// Difference is the first place where two things differ.
type Difference struct {
	Path []string // components from the outside in: "safebox.efi", "section .initrd"
	What string   // what of the innermost one: "mode", "byte 123"; empty if it is there on one side only
	A, B string   // what each side has
	Note string   // why the path does not lead further, empty if nothing stood in the way
}

// String is one line. B is what is wanted: it is the reference.
func (d Difference) String() string {
	parts := d.Path
	if d.What != "" {
		parts = append(parts[:len(parts):len(parts)], d.What)
	}
	s := fmt.Sprintf("%s: %s, want %s", strings.Join(parts, ": "), d.A, d.B)
	if d.Note != "" {
		s += " (" + d.Note + ")"
	}
	return visible(s)
}

// visible escapes what would break the line or speak to a terminal: names come
// from the files that are compared.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			_, size := utf8.DecodeRuneInString(s[i:])
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// in puts d into a component.
func (d *Difference) in(component ...string) *Difference {
	if d != nil {
		d.Path = slices.Concat(component, d.Path)
	}
	return d
}

// Files compares two files, whose format it knows by their content. name is
// the first component of the path. It returns nil if they are equal.
func Files(name string, a, b []byte) (*Difference, error) {
	if n := max(len(a), len(b)); n > MaxFile {
		return nil, fmt.Errorf("comparing %s: size: got %d, want at most %d", name, n, MaxFile)
	}
	return contents(a, b, kindNone).in(name), nil
}

// All is Files, but gives every register of an event log in which two differ,
// by the first event of each: the events of one register say nothing about
// another.
func All(name string, a, b []byte) ([]Difference, error) {
	d, err := Files(name, a, b)
	if err != nil || d == nil {
		return nil, err
	}
	if recognise(a, kindNone) != kindLog || recognise(b, kindNone) != kindLog {
		return []Difference{*d}, nil
	}
	list := logs(a, b)
	for i := range list {
		list[i].in(name)
	}
	return list, nil
}

// contents compares what lies in a component of kind outer.
func contents(a, b []byte, outer kind) *Difference {
	if bytes.Equal(a, b) {
		return nil
	}
	kindA, kindB := recognise(a, outer), recognise(b, outer)
	if kindA != kindB && kindA.readable() && kindB.readable() {
		return texts(a, b)
	}
	if kindA != kindB && kindA != kindData && kindB != kindData {
		return &Difference{What: "format", A: kindA.String(), B: kindB.String()}
	}
	if kindA != kindB {
		d := firstByte(a, b)
		d.Note = fmt.Sprintf("formats: %v and %v", kindA, kindB)
		return d
	}
	switch kindA {
	case kindDisk:
		return disks(a, b)
	case kindQCOW2:
		return diskFiles(a, b, qcow2Layout)
	case kindVHD:
		return diskFiles(a, b, vhdLayout)
	case kindGCP:
		return diskFiles(a, b, gcpLayout)
	case kindPE:
		return images(a, b, outer)
	case kindInitrd:
		return initrds(a, b)
	case kindELF:
		return executables(a, b)
	case kindEIF:
		return enclaves(a, b)
	case kindIGVM:
		return igvms(a, b)
	case kindFirmware:
		return firmwares(a, b)
	case kindLog:
		return &logs(a, b)[0]
	case kindJSON:
		return documents(a, b)
	case kindText:
		return texts(a, b)
	case kindData, kindNone:
		return firstByte(a, b)
	}
	return firstByte(a, b)
}

// firstByte is the answer where nothing better is known. a and b differ.
func firstByte(a, b []byte) *Difference {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return &Difference{What: fmt.Sprintf("byte %d", i), A: hexByte(a[i]), B: hexByte(b[i])}
		}
	}
	return sizes(len(a), len(b))
}

func sizes(a, b int) *Difference {
	return &Difference{What: "size", A: count(int64(a)), B: count(int64(b))}
}

func hexByte(c byte) string { return fmt.Sprintf("0x%02x", c) }

func count(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// onOneSide tells of a component that only one side has.
func onOneSide(what string, inA bool) *Difference {
	if inA {
		return &Difference{A: what, B: "none"}
	}
	return &Difference{A: "none", B: what}
}

// maxNote bounds an error text within a difference.
const maxNote = 200

// refused notes which side a strict reader did not take.
func (d *Difference) refused(errA, errB error) *Difference {
	if d == nil || d.Note != "" {
		return d
	}
	switch {
	case errA != nil && errB != nil:
		d.Note = clip(fmt.Sprintf("neither can be read: %v", errB))
	case errA != nil:
		d.Note = clip(fmt.Sprintf("the first can't be read: %v", errA))
	case errB != nil:
		d.Note = clip(fmt.Sprintf("the second can't be read: %v", errB))
	}
	return d
}

func clip(s string) string {
	if len(s) > maxNote {
		return strings.ToValidUTF8(s[:maxNote], "") + ".."
	}
	return s
}
