package sandbox

import (
	"encoding/binary"
	"math"

	"github.com/tetratelabs/wazero/sys"
)

// Error numbers of WASI preview 1 (witx typename $errno).
const (
	wasiSuccess = 0
	wasiBadf    = 8
	wasiFault   = 21
	wasiInval   = 28
	wasiNosys   = 52
	wasiSpipe   = 70
)

// wasiFunctions lists all of WASI preview 1, so that programs link. Behind most
// of them there is nothing: ENOSYS.
func wasiFunctions() []function {
	list := []function{
		define("args_get", "ii>i", nothing),
		define("args_sizes_get", "ii>i", twoZeros),
		define("environ_get", "ii>i", nothing),
		define("environ_sizes_get", "ii>i", twoZeros),
		define("clock_res_get", "ii>i", (*program).clockRes),
		define("clock_time_get", "ili>i", (*program).clockTime),
		define("fd_close", "i>i", onStandard(wasiSuccess)),
		define("fd_fdstat_get", "ii>i", (*program).fdStat),
		define("fd_fdstat_set_flags", "ii>i", onStandard(wasiSuccess)),
		define("fd_prestat_get", "ii>i", func(*program, *call) uint64 { return wasiBadf }),
		define("fd_prestat_dir_name", "iii>i", func(*program, *call) uint64 { return wasiBadf }),
		define("fd_read", "iiii>i", (*program).fdRead),
		define("fd_write", "iiii>i", (*program).fdWrite),
		define("fd_seek", "ilii>i", onStandard(wasiSpipe)),
		define("fd_tell", "ii>i", onStandard(wasiSpipe)),
		define("poll_oneoff", "iiii>i", (*program).poll),
		define("proc_exit", "i>", func(_ *program, c *call) uint64 { panic(sys.NewExitError(c.u32(0))) }),
		define("random_get", "ii>i", (*program).wasiRandom),
		define("sched_yield", ">i", nothing),
	}
	for name, types := range absent() {
		list = append(list, define(name, types, func(*program, *call) uint64 { return wasiNosys }))
	}
	return list
}

// absent lists the functions behind which there is nothing, with their types.
func absent() map[string]string {
	return map[string]string{
		"fd_advise": "illi>i", "fd_allocate": "ill>i", "fd_datasync": "i>i", "fd_fdstat_set_rights": "ill>i",
		"fd_filestat_get": "ii>i", "fd_filestat_set_size": "il>i", "fd_filestat_set_times": "illi>i",
		"fd_pread": "iiili>i", "fd_pwrite": "iiili>i", "fd_readdir": "iiili>i", "fd_renumber": "ii>i", "fd_sync": "i>i",
		"path_create_directory": "iii>i", "path_filestat_get": "iiiii>i", "path_filestat_set_times": "iiiilli>i",
		"path_link": "iiiiiii>i", "path_open": "iiiiillii>i", "path_readlink": "iiiiii>i", "path_remove_directory": "iii>i",
		"path_rename": "iiiiii>i", "path_symlink": "iiiii>i", "path_unlink_file": "iii>i", "proc_raise": "i>i",
		"sock_accept": "iii>i", "sock_recv": "iiiiii>i", "sock_send": "iiiii>i", "sock_shutdown": "ii>i",
	}
}

func nothing(*program, *call) uint64 { return wasiSuccess }

// twoZeros says that a list (arguments, environment) has no entry and no bytes.
func twoZeros(_ *program, c *call) uint64 {
	if !c.putU32(c.u32(0), 0) || !c.putU32(c.u32(1), 0) {
		return wasiFault
	}
	return wasiSuccess
}

// onStandard answers for descriptors 0 to 2; there are no others.
func onStandard(result uint64) func(*program, *call) uint64 {
	return func(_ *program, c *call) uint64 {
		if c.u32(0) > 2 {
			return wasiBadf
		}
		return result
	}
}

// Clocks ($clockid).
const (
	clockRealtime = iota
	clockMonotonic
	clockProcess
	clockThread
)

func (p *program) clockRes(c *call) uint64 {
	if c.u32(0) > clockThread {
		return wasiInval
	}
	if !c.putU64(c.u32(1), tick) {
		return wasiFault
	}
	return wasiSuccess
}

// clockTime: the real time is the job's, moved on by what the virtual clock has
// counted since the start; the other clocks count from 0 (specs/runtime.md A6:
// constant for an event, and the same in each run).
func (p *program) clockTime(c *call) uint64 {
	id := c.u32(0)
	if id > clockThread {
		return wasiInval
	}
	t := p.clock.read()
	if id == clockRealtime {
		t += p.startTime()
	}
	if !c.putU64(c.u32(2), t) {
		return wasiFault
	}
	return wasiSuccess
}

// startTime is the job's logical time in nanoseconds since 1970.
func (p *program) startTime() uint64 { return uint64(p.info.Time) * 1_000_000 }

// fdStat writes an $fdstat of 24 bytes: u8 file type, u16 flags at 2, u64
// rights at 8 and 16. The standard streams are character devices.
func (p *program) fdStat(c *call) uint64 {
	if c.u32(0) > 2 {
		return wasiBadf
	}
	b := c.bytes(c.u32(1), 24)
	if b == nil {
		return wasiFault
	}
	clear(b)
	const characterDevice = 2
	b[0] = characterDevice
	const rightRead, rightWrite = 1 << 1, 1 << 6
	binary.LittleEndian.PutUint64(b[8:], rightRead|rightWrite)
	return wasiSuccess
}

// fdRead: standard input is at its end.
func (p *program) fdRead(c *call) uint64 {
	if c.u32(0) != 0 {
		return wasiBadf
	}
	if !c.putU32(c.u32(3), 0) {
		return wasiFault
	}
	return wasiSuccess
}

// maxVectors bounds the pieces of one fd_write.
const maxVectors = 1024

// fdWrite: standard output and error go to the log. Each $ciovec is u32
// pointer, u32 length.
func (p *program) fdWrite(c *call) uint64 {
	fd, vectors := c.u32(0), c.u32(2)
	if fd != 1 && fd != 2 {
		return wasiBadf
	}
	if vectors > maxVectors {
		return wasiInval
	}
	list := c.bytes(c.u32(1), 8*vectors)
	if list == nil {
		return wasiFault
	}
	total := uint64(0)
	for ; len(list) > 0; list = list[8:] {
		b := c.bytes(binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]))
		if b == nil {
			return wasiFault
		}
		p.say(uint8(fd), b)
		total += uint64(len(b))
	}
	if total > math.MaxUint32 {
		return wasiInval
	}
	if !c.putU32(c.u32(3), uint32(total)) {
		return wasiFault
	}
	return wasiSuccess
}

func (p *program) wasiRandom(c *call) uint64 {
	b := c.bytes(c.u32(0), c.u32(1))
	if b == nil {
		return wasiFault
	}
	p.random.read(b)
	return wasiSuccess
}
