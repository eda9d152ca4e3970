package bzimage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Values of QEMU 10.0, hw/i386/x86-common.c, x86_load_linux: where it puts a
// kernel that is loaded high and knows protocol 2.02.
const (
	realModeAddress    = 0x10000
	commandLineAddress = 0x20000
	loaderTypeQEMU     = 0xb0
	heapEnd            = commandLineAddress - realModeAddress - 0x200
	oldInitrdMax       = 0x37ffffff // of protocols before 2.03
	pageMask           = 4095

	// acpiDataSize is what a PC keeps free at the end of low memory
	// (hw/i386/pc.c, acpi_data_size): 0x20000 and 0x8000.
	acpiDataSize = 0x28000
)

// Memory below 4 GiB of a q35 machine (QEMU, hw/i386/pc_q35.c).
const (
	q35LowLimit = 0xb0000000
	q35LowBig   = 0x80000000 // when there is more than fits below the limit
)

// Patch is what QEMU's -kernel writes into the setup header. QEMU before 10.1
// does so for TDX guests too; later ones leave the file alone for every
// confidential guest.
type Patch struct {
	CommandLine string // of -append
	Initrd      bool   // -initrd was given
	InitrdSize  uint64 // in bytes
	Memory      uint64 // of a q35 machine, in bytes

	// WideHeapEnd and KeepVideoMode are slips of other tools, for explaining
	// their values: heap_end_ptr written with 32 bits, over the two fields
	// behind it, and vid_mode left alone when the command line has vga=.
	WideHeapEnd   bool
	KeepVideoMode bool
}

// Apply returns a copy of the kernel with the header as QEMU hands it out.
func (p Patch) Apply(kernel []byte) ([]byte, error) {
	h, err := Decode(kernel)
	if err != nil {
		return nil, err
	}
	if h.LoadFlags&LoadedHigh == 0 {
		return nil, errors.New("patching kernel setup header: loadflags: the kernel is loaded low, which QEMU patches in another way")
	}
	out := bytes.Clone(kernel)
	le := binary.LittleEndian
	le.PutUint32(out[0x228:], commandLineAddress)
	if !p.KeepVideoMode {
		if err := p.putVideoMode(out); err != nil {
			return nil, fmt.Errorf("patching kernel setup header: %w", err)
		}
	}
	out[0x210] = loaderTypeQEMU
	out[0x211] |= CanUseHeap
	if p.WideHeapEnd {
		le.PutUint32(out[0x224:], heapEnd)
	} else {
		le.PutUint16(out[0x224:], heapEnd)
	}
	if !p.Initrd {
		return out, nil
	}
	address, err := p.initrdAddress(h)
	if err != nil {
		return nil, fmt.Errorf("patching kernel setup header: %w", err)
	}
	le.PutUint32(out[0x218:], address)
	le.PutUint32(out[0x21c:], uint32(p.InitrdSize))
	return out, nil
}

// initrdAddress is the highest page that holds the initrd below all limits.
func (p Patch) initrdAddress(h *Header) (uint32, error) {
	limit := uint64(oldInitrdMax)
	switch {
	case h.Protocol >= 0x020c && h.XLoadFlags&LoadAbove4G != 0:
		limit = 0xffffffff
	case h.Protocol >= 0x0203:
		limit = uint64(h.InitrdMax)
	}
	low := below4G(p.Memory)
	if low <= acpiDataSize {
		return 0, fmt.Errorf("memory: got %d bytes, want more than %d", p.Memory, acpiDataSize)
	}
	if limit >= low-acpiDataSize {
		limit = low - acpiDataSize - 1
	}
	if p.InitrdSize >= limit {
		return 0, fmt.Errorf("initrd: got %d bytes, want less than %d", p.InitrdSize, limit)
	}
	return uint32((limit - p.InitrdSize) &^ pageMask), nil
}

func below4G(memory uint64) uint64 {
	if memory >= q35LowLimit {
		return q35LowBig
	}
	return memory
}

// putVideoMode carries out the first vga= of the command line, wherever it
// stands in a word, as QEMU does.
func (p Patch) putVideoMode(out []byte) error {
	_, text, ok := strings.Cut(p.CommandLine, "vga=")
	if !ok {
		return nil
	}
	var mode uint64
	switch {
	case strings.HasPrefix(text, "normal"):
		mode = 0xffff
	case strings.HasPrefix(text, "ext"):
		mode = 0xfffe
	case strings.HasPrefix(text, "ask"):
		mode = 0xfffd
	default:
		var err error
		word, _, _ := strings.Cut(text, " ")
		if mode, err = parseMode(word); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint16(out[0x1fa:], uint16(mode))
	return nil
}

// parseMode reads a number as C's strtoul with base 0 does: decimal, 0x.. or
// 0.. for octal.
func parseMode(word string) (uint64, error) {
	base, digits := 10, word
	switch {
	case strings.HasPrefix(word, "0x"), strings.HasPrefix(word, "0X"):
		base, digits = 16, word[2:]
	case len(word) > 1 && word[0] == '0':
		base, digits = 8, word[1:]
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("command line: vga=%q: want normal, ext, ask or a number", word)
	}
	return n, nil
}
