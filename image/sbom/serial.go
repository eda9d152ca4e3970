package sbom

import (
	"crypto/sha1" // RFC 9562 defines version 5 by SHA-1; nothing rests on its strength
	"crypto/sha256"
	"fmt"
)

// namespace is the UUID below which bills are named, an arbitrary one of this
// project's own: 3f0a9e44-6d1b-4b7e-8a52-95c1d7e60b28.
func namespace() [16]byte {
	return [16]byte{0x3f, 0x0a, 0x9e, 0x44, 0x6d, 0x1b, 0x4b, 0x7e, 0x8a, 0x52, 0x95, 0xc1, 0xd7, 0xe6, 0x0b, 0x28}
}

// serialNumber names a bill by its content: a UUID of version 5 (RFC 9562, 5.5)
// of the SHA-256 of the bill without serial number, in the form of ECMA-424,
// serialNumber.
func serialNumber(bill []byte) string {
	sum := sha256.Sum256(bill)
	space := namespace()
	u := sha1.Sum(append(space[:], fmt.Sprintf("%x", sum)...))
	u[6] = u[6]&0x0f | 0x50 // version 5
	u[8] = u[8]&0x3f | 0x80 // variant
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
