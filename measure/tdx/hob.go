package tdx

import (
	"encoding/binary"
	"fmt"

	"safebox/measure/tdx/tdvf"
)

// Header of a HOB (UEFI PI 1.8, Volume 3, 5.2, EFI_HOB_GENERIC_HEADER): u16 type,
// u16 length with the header, u32 reserved.
const (
	hobHeaderSize = 8
	hobAlign      = 8
	hobHandoff    = 1
	hobEnd        = 0xffff
)

// hob returns the TD HOB, nil if it is not known.
func (in *Input) hob() ([]byte, error) {
	if in.HOB != nil || in.Firmware == nil || in.Memory == 0 {
		return in.HOB, nil
	}
	return tdvf.TDHOB(in.Firmware, in.Memory)
}

// checkHOB refuses a list that was cut or, as it lies in memory, still has its
// end: RTMR0 gets the bytes before that.
func checkHOB(b []byte) error {
	for at := 0; at < len(b) || at == 0; {
		if len(b)-at < hobHeaderSize {
			return fmt.Errorf("TD HOB at %#x: got %d bytes, want a header of %d", at, len(b)-at, hobHeaderSize)
		}
		typ, size := binary.LittleEndian.Uint16(b[at:]), int(binary.LittleEndian.Uint16(b[at+2:]))
		switch {
		case at == 0 && typ != hobHandoff:
			return fmt.Errorf("TD HOB at 0x0: type: got %d, want %d (EFI_HOB_TYPE_HANDOFF)", typ, hobHandoff)
		case typ == hobEnd:
			return fmt.Errorf("TD HOB at %#x: got the end of the list, want the bytes before it", at)
		case size < hobHeaderSize || size%hobAlign != 0 || size > len(b)-at:
			return fmt.Errorf("TD HOB at %#x: length: got %d, want a multiple of %d from %d to %d", at, size, hobAlign, hobHeaderSize, len(b)-at)
		}
		at += size
	}
	return nil
}
