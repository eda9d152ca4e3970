package eventlog

import (
	"bytes"
	"encoding/binary"
)

// Encode is the inverse of Decode. It does not check what it writes: an author
// of tests wants to encode logs that Decode refuses.
func (l *Log) Encode() []byte { return encode(0, &l.Header, l.Events) }

// Encode is the inverse of DecodeCCEL, unchecked as Log.Encode.
func (l *CCLog) Encode() []byte {
	b := encode(l.HeaderRegister, &l.Header, l.Events)
	return append(b, bytes.Repeat([]byte{l.Filler}, l.Filling)...)
}

func encode(register uint32, h *Header, events []Event) []byte {
	spec := h.encode()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, register)
	b = le.AppendUint32(b, uint32(NoAction))
	b = append(b, make([]byte, legacyDigestSize)...)
	b = le.AppendUint32(b, uint32(len(spec)))
	b = append(b, spec...)
	for i := range events {
		b = events[i].append(b)
	}
	return b
}

func (h *Header) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, specIDFixedSize+4*len(h.Algorithms)+1+len(h.VendorInfo))
	b = append(b, signature...)
	b = le.AppendUint32(b, h.PlatformClass)
	b = append(b, h.VersionMinor, h.VersionMajor, h.Errata, h.UintnSize)
	b = le.AppendUint32(b, uint32(len(h.Algorithms)))
	for _, a := range h.Algorithms {
		b = le.AppendUint16(b, uint16(a.Algorithm))
		b = le.AppendUint16(b, a.Size)
	}
	b = append(b, byte(len(h.VendorInfo)))
	return append(b, h.VendorInfo...)
}

func (e *Event) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, e.PCR)
	b = le.AppendUint32(b, uint32(e.Type))
	b = le.AppendUint32(b, uint32(len(e.Digests)))
	for _, d := range e.Digests {
		b = le.AppendUint16(b, uint16(d.Algorithm))
		b = append(b, d.Value...)
	}
	b = le.AppendUint32(b, uint32(len(e.Data)))
	return append(b, e.Data...)
}
