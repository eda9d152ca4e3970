package compare

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
)

// executables compares two ELF files: how Go built them, then their sections.
func executables(a, b []byte) *Difference {
	if d := builds(a, b); d != nil {
		return d
	}
	fileA, errA := elf.NewFile(bytes.NewReader(a))
	fileB, errB := elf.NewFile(bytes.NewReader(b))
	if errA != nil || errB != nil {
		return firstByte(a, b).refused(errA, errB)
	}
	if d := sections(a, b, fileA, fileB); d != nil {
		return d
	}
	return firstByte(a, b)
}

// builds compares the build information that the go command leaves in a
// binary: another compiler or another dependency explains everything else.
func builds(a, b []byte) *Difference {
	infoA, errA := buildinfo.Read(bytes.NewReader(a))
	infoB, errB := buildinfo.Read(bytes.NewReader(b))
	if errA != nil || errB != nil {
		return nil // not by Go, or not readable: the sections will tell
	}
	factsA, factsB := facts(infoA), facts(infoB)
	names := slices.Concat(slices.Collect(maps.Keys(factsA)), slices.Collect(maps.Keys(factsB)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if factsA[name] != factsB[name] {
			return fact(clip(name), orNone(factsA[name]), orNone(factsB[name]))
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// facts lists build information by name. Sorted, the Go version comes before
// settings and modules.
func facts(info *buildinfo.BuildInfo) map[string]string {
	m := map[string]string{"Go version": info.GoVersion, "main package": info.Path}
	for _, s := range info.Settings {
		m["build setting "+s.Key] = s.Value
	}
	add := func(d *debug.Module) {
		for d.Replace != nil {
			d = d.Replace
		}
		m["module "+d.Path] = d.Version + " " + d.Sum
	}
	add(&info.Main)
	for _, d := range info.Deps {
		add(d)
	}
	return m
}

// sections finds the first section whose content differs. Debugging strings
// and tables move when code does, so the order is that of the file, which puts
// code first.
func sections(a, b []byte, fileA, fileB *elf.File) *Difference {
	for i := range min(len(fileA.Sections), len(fileB.Sections)) {
		sa, sb := fileA.Sections[i], fileB.Sections[i]
		if sa.Name != sb.Name {
			return fact(fmt.Sprintf("section %d", i), orNone(sa.Name), orNone(sb.Name))
		}
		if sb.Type == elf.SHT_NOBITS || sa.Type == elf.SHT_NOBITS {
			continue
		}
		partA, partB := elfSpan(sa).cut(a), elfSpan(sb).cut(b)
		if !bytes.Equal(partA, partB) {
			return firstByte(partA, partB).in("section " + clip(sb.Name))
		}
	}
	return nil
}

// elfSpan is the section as it lies in the file: debug/elf would expand what
// is compressed.
func elfSpan(s *elf.Section) span {
	if s.Offset > MaxFile || s.FileSize > MaxFile {
		return span{}
	}
	return span{off: int64(s.Offset), size: int64(s.FileSize)}
}
