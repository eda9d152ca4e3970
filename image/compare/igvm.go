package compare

import (
	"bytes"
	"fmt"

	"safebox/measure/igvm"
)

// igvms compares two IGVM files by their structures, in order: each by its
// number, what it loads and where. Offsets in the file and the checksum come
// last: they follow from the rest.
func igvms(a, b []byte) *Difference {
	fileA, errA := igvm.Decode(a)
	fileB, errB := igvm.Decode(b)
	if errA != nil || errB != nil {
		return firstByte(a, b).refused(errA, errB)
	}
	if fileA.Version != fileB.Version {
		return fact("version", fmt.Sprint(fileA.Version), fmt.Sprint(fileB.Version)).in("header")
	}
	for i := range max(len(fileA.Structures), len(fileB.Structures)) {
		switch {
		case i >= len(fileA.Structures):
			return onOneSide(structureText(fileB.Structures[i]), false).in(structureName(i, fileB.Structures[i]))
		case i >= len(fileB.Structures):
			return onOneSide(structureText(fileA.Structures[i]), true).in(structureName(i, fileA.Structures[i]))
		}
		if d := structure(fileA.Structures[i], fileB.Structures[i]); d != nil {
			return d.in(structureName(i, fileB.Structures[i]))
		}
	}
	return firstByte(a, b)
}

// structureName is a structure's number, type and, for what is loaded, address.
func structureName(i int, s igvm.Structure) string {
	name := fmt.Sprintf("structure %d %v", i, s.Type)
	switch b := s.Body.(type) {
	case igvm.PageData:
		return fmt.Sprintf("%s 0x%x", name, b.GPA)
	case igvm.VPContext:
		return fmt.Sprintf("%s %d", name, b.Index)
	}
	return name
}

func structureText(s igvm.Structure) string {
	return clip(fmt.Sprintf("%v, %s", s.Type, igvm.Describe(s.Body)))
}

// structure compares two of the same number: what they say, then what they
// load.
func structure(a, b igvm.Structure) *Difference {
	if a.Type != b.Type {
		return &Difference{What: "type", A: a.Type.String(), B: b.Type.String()}
	}
	if bodyA, bodyB := a.Body.Append(nil), b.Body.Append(nil); !bytes.Equal(bodyA, bodyB) {
		if textA, textB := igvm.Describe(a.Body), igvm.Describe(b.Body); textA != textB {
			return &Difference{A: textA, B: textB}
		}
		return fact("body", fmt.Sprintf("%x", bodyA), fmt.Sprintf("%x", bodyB))
	}
	dataA, dataB := loaded(a.Body), loaded(b.Body)
	if (dataA == nil) != (dataB == nil) {
		return fact("data", presence(dataA), presence(dataB))
	}
	if bytes.Equal(dataA, dataB) {
		return nil
	}
	return firstByte(dataA, dataB)
}

func presence(b []byte) string {
	if b == nil {
		return "none"
	}
	return count(int64(len(b)))
}

// loaded are the bytes that a body has elsewhere in the file.
func loaded(body igvm.Body) []byte {
	switch b := body.(type) {
	case igvm.PageData:
		return b.Data
	case igvm.ParameterArea:
		return b.Data
	case igvm.VPContext:
		return b.VMSA
	}
	return nil
}
