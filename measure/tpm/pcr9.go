package tpm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"safebox/measure/eventlog"
)

// pcr9 is what Linux's EFI stub was given (drivers/firmware/efi/libstub,
// efi-stub-helper.c, tags LOAD_OPTIONS_EVENT_TAG_ID and
// INITRD_EVENT_TAG_ID): the command line and the initrd, as received.
func pcr9(bank Bank, k *uki) (Register, error) {
	options, err := loadOptions(k.sections[".cmdline"])
	if err != nil {
		return Register{}, err
	}
	initrd, err := combinedInitrd(k.stub, k.sections[".initrd"], k.sections[".osrel"])
	if err != nil {
		return Register{}, err
	}
	s := &sequence{bank: bank}
	s.add(eventlog.EventTag, "LOADED_IMAGE::LoadOptions", options)
	s.add(eventlog.EventTag, "Linux initrd", initrd)
	return s.register(Exact), nil
}

// loadOptions is the command line as systemd-stub hands it on: UTF-16LE with
// its final NUL. The stub trims spaces and replaces control characters; a line
// that needs either is refused, as is one whose bytes are not ASCII.
func loadOptions(cmdline []byte) ([]byte, error) {
	if cmdline[0] == ' ' || cmdline[len(cmdline)-1] == ' ' {
		return nil, errors.New("section .cmdline: begins or ends with a space, which the stub drops")
	}
	for i, c := range cmdline {
		if c < ' ' || c > '~' {
			return nil, fmt.Errorf("section .cmdline: byte %d: got %#02x, want printable ASCII", i, c)
		}
	}
	return wide(string(cmdline)), nil
}

// combinedInitrd is the initrd that systemd-stub hands to the kernel: .initrd
// as it is, unless the stub brings more of its own (specs/image.md 2.2). Then
// every part is padded to a multiple of 4.
func combinedInitrd(stub int, initrd, osrel []byte) ([]byte, error) {
	if osrel == nil {
		return initrd, nil
	}
	if stub != stub257 {
		return nil, fmt.Errorf("section .osrel: what systemd-stub %d makes of it was not seen", stub)
	}
	return append(pad4(bytes.Clone(initrd)), extraFile("os-release", osrel)...), nil
}

// extraFile is the cpio archive in which systemd-stub puts one file under
// /.extra (systemd, src/boot/cpio.c, pack_cpio_literal): newc headers of
// Linux's Documentation/driver-api/early-userspace/buffer-format.rst.
func extraFile(name string, content []byte) []byte {
	b := cpioEntry(nil, 1, 0o040555, ".extra", nil)
	b = cpioEntry(b, 2, 0o100444, ".extra/"+name, content)
	return append(b, cpioTrailer()...)
}

// cpioEntry appends a header, the name with its NUL and the content, the last
// two padded to a multiple of 4.
func cpioEntry(b []byte, inode, mode uint32, name string, content []byte) []byte {
	b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	b = pad4(append(append(b, name...), 0))
	return pad4(append(b, content...))
}

// cpioTrailer ends the archive. The stub writes it as one constant, and in
// that the size of the name is an upper-case digit, as nowhere else.
func cpioTrailer() []byte {
	const zero, one, nameSize = "00000000", "00000001", "0000000B"
	header := "070701" + strings.Repeat(zero, 4) + one + strings.Repeat(zero, 6) + nameSize + zero
	return pad4([]byte(header + "TRAILER!!!\x00"))
}

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
