package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// assemble OUT STUB NAME=FILE... adds sections to a stub in the way in which
// the unified kernel images of measure/tpm/testdata/boots were made: specs/image.md 1.1.
func assemble(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: assemble OUT STUB NAME=FILE...")
	}
	stub, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	le := binary.LittleEndian
	b := bytes.Clone(stub)
	coff := int(le.Uint32(b[0x3c:])) + 4
	optional := coff + 20
	count := int(le.Uint16(b[coff+2:]))
	table := optional + int(le.Uint16(b[coff+16:]))
	last := b[table+40*(count-1):]
	address := roundUp(int(le.Uint32(last[12:])+le.Uint32(last[8:])), 0x1000)
	for _, arg := range args[2:] {
		name, file, _ := strings.Cut(arg, "=")
		data, err := os.ReadFile(ts.MkAbs(file))
		ts.Check(err)
		size := roundUp(len(data), 0x200)
		h := b[table+40*count:]
		copy(h, name)
		le.PutUint32(h[8:], uint32(len(data)))
		le.PutUint32(h[12:], uint32(address))
		le.PutUint32(h[16:], uint32(size))
		le.PutUint32(h[20:], uint32(len(b)))
		le.PutUint32(h[36:], 0x40000040)
		if name == ".linux" {
			le.PutUint32(h[36:], 0x40000020)
		}
		b = append(append(b, data...), make([]byte, size-len(data))...)
		count++
		address = roundUp(address+len(data), 0x1000)
	}
	le.PutUint16(b[coff+2:], uint16(count))
	le.PutUint32(b[optional+56:], uint32(address))
	le.PutUint32(b[optional+64:], 0)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
