package inspect

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
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
	return slices.ContainsFunc(f.Sections, func(s pe.Section) bool { return s.Name == ".linux" })
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
		entry.Items = []Item{item("sha256", "%s", digest(content)), item("sha384", "%x", sha512.Sum384(content))}
		if shown(s.Name) && len(content) <= maxShown {
			entry.Items = append(entry.Items, item("text", "%q", strings.TrimRight(string(content), "\x00")))
		}
		sections.Items = append(sections.Items, entry)
	}
	return append(items, sections), nil
}

// shown names the sections of a UKI that hold text (UAPI Group, Unified Kernel
// Image specification, "UKI Components").
func shown(name string) bool {
	switch name {
	case ".cmdline", ".uname", ".osrel", ".sbat", ".sdmagic", ".profile", ".pcrpkey", ".pcrsig":
		return true
	}
	return false
}

// uki describes the image, and what its kernels and initrds are.
func uki(b []byte) ([]Item, error) {
	items, err := image(b)
	if err != nil {
		return nil, err
	}
	f, err := pe.Decode(b)
	if err != nil {
		return nil, err
	}
	profiles := 0
	for _, s := range f.Sections {
		content := f.Content(s)
		switch {
		case s.Name == ".profile":
			profiles++
		case s.Name == ".linux":
			items = append(items, kernel(content))
		case s.Name == ".initrd" && isInitrd(content):
			entries, err := initramfs(content)
			if err != nil {
				return nil, err
			}
			items = append(items, Item{Name: "initrd", Items: entries})
		}
	}
	return append(items, item("profiles", "%d", profiles)), nil
}

// kernel gives the digests of the image that the stub starts: they are what
// firmware measures for it.
func kernel(b []byte) Item {
	f, err := pe.Decode(b)
	if err != nil {
		return item("linux", "no PE image: %v", err)
	}
	k := item("linux", "%d bytes", len(b))
	k.Items = []Item{
		item("authenticode_sha256", "%x", f.Authenticode(sha256.New())),
		item("authenticode_sha384", "%x", f.Authenticode(sha512.New384())),
	}
	return k
}
