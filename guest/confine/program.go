package confine

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (Linux include/uapi/linux/seccomp.h): int nr,
// u32 arch, u64 instruction pointer, u64 args[6]; little-endian here.
const (
	numberOffset   = 0
	archOffset     = 4
	argumentOffset = 16
)

// firstX32 is __X32_SYSCALL_BIT: numbers from here on call the same kernel
// functions with other argument layouts (Linux arch/x86/include/uapi/asm/unistd.h).
const firstX32 = 0x40000000

// Answers of a filter: SECCOMP_RET_ERRNO carries the error in its low 16 bits.
const (
	allow = uint32(unix.SECCOMP_RET_ALLOW)
	deny  = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	kill  = uint32(unix.SECCOMP_RET_KILL_PROCESS)
)

// call is what happens to one system call: action, if one of the matches holds
// or there are none; otherwise, if none holds.
type call struct {
	number    int
	action    uint32
	matches   []match
	otherwise uint32
}

// match holds when the argument has the value under the mask. For arguments
// that the kernel takes as int, the mask must leave out the upper half.
type match struct {
	argument    int
	mask, value uint64
}

// Masks of whole arguments.
const (
	wholeInt  = 0xffffffff
	wholeLong = 0xffffffffffffffff
)

// assemble writes the filter: architecture first, then the number space, then
// the calls in order, then what a call gets that is not listed.
func assemble(calls []call, unlisted uint32) []bpf.Instruction {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: archOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AUDIT_ARCH_X86_64, SkipTrue: 1},
		bpf.RetConstant{Val: kill},
		bpf.LoadAbsolute{Off: numberOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: firstX32, SkipFalse: 1},
		bpf.RetConstant{Val: kill},
	}
	for _, c := range calls {
		block := c.block()
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(c.number), SkipFalse: uint8(len(block))})
		program = append(program, block...)
	}
	return append(program, bpf.RetConstant{Val: unlisted})
}

// block decides about a call whose number is known. It always returns: the
// matches load arguments over the number.
func (c call) block() []bpf.Instruction {
	if len(c.matches) == 0 {
		return []bpf.Instruction{bpf.RetConstant{Val: c.action}}
	}
	var block []bpf.Instruction
	for _, m := range c.matches {
		block = append(block, m.instructions(c.action)...)
	}
	return append(block, bpf.RetConstant{Val: c.otherwise})
}

// instructions return action if the match holds and else run past their end.
func (m match) instructions(action uint32) []bpf.Instruction {
	offset := uint32(argumentOffset + 8*m.argument)
	low := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offset, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(m.mask)},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(m.value), SkipFalse: 1},
		bpf.RetConstant{Val: action},
	}
	if m.mask>>32 == 0 {
		return low
	}
	high := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offset + 4, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(m.mask >> 32)},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(m.value >> 32), SkipFalse: uint8(len(low))},
	}
	return append(high, low...)
}

// install puts the filter on all threads of the process (seccomp(2),
// SECCOMP_FILTER_FLAG_TSYNC), those that start later included.
func install(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assembling the filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if int(filter.Len) != len(code) {
		return fmt.Errorf("assembling the filter: %d instructions are too many", len(code))
	}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("installing the filter: %w", errno)
	}
	if thread != 0 { // TSYNC names the thread that could not follow
		return errors.New("installing the filter: not on all threads")
	}
	return nil
}
