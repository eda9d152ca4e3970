package tdvf

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"safebox/measure/ovmf"
)

// A second writing of the tables at an image's end, for tests and fuzzing.

func appendGUID(b []byte, stored string) []byte {
	g, err := hex.DecodeString(stored)
	if err != nil {
		panic(err)
	}
	return append(b, g...)
}

// build writes the metadata and the footer table to the end of flash.
func build(flash []byte, sections []ovmf.TDXSection) []byte {
	le := binary.LittleEndian
	b := appendGUID(nil, "f3f9eae98e16d544a8eb7f4d8738f6ae")
	b = append(b, "TDVF"...)
	b = le.AppendUint32(b, uint32(16+32*len(sections)))
	b = le.AppendUint32(le.AppendUint32(b, 1), uint32(len(sections)))
	for _, s := range sections {
		b = appendSection(b, s)
	}
	const table, reset = 22 + 18, 32
	b = le.AppendUint32(b, uint32(16+32*len(sections)+table+reset))
	b = appendGUID(le.AppendUint16(b, 22), "35657ae44a989847865e4685a7bf8ec2")
	b = appendGUID(le.AppendUint16(b, table), "de82b596b21ff745baeaa366c55a082d")
	b = append(b, make([]byte, reset)...)
	image := make([]byte, len(flash))
	copy(image, flash)
	copy(image[len(image)-len(b):], b)
	return image
}

func appendSection(b []byte, s ovmf.TDXSection) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(le.AppendUint32(b, s.Offset), s.RawSize)
	b = le.AppendUint64(le.AppendUint64(b, s.GPA), s.MemSize)
	return le.AppendUint32(le.AppendUint32(b, uint32(s.Type)), s.Attributes)
}

func readSectionBytes(b []byte) ovmf.TDXSection {
	le := binary.LittleEndian
	return ovmf.TDXSection{
		Offset: le.Uint32(b), RawSize: le.Uint32(b[4:]), GPA: le.Uint64(b[8:]), MemSize: le.Uint64(b[16:]),
		Type: ovmf.TDXType(le.Uint32(b[24:])), Attributes: le.Uint32(b[28:]),
	}
}

// volumes are the flash of a size, with variables of a size at its start.
func volumes(size, cfv uint32) []ovmf.TDXSection {
	gpa := addressEnd - uint64(size)
	return []ovmf.TDXSection{
		{Offset: cfv, RawSize: size - cfv, GPA: gpa + uint64(cfv), MemSize: uint64(size - cfv), Type: ovmf.BFV, Attributes: ovmf.MRExtend},
		{RawSize: cfv, GPA: gpa, MemSize: uint64(cfv), Type: ovmf.CFV},
	}
}

// image makes a firmware with the memory that it needs.
func image(t testing.TB, size, cfv uint32, memory []ovmf.TDXSection) *ovmf.Image {
	t.Helper()
	return open(t, build(make([]byte, size), append(volumes(size, cfv), memory...)))
}
