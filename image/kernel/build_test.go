package kernel

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// maxRelease is what issue 6 allows the kernel to have, in bytes.
const maxBzImage = 5 << 20

// TestBuild builds the release kernel, or finds it in the user's cache, where
// it stays: it takes minutes once per change of what goes into it.
func TestBuild(t *testing.T) {
	l, r := pinned(t)
	k, err := Build(t.Context(), Options{Lock: l, Resolver: r, Progress: func(s Step) { t.Logf("%s %d/%d %s", s.Name, s.Done, s.Total, s.Note) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Image) > maxBzImage {
		t.Errorf("bzImage has %d bytes, want at most %d", len(k.Image), maxBzImage)
	}
	if want := "6.12.107-safebox"; k.Release != want {
		t.Errorf("release: got %q, want %q", k.Release, want)
	}
	if err := CheckConfig(k.Config); err != nil {
		t.Error(err)
	}
	// Our own output, as a detector of change: the policy names what must be on
	// or off, and nobody else sees what an update of Kconfig turns on besides.
	if d := cmp.Diff(strings.Split(resolved(t), "\n"), strings.Split(string(k.Config), "\n")); d != "" {
		t.Errorf("testdata/resolved.config and the kernel's configuration (-, +); look at each option, then replace the file:\n%s", d)
	}
	// boot.rst, "xloadflags": bit 0 says that a 64-bit entry point is there.
	if flags := binary.LittleEndian.Uint16(k.Image[0x236:]); flags&1 == 0 {
		t.Errorf("xloadflags: got %#x, want bit 0 set", flags)
	}
	again, err := Build(t.Context(), Options{Lock: l, Resolver: r})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Cached || string(again.Image) != string(k.Image) || string(again.Config) != string(k.Config) {
		t.Errorf("second build: cached %v, or other bytes", again.Cached)
	}
}
