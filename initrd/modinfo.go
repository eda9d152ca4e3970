package initrd

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"path"
	"strings"
)

// moduleInfo is what a module says about itself.
type moduleInfo struct {
	name     string   // with underscores
	depends  []string // the same
	vermagic string
}

// release is the kernel that the module was built for: the first word of its
// vermagic (include/linux/vermagic.h).
func (i moduleInfo) release() string {
	word, _, _ := strings.Cut(i.vermagic, " ")
	return word
}

// openModule returns the .ko in b, which may be an .ko.xz, and what it says
// about itself. file is its path, whose last part must agree with that.
func openModule(file string, b []byte) ([]byte, moduleInfo, error) {
	ko, err := expandModule(b)
	if err != nil {
		return nil, moduleInfo{}, err
	}
	if err := checkSignature(ko); err != nil {
		return nil, moduleInfo{}, err
	}
	section, err := modinfoSection(ko)
	if err != nil {
		return nil, moduleInfo{}, err
	}
	info, err := parseModinfo(section)
	if err != nil {
		return nil, moduleInfo{}, fmt.Errorf(".modinfo: %w", err)
	}
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(file), ".xz"), ".ko")
	if moduleName(base) != info.name {
		return nil, moduleInfo{}, fmt.Errorf(".modinfo: name: got %q, want %q as the file is called", info.name, moduleName(base))
	}
	return ko, info, nil
}

// moduleName is the kernel's name of a module: depmod, modpost and file names
// keep dashes (tdx-guest.ko), the running kernel has underscores.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// The signature at the end of a module: include/linux/module_signature.h,
// struct module_signature and MODULE_SIG_STRING.
const (
	signatureMarker  = "~Module signature appended~\n"
	signatureTrailer = 12 // algo, hash, id_type, signer_len, key_id_len, 3 zeros, be32 sig_len
	signaturePKCS7   = 2  // PKEY_ID_PKCS7
)

// checkSignature makes sure that there is a signature to check: the kernel
// command line has module.sig_enforce=1, so the kernel refuses a module without
// one, at boot. What it checks first (kernel/module_signature.c,
// mod_check_sig) is checked here.
func checkSignature(ko []byte) error {
	rest, ok := bytes.CutSuffix(ko, []byte(signatureMarker))
	if !ok || len(rest) < signatureTrailer {
		return fmt.Errorf("signature: got none, want one at the end of the module")
	}
	t := rest[len(rest)-signatureTrailer:]
	want := [8]byte{2: signaturePKCS7}
	if !bytes.Equal(t[:8], want[:]) {
		return fmt.Errorf("signature: got header %x, want %x (PKCS #7)", t[:8], want)
	}
	size := binary.BigEndian.Uint32(t[8:])
	if size == 0 || uint64(size) > uint64(len(rest)-signatureTrailer) {
		return fmt.Errorf("signature: size: got %d, want 1 to %d", size, len(rest)-signatureTrailer)
	}
	return nil
}

// modinfoSection finds section .modinfo. It cuts the content out itself:
// debug/elf would expand a compressed section to whatever it claims.
func modinfoSection(ko []byte) ([]byte, error) {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil, fmt.Errorf("ELF: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_REL {
		return nil, fmt.Errorf("ELF: got %v %v %v, want an x86-64 kernel module", f.Class, f.Machine, f.Type)
	}
	var found *elf.Section
	for _, s := range f.Sections {
		if s.Name != ".modinfo" {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("ELF: section .modinfo is there twice")
		}
		found = s
	}
	if found == nil {
		return nil, fmt.Errorf("ELF: got no section .modinfo, want one")
	}
	size := uint64(len(ko))
	if found.Type != elf.SHT_PROGBITS || found.Flags&elf.SHF_COMPRESSED != 0 || found.Offset > size || found.FileSize > size-found.Offset {
		return nil, fmt.Errorf("ELF: section .modinfo: got %v, flags %v, 0x%x bytes at 0x%x, want plain data within the file", found.Type, found.Flags, found.FileSize, found.Offset)
	}
	return ko[found.Offset : found.Offset+found.FileSize], nil
}

// parseModinfo reads the lines "key=value", each ended by one or more NUL
// (include/linux/moduleparam.h, __MODULE_INFO). name, depends and vermagic are
// written by modpost, once each (scripts/mod/modpost.c).
func parseModinfo(b []byte) (moduleInfo, error) {
	if len(b) == 0 || b[len(b)-1] != 0 {
		return moduleInfo{}, fmt.Errorf("got no NUL at the end, want one")
	}
	fields := map[string]string{}
	for line := range bytes.SplitSeq(b, []byte{0}) {
		key, value, ok := strings.Cut(string(line), "=")
		if !ok && len(line) > 0 {
			return moduleInfo{}, fmt.Errorf("got %q, want key=value", line)
		}
		switch key {
		case "name", "depends", "vermagic":
			if _, twice := fields[key]; twice {
				return moduleInfo{}, fmt.Errorf("%s is there twice", key)
			}
			fields[key] = value
		}
	}
	for _, key := range []string{"name", "depends", "vermagic"} {
		if _, ok := fields[key]; !ok {
			return moduleInfo{}, fmt.Errorf("got no %s, want one", key)
		}
	}
	info := moduleInfo{name: moduleName(fields["name"]), vermagic: fields["vermagic"]}
	if fields["depends"] != "" {
		for name := range strings.SplitSeq(moduleName(fields["depends"]), ",") {
			info.depends = append(info.depends, name)
		}
	}
	return info, nil
}
