package cli

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a large page on x86-64 (and of the usual one on
// arm64).
const hugePage = 2 << 20

// newBuffer makes an empty buffer for size bytes, if it can in large pages:
// under a hypervisor the first touch of a page costs as much as hashing it, and
// a firmware image has a thousand small ones.
func newBuffer(size int) []byte {
	if size < hugePage {
		return make([]byte, 0, size)
	}
	b := make([]byte, size+hugePage)
	if rest := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage); rest != 0 {
		b = b[hugePage-rest:]
	}
	if err := unix.Madvise(b[:size], unix.MADV_HUGEPAGE); err != nil {
		return b[:0:size] // in small pages then
	}
	return b[:0:size]
}
