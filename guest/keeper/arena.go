package keeper

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// slotSize is the size of every secret here: a KEM seed, a node of the key
// tree, an Ed25519 seed.
const slotSize = 32

// region is memory that the Go heap knows nothing of (specs/runtime.md A8):
// the garbage collector neither copies it nor leaves it behind. It is locked
// (never swapped), in no core dump, empty in a forked child, and between two
// pages that nobody may touch.
type region struct {
	whole []byte // with the guard pages
	bytes []byte
}

func newRegion(size int) (*region, error) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	whole, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	r := &region{whole: whole, bytes: whole[page : page+size : page+size]}
	if err := r.protect(); err != nil {
		return nil, errors.Join(err, unix.Munmap(whole))
	}
	return r, nil
}

func (r *region) protect() error {
	if err := unix.Mprotect(r.bytes, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return os.NewSyscallError("mprotect", err)
	}
	for _, advice := range []int{unix.MADV_DONTDUMP, unix.MADV_WIPEONFORK} {
		if err := unix.Madvise(r.bytes, advice); err != nil {
			return os.NewSyscallError("madvise", err)
		}
	}
	return os.NewSyscallError("mlock", unix.Mlock(r.bytes))
}

// close wipes the memory and gives it back.
func (r *region) close() error {
	clear(r.bytes)
	return os.NewSyscallError("munmap", unix.Munmap(r.whole))
}

// arena hands out secrets of 32 bytes in a region. What is free is zero.
type arena struct {
	region *region

	mu   sync.Mutex
	used []bool
}

func newArena(slots int) (*arena, error) {
	r, err := newRegion(slots * slotSize)
	if err != nil {
		return nil, fmt.Errorf("making arena: %w", err)
	}
	return &arena{region: r, used: make([]bool, slots)}, nil
}

// errArenaFull can't happen while the tables that take secrets are bounded as
// they are; were it to happen, a request fails and nothing else.
var errArenaFull = errors.New("no room for another secret")

// slot is a secret in an arena.
type slot struct {
	arena *arena
	index int
}

// alloc gives an empty slot.
func (a *arena) alloc() (slot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, used := range a.used {
		if !used {
			a.used[i] = true
			return slot{a, i}, nil
		}
	}
	return slot{}, errArenaFull
}

// random gives a slot with 32 random bytes, which are never anywhere else.
func (a *arena) random() (slot, error) {
	s, err := a.alloc()
	if err != nil {
		return slot{}, err
	}
	if _, err := rand.Read(s.bytes()); err != nil {
		s.wipe()
		return slot{}, err
	}
	return s, nil
}

// bytes is the secret itself, not a copy. It is valid until wipe.
func (s slot) bytes() []byte {
	return s.arena.region.bytes[s.index*slotSize:][:slotSize:slotSize]
}

// wipe zeroes the slot and gives it back.
func (s slot) wipe() {
	s.arena.mu.Lock()
	defer s.arena.mu.Unlock()
	clear(s.bytes())
	s.arena.used[s.index] = false
}
