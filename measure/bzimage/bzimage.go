// Package bzimage reads the setup header of a Linux kernel for x86 and applies
// to a copy what QEMU's -kernel writes into it, because a firmware that loads
// the kernel from QEMU measures the bytes that QEMU hands out and not those of
// the file.
//
// It implements:
//   - The Linux/x86 Boot Protocol (Documentation/arch/x86/boot.rst of Linux
//     6.12), protocol versions 2.02 to 2.15.
//   - QEMU 10.0's x86_load_linux (hw/i386/x86-common.c), the part that changes
//     the header.
package bzimage

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Offsets and constants of boot.rst, "The Real-Mode Kernel Header".
const (
	headerOffset = 0x1f1      // setup_sects, the first field
	headerEnd    = 0x26c      // behind kernel_info_offset, the last field of 2.15
	jumpEnd      = 0x202      // the jump's operand counts from here
	bootFlag     = 0xaa55     // boot_flag
	magic        = 0x53726448 // header: "HdrS"
	shortJump    = 0xeb       // opcode of the jump over the header

	sector            = 512
	defaultSetupSects = 4 // "if the setup_sects field contains 0, the real value is 4"
	paragraph         = 16

	minProtocol Protocol = 0x0202 // before it the command line lay elsewhere
	maxProtocol Protocol = 0x020f
	maxVersion           = 512 // bound of the version text, ours
)

// Bits of loadflags and xloadflags (boot.rst, "Details of Header Fields").
const (
	LoadedHigh     = 1 << 0 // loadflags: protected-mode code goes to 0x100000
	CanUseHeap     = 1 << 7 // loadflags: heap_end_ptr is valid
	Kernel64       = 1 << 0 // xloadflags: XLF_KERNEL_64, entry point at 0x200
	LoadAbove4G    = 1 << 1 // xloadflags: XLF_CAN_BE_LOADED_ABOVE_4G
	EFIHandover32  = 1 << 2 // xloadflags: XLF_EFI_HANDOVER_32
	EFIHandover64  = 1 << 3 // xloadflags: XLF_EFI_HANDOVER_64
	EFIKexec       = 1 << 4 // xloadflags: XLF_EFI_KEXEC
	FiveLevel      = 1 << 5 // xloadflags: XLF_5LEVEL
	FiveLevelInUse = 1 << 6 // xloadflags: XLF_5LEVEL_ENABLED
)

// Protocol is the version of the boot protocol, as (major << 8) + minor.
type Protocol uint16

// String returns the version as boot.rst writes it, such as "2.15".
func (p Protocol) String() string { return fmt.Sprintf("%d.%02d", uint16(p)>>8, uint16(p)&0xff) }

// Header is the setup header row for row (boot.rst, "The Real-Mode Kernel
// Header"). Fields behind the last one of Protocol are zero.
type Header struct {
	SetupSects          uint8  // 0x1f1
	RootFlags           uint16 // 0x1f2
	SysSize             uint32 // 0x1f4
	RAMSize             uint16 // 0x1f8
	VideoMode           uint16 // 0x1fa
	RootDevice          uint16 // 0x1fc
	BootFlag            uint16 // 0x1fe
	Jump                uint16 // 0x200
	Magic               uint32 // 0x202
	Protocol            Protocol
	RealModeSwitch      uint32 // 0x208
	StartSysSeg         uint16 // 0x20c
	KernelVersion       uint16 // 0x20e
	LoaderType          uint8  // 0x210
	LoadFlags           uint8  // 0x211
	SetupMoveSize       uint16 // 0x212
	Code32Start         uint32 // 0x214
	RamdiskImage        uint32 // 0x218
	RamdiskSize         uint32 // 0x21c
	BootsectKludge      uint32 // 0x220
	HeapEnd             uint16 // 0x224
	ExtLoaderVersion    uint8  // 0x226
	ExtLoaderType       uint8  // 0x227
	CommandLine         uint32 // 0x228
	InitrdMax           uint32 // 0x22c, since 2.03
	KernelAlignment     uint32 // 0x230, since 2.05
	Relocatable         uint8  // 0x234, since 2.05
	MinAlignment        uint8  // 0x235, since 2.10
	XLoadFlags          uint16 // 0x236, since 2.12
	CommandLineSize     uint32 // 0x238, since 2.06
	HardwareSubarch     uint32 // 0x23c, since 2.07
	HardwareSubarchData uint64 // 0x240, since 2.07
	PayloadOffset       uint32 // 0x248, since 2.08
	PayloadLength       uint32 // 0x24c, since 2.08
	SetupData           uint64 // 0x250, since 2.09
	PreferredAddress    uint64 // 0x258, since 2.10
	InitSize            uint32 // 0x260, since 2.10
	HandoverOffset      uint32 // 0x264, since 2.11
	KernelInfoOffset    uint32 // 0x268, since 2.15
}

// end returns the offset behind the last field of a version.
func (p Protocol) end() int {
	for _, v := range []struct {
		since Protocol
		end   int
	}{
		{0x020f, 0x26c},
		{0x020b, 0x268},
		{0x020a, 0x264},
		{0x0209, 0x258},
		{0x0208, 0x250},
		{0x0207, 0x248},
		{0x0206, 0x23c},
		{0x0205, 0x238},
		{0x0203, 0x230},
	} {
		if p >= v.since {
			return v.end
		}
	}
	return 0x22c
}

// Decode reads the header of the kernel whose first bytes are b: at least its
// setup code, SetupSize bytes.
func Decode(b []byte) (*Header, error) {
	if len(b) < headerEnd {
		return nil, fmt.Errorf("parsing kernel setup header: length: got %d, want at least %d", len(b), headerEnd)
	}
	le := binary.LittleEndian
	h := &Header{BootFlag: le.Uint16(b[0x1fe:]), Jump: le.Uint16(b[0x200:]), Magic: le.Uint32(b[jumpEnd:])}
	if h.BootFlag != bootFlag || h.Magic != magic {
		return nil, fmt.Errorf("parsing kernel setup header at 0x1fe: boot flag and magic: got %#x and %#x, want %#x and %#x",
			h.BootFlag, h.Magic, bootFlag, magic)
	}
	if p := Protocol(le.Uint16(b[0x206:])); p < minProtocol || p > maxProtocol {
		return nil, fmt.Errorf("parsing kernel setup header at 0x206: protocol: got %v, want %v to %v", p, minProtocol, maxProtocol)
	}
	end := jumpEnd + int(h.Jump>>8)
	if want := Protocol(le.Uint16(b[0x206:])).end(); h.Jump&0xff != shortJump || end < want || end > len(b) {
		return nil, fmt.Errorf("parsing kernel setup header at 0x200: jump: got %#04x to %#x, want a short one over the header to at least %#x",
			h.Jump, end, want)
	}
	fields := make([]byte, headerEnd-headerOffset)
	copy(fields, b[headerOffset:Protocol(le.Uint16(b[0x206:])).end()])
	if _, err := binary.Decode(fields, le, h); err != nil {
		return nil, fmt.Errorf("parsing kernel setup header: %w", err)
	}
	if h.SetupSize() > len(b) {
		return nil, fmt.Errorf("parsing kernel setup header: setup code: got %d bytes, want %d", len(b), h.SetupSize())
	}
	return h, nil
}

// Encode returns the header's bytes, from file offset 0x1f1 to the end of the
// fields that its protocol version has.
func (h *Header) Encode() ([]byte, error) {
	b, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		return nil, fmt.Errorf("encoding kernel setup header: %w", err)
	}
	return b[:h.Protocol.end()-headerOffset], nil
}

// SetupSize is the length of the boot sector and the setup code, which is
// where the protected-mode code begins in the file.
func (h *Header) SetupSize() int {
	n := int(h.SetupSects)
	if n == 0 {
		n = defaultSetupSects
	}
	return (n + 1) * sector
}

// KernelSize is the length of the protected-mode code in bytes. A signed
// kernel's file is longer than both parts: the signature follows.
func (h *Header) KernelSize() uint64 { return uint64(h.SysSize) * paragraph }

// Version returns the kernel's version text, such as "6.12.107 (builder) #1",
// from b, the bytes that h was decoded from; "" when the kernel has none.
func (h *Header) Version(b []byte) (string, error) {
	if h.KernelVersion == 0 {
		return "", nil
	}
	off := int(h.KernelVersion) + sector
	if off >= h.SetupSize() || off >= len(b) {
		return "", fmt.Errorf("parsing kernel version: offset: got %#x, want it in the setup code of %#x bytes", off, h.SetupSize())
	}
	text, _, ok := bytes.Cut(b[off:min(len(b), h.SetupSize(), off+maxVersion)], []byte{0})
	if !ok {
		return "", fmt.Errorf("parsing kernel version at %#x: got no NUL within %d bytes, want one", off, maxVersion)
	}
	for i, c := range text {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("parsing kernel version at %#x: got byte %#02x, want printable ASCII", off+i, c)
		}
	}
	return string(text), nil
}
