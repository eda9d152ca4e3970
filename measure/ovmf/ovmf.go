// Package ovmf reads what a measurement needs out of an OVMF firmware image:
// the tables at its end, by which a VMM launches a confidential guest, and the
// volumes that are measured while it boots.
//
// The tables: the last bytes of an image hold a list of GUIDs with data,
// written to be read backwards (edk2 stable202502, OvmfPkg/ResetVector/Ia16/
// ResetVectorVtf0.asm; QEMU docs/specs/sev-guest-firmware.rst). Two of its
// entries point at metadata, a list of ranges of guest memory: for SEV-SNP
// that of OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm, for TDX that of
// OvmfPkg/ResetVector/X64/IntelTdxMetadata.asm (Intel TDX Virtual Firmware
// Design Guide, document 344991). Decode reads them and Open also checks that
// the image is whole.
//
// The volumes: OVMF.fd and OVMF_CODE.fd are a row of firmware volumes (UEFI
// Platform Initialization 1.8, Volume 3). One of them, FVMAIN_COMPACT, holds a
// single file with an LZMA-compressed section, and in that lie the volumes that
// SEC unpacks into memory: PEIFV and DXEFV (edk2 OvmfPkg/OvmfPkgX64.fdf). PEI
// hashes both into PCR 0 before it uses them (TCG PFP 1.06,
// EV_EFI_PLATFORM_FIRMWARE_BLOB); DXEFV is still as it was in the file then.
package ovmf

import (
	"errors"
	"fmt"
)

// MaxSize bounds a firmware image. Those of today have 4 MiB.
const MaxSize = 64 << 20

// Names that OvmfPkgX64.fdf gives to volumes, FvNameGuid of [FV.PEIFV] and
// [FV.DXEFV].
const (
	peiName = "6938079b-b503-4e3d-9d24-b28337a25806"
	dxeName = "7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1"
)

// Limits of the walk through a firmware image.
const (
	maxVolumes    = 16
	maxCompressed = 4 // compressed sections in all
)

// PEIVolume returns PEIFV as it is in the file. PEI changes it in memory
// before it is hashed, so its hash is not what PCR 0 gets.
func PEIVolume(code []byte) ([]byte, error) { return unpack(code, peiName, "PEIFV") }

// DXEVolume returns DXEFV of an OVMF.fd or OVMF_CODE.fd: PCR 0 gets its hash.
func DXEVolume(code []byte) ([]byte, error) { return unpack(code, dxeName, "DXEFV") }

// unpack finds the one volume of a name.
func unpack(code []byte, name, label string) ([]byte, error) {
	inner, err := unpackAll(code)
	if err != nil {
		return nil, fmt.Errorf("reading firmware: %w", err)
	}
	var found []byte
	for _, v := range inner {
		if v.name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("reading firmware: more than one %s volume", label)
		}
		found = v.bytes
	}
	if found == nil {
		return nil, fmt.Errorf("reading firmware: no %s volume (%s)", label, name)
	}
	return found, nil
}

// unpackAll returns every volume inside a compressed section of the image.
func unpackAll(code []byte) ([]*volume, error) {
	outer, err := readVolumes(code)
	if err != nil {
		return nil, err
	}
	var inner []*volume
	compressed := 0
	for i, v := range outer {
		volumes, err := v.inner(&compressed)
		if err != nil {
			return nil, fmt.Errorf("volume %d: %w", i, err)
		}
		inner = append(inner, volumes...)
	}
	return inner, nil
}

// inner returns the volumes in the compressed files of a volume, and adds
// their number to compressed, which it bounds.
func (v *volume) inner(compressed *int) ([]*volume, error) {
	if !v.hasFiles() {
		return nil, nil // the variable store
	}
	files, err := v.readFiles()
	if err != nil {
		return nil, err
	}
	var inner []*volume
	for _, f := range files {
		if f.typ != fileVolumeImage {
			continue
		}
		if *compressed++; *compressed > maxCompressed {
			return nil, fmt.Errorf("more than %d compressed files", maxCompressed)
		}
		volumes, err := unpackFile(f)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", f.name, err)
		}
		inner = append(inner, volumes...)
	}
	return inner, nil
}

// readVolumes lists the volumes of a flash image, which they fill.
func readVolumes(b []byte) ([]*volume, error) {
	if len(b) == 0 || len(b) > MaxSize {
		return nil, fmt.Errorf("image size: got %d, want 1 to %d", len(b), MaxSize)
	}
	var list []*volume
	for off := 0; off < len(b); {
		if len(list) == maxVolumes {
			return nil, fmt.Errorf("more than %d volumes", maxVolumes)
		}
		v, err := decodeVolume(b[off:])
		if err != nil {
			return nil, fmt.Errorf("at %#x: %w", off, err)
		}
		list = append(list, v)
		off += len(v.bytes)
	}
	return list, nil
}

// unpackFile decompresses the one section of a volume image file and returns
// the volumes in it. Raw sections between them are filling.
func unpackFile(f file) ([]*volume, error) {
	sections, err := readSections(f.data)
	if err != nil {
		return nil, err
	}
	if len(sections) != 1 || sections[0].typ != sectionGUIDDefined {
		return nil, errors.New("want one compressed section and nothing else")
	}
	b, err := sections[0].decompress()
	if err != nil {
		return nil, err
	}
	inner, err := readSections(b)
	if err != nil {
		return nil, fmt.Errorf("decompressed: %w", err)
	}
	var volumes []*volume
	for i, s := range inner {
		switch s.typ {
		case sectionRaw:
		case sectionVolume:
			v, err := decodeVolume(s.data)
			if err != nil {
				return nil, fmt.Errorf("decompressed section %d: %w", i, err)
			}
			if len(v.bytes) != len(s.data) {
				return nil, fmt.Errorf("decompressed section %d: volume length: got %#x, want %#x", i, len(v.bytes), len(s.data))
			}
			volumes = append(volumes, v)
		default:
			return nil, fmt.Errorf("decompressed section %d: type: got %#02x, want %#02x or %#02x", i, s.typ, sectionRaw, sectionVolume)
		}
	}
	return volumes, nil
}
