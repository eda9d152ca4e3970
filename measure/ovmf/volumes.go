package ovmf

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Names of other volumes: [FV.FVMAIN_COMPACT] and [FV.SECFV] of
// OvmfPkgX64.fdf. The file system is that of the variable store,
// gEfiSystemNvDataFvGuid of edk2's MdeModulePkg.dec.
const (
	compactName   = "48db5e17-707c-472d-91cd-1613e7ef51b0"
	secName       = "763bed0d-de9f-48f5-81f1-3e90e1b1a015"
	variableStore = "fff12b8d-7696-4c8b-a985-2747075b4f50"
)

// Volume is one firmware volume of an image.
type Volume struct {
	Offset     int    // in the image; -1 if it was compressed
	FileSystem string // GUID
	Name       string // GUID, "" if it has none
	Bytes      []byte

	v *volume
}

// File is one file of a volume.
type File struct {
	Name string // GUID
	Type byte   // EFI_FV_FILETYPE
	Data []byte // without its header
}

// Types of files that are made of sections: EFI_FV_FILETYPE_FREEFORM to
// EFI_FV_FILETYPE_FIRMWARE_VOLUME_IMAGE (PI 1.8, Volume 3, 2.1.4.1).
const (
	firstSectioned = 0x02
	lastSectioned  = fileVolumeImage
)

// maxLabel bounds the text of a name.
const maxLabel = 256

// Label is the name for people that the file brings along in a user interface
// section, its GUID if it has none.
func (f File) Label() string {
	if f.Type < firstSectioned || f.Type > lastSectioned {
		return f.Name
	}
	sections, err := readSections(f.Data)
	if err != nil {
		return f.Name
	}
	for _, s := range sections {
		if s.typ != sectionUserInterface || len(s.data) > maxLabel || len(s.data)%2 != 0 {
			continue
		}
		units := make([]uint16, len(s.data)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(s.data[2*i:])
		}
		if text := strings.TrimSuffix(string(utf16.Decode(units)), "\x00"); text != "" {
			return text
		}
	}
	return f.Name
}

// Volumes lists the volumes of an image, which they fill.
func Volumes(image []byte) ([]Volume, error) {
	list, err := readVolumes(image)
	if err != nil {
		return nil, fmt.Errorf("reading firmware volumes: %w", err)
	}
	volumes := exported(list)
	offset := 0
	for i := range volumes {
		volumes[i].Offset = offset
		offset += len(volumes[i].Bytes)
	}
	return volumes, nil
}

func exported(list []*volume) []Volume {
	volumes := make([]Volume, 0, len(list))
	for _, v := range list {
		volumes = append(volumes, Volume{Offset: -1, FileSystem: v.fileSystem, Name: v.name, Bytes: v.bytes, v: v})
	}
	return volumes
}

// Label is the name that edk2 gives to the volume, its GUID if it is another
// one.
func (v Volume) Label() string {
	switch v.Name {
	case compactName:
		return "FVMAIN_COMPACT"
	case secName:
		return "SECFV"
	case peiName:
		return "PEIFV"
	case dxeName:
		return "DXEFV"
	case "":
		if v.FileSystem == variableStore {
			return "variables"
		}
		return "unnamed"
	}
	return v.Name
}

// Files lists the volume's files; a variable store has none.
func (v Volume) Files() ([]File, error) {
	if !v.v.hasFiles() {
		return nil, nil
	}
	list, err := v.v.readFiles()
	if err != nil {
		return nil, fmt.Errorf("reading firmware volume %s at %#x: %w", v.Label(), v.Offset, err)
	}
	files := make([]File, 0, len(list))
	for _, f := range list {
		files = append(files, File{Name: f.name, Type: f.typ, Data: f.data})
	}
	return files, nil
}

// Inner lists the volumes in the volume's compressed files.
func (v Volume) Inner() ([]Volume, error) {
	compressed := 0
	list, err := v.v.inner(&compressed)
	if err != nil {
		return nil, fmt.Errorf("reading firmware volume %s at %#x: %w", v.Label(), v.Offset, err)
	}
	return exported(list), nil
}
