package tdvf

import (
	"errors"
	"fmt"
	"slices"

	"safebox/measure/ovmf"
)

// MaxMemory bounds the memory that a firmware asks to be added at launch.
// Debian's OVMF of 2025 asks for 4.1 MiB.
const MaxMemory = 128 << 20

const (
	pageSize   = 4096
	addressEnd = 1 << 32 // the firmware ends here, and adds nothing above
)

// section is a section of the TDX metadata that was checked.
type section struct {
	ovmf.TDXSection
	index int    // in the metadata
	data  []byte // in the file; the rest of the memory is zero
}

// added says whether the monitor adds the section's pages at launch. Pages
// marked PAGE_AUG come when the TD runs, and are not in MRTD.
func (s section) added() bool { return s.Attributes&ovmf.PageAug == 0 }

func (s section) String() string {
	return fmt.Sprintf("section %d (%v, %#x bytes at %#x)", s.index, s.Type, s.MemSize, s.GPA)
}

func (s section) end() uint64 { return s.GPA + s.MemSize }

// readSections gives the sections in the order of the file, which is the order
// of launch. Package ovmf checks that they are whole pages, lie apart and have
// their data in the image; this adds what a launch needs.
func readSections(im *ovmf.Image) ([]section, error) {
	if len(im.TDX) == 0 {
		return nil, errors.New("firmware: no TDX metadata: want an image built with TDX support")
	}
	if err := im.CheckUnified(); err != nil {
		return nil, err
	}
	var list []section
	var memory uint64
	for i, t := range im.TDX {
		if err := checkSection(t); err != nil {
			return nil, fmt.Errorf("TDX metadata: section %d (%v): %w", i, t.Type, err)
		}
		s := section{TDXSection: t, index: i, data: im.Bytes[t.Offset:][:t.RawSize]}
		if s.added() {
			memory += s.MemSize
		}
		list = append(list, s)
	}
	if memory > MaxMemory {
		return nil, fmt.Errorf("TDX metadata: memory added at launch: got %#x bytes, want at most %#x", memory, MaxMemory)
	}
	// A TD starts 16 bytes below 4 GiB (344991, reset vector). Were another
	// section there, MRTD would measure some code, but not what runs.
	if !slices.ContainsFunc(list, func(s section) bool { return s.Type == ovmf.BFV && s.end() == addressEnd }) {
		return nil, errors.New("TDX metadata: BFV sections: got none that ends at 4 GiB, want one: a TD starts there, and MRTD would not depend on its code")
	}
	return list, nil
}

// checkSection wants of a section what all monitors take alike, and of code
// that it is measured.
func checkSection(t ovmf.TDXSection) error {
	if t.MemSize > addressEnd || t.GPA > addressEnd-t.MemSize {
		return fmt.Errorf("memory: got %#x bytes at %#x, want an end at or below 4 GiB", t.MemSize, t.GPA)
	}
	if t.MemSize == 0 && t.Type != ovmf.TDInfo {
		return errors.New("memory size: got 0, want at least a page")
	}
	raw := uint64(t.RawSize)
	switch t.Type {
	case ovmf.BFV, ovmf.CFV:
		// QEMU goes on reading the image where the data are shorter than the
		// memory, others fill with zeros: the same firmware, two values.
		if raw != t.MemSize {
			return fmt.Errorf("raw data size: got %#x, want the memory size %#x", raw, t.MemSize)
		}
		if t.Type == ovmf.BFV && t.Attributes&ovmf.MRExtend == 0 {
			return fmt.Errorf("attributes: got %#x, want %#x (MR.EXTEND): MRTD would not depend on the code", t.Attributes, ovmf.MRExtend)
		}
	case ovmf.TDHOB, ovmf.TempMem, ovmf.PermMem, ovmf.PayloadParam:
		if raw != 0 {
			return fmt.Errorf("raw data size: got %#x, want 0: the monitor fills this memory", raw)
		}
	case ovmf.Payload:
		if raw > t.MemSize {
			return fmt.Errorf("raw data size: got %#x, want at most the memory size %#x", raw, t.MemSize)
		}
	case ovmf.TDInfo:
		if t.MemSize != 0 {
			return fmt.Errorf("memory size: got %#x, want 0: the section is for tools", t.MemSize)
		}
	default:
		return fmt.Errorf("type: got %d, want %d to %d", uint32(t.Type), uint32(ovmf.BFV), uint32(ovmf.TDInfo))
	}
	return nil
}

// find gives the only section of a type.
func find(list []section, t ovmf.TDXType) (section, error) {
	var found []section
	for _, s := range list {
		if s.Type == t {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return section{}, fmt.Errorf("TDX metadata: %v sections: got %d, want 1", t, len(found))
	}
	return found[0], nil
}

// CFV gives the configuration volume of the image: the variables with which a
// TD starts. RTMR0 gets its digest as the second event.
func CFV(im *ovmf.Image) ([]byte, error) {
	list, err := readSections(im)
	if err != nil {
		return nil, err
	}
	s, err := find(list, ovmf.CFV)
	if err != nil {
		return nil, err
	}
	return s.data, nil
}
