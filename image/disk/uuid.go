package disk

import (
	"crypto/sha1" // RFC 9562 defines version 5 by SHA-1; nothing rests on its strength
	"encoding/binary"
)

// namespace is the UUID below which all of ours are named, an arbitrary one of
// this project's own: 7d1b4a62-54c0-4c2e-9d37-0f8e6a1c93b5.
func namespace() [16]byte {
	return [16]byte{0x7d, 0x1b, 0x4a, 0x62, 0x54, 0xc0, 0x4c, 0x2e, 0x9d, 0x37, 0x0f, 0x8e, 0x6a, 0x1c, 0x93, 0xb5}
}

// UUID is that of one thing of an image: version 5 of name, below version 5 of
// seed. The names disk, esp and volume are taken; others are for the file that
// holds the disk.
func UUID(seed, name string) [16]byte {
	return uuid5(uuid5(namespace(), seed), name)
}

// volumeID is the serial number of the file system.
func volumeID(seed string) uint32 {
	u := UUID(seed, "volume")
	return binary.BigEndian.Uint32(u[:])
}

// uuid5 is RFC 9562, section 5.5.
func uuid5(space [16]byte, name string) [16]byte {
	sum := sha1.Sum(append(space[:], name...))
	u := [16]byte(sum[:16])
	u[6] = u[6]&0x0f | 0x50 // version 5
	u[8] = u[8]&0x3f | 0x80 // variant
	return u
}
