package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Fields of the setup header: boot.rst, table of "The Real-Mode Kernel Header".
const (
	offSetupSects    = 0x1f1 // u8, size of the setup code in sectors
	offBootFlag      = 0x1fe // u16
	offHeader        = 0x202 // "HdrS"
	offVersion       = 0x206 // u16, boot protocol version
	offKernelVersion = 0x20e // u16, pointer to the version string, less 0x200
	headerEnd        = 0x210

	bootFlag   = 0xaa55
	headerText = "HdrS"
	minVersion = 0x0200
	sectorSize = 512

	// defaultSetupSects is what 0 stands for: boot.rst, "setup_sects".
	defaultSetupSects = 4
)

// maxVersionText bounds the version string: twice the longest that the build
// allows (UTS_RELEASE, user, host and UTS_VERSION are at most 64 bytes each).
const maxVersionText = 512

// maxRelease is __NEW_UTS_LEN of include/uapi/linux/utsname.h.
const maxRelease = 64

// Release returns the kernel release, what `uname -r` prints, of a bzImage. It
// goes into section .uname of a UKI and is what modules must have been built
// for.
func Release(bzImage []byte) (string, error) {
	release, err := release(bzImage)
	if err != nil {
		return "", fmt.Errorf("parsing bzImage: %w", err)
	}
	return release, nil
}

func release(b []byte) (string, error) {
	if len(b) < headerEnd {
		return "", fmt.Errorf("setup header: got %d bytes, want 0x%x", len(b), headerEnd)
	}
	if got := binary.LittleEndian.Uint16(b[offBootFlag:]); got != bootFlag {
		return "", fmt.Errorf("at 0x%x: boot_flag: got 0x%04x, want 0x%04x", offBootFlag, got, bootFlag)
	}
	if got := b[offHeader : offHeader+len(headerText)]; string(got) != headerText {
		return "", fmt.Errorf("at 0x%x: header: got %q, want %q", offHeader, got, headerText)
	}
	if got := binary.LittleEndian.Uint16(b[offVersion:]); got < minVersion {
		return "", fmt.Errorf("at 0x%x: version: got 0x%04x, want 0x%04x or later", offVersion, got, minVersion)
	}
	sectors := int(b[offSetupSects])
	if sectors == 0 {
		sectors = defaultSetupSects
	}
	// The boot sector comes before the setup code.
	setup := min((sectors+1)*sectorSize, len(b))
	start := int(binary.LittleEndian.Uint16(b[offKernelVersion:])) + 0x200
	if start < headerEnd || start >= setup {
		return "", fmt.Errorf("at 0x%x: kernel_version: got 0x%x, want 0x%x to 0x%x", offKernelVersion, start, headerEnd, setup)
	}
	return firstWord(b[start:min(setup, start+maxVersionText)], start)
}

// firstWord takes the release from "6.12.107 (user@host) #1 SMP ...".
func firstWord(text []byte, at int) (string, error) {
	text, _, ok := bytes.Cut(text, []byte{0})
	if !ok {
		return "", fmt.Errorf("version string at 0x%x: got no NUL within %d bytes, want one", at, len(text))
	}
	word, _, _ := bytes.Cut(text, []byte{' '})
	if len(word) == 0 || len(word) > maxRelease {
		return "", fmt.Errorf("version string at 0x%x: release: got %d bytes, want 1 to %d", at, len(word), maxRelease)
	}
	for _, c := range word {
		if c <= ' ' || c > '~' || c == '/' { // it names a folder: /usr/lib/modules/RELEASE
			return "", fmt.Errorf("version string at 0x%x: release: got %q, want visible ASCII without a slash", at, word)
		}
	}
	return string(word), nil
}
