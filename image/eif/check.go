package eif

import (
	"bytes"
	"errors"
	"fmt"

	"safebox/measure/bzimage"
	reader "safebox/measure/eif"
)

// maxRamdisks leaves room for kernel, command line, metadata and a signature.
const maxRamdisks = reader.MaxSections - 4

// check refuses inputs that make no image, or one that stops without a word:
// an enclave has no console outside debug mode.
func check(im Image) error {
	h, err := checkKernel(im.Kernel)
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	if err := checkCommandLine(im.CommandLine, h); err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if n := len(im.Ramdisks); n < 1 || n > maxRamdisks {
		return fmt.Errorf("ramdisks: got %d, want 1 to %d", n, maxRamdisks)
	}
	size := uint64(len(im.Kernel))
	for i, r := range im.Ramdisks {
		size += uint64(len(r))
		if size > maxFile {
			return fmt.Errorf("ramdisk %d: kernel and ramdisks: got %d bytes, want at most %d, a quarter of an enclave's memory", i, size, maxFile)
		}
	}
	return checkRamdisks(im.Ramdisks)
}

// checkKernel refuses what is no whole bzImage. AWS's loader takes an ELF file
// (vmlinux) and the enclave never runs.
func checkKernel(b []byte) (*bzimage.Header, error) {
	if bytes.HasPrefix(b, []byte("\x7fELF")) {
		return nil, errors.New("got an ELF file, want a bzImage: an enclave with a vmlinux hangs")
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("got %d bytes, want at most %d, a quarter of an enclave's memory", len(b), maxFile)
	}
	h, err := bzimage.Decode(b)
	if err != nil {
		return nil, err
	}
	if h.LoadFlags&bzimage.LoadedHigh == 0 {
		return nil, fmt.Errorf("loadflags at 0x211: got %#02x, want bit 0: a bzImage, which is loaded at 1 MiB", h.LoadFlags)
	}
	if h.XLoadFlags&bzimage.Kernel64 == 0 {
		return nil, fmt.Errorf("xloadflags at 0x236: got %#04x, want bit 0: a 64-bit kernel", h.XLoadFlags)
	}
	if want := uint64(h.SetupSize()) + h.KernelSize(); uint64(len(b)) < want {
		return nil, fmt.Errorf("truncated: got %d bytes, want the %d that its header says", len(b), want)
	}
	return h, nil
}

// checkCommandLine refuses text of which the kernel sees a part only, or which
// AWS's tools would change.
func checkCommandLine(b []byte, h *bzimage.Header) error {
	if err := checkText(b); err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) != len(b) {
		return fmt.Errorf("got %q, want no space at its ends: AWS's tools drop it, and PCR0 changes", b)
	}
	if want := uint64(h.CommandLineSize); uint64(len(b)) > want {
		return fmt.Errorf("got %d bytes, want at most the %d that the kernel reads (cmdline_size)", len(b), want)
	}
	return nil
}

// checkRamdisks refuses what Linux does not take for an initramfs. It sees all
// ramdisks as one, with nothing between them; an archive that is not compressed
// has to begin there at a multiple of 4 bytes (init/initramfs.c,
// unpack_to_rootfs).
func checkRamdisks(list [][]byte) error {
	const align = 4
	offset := 0
	for i, r := range list {
		switch format(r) {
		case unknown:
			return fmt.Errorf("ramdisk %d: got %q, want a cpio archive (newc), or one compressed", i, r[:min(len(r), 6)])
		case plain:
			if offset%align != 0 {
				return fmt.Errorf("ramdisk %d: offset in the initramfs: got %d, want a multiple of %d for an archive that is not compressed", i, offset, align)
			}
		case compressed:
		}
		offset += len(r)
	}
	return nil
}

// kind is how an archive is packed.
type kind uint8

const (
	unknown kind = iota
	plain
	compressed
)

// format tells an archive by its first bytes: Documentation/driver-api/
// early-userspace/buffer-format.rst of Linux 6.12 (newc, and newc with
// checksums), and lib/decompress.c, compressed_formats.
func format(b []byte) kind {
	for _, f := range []struct {
		magic string
		kind  kind
	}{
		{"070701", plain},
		{"070702", plain},
		{"\x1f\x8b", compressed},         // gzip
		{"\x28\xb5\x2f\xfd", compressed}, // zstd
		{"\xfd7zXZ\x00", compressed},     // xz
		{"\x02\x21\x4c\x18", compressed}, // lz4
	} {
		if bytes.HasPrefix(b, []byte(f.magic)) {
			return f.kind
		}
	}
	return unknown
}
