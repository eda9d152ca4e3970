package ovmf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ulikunitz/xz/lzma"
)

// A second writing of the formats, by the tables of PI 1.8 Volume 3, so that
// tests and the fuzzer have small images with real compression inside.

func parseGUID(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		panic("bad GUID in a test: " + s)
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
	return b
}

// volumeSpec describes a volume; the zero value is an empty file system.
type volumeSpec struct {
	fileSystem string
	name       string
	content    []byte
}

func buildVolume(s volumeSpec) []byte {
	le := binary.LittleEndian
	if s.fileSystem == "" {
		s.fileSystem = fileSystem2
	}
	content := s.content
	if s.name != "" {
		ext := append(parseGUID(s.name), 20, 0, 0, 0)
		content = append(append(ext, 0xff, 0xff, 0xff, 0xff), content...)
	}
	h := make([]byte, 0x48, 0x48+len(content))
	length := len(h) + len(content)
	copy(h[16:], parseGUID(s.fileSystem))
	le.PutUint64(h[32:], uint64(length))
	copy(h[40:], "_FVH")
	le.PutUint32(h[44:], 0x0004feff)
	le.PutUint16(h[48:], 0x48)
	if s.name != "" {
		le.PutUint16(h[52:], 0x48)
	}
	h[55] = 2
	le.PutUint32(h[56:], 1)
	le.PutUint32(h[60:], uint32(length))
	var sum uint16
	for i := 0; i < len(h); i += 2 {
		sum -= le.Uint16(h[i:])
	}
	le.PutUint16(h[50:], sum)
	return append(h, content...)
}

func buildFile(typ byte, data []byte, large bool) []byte {
	h := make([]byte, 24)
	copy(h, parseGUID("9e21fd93-9c72-4c15-8c4b-e77f1db2d792"))
	h[18] = typ
	if large {
		h[19] = 1
		h = binary.LittleEndian.AppendUint64(h, uint64(32+len(data)))
	} else {
		n := 24 + len(data)
		h[20], h[21], h[22] = byte(n), byte(n>>8), byte(n>>16)
	}
	h[16] = -sum8(h)
	h[17], h[23] = 0xaa, 0xf8
	b := append(h, data...)
	for len(b)%8 != 0 {
		b = append(b, 0xff)
	}
	return b
}

func buildSection(typ byte, data []byte) []byte {
	n := 4 + len(data)
	b := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), typ}, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func buildLargeSection(typ byte, data []byte) []byte {
	b := []byte{0xff, 0xff, 0xff, typ}
	b = binary.LittleEndian.AppendUint32(b, uint32(8+len(data)))
	return append(b, data...)
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	w, err := lzma.WriterConfig{Size: int64(len(b)), SizeInHeader: true, DictCap: 1 << 16}.NewWriter(&out)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}

// guided wraps an LZMA stream. Its length is not a multiple of 4 as a rule:
// the section is the last in its file, so no padding follows.
func guided(stream []byte) []byte {
	data := append(parseGUID(lzmaSection), 24, 0, 1, 0)
	data = append(data, stream...)
	n := 4 + len(data)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), sectionGUIDDefined}, data...)
}

// outer wraps sections like FVMAIN_COMPACT.
func outer(sections []byte) []byte {
	return buildVolume(volumeSpec{content: append(buildFile(fileVolumeImage, sections, false), bytes.Repeat([]byte{0xff}, 40)...)})
}

// synthetic is a whole image in the shape of OVMF.
func synthetic(large bool) (pei, dxe, image []byte) {
	files := buildFile(0x02, bytes.Repeat([]byte("driver "), 40), false)
	pei = buildVolume(volumeSpec{name: peiName, content: files})
	dxe = buildVolume(volumeSpec{name: dxeName, content: append(bytes.Clone(files), bytes.Repeat([]byte{0xff}, 256)...)})
	inner := buildSection(sectionRaw, make([]byte, 0x78))
	inner = append(inner, buildSection(sectionVolume, pei)...)
	inner = append(inner, buildSection(sectionRaw, make([]byte, 8))...)
	section := guided(compress(append(bytes.Clone(inner), buildLargeSection(sectionVolume, dxe)...)))
	if !large {
		return pei, dxe, outer(section)
	}
	return pei, dxe, buildVolume(volumeSpec{fileSystem: fileSystem3, content: buildFile(fileVolumeImage, section, true)})
}

// FuzzDXEVolume starts from images with real compression and from the headers
// of a real one. Input is mostly compressed, so the walk inside is fuzzed by
// itself in FuzzInner.
func FuzzDXEVolume(f *testing.F) {
	for _, large := range []bool{false, true} {
		_, _, image := synthetic(large)
		f.Add(image)
	}
	f.Add(realFirmware(f)[0x348000:]) // SECFV, 208 kB
	f.Fuzz(func(t *testing.T, b []byte) {
		fv, err := DXEVolume(b)
		if err != nil {
			return
		}
		if v, err := decodeVolume(fv); err != nil || len(v.bytes) != len(fv) || v.name != dxeName {
			t.Errorf("returned something else than a DXEFV: %v", err)
		}
	})
}

// FuzzInner fuzzes what lies inside the compression.
func FuzzInner(f *testing.F) {
	pei, dxe, _ := synthetic(false)
	f.Add(append(buildSection(sectionVolume, pei), buildLargeSection(sectionVolume, dxe)...))
	volume, err := PEIVolume(realFirmware(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(buildSection(sectionVolume, volume[:4096]))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		volumes, err := unpackFile(file{data: guided(compress(b))})
		if err != nil {
			return
		}
		for _, v := range volumes {
			if _, err := v.readFiles(); err != nil {
				return
			}
		}
	})
}
