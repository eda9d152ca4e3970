package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"safebox/guest/wire"
	"safebox/verifier/canon"

	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"
)

// safeboxFunctions is specs/runtime.md A5, as far as there is something behind
// it. Pointers and lengths are i32 into the program's memory; results are i64,
// not negative, or a negative Linux errno.
func safeboxFunctions() []function {
	return []function{
		define("in_count", ">i", func(p *program, _ *call) uint64 { return uint64(len(p.info.Inputs)) }),
		define("in_info", "iii>l", (*program).inInfo),
		define("in_read", "ilii>l", (*program).inRead),
		define("in_release", "ii>l", (*program).inRelease),
		define("ev_get", "ii>l", func(p *program, c *call) uint64 { return give(c, 0, p.info.Params) }),
		define("out_open", "iii>l", (*program).outOpen),
		define("out_write", "iii>l", (*program).outWrite),
		define("out_close", "i>l", (*program).outClose),
		define("now", ">l", func(p *program, _ *call) uint64 { return uint64(p.info.Time) }),
		define("rand", "ii>l", (*program).rand),
		define("hash", "iiii>l", (*program).hash),
		define("log", "iii>l", (*program).log),
		define("abort", "i>", (*program).abort),
	}
}

// errno is a negative result.
func errno(e unix.Errno) uint64 { return uint64(-int64(e)) }

// give copies as much of b as fits to where parameters n and n+1 point, and
// returns all of its length: a program asks for the size with a length of 0.
func give(c *call, n int, b []byte) uint64 {
	dst := c.bytes(c.u32(n), c.u32(n+1))
	if dst == nil {
		return errno(unix.EFAULT)
	}
	copy(dst, b)
	return uint64(len(b))
}

// inInfo gives an input as canonical JSON (wire.Input).
func (p *program) inInfo(c *call) uint64 {
	h := c.u32(0)
	if int64(h) >= int64(len(p.info.Inputs)) {
		return errno(unix.EBADF)
	}
	b, err := canon.Marshal(p.info.Inputs[h])
	if err != nil {
		return errno(unix.EIO)
	}
	return give(c, 1, b)
}

// inRead copies bytes of one chunk: at most to the end of the chunk, none at
// the end of the input. A chunk that was not granted is EACCES.
func (p *program) inRead(c *call) uint64 {
	h, offset := c.u32(0), int64(c.u64(1))
	if int64(h) >= int64(len(p.info.Inputs)) {
		return errno(unix.EBADF)
	}
	dst := c.bytes(c.u32(2), c.u32(3))
	in := &p.info.Inputs[h]
	switch {
	case dst == nil:
		return errno(unix.EFAULT)
	case offset < 0:
		return errno(unix.EINVAL)
	case offset >= in.Size || len(dst) == 0:
		return 0
	}
	index := uint32(offset / in.ChunkSize)
	if !granted(in, index) {
		return errno(unix.EACCES)
	}
	plain, err := p.inputs.chunk(p.keeper, h, index)
	if refused(err) {
		return errno(unix.EACCES)
	}
	if err != nil {
		p.fail(err)
	}
	from := offset - int64(index)*in.ChunkSize
	if from >= int64(len(plain)) {
		return errno(unix.EIO) // shorter than the object says
	}
	return uint64(copy(dst, plain[from:]))
}

func granted(in *wire.Input, index uint32) bool {
	for _, r := range in.Ranges {
		if index >= r[0] && index < r[1] {
			return true
		}
	}
	return false
}

// inRelease wipes a chunk that the worker still holds.
func (p *program) inRelease(c *call) uint64 {
	h, index := c.u32(0), c.u32(1)
	if int64(h) >= int64(len(p.info.Inputs)) {
		return errno(unix.EBADF)
	}
	p.inputs.release(h, index)
	return 0
}

func (p *program) rand(c *call) uint64 {
	dst := c.bytes(c.u32(0), c.u32(1))
	if dst == nil {
		return errno(unix.EFAULT)
	}
	p.random.read(dst)
	return uint64(len(dst))
}

// hashSHA256 is the one algorithm so far: parameter alg of hash.
const hashSHA256 = 1

func (p *program) hash(c *call) uint64 {
	if c.u32(0) != hashSHA256 {
		return errno(unix.EINVAL)
	}
	src, dst := c.bytes(c.u32(1), c.u32(2)), c.bytes(c.u32(3), sha256.Size)
	if src == nil || dst == nil {
		return errno(unix.EFAULT)
	}
	sum := sha256.Sum256(src)
	return uint64(copy(dst, sum[:]))
}

// log takes a line; what is beyond the limit of a run is dropped, so that a
// program that talks much still works.
func (p *program) log(c *call) uint64 {
	level, text := c.u32(0), c.bytes(c.u32(1), c.u32(2))
	switch {
	case level > 255:
		return errno(unix.EINVAL)
	case text == nil:
		return errno(unix.EFAULT)
	}
	p.say(uint8(level), text)
	return uint64(len(text))
}

func (p *program) say(level uint8, text []byte) {
	text = text[:min(len(text), maxLog-p.logged)]
	if len(text) == 0 {
		return
	}
	p.logged += len(text)
	// The replacement is one byte, so that nothing gets longer.
	if err := p.keeper.Log(level, strings.ToValidUTF8(string(text), "?")); err != nil {
		p.fail(err)
	}
}

// abort ends the program with a code. It does not return.
func (p *program) abort(c *call) uint64 {
	p.trap = TrapAbort
	panic(sys.NewExitError(c.u32(0)))
}

// putU32 and putU64 write results into the program's memory.
func (c *call) putU32(pointer, v uint32) bool {
	b := c.bytes(pointer, 4)
	if b == nil {
		return false
	}
	binary.LittleEndian.PutUint32(b, v)
	return true
}

func (c *call) putU64(pointer uint32, v uint64) bool {
	b := c.bytes(pointer, 8)
	if b == nil {
		return false
	}
	binary.LittleEndian.PutUint64(b, v)
	return true
}
