package ovmf

import "fmt"

// sevSectionSize is the size of a section in SEV metadata (edk2
// OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm), all of it u32:
//
//	0  address
//	4  size
//	8  type
const (
	sevSectionSize = 12
	sevSignature   = "ASEV"
)

// pageSize is the unit in which memory is measured.
const pageSize = 4096

// SEVSection is a range of guest memory that SEV-SNP prepares at launch. One
// of size 0 stands for no page.
type SEVSection struct {
	GPA, Size uint32
	Type      SEVType
}

// SEVType says how a section is filled and measured.
type SEVType uint32

// The section types of OvmfSevMetadata.asm.
const (
	SecMem       SEVType = 1    // memory that the firmware uses before it can accept any
	Secrets      SEVType = 2    // the secrets page
	CPUID        SEVType = 3    // the CPUID page
	SVSMCAA      SEVType = 4    // the calling area of an SVSM
	KernelHashes SEVType = 0x10 // the page with hashes of kernel, initrd and command line
)

// String returns the name of OvmfSevMetadata.asm.
func (t SEVType) String() string {
	switch t {
	case SecMem:
		return "SNP_SEC_MEM"
	case Secrets:
		return "SNP_SECRETS"
	case CPUID:
		return "CPUID"
	case SVSMCAA:
		return "SVSM_CAA"
	case KernelHashes:
		return "SNP_KERNEL_HASHES"
	}
	return fmt.Sprintf("SEV section type %#x", uint32(t))
}

// decodeSEV parses SEV metadata at a distance from the image's end.
func (im *Image) decodeSEV(distance uint32) (offset int, sections []SEVSection, err error) {
	at, b, err := im.metadata(distance, sevSignature, sevSectionSize)
	if err != nil {
		return 0, nil, err
	}
	sections = make([]SEVSection, 0, len(b)/sevSectionSize)
	for i := 0; i < len(b); i += sevSectionSize {
		s := SEVSection{GPA: *number(b[i:]), Size: *number(b[i+4:]), Type: SEVType(*number(b[i+8:]))}
		if err := s.check(sections); err != nil {
			return 0, nil, fmt.Errorf("section %d at %#x: %w", len(sections), at+metadataHeaderSize+i, err)
		}
		sections = append(sections, s)
	}
	return at, sections, nil
}

// check compares a section with those before it.
func (s SEVSection) check(before []SEVSection) error {
	r := memory{uint64(s.GPA), uint64(s.Size)}
	if err := r.checkPages(); err != nil {
		return fmt.Errorf("%v: %w", s.Type, err)
	}
	if r.end() > fourGiB {
		return fmt.Errorf("%v: end: got %#x, want at most %#x", s.Type, r.end(), uint64(fourGiB))
	}
	for i, other := range before {
		if r.overlaps(memory{uint64(other.GPA), uint64(other.Size)}) {
			return fmt.Errorf("%v: got %#x to %#x, want no overlap with section %d, %#x to %#x",
				s.Type, r.gpa, r.end(), i, other.GPA, uint64(other.GPA)+uint64(other.Size))
		}
	}
	return nil
}

// memory is a range of guest memory.
type memory struct{ gpa, size uint64 }

func (m memory) end() uint64 { return m.gpa + m.size }

func (m memory) overlaps(o memory) bool {
	return m.size != 0 && o.size != 0 && m.gpa < o.end() && o.gpa < m.end()
}

// checkPages wants whole pages.
func (m memory) checkPages() error {
	if m.gpa%pageSize != 0 {
		return fmt.Errorf("address: got %#x, want a multiple of %#x", m.gpa, pageSize)
	}
	if m.size%pageSize != 0 {
		return fmt.Errorf("size: got %#x, want a multiple of %#x", m.size, pageSize)
	}
	return nil
}
