package sandbox

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// memory is the linear memory of the program, outside the Go heap: all of the
// address space that it may grow to, reserved before the program is looked at,
// so that growing fails at the limit and nowhere else. The kernel gives what is
// touched; none of it gets into a core file; it is wiped before it is given
// back (specs/runtime.md A6, A8).
//
// It is the experimental.MemoryAllocator of one runtime with one module in it.
// WebAssembly 2.0 has one memory a module, so it is the LinearMemory too.
type memory struct {
	all  []byte
	now  []byte // what the program has of it, from its start
	used int    // the most that it has had
}

// newMemory reserves memory for a program that may have limit bytes.
func newMemory(limit int64) (*memory, error) {
	all, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes of linear memory: %w", limit, err)
	}
	if err := unix.Madvise(all, unix.MADV_DONTDUMP); err != nil {
		return nil, errors.Join(fmt.Errorf("keeping linear memory out of core files: %w", err), unix.Munmap(all))
	}
	return &memory{all: all, now: all[:0]}, nil
}

// Allocate implements experimental.MemoryAllocator.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory; nil means that there is no
// more.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	m.now = m.all[:size]
	m.used = max(m.used, len(m.now))
	return m.now
}

// Free implements experimental.LinearMemory. wazero calls it for a program that
// it could start, and not for one that failed on the way: close wipes as well.
func (m *memory) Free() {
	clear(m.all[:m.used])
	m.now = m.all[:0]
}

// close wipes the memory and gives it back.
func (m *memory) close() error {
	m.Free()
	if err := unix.Munmap(m.all); err != nil {
		return fmt.Errorf("giving back linear memory: %w", err)
	}
	m.all, m.now = nil, nil
	return nil
}

// bytes is a view of what the program has; nil if it has not all of that.
func (m *memory) bytes(pointer, length uint32) []byte {
	end := uint64(pointer) + uint64(length)
	if end > uint64(len(m.now)) {
		return nil
	}
	return m.now[pointer:end:end]
}
