package nitro

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"safebox/measure/eif"
)

// piece is a measured section.
type piece struct {
	kind   eif.Type
	name   string
	offset int64
	size   int64 // -1: what the reader holds
	data   io.Reader
}

// content lists what is measured, in the order in which it is.
func (in *Input) content() ([]piece, error) {
	if (in.Image == nil) == (in.Parts == nil) {
		return nil, errors.New("want either an image or its parts")
	}
	if in.Parts != nil {
		return in.Parts.content()
	}
	var list []piece
	ramdisks := 0
	for _, s := range in.Image.Sections {
		data := s.Data()
		_, offset, _ := data.Outer()
		p := piece{kind: s.Type, name: s.Type.String(), offset: offset, size: s.Size, data: data}
		switch s.Type {
		case eif.KernelSection, eif.CommandLineSection:
		case eif.RamdiskSection:
			p.name = ramdiskName(ramdisks)
			ramdisks++
		case eif.SignatureSection, eif.MetadataSection:
			continue // not measured; of the signature only the certificate, in PCR8
		}
		list = append(list, p)
	}
	return list, nil
}

func ramdiskName(i int) string { return fmt.Sprintf("ramdisk %d", i) }

func (p *Parts) content() ([]piece, error) {
	if p.Kernel == nil {
		return nil, errors.New("kernel: missing")
	}
	if i := bytes.IndexByte(p.CommandLine, 0); i >= 0 {
		return nil, fmt.Errorf("cmdline: byte %d: got NUL, want text", i)
	}
	list := []piece{
		{kind: eif.KernelSection, name: "kernel", data: p.Kernel},
		{kind: eif.CommandLineSection, name: "cmdline", data: bytes.NewReader(p.CommandLine)},
	}
	for i, r := range p.Ramdisks {
		if r == nil {
			return nil, fmt.Errorf("%s: missing", ramdiskName(i))
		}
		list = append(list, piece{kind: eif.RamdiskSection, name: ramdiskName(i), data: r})
	}
	for i := range list {
		list[i].offset, list[i].size = -1, -1
	}
	return list, nil
}
