package boot

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// awaitEntropy returns once the kernel's generator is seeded: without
// GRND_NONBLOCK, getrandom(2) blocks until then. The bytes are thrown away.
func (b *machine) awaitEntropy() (string, error) {
	var probe [32]byte
	n, err := unix.Getrandom(probe[:], 0)
	if err != nil {
		return "", fmt.Errorf("getrandom: %w", err)
	}
	if n != len(probe) {
		return "", fmt.Errorf("getrandom: %d bytes, want %d", n, len(probe))
	}
	return "generator seeded", nil
}
