// Package igvm writes IGVM files: any, from structures, and that of a guest
// which QEMU starts with SEV-SNP, from what would be measured of it without
// one.
//
// It implements version 1 of the format as package measure/igvm describes it,
// which holds the layout of every structure. Equal structures give equal
// bytes.
package igvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"safebox/measure/igvm"
)

// Fields of the fixed header (igvm_defs, IGVM_FIXED_HEADER): magic, then
// format_version, variable_header_offset, variable_header_size,
// total_file_size and checksum, all u32.
const (
	headerSize      = 0x18
	structureHeader = 8 // u32 type, u32 length
	align           = 8
)

// Where a body has the offset of its data in the file (igvm_defs, file_offset
// of the structures).
const (
	offsetInPage = 0x0c // also in VP_CONTEXT and PARAMETER_AREA
	dataAlign    = 4096
)

// Encode writes a file of version 1. The data of the structures follow the
// headers, each once however often it is used, from a multiple of 4096 on.
// What the reader would refuse is an error.
func Encode(structures []igvm.Structure) ([]byte, error) {
	b, err := encode(structures)
	if err != nil {
		return nil, fmt.Errorf("writing IGVM file: %w", err)
	}
	// The reader knows the rules; a file that breaks one must not be written.
	if _, err := igvm.Decode(b); err != nil {
		return nil, fmt.Errorf("writing IGVM file: %w", err)
	}
	return b, nil
}

func encode(structures []igvm.Structure) ([]byte, error) {
	headers := 0
	for _, s := range structures {
		headers += structureHeader + padded(len(s.Body.Append(nil)))
	}
	le := binary.LittleEndian
	b := make([]byte, headerSize, headerSize+headers)
	files := newFileData(headerSize + headers)
	for i, s := range structures {
		at := len(b)
		b = le.AppendUint32(b, uint32(s.Type))
		b = append(b, 0, 0, 0, 0)
		b = s.Body.Append(b)
		length := len(b) - at - structureHeader
		le.PutUint32(b[at+4:], uint32(length))
		b = append(b, make([]byte, padded(length)-length)...)
		data := contents(s.Body)
		if data == nil {
			continue
		}
		offset, err := files.add(data)
		if err != nil {
			return nil, fmt.Errorf("structure %d: %w", i, err)
		}
		le.PutUint32(b[at+structureHeader+offsetInPage:], offset)
	}
	total := files.end()
	copy(b, igvm.Magic)
	for i, v := range []uint32{1, headerSize, uint32(headers), uint32(total), 0} {
		le.PutUint32(b[4+4*i:], v)
	}
	le.PutUint32(b[headerSize-4:], igvm.Checksum(b[:headerSize], b[headerSize:]))
	return files.append(b), nil
}

// contents are what a body refers to elsewhere in the file.
func contents(body igvm.Body) []byte {
	switch b := body.(type) {
	case igvm.PageData:
		return b.Data
	case igvm.ParameterArea:
		return b.Data
	case igvm.VPContext:
		if b.VMSA != nil {
			return b.Page()[:]
		}
	}
	return nil
}

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

// fileData is the part of the file behind the headers.
type fileData struct {
	start  int // in the file
	pieces [][]byte
	at     map[string]uint32
	size   int
}

func newFileData(headers int) *fileData {
	return &fileData{start: (headers + dataAlign - 1) &^ (dataAlign - 1), at: make(map[string]uint32)}
}

// add gives the offset of data in the file.
func (f *fileData) add(data []byte) (uint32, error) {
	if offset, ok := f.at[string(data)]; ok {
		return offset, nil
	}
	offset := f.start + f.size
	if offset+len(data) > math.MaxUint32 {
		return 0, errors.New("data: got 4 GiB or more, want offsets of 32 bits")
	}
	f.at[string(data)] = uint32(offset)
	f.pieces = append(f.pieces, data)
	f.size += len(data)
	return uint32(offset), nil
}

// end is the length of the file.
func (f *fileData) end() int { return f.start + f.size }

// append adds the data behind the headers.
func (f *fileData) append(b []byte) []byte {
	out := make([]byte, f.start, f.end())
	copy(out, b)
	for _, p := range f.pieces {
		out = append(out, p...)
	}
	return out
}
