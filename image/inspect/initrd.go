package inspect

import (
	"bytes"
	"fmt"

	"safebox/initrd"
)

// Magic numbers of an initrd: newc (Linux buffer-format.rst) and a Zstandard
// frame (RFC 8878, section 3.1.1).
const (
	newcMagic = "070701"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

func isInitrd(b []byte) bool {
	return bytes.HasPrefix(b, []byte(newcMagic)) || bytes.HasPrefix(b, []byte(zstdMagic))
}

func initramfs(b []byte) ([]Item, error) {
	entries, err := initrd.Decode(b)
	if err != nil {
		return nil, err
	}
	list := Item{Name: "entries", Value: fmt.Sprint(len(entries))}
	for _, e := range entries {
		entry := item("/"+e.Name, "mode %06o, %d bytes", e.Mode, len(e.Data))
		if len(e.Data) > 0 {
			entry.Items = []Item{item("sha256", "%s", digest(e.Data))}
		}
		list.Items = append(list.Items, entry)
	}
	return []Item{list}, nil
}
