package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// vdso is where the kernel's code that answers without a system call keeps its
// functions (vdso(7)): the same in every process.
type vdso struct {
	clockGettime, gettimeofday, time function
}

// function is a place in the vDSO.
type function struct{ off, size uint64 }

const (
	atSysinfoEHDR = 33       // linux/auxvec.h: where the vDSO lies
	maxVDSO       = 64 << 10 // bytes; on x86-64 it has two to four pages
)

// base reads where the vDSO of a process lies; zero if it has none.
func base(process string) (uint64, error) {
	b, err := os.ReadFile("/proc/" + process + "/auxv")
	if err != nil {
		return 0, err
	}
	for ; len(b) >= 16; b = b[16:] {
		if binary.LittleEndian.Uint64(b) == atSysinfoEHDR {
			return binary.LittleEndian.Uint64(b[8:]), nil
		}
	}
	return 0, nil
}

// ownVDSO reads this process's.
func ownVDSO() (v vdso, err error) {
	at, err := base("self")
	if err != nil || at == 0 {
		return v, err
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	image := make([]byte, maxVDSO)
	n, err := mem.ReadAt(image, int64(at))
	if n == 0 {
		return v, fmt.Errorf("reading the vDSO: %w", err)
	}
	return parse(image[:n])
}

func parse(image []byte) (v vdso, err error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return v, fmt.Errorf("reading the vDSO: %w", err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return v, fmt.Errorf("reading the vDSO: %w", err)
	}
	for _, s := range symbols {
		place := function{s.Value, s.Size}
		switch s.Name {
		case "__vdso_clock_gettime":
			v.clockGettime = place
		case "__vdso_gettimeofday":
			v.gettimeofday = place
		case "__vdso_time":
			v.time = place
		}
	}
	if v.clockGettime.size == 0 || v.gettimeofday.size == 0 || v.time.size == 0 {
		return v, fmt.Errorf("reading the vDSO: %w", io.ErrUnexpectedEOF)
	}
	return v, nil
}

// patch writes our functions over those in a process that begins. Compilers ask
// millions of times: a stop each would take minutes, so that what is asked most
// is answered in the process, by the monotonic clock and a constant.
func (v vdso) patch(pid int, offset time.Duration) error {
	at, err := base(fmt.Sprint(pid))
	if err != nil || at == 0 {
		return err
	}
	distance, err := sinceBoot()
	if err != nil {
		return err
	}
	if distance += offset; distance < 0 || distance > math.MaxInt32*time.Second {
		return fmt.Errorf("clock %v after boot: want 0 to %d seconds", distance, math.MaxInt32)
	}
	for _, p := range []struct {
		function
		code []byte
	}{
		{v.clockGettime, clockCode(distance)},
		{v.gettimeofday, callCode(unix.SYS_GETTIMEOFDAY)},
		{v.time, callCode(unix.SYS_TIME)},
	} {
		if uint64(len(p.code)) > p.size {
			return fmt.Errorf("function at 0x%x of the vDSO: %d bytes, want at least %d", p.off, p.size, len(p.code))
		}
		if _, err := unix.PtracePokeText(pid, uintptr(at+p.off), p.code); err != nil {
			return fmt.Errorf("patching the vDSO: %w", err)
		}
	}
	return nil
}

// sinceBoot is the distance between the wall clock and the monotonic one.
func sinceBoot() (time.Duration, error) {
	var wall, mono unix.Timespec
	err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &wall), unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono))
	return time.Duration(wall.Nano() - mono.Nano()), err
}

// callCode is a function that makes the system call, which the filter sees.
func callCode(number uint32) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{0xb8}, number), // mov $number, %eax
		0x0f, 0x05, // syscall
		0xc3) // ret
}

// clockCode is int clock_gettime(clockid_t, struct timespec *): for a time of
// day it asks the monotonic clock, which the filter lets pass, and adds.
func clockCode(distance time.Duration) []byte {
	seconds, rest := uint32(distance/time.Second), uint32(distance%time.Second)
	le := binary.LittleEndian
	add := []byte{
		0xb8, 0xe4, 0, 0, 0, // mov $228 (clock_gettime), %eax
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test %eax, %eax
		0x75, 0, // jne to the ret
		0x48, 0x81, 0x06, 0, 0, 0, 0, // addq $seconds, (%rsi)
		0x48, 0x81, 0x46, 0x08, 0, 0, 0, 0, // addq $rest, 8(%rsi)
		0x48, 0x81, 0x7e, 0x08, 0x00, 0xca, 0x9a, 0x3b, // cmpq $1000000000, 8(%rsi)
		0x7c, 11, // jl to the ret
		0x48, 0xff, 0x06, // incq (%rsi)
		0x48, 0x81, 0x6e, 0x08, 0x00, 0xca, 0x9a, 0x3b, // subq $1000000000, 8(%rsi)
		0xc3, // ret
	}
	add[10] = byte(len(add) - 1 - 11) // the ret is the last byte
	le.PutUint32(add[14:], seconds)
	le.PutUint32(add[22:], rest)
	choose := []byte{
		0x85, 0xff, // test %edi, %edi: CLOCK_REALTIME
		0x74, 18, // je to the change
		0x83, 0xff, unix.CLOCK_REALTIME_COARSE, // cmp $5, %edi
		0x74, 13, // je to the change
		0x83, 0xff, clockTAI, // cmp $11, %edi
		0x74, 8, // je to the change
		0xb8, 0xe4, 0, 0, 0, // mov $228, %eax: any other clock
		0x0f, 0x05, // syscall
		0xc3, // ret
		// The change: ask for another clock.
		0xbf, unix.CLOCK_MONOTONIC, 0, 0, 0, // mov $1, %edi
	}
	return append(choose, add...)
}
