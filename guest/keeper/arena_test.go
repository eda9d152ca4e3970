package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"safebox/guest/wire"
	verifierobject "safebox/verifier/object"
)

// TestRegion: the kernel says what it does with the memory (Linux
// Documentation/filesystems/proc.rst, VmFlags: lo locked, dd not in dumps, wf
// wiped on fork).
func TestRegion(t *testing.T) {
	r, err := newRegion(100_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.bytes) != 102400 { // 25 pages of 4 KiB
		t.Errorf("%d bytes, want 102400", len(r.bytes))
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	start := uintptr(unsafe.Pointer(&r.bytes[0]))
	_, entry, found := strings.Cut(string(maps), fmt.Sprintf("\n%x-%x rw-p ", start, start+102400))
	if !found {
		t.Fatal("no mapping of that size, readable and writable")
	}
	_, flags, _ := strings.Cut(entry, "VmFlags:")
	flags, _, _ = strings.Cut(flags, "\n")
	for _, want := range []string{" lo ", " dd ", " wf "} {
		if !strings.Contains(flags+" ", want) {
			t.Errorf("flags%s: want%s", flags, want)
		}
	}
	for _, guard := range []uintptr{start - 4096, start + 102400} {
		if !strings.Contains(string(maps), fmt.Sprintf("\n%x-%x ---p ", guard, guard+4096)) {
			t.Errorf("no guard page at %x", guard)
		}
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestArena(t *testing.T) {
	a, err := newArena(3)
	if err != nil {
		t.Fatal(err)
	}
	var all []slot
	for range 3 {
		s, err := a.random()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if _, err := a.random(); !errors.Is(err, errArenaFull) {
		t.Errorf("a fourth: got %v, want %v", err, errArenaFull)
	}
	if bytes.Equal(all[0].bytes(), all[1].bytes()) {
		t.Error("two secrets are the same")
	}
	all[1].wipe()
	if got := a.region.bytes[32:64]; !bytes.Equal(got, make([]byte, 32)) {
		t.Errorf("wiped slot holds %x", got)
	}
	s, err := a.alloc()
	if err != nil || s.index != 1 || !bytes.Equal(s.bytes(), make([]byte, 32)) {
		t.Errorf("got slot %d holding %x, %v, want slot 1, empty", s.index, s.bytes(), err)
	}
	if err := a.region.close(); err != nil {
		t.Error(err)
	}
}

// TestFetcher: a shard longer than asked for is none, and nothing is asked for
// a job that is over.
func TestFetcher(t *testing.T) {
	g, _ := bootFake(t, &shards{all: map[[32]byte][]byte{{1}: make([]byte, 100)}})
	f := g.options.Shards
	if b, err := f.Fetch(context.Background(), [32]byte{1}, 100); err != nil || len(b) != 100 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
	if _, err := f.Fetch(context.Background(), [32]byte{1}, 99); err == nil {
		t.Error("a shard of 100 bytes accepted for 99")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.shards.fetch = func([32]byte) { t.Error("asked") }
	if _, err := f.Fetch(ctx, [32]byte{1}, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if wire.MaxReplyFetch != 1+1<<20 {
		t.Errorf("replies of %d bytes", wire.MaxReplyFetch)
	}
}

// TestWipeTwice: the second wipe of a grant's nodes is not that of whoever got
// their slots, and there is no key afterwards, least of all one of zeros.
func TestWipeTwice(t *testing.T) {
	a, err := newArena(1)
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{arena: a}
	kept, err := k.newKeys([32]byte{1}, []verifierobject.Node{{Key: [32]byte{2}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := kept.Chunk(0); err != nil {
		t.Fatal(err)
	}
	kept.wipe()
	next, err := a.random()
	if err != nil {
		t.Fatal(err)
	}
	kept.wipe()
	if bytes.Equal(next.bytes(), make([]byte, slotSize)) {
		t.Error("somebody else's secret was wiped")
	}
	if key, _, _, err := kept.Chunk(0); err == nil {
		t.Errorf("a key after wipe: %x", key)
	}
	if err := a.region.close(); err != nil {
		t.Error(err)
	}
}
