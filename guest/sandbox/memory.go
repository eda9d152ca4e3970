package sandbox

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// memory allocates the linear memory of a program outside the Go heap: all of
// the address space that it may grow to at once, of which the kernel gives what
// is touched; never in a core file; wiped before it is given back
// (specs/runtime.md A8).
type memory struct {
	peak int64
	errs []error
}

func (m *memory) failure() error { return errors.Join(m.errs...) }

// Allocate implements experimental.MemoryAllocator.
func (m *memory) Allocate(_, most uint64) experimental.LinearMemory {
	l := &linear{memory: m}
	if most == 0 {
		return l
	}
	b, err := unix.Mmap(-1, 0, int(most), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		m.errs = append(m.errs, fmt.Errorf("mapping %d bytes of linear memory: %w", most, err))
		return l
	}
	if err := unix.Madvise(b, unix.MADV_DONTDUMP); err != nil {
		m.errs = append(m.errs, fmt.Errorf("keeping linear memory out of core files: %w", err))
	}
	l.all = b
	return l
}

// linear is one linear memory.
type linear struct {
	memory *memory
	all    []byte
	used   int
}

// Reallocate implements experimental.LinearMemory; nil means that there is no
// more.
func (l *linear) Reallocate(size uint64) []byte {
	if size > uint64(len(l.all)) {
		return nil
	}
	l.used = max(l.used, int(size))
	l.memory.peak = max(l.memory.peak, int64(size))
	return l.all[:size]
}

// Free implements experimental.LinearMemory.
func (l *linear) Free() {
	if l.all == nil {
		return
	}
	clear(l.all[:l.used])
	if err := unix.Munmap(l.all); err != nil {
		l.memory.errs = append(l.memory.errs, fmt.Errorf("giving back linear memory: %w", err))
	}
	l.all = nil
}
