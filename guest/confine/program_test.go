package confine

import (
	"encoding/binary"
	"maps"
	"testing"

	"golang.org/x/net/bpf"
)

// data is struct seccomp_data for the virtual machine of x/net/bpf, which
// loads words as networks order them; the kernel's filter loads native ones.
func data(arch, number uint32, args ...uint64) []byte {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b, number)
	binary.BigEndian.PutUint32(b[4:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(b[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(b[20+8*i:], uint32(a>>32))
	}
	return b
}

// TestProgram runs the filter in another machine than the kernel's, for what
// the kernel can't be asked: other architectures and odd upper halves. Numbers
// are of Linux include/uapi/linux: audit.h (arch), seccomp.h (answers), and
// arch/x86/entry/syscalls/syscall_64.tbl.
func TestProgram(t *testing.T) {
	const (
		amd64 = 0xc000003e
		i386  = 0x40000003
		arm64 = 0xc00000b7

		allowed = 0x7fff0000
		refused = 0x00050001 // errno 1, EPERM
		killed  = 0x80000000
	)
	tests := []struct {
		name     string
		role     Role
		compiles bool
		data     []byte
		want     int
	}{
		{"read", Worker, false, data(amd64, 0), allowed},
		{"read of i386's number", Worker, false, data(i386, 3), killed},
		{"read by another architecture", Worker, false, data(i386, 0), killed},
		{"read of arm64", Worker, false, data(arm64, 63), killed},
		{"read of x32", Worker, false, data(amd64, 0x40000000), killed},
		{"last number before x32", Worker, false, data(amd64, 0x3fffffff), refused},
		{"number -1", Worker, false, data(amd64, 0xffffffff), killed},
		{"mmap read write", Worker, false, data(amd64, 9, 0, 4096, 3), allowed},
		{"mmap exec", Worker, true, data(amd64, 9, 0, 4096, 4), refused},
		{"mmap exec and an unknown bit", Worker, true, data(amd64, 9, 0, 4096, 1<<32|4), refused},
		{"mprotect read exec", Worker, false, data(amd64, 10, 0, 4096, 5), refused},
		{"mprotect read exec, compiling", Worker, true, data(amd64, 10, 0, 4096, 5), allowed},
		{"mprotect read write exec, compiling", Worker, true, data(amd64, 10, 0, 4096, 7), refused},
		{"mprotect read exec and an unknown bit, compiling", Worker, true, data(amd64, 10, 0, 4096, 1<<32|5), refused},
		{"mprotect growsdown read exec, compiling", Worker, true, data(amd64, 10, 0, 4096, 0x01000005), refused},
		{"thread", Keeper, false, data(amd64, 56, 0xd0f00), allowed},
		{"thread with a signal at its end", Keeper, false, data(amd64, 56, 0xd0f11), killed},
		{"thread with an unknown flag", Keeper, false, data(amd64, 56, 1<<32|0xd0f00), killed},
		{"process", Keeper, false, data(amd64, 56, 17), killed},
		{"prlimit64 reading", API, false, data(amd64, 302, 0, 7, 0), allowed},
		{"prlimit64 setting, pointer with a low half of 0", API, false, data(amd64, 302, 0, 7, 1<<32), refused},
		{"fcntl F_GETFL", API, false, data(amd64, 72, 5, 3), allowed},
		{"fcntl F_SETOWN", API, false, data(amd64, 72, 5, 8), refused},
		{"accept4 of the API", API, false, data(amd64, 288), allowed},
		{"accept4 of the keeper", Keeper, false, data(amd64, 288), killed},
		{"mlock of the keeper", Keeper, false, data(amd64, 149), allowed},
		{"mlock of the worker", Worker, false, data(amd64, 149), refused},
		{"recvmsg of the worker", Worker, false, data(amd64, 47), refused},
		{"execve", API, false, data(amd64, 59), killed},
	}
	for _, tt := range tests {
		program := assemble(filter(tt.role, tt.compiles), deny)
		if len(program) > 4096 { // BPF_MAXINSNS
			t.Fatalf("%d instructions, want at most 4096", len(program))
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		// The machine gives the answer as an int, which is larger than 32 bits.
		got, err := vm.Run(tt.data)
		if err != nil || got != tt.want {
			t.Errorf("%s, %s: got %#x, %v, want %#x", tt.role, tt.name, got, err, tt.want)
		}
	}
}

// TestEachCallOnce: the first entry of a number decides, so a second would be
// a rule that nobody notices to be dead.
func TestEachCallOnce(t *testing.T) {
	for _, r := range roles() {
		seen := map[int]bool{}
		for _, c := range filter(r, r == Worker) {
			if seen[c.number] {
				t.Errorf("%s: system call %d is listed twice", r, c.number)
			}
			seen[c.number] = true
		}
	}
}

// TestLimits: specs/runtime.md A1 for the worker (no core, 8 files); numbers
// of resources as in Linux include/uapi/asm-generic/resource.h.
func TestLimits(t *testing.T) {
	const core, fsize, nproc, nofile, memlock, as, msgqueue = 4, 1, 6, 7, 8, 9, 12
	for role, want := range map[Role]map[int]uint64{
		Keeper: {core: 0, fsize: 0, nproc: 64, nofile: 32, memlock: 8388608, as: 8589934592, msgqueue: 0},
		API:    {core: 0, fsize: 0, nproc: 128, nofile: 128, memlock: 0, as: 8589934592, msgqueue: 0},
		Worker: {core: 0, fsize: 0, nproc: 64, nofile: 8, memlock: 0, as: 8589934592, msgqueue: 0},
	} {
		got := map[int]uint64{}
		for _, l := range limits(role) {
			got[l.resource] = l.value
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", role, got, want)
		}
	}
}
