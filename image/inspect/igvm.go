package inspect

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"strconv"

	"safebox/measure/igvm"
)

func isIGVM(b []byte) bool { return bytes.HasPrefix(b, []byte(igvm.Magic)) }

func igvmFile(b []byte) ([]Item, error) {
	f, err := igvm.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []Item{
		item("sha384", "%x", sha512.Sum384(b)),
		item("version", "%d", f.Version),
		item("crc32", "%08x", f.CRC32),
	}
	for _, p := range f.Platforms() {
		items = append(items, igvmPlatform(f, p))
	}
	return append(items, igvmStructures(f)), nil
}

// igvmPlatform shows what a platform measures of the file, by every way in
// which loaders differ.
func igvmPlatform(f *igvm.File, p igvm.Platform) Item {
	i := item("platform", "%v, mask %#x, highest VTL %d", p.Type, p.Mask, p.HighestVTL)
	if p.SharedGPABoundary != 0 {
		i.Items = append(i.Items, item("shared_gpa_boundary", "%#x", p.SharedGPABoundary))
	}
	switch p.Type {
	case igvm.SNP:
		for _, way := range []struct {
			name string
			o    igvm.Options
		}{
			{"launch_digest", igvm.Options{}},
			{"launch_digest_qemu", igvm.QEMU()},
			{"launch_digest_native_zero", igvm.Options{Zero: igvm.ZeroNative, Shared: igvm.SharedMeasured, Large: igvm.LargeSplit}},
		} {
			digest, err := igvm.MeasureSNP(f, way.o)
			i.Items = append(i.Items, measured(way.name, digest, err))
		}
	case igvm.TDX:
		digest, err := igvm.MeasureTDX(f, igvm.Options{})
		i.Items = append(i.Items, measured("mrtd", digest, err))
	default: // nothing that this project measures
	}
	return i
}

func measured(name string, digest fmt.Stringer, err error) Item {
	if err != nil {
		return item(name, "none: %v", err)
	}
	return item(name, "%v", digest)
}

// igvmStructures lists them, with a run of pages in one line: a firmware has
// thousands.
func igvmStructures(f *igvm.File) Item {
	list := Item{Name: "structures", Value: strconv.Itoa(len(f.Structures))}
	for i := 0; i < len(f.Structures); {
		n := igvmRun(f.Structures[i:])
		s := f.Structures[i]
		entry := item(strconv.Itoa(i), "%v at 0x%x: %s", s.Type, s.Offset, igvm.Describe(s.Body))
		if n > 1 {
			entry = item(fmt.Sprintf("%d-%d", i, i+n-1), "%v at 0x%x: %s, %d pages", s.Type, s.Offset, igvm.Describe(s.Body), n)
		}
		list.Items = append(list.Items, entry)
		i += n
	}
	return list
}

// igvmRun counts the pages at the start of a list that follow one another in
// memory and are loaded alike; 1 if it doesn't start with a page.
func igvmRun(list []igvm.Structure) int {
	first, ok := list[0].Body.(igvm.PageData)
	if !ok {
		return 1
	}
	n := 1
	for _, s := range list[1:] {
		p, ok := s.Body.(igvm.PageData)
		if !ok || p.GPA != first.GPA+uint64(n)*first.Size() || p.Mask != first.Mask || p.Flags != first.Flags ||
			p.Type != first.Type || (p.Data == nil) != (first.Data == nil) {
			break
		}
		n++
	}
	return n
}
