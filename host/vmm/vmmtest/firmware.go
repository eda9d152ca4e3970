// Package vmmtest makes guests for tests of the host: a firmware of a few
// instructions that takes the place of OVMF, speaks on the console and then
// hangs or ends. A real machine boots it in a tenth of a second.
package vmmtest

import (
	"bytes"
	"encoding/binary"
)

// End is what the guest does after its last line.
type End int

// The ends.
const (
	Hang  End = iota // stays, and never says another word
	Reset            // resets the machine, which ends it under -no-reboot
)

// Size of a firmware image in bytes: a real-mode code segment.
const Size = 64 << 10

// Firmware is a firmware image that writes text to the first serial port.
// Text must fit into the segment with the code and hold no NUL.
func Firmware(text string, end End) []byte {
	const (
		start   = 0x0000 // of the code, in the segment
		textOff = 0x0100
		reset   = Size - 16 // where a processor starts, Intel SDM volume 3, section 10.1.4
	)
	if len(text) > reset-textOff-1 || bytes.IndexByte([]byte(text), 0) >= 0 {
		panic("vmmtest: text too long or with a NUL")
	}
	code := []byte{0xbe, 0, 0} // mov si, textOff
	binary.LittleEndian.PutUint16(code[1:], textOff)
	code = append(code,
		// next: the code segment's base is the image itself, wherever data
		// segments point.
		0x2e, 0xac, // cs lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x11, // jz end
		0x88, 0xc4, // mov ah, al
		0xba, 0xfd, 0x03, // mov dx, 0x3fd (line status register)
		// busy:
		0xec,       // in al, dx
		0xa8, 0x20, // test al, 0x20 (transmitter holding register empty)
		0x74, 0xfb, // jz busy
		0xb2, 0xf8, // mov dl, 0xf8 (0x3f8, transmitter)
		0x88, 0xe0, // mov al, ah
		0xee,       // out dx, al
		0xeb, 0xe9, // jmp next
	)
	// end:
	if end == Reset {
		code = append(code,
			0xba, 0xf9, 0x0c, // mov dx, 0xcf9 (reset control register of the board)
			0xb0, 0x06, // mov al, 6 (full reset)
			0xee, // out dx, al
		)
	}
	code = append(code, 0xfa, 0xf4, 0xeb, 0xfd) // cli; halt: hlt; jmp halt
	b := make([]byte, Size)
	copy(b[start:], code)
	copy(b[textOff:], text)
	jump := []byte{0xe9, 0, 0} // jmp start, relative to the next instruction
	binary.LittleEndian.PutUint16(jump[1:], uint16(0x10000+start-(reset+len(jump))))
	copy(b[reset:], jump)
	return b
}

// Vars is a store of variables of a size that QEMU accepts; the firmware above
// never looks at it.
func Vars() []byte { return bytes.Repeat([]byte{0xff}, Size) }
