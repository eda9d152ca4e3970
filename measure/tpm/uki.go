package tpm

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"safebox/measure/pe"
)

// measuredSections are the UKI sections that go into PCR 11, in the order in
// which the stub measures them, whatever their order in the file (UAPI Group,
// Unified Kernel Image specification, "UKI TPM PCR Measurements").
func measuredSections() []string {
	return []string{
		".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
		".pcrpkey", ".profile", ".hwids",
	}
}

// unmeasuredSections are the sections that the stub acts on and does not
// measure into PCR 11: the signature of PCR 11 cannot sign itself.
func unmeasuredSections() []string { return []string{".pcrsig"} }

// refusedSections are the sections of which the stub takes the one that fits
// the machine: which one that is, is for the host to say.
func refusedSections() []string { return []string{".dtbauto", ".efifw"} }

// baseOnlySections are not looked for in profiles here: they were not seen there.
func baseOnlySections() []string { return []string{".linux", ".sbat", ".hwids", ".splash"} }

// uki is a decoded unified kernel image. Sections of other names than those
// above are the stub's own code and data: they only go into the digest of the
// whole image.
type uki struct {
	raw  []byte
	file *pe.File
	stub stubVersion

	sections map[string][]byte // the base sections, overridden by those of the profile
	linux    *pe.File
	options  []byte // load options for the kernel, nil if there are none
	initrd   initrd
}

// decodeUKI reads a UKI as the stub does that is told to take that profile.
func decodeUKI(b []byte, profile int) (*uki, error) {
	f, err := pe.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("reading UKI: %w", err)
	}
	k := &uki{raw: b, file: f}
	magic, ok := f.Section(".sdmagic")
	if !ok {
		return nil, errors.New("reading UKI: section .sdmagic: want exactly one: the stub is not systemd-stub")
	}
	if k.stub, err = parseStub(magic); err != nil {
		return nil, fmt.Errorf("reading UKI: section .sdmagic: %w", err)
	}
	if k.sections, err = findSections(f, profile); err != nil {
		return nil, fmt.Errorf("reading UKI: %w", err)
	}
	if k.sections[".linux"] == nil {
		return nil, errors.New("reading UKI: section .linux: missing")
	}
	if k.linux, err = pe.Decode(k.sections[".linux"]); err != nil {
		return nil, fmt.Errorf("reading UKI: section .linux: %w", err)
	}
	if err := k.stub.checkCommandLine(k.sections[".cmdline"]); err != nil {
		return nil, fmt.Errorf("reading UKI: %w", err)
	}
	if k.options, err = loadOptions(k.sections[".cmdline"]); err != nil {
		return nil, fmt.Errorf("reading UKI: %w", err)
	}
	if k.initrd, err = combineInitrd(k.sections); err != nil {
		return nil, fmt.Errorf("reading UKI: %w", err)
	}
	return k, nil
}

// signature returns the attribute certificate table, empty if there is none.
func (k *uki) signature() []byte {
	r := k.file.Certificates
	return k.raw[r.Offset : uint64(r.Offset)+uint64(r.Size)]
}

// findSections lists the base sections, which come before the first .profile,
// and lets the sections between the chosen .profile and the next take their
// place. A UKI without profiles has profile 0 and nothing else (UAPI Group,
// Unified Kernel Image specification, "Multi-Profile UKIs").
func findSections(f *pe.File, profile int) (map[string][]byte, error) {
	groups := []map[string][]byte{{}} // the base sections, then one group a profile
	for _, section := range f.Sections {
		if section.Name == ".profile" {
			groups = append(groups, map[string][]byte{})
		}
		last := len(groups) - 1
		if err := addSection(groups[last], f, section, last > 0); err != nil {
			return nil, fmt.Errorf("section %s: %w", section.Name, err)
		}
	}
	if profile == 0 && len(groups) == 1 {
		return groups[0], nil
	}
	if profile < 0 || profile > len(groups)-2 {
		return nil, fmt.Errorf("profile: got %d, want 0 to %d", profile, max(len(groups)-2, 0))
	}
	maps.Copy(groups[0], groups[profile+1])
	return groups[0], nil
}

// addSection adds a section that the stub knows.
func addSection(into map[string][]byte, f *pe.File, s pe.Section, inProfile bool) error {
	if slices.Contains(refusedSections(), s.Name) {
		return errors.New("whether the stub takes it depends on the machine")
	}
	if !slices.Contains(measuredSections(), s.Name) && !slices.Contains(unmeasuredSections(), s.Name) {
		return nil
	}
	if inProfile && slices.Contains(baseOnlySections(), s.Name) {
		return errors.New("in a profile it was not seen")
	}
	if into[s.Name] != nil {
		return errors.New("listed twice")
	}
	content := f.Content(s)
	if len(content) == 0 {
		return errors.New("empty: whether a stub measures it depends on its version")
	}
	into[s.Name] = content
	return nil
}
