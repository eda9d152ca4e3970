package acpi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Command is one command of etc/table-loader: Allocate, AddPointer or
// AddChecksum.
type Command interface {
	appendTo(b []byte) []byte
}

// Allocate makes the firmware read a fw_cfg file into memory, and measure it.
type Allocate struct {
	File  string
	Align uint32
	Zone  uint8 // 1: high memory, 2: the F segment
}

// AddPointer makes the firmware add the address of a file to a number in
// another, which holds the offset until then.
type AddPointer struct {
	File   string // that holds the pointer
	To     string // file it points into
	Offset uint32
	Size   uint8 // of the pointer: 1, 2, 4 or 8
}

// AddChecksum makes the firmware put in a byte that makes the sum of a range
// zero.
type AddChecksum struct {
	File   string
	Offset uint32 // of the checksum
	Start  uint32
	Length uint32
}

// A command takes 128 bytes (QEMU 10.0, hw/acpi/bios-linker-loader.c,
// BiosLinkerLoaderEntry): a u32 with its type, its fields, zeros.
const (
	commandSize = 128
	nameSize    = 56

	typeAllocate    = 1
	typeAddPointer  = 2
	typeAddChecksum = 3
)

// DecodeLoader parses etc/table-loader: commands, then zeros up to the end.
func DecodeLoader(b []byte) ([]Command, error) {
	if len(b) == 0 || len(b)%loaderUnit != 0 || len(b) > loaderMax {
		return nil, fmt.Errorf("parsing %s: length: got %d, want a multiple of %d up to %d", loaderFile, len(b), loaderUnit, loaderMax)
	}
	var list []Command
	off := 0
	for ; off < len(b) && binary.LittleEndian.Uint32(b[off:]) != 0; off += commandSize {
		c, err := decodeCommand(b[off : off+commandSize])
		if err != nil {
			return nil, fmt.Errorf("parsing %s: command %d at %#x: %w", loaderFile, len(list), off, err)
		}
		list = append(list, c)
	}
	if rest := bytes.TrimLeft(b[off:], "\x00"); len(rest) > 0 {
		return nil, fmt.Errorf("parsing %s: after the last command: got %#02x at %#x, want zeros", loaderFile, rest[0], len(b)-len(rest))
	}
	return list, nil
}

// EncodeLoader is the inverse of DecodeLoader.
func EncodeLoader(list []Command) []byte {
	var b []byte
	for _, c := range list {
		n := len(b)
		b = c.appendTo(b)
		b = append(b, make([]byte, n+commandSize-len(b))...)
	}
	return append(b, make([]byte, max(loaderUnit, (len(b)+loaderUnit-1)/loaderUnit*loaderUnit)-len(b))...)
}

// decodeCommand parses one command. The fields follow its type:
//
//	1  file 56 bytes, alignment u32, zone u8
//	2  file 56 bytes, file it points into 56 bytes, offset u32, size u8
//	3  file 56 bytes, offset u32, start u32, length u32
func decodeCommand(b []byte) (Command, error) {
	le := binary.LittleEndian
	typ := le.Uint32(b)
	if typ < typeAllocate || typ > typeAddChecksum {
		return nil, fmt.Errorf("type: got %d, want 1 (allocate), 2 (add pointer) or 3 (add checksum)", typ)
	}
	file, err := decodeName(b[4:])
	if err != nil {
		return nil, err
	}
	rest := b[4+nameSize:]
	var c Command
	var used int
	switch typ {
	case typeAllocate:
		c, used = Allocate{File: file, Align: le.Uint32(rest), Zone: rest[4]}, 5
	case typeAddChecksum:
		c, used = AddChecksum{File: file, Offset: le.Uint32(rest), Start: le.Uint32(rest[4:]), Length: le.Uint32(rest[8:])}, 12
	default:
		to, err := decodeName(rest)
		if err != nil {
			return nil, err
		}
		p := rest[nameSize:]
		c, used = AddPointer{File: file, To: to, Offset: le.Uint32(p), Size: p[4]}, nameSize+5
	}
	if tail := bytes.TrimLeft(rest[used:], "\x00"); len(tail) > 0 {
		return nil, fmt.Errorf("after its fields: got %#02x, want zeros", tail[0])
	}
	return c, nil
}

// decodeName parses a file name: ASCII, filled with zeros, at least one.
func decodeName(b []byte) (string, error) {
	name, rest, _ := strings.Cut(string(b[:nameSize]), "\x00")
	if name == "" || len(name) == nameSize || strings.Trim(rest, "\x00") != "" {
		return "", fmt.Errorf("file name: got %q, want text filled with zeros", b[:nameSize])
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return "", fmt.Errorf("file name: got %q, want printable ASCII", name)
		}
	}
	return name, nil
}

func appendName(b []byte, name string) []byte {
	return append(append(b, name...), make([]byte, nameSize-len(name))...)
}

func (c Allocate) appendTo(b []byte) []byte {
	b = appendName(binary.LittleEndian.AppendUint32(b, typeAllocate), c.File)
	return append(binary.LittleEndian.AppendUint32(b, c.Align), c.Zone)
}

func (c AddPointer) appendTo(b []byte) []byte {
	b = appendName(binary.LittleEndian.AppendUint32(b, typeAddPointer), c.File)
	b = appendName(b, c.To)
	return append(binary.LittleEndian.AppendUint32(b, c.Offset), c.Size)
}

func (c AddChecksum) appendTo(b []byte) []byte {
	b = appendName(binary.LittleEndian.AppendUint32(b, typeAddChecksum), c.File)
	b = binary.LittleEndian.AppendUint32(b, c.Offset)
	b = binary.LittleEndian.AppendUint32(b, c.Start)
	return binary.LittleEndian.AppendUint32(b, c.Length)
}
