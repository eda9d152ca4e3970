// Package eif writes enclave image files, the images that AWS Nitro Enclaves
// boot, and signs them. A signature is a section at the end of the file that
// can be taken away and put back: what is left is the reproducible image.
//
// It implements:
//   - "Enclave Image File (EIF) Specification" of 2024-06-21, in the README of
//     github.com/aws/aws-nitro-enclaves-image-format at commit 935dc62, version
//     4 of the format, for x86_64.
//   - RFC 9052, section 4.2 and 4.4 (COSE_Sign1), RFC 9053, section 2.1
//     (ECDSA), and RFC 6979 (deterministic ECDSA), for the signature.
//
// The sections are in the order in which AWS's tools write them: kernel,
// command line, metadata, ramdisks, signature. What this package writes it reads
// back with package measure/eif, whose reader is strict, before it returns it.
package eif

import (
	"bytes"
	"fmt"

	reader "safebox/measure/eif"
)

// Image is what an image is made of.
type Image struct {
	Kernel      []byte   // a bzImage
	CommandLine []byte   // printable ASCII: no NUL, no newline, no space at its ends
	Ramdisks    [][]byte // at least one, as Linux takes an initramfs. The first is in PCR1
	Metadata    Metadata // not measured
}

// The numbers that AWS's tools write and nobody reads (EIF specification,
// "default_mem" and "default_cpus").
const (
	defaultMemory = 1 << 30 // bytes
	defaultCPUs   = 2
)

// maxFile bounds an image in bytes. nitro-cli starts none in less than four
// times its size, and the header asks for defaultMemory.
const maxFile = defaultMemory / 4

// Encode returns the image file. It is not signed.
func Encode(im Image) ([]byte, error) {
	if err := check(im); err != nil {
		return nil, fmt.Errorf("writing EIF: %w", err)
	}
	b, err := encode(im)
	if err != nil {
		return nil, fmt.Errorf("writing EIF: %w", err)
	}
	if _, err := open(b); err != nil {
		return nil, fmt.Errorf("writing EIF: reading it back: %w", err)
	}
	return b, nil
}

// encode writes the sections, whose content has been checked.
func encode(im Image) ([]byte, error) {
	metadata, err := im.Metadata.encode()
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	list := []section{
		{reader.KernelSection, im.Kernel},
		{reader.CommandLineSection, im.CommandLine},
		{reader.MetadataSection, metadata},
	}
	for _, r := range im.Ramdisks {
		list = append(list, section{reader.RamdiskSection, r})
	}
	size := headerSize
	for _, s := range list {
		size += sectionHeaderSize + len(s.data)
	}
	h := newHeader()
	b := make([]byte, headerSize, size)
	for _, s := range list {
		if b, err = h.append(b, s); err != nil {
			return nil, err
		}
	}
	return b, h.seal(b)
}

// open reads an image with the strict reader.
func open(b []byte) (*reader.File, error) { return reader.Open(bytes.NewReader(b), int64(len(b))) }
