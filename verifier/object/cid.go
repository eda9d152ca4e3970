package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
)

// cidPrefix begins every identifier here, as bytes (Multiformats: CID version
// 1; codec json 0x0200 and hash sha2-256 0x12 of the multicodec table, both as
// unsigned varints; length of the hash).
func cidPrefix() []byte { return []byte{0x01, 0x80, 0x04, 0x12, 0x20} }

// cidEncoding is multibase "b": RFC 4648 base32, lower case, no padding.
func cidEncoding() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

// CID is the identifier (rootCid) of the object with these manifest bytes.
func CID(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return "b" + cidEncoding().EncodeToString(append(cidPrefix(), sum[:]...))
}

// ParseCID reads an identifier and gives the SHA-256 in it. One object has one
// identifier, so every other way to write it is refused.
func ParseCID(s string) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	if want := len(CID(nil)); len(s) != want || s[0] != 'b' {
		return sum, fmt.Errorf("parsing object identifier: got %.80q, want %q and %d characters of base32", s, "b", want-1)
	}
	b, err := cidEncoding().DecodeString(s[1:])
	if err != nil {
		return sum, fmt.Errorf("parsing object identifier %q: %w", s, err)
	}
	prefix := cidPrefix()
	if !bytes.HasPrefix(b, prefix) || len(b) != len(prefix)+len(sum) || "b"+cidEncoding().EncodeToString(b) != s {
		return sum, fmt.Errorf("parsing object identifier %q: got bytes %x, want %x and a SHA-256", s, b, prefix)
	}
	copy(sum[:], b[len(prefix):])
	return sum, nil
}
