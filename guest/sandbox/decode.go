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

// inspect looks at what a module would have wazero allocate before it was
// validated. It gives a trap's name if that is too much, or if the module is
// malformed as far as this sees; wazero validates all of it, as it came
// (specs/runtime.md F5).
func inspect(module []byte, pages uint32) (trap string) {
	body, ok := bytes.CutPrefix(module, []byte(wasmHeader))
	if !ok || len(module) > maxModule {
		return TrapInvalid
	}
	r := &reader{rest: body}
	for len(r.rest) > 0 && trap == "" {
		id, content := r.byte(), &reader{rest: r.take(r.u32())}
		trap = content.section(id, pages)
		if trap == "" && (r.bad || content.bad || len(content.rest) != 0) {
			trap = TrapInvalid
		}
	}
	return trap
}

func (r *reader) section(id byte, pages uint32) string {
	switch id {
	case sectionCustom:
		r.custom()
	case sectionType:
		return r.types()
	case sectionImport:
		return r.imports()
	case sectionFunction:
		return r.functions()
	case sectionTable:
		return r.tables()
	case sectionMemory:
		return r.memories(pages)
	case sectionCode:
		return r.code()
	case sectionElement:
		r.elements()
	case sectionGlobal:
		r.globals()
	case sectionExport:
		r.exports()
	case sectionData:
		r.data()
	default:
		r.u32() // start and data count; others are invalid
	}
	return ""
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

// custom reads a custom section: a name and anything. wazero decodes the section
// "name": subsections of a number and a size, of which 1 lists functions and 2
// the locals of functions (WebAssembly Core Specification 2.0, section 7.4.1).
func (r *reader) custom() {
	name := string(r.take(r.u32()))
	for name == "name" && len(r.rest) > 0 {
		id, content := r.byte(), &reader{rest: r.take(r.u32())}
		switch id {
		case 0:
			content.take(content.u32())
		case 1:
			content.names()
		case 2:
			for range content.count() {
				content.u32()
				content.names()
			}
		default:
			continue
		}
		// wazero does not look at the size of these: it has to be right.
		r.bad = r.bad || content.bad || len(content.rest) != 0
	}
	r.rest = nil
}

func (r *reader) names() {
	for range r.count() {
		r.u32()
		r.take(r.u32())
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

// limits reads the minimum, and the maximum if there is one (section 5.3.7).
// Flags beyond 1 are of other features: shared, 64 bits.
func (r *reader) limits() (least, most uint32, limited bool) {
	flags := r.byte()
	if flags > 1 {
		r.fail()
	}
	least = r.u32()
	if flags == 1 {
		most = r.u32()
	}
	return least, most, flags == 1
}

// tables reads tabletype: reference type, limits (section 5.3.9).
// tables reads tabletype: reference type, limits (section 5.3.9). A table may
// have no maximum, as those of Go programs: then the memory of the process
// limits it, and ends the run.
func (r *reader) tables() string {
	n := r.count()
	if n > maxTables {
		return TrapLimit
	}
	for range n {
		if kind := r.byte(); kind != 0x70 && kind != 0x6f {
			r.fail()
		}
		least, most, limited := r.limits()
		if least > maxTable || limited && most > maxTable {
			return TrapLimit
		}
	}
	return ""
}

func (r *reader) memories(pages uint32) string {
	for range r.count() {
		if least, _, _ := r.limits(); least > pages {
			return TrapMemory
		}
	}
	return ""
}

// globals reads globaltype and a first value (section 5.5.9).
func (r *reader) globals() {
	for range r.count() {
		r.valueType()
		r.byte()
		r.expression()
	}
}

// exports reads a name, a kind and an index (section 5.5.10).
func (r *reader) exports() {
	for range r.count() {
		r.take(r.u32())
		r.byte()
		r.u32()
	}
}

// data reads segments (section 5.5.14): 0, active; 1, passive; 2, active with
// the number of a memory.
func (r *reader) data() {
	for range r.count() {
		kind := r.u32()
		if kind > 2 {
			r.fail()
		}
		if kind == 2 {
			r.u32()
		}
		if kind != 1 {
			r.expression()
		}
		r.take(r.u32())
	}
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
		case 0x43: // f32.const
			r.take(4)
		case 0x44: // f64.const
			r.take(8)
		case 0xfd: // v128.const
			r.u32()
			r.take(16)
		default:
			r.fail()
		}
	}
}
