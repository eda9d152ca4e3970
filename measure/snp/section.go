package snp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"safebox/measure/ovmf"
)

// maxSections bounds the SEV metadata. OVMF has 7 sections.
const maxSections = 256

// measureSections measures the pages that the SEV metadata names, in the order
// of the file (QEMU, snp_populate_metadata_pages). EC2 keeps those of type
// CPUID for the end (sev-snp-measure, guest.py). A section of size 0, which
// newer OVMF leaves where it needs none, has no pages.
func (l *Launch) measureSections(c *Chain, p Profile, sections []ovmf.SEVSection) error {
	for _, s := range sections {
		if p.CPUIDLast && s.Type == ovmf.CPUID {
			continue
		}
		if err := l.measureSection(c, p, s); err != nil {
			return err
		}
	}
	if !p.CPUIDLast {
		return nil
	}
	for _, s := range sections {
		if s.Type != ovmf.CPUID {
			continue
		}
		if err := l.measureSection(c, p, s); err != nil {
			return err
		}
	}
	return nil
}

// measureSection measures every page of a section. sev-snp-measure takes
// secrets and CPUID to be one page whatever their size; QEMU and KVM don't.
func (l *Launch) measureSection(c *Chain, p Profile, s ovmf.SEVSection) error {
	t, err := l.pageType(p, s)
	if err != nil {
		return err
	}
	origin := s.Type.String()
	if t != PageNormal {
		c.Fill(t, uint64(s.GPA), uint64(s.Size), origin)
		return nil
	}
	pages := make([]byte, s.Size)
	if len(pages) != 0 { // the offset is that of the table in its page, wherever the section is
		table := l.Kernel.table()
		copy(pages[l.Firmware.HashTable.GPA%pageSize:], table[:])
	}
	c.Normal(uint64(s.GPA), pages, origin)
	return nil
}

// pageType is how the pages of a section are measured.
func (l *Launch) pageType(p Profile, s ovmf.SEVSection) (PageType, error) {
	switch s.Type {
	case ovmf.SecMem:
		return p.SecMem, nil
	case ovmf.Secrets:
		return PageSecrets, nil
	case ovmf.CPUID:
		return PageCPUID, nil
	case ovmf.SVSMCAA:
		return PageZero, nil
	case ovmf.KernelHashes:
		if l.Kernel != nil {
			return PageNormal, nil
		}
		return PageZero, nil
	}
	if l.UnknownAsZero {
		return PageZero, nil // QEMU, snp_metadata_desc_to_page_type
	}
	return 0, fmt.Errorf("SEV metadata section at %#x: type: got %#x, want one of 1 to 4 and 0x10: "+
		"QEMU would measure it as zero pages, other tools refuse it", s.GPA, uint32(s.Type))
}

// area is a range of measured memory.
type area struct {
	start, end uint64
	name       string
}

// checkSections: pages are whole, below 4 GiB, measured once and not too many.
func (l *Launch) checkSections() error {
	sections := l.Firmware.Sections
	f := area{l.Firmware.GPA, l.Firmware.GPA + uint64(len(l.Firmware.Pages)), "firmware"}
	areas := []area{f}
	if l.SVSM != nil {
		sections = l.SVSM.Sections
		start := l.SVSM.gpa(l.Firmware)
		areas = append(areas, area{start, start + uint64(len(l.SVSM.Pages)), "SVSM"})
	}
	if len(sections) == 0 {
		return errors.New("SEV metadata: got no sections: without them no monitor launches SEV-SNP")
	}
	if len(sections) > maxSections {
		return fmt.Errorf("SEV metadata: got %d sections, want at most %d", len(sections), maxSections)
	}
	for i, s := range sections {
		a := area{uint64(s.GPA), uint64(s.GPA) + uint64(s.Size), fmt.Sprintf("section %d (%v)", i, s.Type)}
		if a.start%pageSize != 0 || a.end%pageSize != 0 || a.end > firmwareEnd {
			return fmt.Errorf("SEV metadata section %d (%v): got %#x bytes at %#x, want multiples of %d below 4 GiB",
				i, s.Type, s.Size, s.GPA, pageSize)
		}
		areas = append(areas, a)
	}
	return checkAreas(areas)
}

// checkAreas: the firmware takes a page only once (AMD 56860, section 8.17:
// the page must not be assigned to a guest yet).
func checkAreas(areas []area) error {
	areas = slices.DeleteFunc(areas, func(a area) bool { return a.start == a.end })
	slices.SortFunc(areas, func(a, b area) int { return cmp.Compare(a.start, b.start) })
	var total uint64
	for i, a := range areas {
		if total += a.end - a.start; total > MaxMeasured {
			return fmt.Errorf("pages: got more than %d bytes, want at most those", MaxMeasured)
		}
		if i > 0 && a.start < areas[i-1].end {
			return fmt.Errorf("%s: got start %#x, want at least %#x, the end of %s",
				a.name, a.start, areas[i-1].end, areas[i-1].name)
		}
	}
	return nil
}
