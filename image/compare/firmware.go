package compare

import (
	"bytes"
	"fmt"

	"safebox/measure/ovmf"
)

// firmwares compares two OVMF images: the tables by which a VMM launches them,
// then the volumes, by their files; last, what follows from where things lie.
func firmwares(a, b []byte) *Difference {
	imageA, errA := ovmf.Decode(a)
	imageB, errB := ovmf.Decode(b)
	if (errA == nil) != (errB == nil) {
		return content(a, b, nil).refused(errA, errB)
	}
	if errA != nil { // variables, or damaged on both sides
		return content(a, b, nil)
	}
	if d := tables(imageA, imageB); d != nil {
		return d
	}
	return content(a, b, func() *Difference { return entryPlaces(imageA, imageB) })
}

// content compares the volumes, then what late gives, then the bytes: an SVSM
// and the end of an image have no volumes.
func content(a, b []byte, late func() *Difference) *Difference {
	volumesA, errA := ovmf.Volumes(a)
	volumesB, errB := ovmf.Volumes(b)
	if errA == nil && errB == nil {
		if d := volumes(volumesA, volumesB); d != nil {
			return d
		}
	}
	if late != nil {
		if d := late(); d != nil {
			return d
		}
	}
	if len(a) != len(b) {
		return sizes(len(a), len(b))
	}
	code := max(len(b)-resetVectorSize, 0)
	if !bytes.Equal(a[:code], b[:code]) {
		return firstByte(a[:code], b[:code])
	}
	return firstByte(a[code:], b[code:]).in("reset vector")
}

// resetVectorSize is the last part of an image (edk2 OvmfPkg/ResetVector/Ia16/
// ResetVectorVtf0.asm).
const resetVectorSize = 32

// placed reports whether an entry of the footer table says where something
// lies: it follows from the code around it.
func placed(e ovmf.Entry) bool {
	switch e.Name {
	case "SEV metadata", "TDX metadata", "IGVM metadata":
		return true
	}
	return false
}

func entryName(e ovmf.Entry) string {
	if e.Name == "" {
		return "footer entry " + e.GUID.String()
	}
	return "footer entry " + e.Name
}

// tables compares the footer tables and the sections of the metadata.
func tables(a, b *ovmf.Image) *Difference {
	if d := entries(a.Entries, b.Entries); d != nil {
		return d
	}
	if d := sevSections(a.SEV, b.SEV); d != nil {
		return d
	}
	return tdxSections(a.TDX, b.TDX)
}

func entries(a, b []ovmf.Entry) *Difference {
	inA, inB := make(map[ovmf.GUID]ovmf.Entry), make(map[ovmf.GUID]bool)
	for _, e := range a {
		inA[e.GUID] = e
	}
	for _, e := range b {
		inB[e.GUID] = true
		other, ok := inA[e.GUID]
		if !ok {
			return onOneSide(clip(fmt.Sprintf("%x", e.Data)), false).in(entryName(e))
		}
		if !placed(e) && !bytes.Equal(other.Data, e.Data) {
			return fact("data", fmt.Sprintf("%x", other.Data), fmt.Sprintf("%x", e.Data)).in(entryName(e))
		}
	}
	for _, e := range a {
		if !inB[e.GUID] {
			return onOneSide(clip(fmt.Sprintf("%x", e.Data)), true).in(entryName(e))
		}
	}
	for i := range b {
		if a[i].GUID != b[i].GUID {
			return &Difference{What: fmt.Sprintf("order: footer entry %d", i), A: entryName(a[i]), B: entryName(b[i])}
		}
	}
	return nil
}

func sevSections(a, b []ovmf.SEVSection) *Difference {
	show := func(s ovmf.SEVSection) string { return fmt.Sprintf("%v, 0x%x bytes at 0x%x", s.Type, s.Size, s.GPA) }
	return metadata("SEV section", a, b, show)
}

func tdxSections(a, b []ovmf.TDXSection) *Difference {
	show := func(s ovmf.TDXSection) string {
		return fmt.Sprintf("%v, 0x%x bytes at 0x%x, attributes 0x%x, data 0x%x bytes at offset 0x%x",
			s.Type, s.MemSize, s.GPA, s.Attributes, s.RawSize, s.Offset)
	}
	return metadata("TDX section", a, b, show)
}

// metadata compares sections one by one: their order is that of the launch.
func metadata[S comparable](what string, a, b []S, show func(S) string) *Difference {
	for i := range max(len(a), len(b)) {
		name := fmt.Sprintf("%s %d", what, i)
		switch {
		case i >= len(a):
			return onOneSide(show(b[i]), false).in(name)
		case i >= len(b):
			return onOneSide(show(a[i]), true).in(name)
		case a[i] != b[i]:
			return (&Difference{A: show(a[i]), B: show(b[i])}).in(name)
		}
	}
	return nil
}

// entryPlaces compares the entries that say where something lies.
func entryPlaces(a, b *ovmf.Image) *Difference {
	for i, e := range b.Entries { // the same ones on both sides
		if !bytes.Equal(a.Entries[i].Data, e.Data) {
			return fact("data", fmt.Sprintf("%x", a.Entries[i].Data), fmt.Sprintf("%x", e.Data)).in(entryName(e))
		}
	}
	return nil
}

// volumes compares two lists of volumes by what lies in them.
func volumes(a, b []ovmf.Volume) *Difference {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return onOneSide(count(int64(len(b[i].Bytes))), false).in("volume " + b[i].Label())
		case i >= len(b):
			return onOneSide(count(int64(len(a[i].Bytes))), true).in("volume " + a[i].Label())
		case a[i].Label() != b[i].Label():
			return &Difference{What: fmt.Sprintf("volume %d", i), A: a[i].Label(), B: b[i].Label()}
		case !bytes.Equal(a[i].Bytes, b[i].Bytes):
			return inVolume(a[i], b[i]).in("volume " + b[i].Label())
		}
	}
	return nil
}

// inVolume names what differs between two volumes: what is compressed in them,
// one of their files, or a byte.
func inVolume(a, b ovmf.Volume) *Difference {
	innerA, errA := a.Inner()
	innerB, errB := b.Inner()
	if errA != nil || errB != nil {
		return firstByte(a.Bytes, b.Bytes).refused(errA, errB)
	}
	if d := volumes(innerA, innerB); d != nil {
		return d
	}
	filesA, errA := a.Files()
	filesB, errB := b.Files()
	if errA != nil || errB != nil {
		return firstByte(a.Bytes, b.Bytes).refused(errA, errB)
	}
	if d := volumeFiles(filesA, filesB); d != nil {
		return d
	}
	if len(a.Bytes) != len(b.Bytes) {
		return sizes(len(a.Bytes), len(b.Bytes))
	}
	return firstByte(a.Bytes, b.Bytes)
}

// fileKey tells files of one name apart: those that fill gaps share theirs.
type fileKey struct {
	name string
	n    int
}

func volumeFiles(a, b []ovmf.File) *Difference {
	keysA, inA := fileKeys(a)
	keysB, inB := fileKeys(b)
	for _, k := range keysB {
		other, ok := inA[k]
		if !ok {
			return onOneSide(count(int64(len(inB[k].Data))), false).in("file " + inB[k].Label())
		}
		if d := volumeFile(other, inB[k]); d != nil {
			return d.in("file " + inB[k].Label())
		}
	}
	for i, k := range keysA {
		if _, ok := inB[k]; !ok {
			return onOneSide(count(int64(len(inA[k].Data))), true).in("file " + inA[k].Label())
		}
		if k != keysB[i] {
			return &Difference{What: fmt.Sprintf("order: file %d", i), A: k.name, B: keysB[i].name}
		}
	}
	return nil
}

func fileKeys(list []ovmf.File) (order []fileKey, files map[fileKey]ovmf.File) {
	files, seen := make(map[fileKey]ovmf.File, len(list)), make(map[string]int)
	for _, f := range list {
		k := fileKey{f.Name, seen[f.Name]}
		seen[f.Name]++
		order = append(order, k)
		files[k] = f
	}
	return order, files
}

func volumeFile(a, b ovmf.File) *Difference {
	if a.Type != b.Type {
		return &Difference{What: "type", A: hexByte(a.Type), B: hexByte(b.Type)}
	}
	if bytes.Equal(a.Data, b.Data) {
		return nil
	}
	return firstByte(a.Data, b.Data)
}
