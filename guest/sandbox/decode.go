package sandbox

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// Sections of a module (WebAssembly Core Specification 2.0, section 5.5.2).
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionElement  = 9
	sectionCode     = 10
	sectionData     = 11
)

// Limits of a module (specs/runtime.md A2). A few bytes can announce more than
// any memory holds, and wazero allocates what they announce.
const (
	maxModule    = 32 << 20
	maxFunctions = 50_000
	maxBody      = 1 << 20
	maxLocals    = 4096
	maxValues    = 1000 // parameters, and results, of one function type
	maxTables    = 16
	maxTable     = 1 << 16
)

// wasmHeader is the magic number and version (section 5.5.16).
const wasmHeader = "\x00asm\x01\x00\x00\x00"

// prepare looks at what a module would allocate before wazero does, and gives
// the module that is compiled, or a trap's name:
//
//   - custom sections are left out: nothing in them is run;
//   - a table that could grow without end gets maxTable as its maximum.
//
// Neither can make a valid module of an invalid one (specs/runtime.md F5): they
// add no index and no type, and a maximum is only ever put above the minimum.
func prepare(module []byte, pages uint32) ([]byte, string) {
	body, ok := bytes.CutPrefix(module, []byte(wasmHeader))
	if !ok || len(module) > maxModule {
		return nil, TrapInvalid
	}
	out := append(make([]byte, 0, len(module)), wasmHeader...)
	r := &reader{rest: body}
	for len(r.rest) > 0 {
		id, content := r.byte(), r.take(r.u32())
		if r.bad {
			return nil, TrapInvalid
		}
		if id == sectionCustom {
			continue
		}
		content, trap := inspect(id, content, pages)
		if trap != "" {
			return nil, trap
		}
		out = binary.AppendUvarint(append(out, id), uint64(len(content)))
		out = append(out, content...)
	}
	return out, ""
}

// inspect checks one section, and gives what is compiled in its place.
func inspect(id byte, content []byte, pages uint32) ([]byte, string) {
	r, trap := &reader{rest: content}, ""
	switch id {
	case sectionType:
		trap = r.types()
	case sectionImport:
		trap = r.imports()
	case sectionFunction:
		trap = r.functions()
	case sectionTable:
		content, trap = r.tables()
	case sectionMemory:
		trap = r.memories(pages)
	case sectionCode:
		trap = r.code()
	case sectionElement:
		r.elements()
	case sectionGlobal, sectionExport, sectionData:
		r.count()
		r.rest = nil // wazero reads the elements one by one
	default:
		r.rest = nil // start and data count are one number; others are invalid
	}
	if trap == "" && (r.bad || len(r.rest) != 0) {
		trap = TrapInvalid
	}
	return content, trap
}

// reader takes a part of a module apart. What is cut off or malformed makes it
// bad, and it gives zeros from then on.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.rest = true, nil }

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// u32 reads LEB128 of at most 5 bytes (section 5.2.2).
func (r *reader) u32() uint32 {
	v, n := binary.Uvarint(r.rest[:min(len(r.rest), binary.MaxVarintLen32)])
	if n <= 0 || v > math.MaxUint32 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return uint32(v)
}

// count reads the length of a vector, whose elements take one byte at least.
func (r *reader) count() uint32 {
	n := r.u32()
	if uint64(n) > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return n
}

// valueTypes are those of WebAssembly 2.0 (section 5.3.4): numbers, vectors,
// references. Typed references are of no accepted feature.
const valueTypes = "\x7f\x7e\x7d\x7c\x7b\x70\x6f"

func (r *reader) valueType() {
	if b := r.byte(); !slices.Contains([]byte(valueTypes), b) {
		r.fail()
	}
}

// types reads functype: 0x60, parameters, results (section 5.3.6).
func (r *reader) types() string {
	for range r.count() {
		if r.byte() != 0x60 {
			r.fail()
		}
		for range 2 {
			n := r.count()
			if n > maxValues {
				return TrapLimit
			}
			for range n {
				r.valueType()
			}
		}
	}
	return ""
}

// imports wants functions alone: byte 0 after the two names (section 5.5.5).
func (r *reader) imports() string {
	for range r.count() {
		r.take(r.u32())
		r.take(r.u32())
		if r.byte() != 0 {
			return TrapImport
		}
		r.u32()
	}
	return ""
}

func (r *reader) functions() string {
	n := r.count()
	if n > maxFunctions {
		return TrapLimit
	}
	for range n {
		r.u32()
	}
	return ""
}

// limits reads the minimum, and the maximum if bit 0 of the flags says that
// there is one (section 5.3.7).
func (r *reader) limits() (least uint32, most uint32, flags byte) {
	flags = r.byte()
	least, most = r.u32(), math.MaxUint32
	if flags&1 != 0 {
		most = r.u32()
	}
	return least, most, flags
}

// tables reads tabletype: reference type, limits (section 5.3.9).
func (r *reader) tables() ([]byte, string) {
	n := r.count()
	if n > maxTables {
		return nil, TrapLimit
	}
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		kind := r.byte()
		least, most, flags := r.limits()
		switch {
		case kind != 0x70 && kind != 0x6f || flags > 1 || most < least:
			r.fail()
			return nil, ""
		case least > maxTable:
			return nil, TrapLimit
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, uint64(least))
		out = binary.AppendUvarint(out, uint64(min(most, maxTable)))
	}
	return out, ""
}

func (r *reader) memories(pages uint32) string {
	for range r.count() {
		if least, _, _ := r.limits(); least > pages {
			return TrapMemory
		}
	}
	return ""
}

// code reads bodies: size, then locals in groups of a number and a type, then
// instructions, which wazero reads (section 5.5.13).
func (r *reader) code() string {
	n := r.count()
	if n > maxFunctions {
		return TrapLimit
	}
	for range n {
		size := r.u32()
		if size > maxBody {
			return TrapLimit
		}
		body := &reader{rest: r.take(size)}
		locals := uint64(0)
		for range body.count() {
			locals += uint64(body.u32())
			body.valueType()
		}
		if r.bad || body.bad {
			return TrapInvalid
		}
		if locals > maxLocals {
			return TrapLimit
		}
	}
	return ""
}

// elements reads segments (section 5.5.12). Bits of the flags: 0, not active;
// 1, declarative, or a table is named; 2, expressions instead of indices.
func (r *reader) elements() {
	for range r.count() {
		flags := r.u32()
		if flags > 7 {
			r.fail()
			return
		}
		if flags&1 == 0 {
			if flags&2 != 0 {
				r.u32()
			}
			r.expression()
		}
		if flags&3 != 0 {
			r.byte() // kind or type
		}
		for range r.count() {
			if flags&4 != 0 {
				r.expression()
			} else {
				r.u32()
			}
		}
	}
}

// expression skips a constant expression (section 3.3.10): wazero checks it.
func (r *reader) expression() {
	for !r.bad {
		switch r.byte() {
		case 0x0b: // end
			return
		case 0x41, 0x42: // i32.const, i64.const
			for r.byte()&0x80 != 0 {
				continue
			}
		case 0x23, 0xd2: // global.get, ref.func
			r.u32()
		case 0xd0: // ref.null
			r.byte()
		default: // floats and vectors are no offsets and no references
			r.fail()
		}
	}
}
