package sandbox

import "encoding/binary"

// A tiny assembler for modules that no compiler makes: sections are written by
// hand, after WebAssembly Core Specification 2.0, section 5.

func leb(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func vector(items ...[]byte) []byte { return join(leb(uint32(len(items))), join(items...)) }

func sized(b []byte) []byte { return join(leb(uint32(len(b))), b) }

func named(s string) []byte { return sized([]byte(s)) }

func section(id byte, content []byte) []byte { return join([]byte{id}, sized(content)) }

func moduleOf(sections ...[]byte) []byte { return join([]byte(wasmHeader), join(sections...)) }

// functionType writes a type as signature does: "ii>l".
func functionType(s string) []byte {
	params, results := signature(s)
	return join([]byte{0x60}, sized(params), sized(results))
}

// imported is a function to import; its type is functionType(types).
type imported struct{ module, name, types string }

// The opcodes that the tests write.
const (
	opUnreachable = 0x00
	opLoop        = 0x03
	opEnd         = 0x0b
	opBr          = 0x0c
	opCall        = 0x10
	opDrop        = 0x1a
	opLocalGet    = 0x20
	opGlobalSet   = 0x24
	opGrow        = 0x40
	opI32         = 0x41
	opI64         = 0x42
	empty         = 0x40 // block type
)

// i32 and i64 push a constant.
func i32(v int32) []byte { return append([]byte{opI32}, sleb(int64(v))...) }
func i64(v int64) []byte { return append([]byte{opI64}, sleb(v)...) }

func sleb(v int64) (b []byte) {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// body is a function's code with no locals.
func body(code ...[]byte) []byte { return sized(join([]byte{0}, join(code...), []byte{opEnd})) }

// program is a module with one memory page, that may grow, and the entry point
// _start; imports come before it in the numbering of functions. extra sections
// take the place of those with their number.
func assemble(imports []imported, code []byte, extra ...[]byte) []byte {
	types := [][]byte{functionType(">")}
	var list [][]byte
	for _, i := range imports {
		list = append(list, join(named(i.module), named(i.name), []byte{0}, leb(uint32(len(types)))))
		types = append(types, functionType(i.types))
	}
	sections := map[byte][]byte{
		sectionType:     section(sectionType, vector(types...)),
		sectionFunction: section(sectionFunction, vector([]byte{0})),
		sectionMemory:   section(sectionMemory, vector([]byte{0, 1})),
		sectionExport:   section(sectionExport, vector(join(named("_start"), []byte{0}, leb(uint32(len(imports)))))),
		sectionCode:     section(sectionCode, vector(body(code))),
	}
	if len(list) > 0 {
		sections[sectionImport] = section(sectionImport, vector(list...))
	}
	for _, s := range extra {
		sections[s[0]] = s
	}
	out := []byte(wasmHeader)
	for id := range byte(12) { // the data count section, 12, is not needed
		out = append(out, sections[id]...)
	}
	return out
}
