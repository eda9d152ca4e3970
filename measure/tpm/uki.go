package tpm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/pe"
)

// measuredSections are the UKI sections that go into PCR 11, in the order in
// which the stub measures them, whatever their order in the file (UAPI Group,
// Unified Kernel Image specification, "UKI TPM PCR Measurements").
func measuredSections() []string {
	return []string{".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"}
}

// refusedSections are the sections that the stub acts on too, and whose effect
// on the registers was not checked against a boot.
func refusedSections() []string {
	return []string{
		".ucode", ".splash", ".dtb", ".pcrsig", ".pcrpkey", ".profile",
		".dtbauto", ".hwids", ".efifw",
	}
}

// uki is a decoded unified kernel image. Sections of other names than the
// measured and refused ones are the stub's own code and data: they only go
// into the digest of the whole image.
type uki struct {
	file     *pe.File
	linux    *pe.File
	stub     int // major version of systemd-stub
	sections map[string][]byte
}

func decodeUKI(b []byte) (*uki, error) {
	f, err := pe.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("reading UKI: %w", err)
	}
	k := &uki{file: f, sections: map[string][]byte{}}
	for _, s := range f.Sections {
		if err := k.addSection(s); err != nil {
			return nil, fmt.Errorf("reading UKI: section %s: %w", s.Name, err)
		}
	}
	for _, name := range []string{".linux", ".cmdline", ".initrd"} {
		if k.sections[name] == nil {
			return nil, fmt.Errorf("reading UKI: section %s: missing", name)
		}
	}
	if k.linux, err = pe.Decode(k.sections[".linux"]); err != nil {
		return nil, fmt.Errorf("reading UKI: section .linux: %w", err)
	}
	magic, ok := f.Section(".sdmagic")
	if !ok {
		return nil, errors.New("reading UKI: section .sdmagic: want exactly one: the stub is not systemd-stub")
	}
	if k.stub, err = parseStub(magic); err != nil {
		return nil, fmt.Errorf("reading UKI: section .sdmagic: %w", err)
	}
	return k, nil
}

func (k *uki) addSection(s pe.Section) error {
	if slices.Contains(refusedSections(), s.Name) {
		return errors.New("not supported by this version")
	}
	if !slices.Contains(measuredSections(), s.Name) {
		return nil
	}
	if k.sections[s.Name] != nil {
		return errors.New("listed twice")
	}
	content := k.file.Content(s)
	if len(content) == 0 {
		return errors.New("empty: whether a stub measures it depends on its version")
	}
	k.sections[s.Name] = content
	return nil
}

// parseStub reads the stub's version out of a text such as
// "#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####" (systemd,
// src/boot/stub.c, section .sdmagic), and returns the major number.
func parseStub(magic []byte) (int, error) {
	text := strings.TrimSuffix(string(magic), "\x00")
	version, head := strings.CutPrefix(text, "#### LoaderInfo: systemd-stub ")
	version, tail := strings.CutSuffix(version, " ####")
	if !head || !tail || len(version) > maxVersion {
		return 0, fmt.Errorf("got %q, want the version of systemd-stub", text[:min(len(text), 96)])
	}
	digits := version
	if i := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = version[:i]
	}
	switch digits {
	case "257":
		return stub257, nil
	case "262":
		return stub262, nil
	}
	return 0, fmt.Errorf("systemd-stub version: got %q, want %d or %d: what others measure was not seen", version, stub257, stub262)
}

// The major versions of systemd-stub whose measurements were seen.
const (
	stub257 = 257
	stub262 = 262
)

// maxVersion bounds the text of a version.
const maxVersion = 64
