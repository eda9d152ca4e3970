package tdx

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"safebox/measure/eventlog"
)

// dstackEvent is the type of events that dstack extends RTMR3 with (dstack 312dc605,
// cc-eventlog).
const dstackEvent eventlog.Type = 0x08000001

// DstackEvent is a runtime event of dstack, version 1 (specs/measure.md 5.8): the
// hash of the type as a little-endian u32, the name and the payload, with colons
// between them.
func DstackEvent(name string, payload []byte) Event {
	b := binary.LittleEndian.AppendUint32(nil, uint32(dstackEvent))
	b = append(fmt.Appendf(b, ":%s:", name), payload...)
	return Event{dstackEvent, fmt.Sprintf("dstack event %q", name), sha512.Sum384(b), FromFile}
}
