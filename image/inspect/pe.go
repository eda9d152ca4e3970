package inspect

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"strconv"
	"strings"

	"safebox/measure/pe"
)

// maxShown bounds the text sections that are printed as they are.
const maxShown = 4096

func isPE(b []byte) bool { return bytes.HasPrefix(b, []byte("MZ")) }

func isUKI(b []byte) bool {
	if !isPE(b) {
		return false
	}
	f, err := pe.Decode(b)
	if err != nil {
		return false // reported as a PE image, with its error
	}
	_, ok := f.Section(".linux")
	return ok
}

func image(b []byte) ([]Item, error) {
	f, err := pe.Decode(b)
	if err != nil {
		return nil, err
	}
	h := f.Header
	items := []Item{
		item("machine", "0x%04x", h.Machine),
		item("subsystem", "%d", h.Subsystem),
		item("time_date_stamp", "%d", h.TimeDateStamp),
		item("size_of_image", "0x%x", h.SizeOfImage),
		item("certificate_table", "%d bytes", f.Certificates.Size),
		item("authenticode_sha256", "%x", f.Authenticode(sha256.New())),
		item("authenticode_sha384", "%x", f.Authenticode(sha512.New384())),
	}
	sections := Item{Name: "sections", Value: strconv.Itoa(len(f.Sections))}
	for _, s := range f.Sections {
		content := f.Content(s)
		entry := item(s.Name, "%d bytes at 0x%x, address 0x%x, flags 0x%08x", s.VirtualSize, s.RawOffset, s.VirtualAddress, s.Characteristics)
		entry.Items = []Item{item("sha256", "%s", digest(content))}
		if shown(s.Name) && len(content) <= maxShown {
			entry.Items = append(entry.Items, item("text", "%q", strings.TrimRight(string(content), "\x00")))
		}
		sections.Items = append(sections.Items, entry)
	}
	return append(items, sections), nil
}

// shown names the sections of a UKI that hold text.
func shown(name string) bool {
	switch name {
	case ".cmdline", ".uname", ".osrel", ".sbat", ".sdmagic", ".profile":
		return true
	}
	return false
}

func uki(b []byte) ([]Item, error) {
	items, err := image(b)
	if err != nil {
		return nil, err
	}
	f, err := pe.Decode(b)
	if err != nil {
		return nil, err
	}
	if content, ok := f.Section(".initrd"); ok && isInitrd(content) {
		entries, err := initramfs(content)
		if err != nil {
			return nil, err
		}
		items = append(items, Item{Name: "initrd", Items: entries})
	}
	return items, nil
}
