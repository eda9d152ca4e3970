package record

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// maxTime is 9999-12-31T23:59:59Z in Unix seconds, the last that RFC 3339 can
// write.
const maxTime = 253402300799

// maxVersion bounds a version, in bytes.
const maxVersion = 64

// Sizes of git object names in hex digits: SHA-1 and SHA-256.
const (
	sha1Name   = 40
	sha256Name = 64
)

// checkText wants 1 to most bytes of printable ASCII without a space at either
// end. Records are read on terminals and by programs of several years: which
// other characters print depends on the version of Unicode, and some of them
// hide what stands beside them.
func checkText(name, s string, most int) error {
	if n := len(s); n < 1 || n > most {
		return fmt.Errorf("%s: got %d bytes, want 1 to %d", name, n, most)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("%s: byte %d: got %#02x, want printable ASCII", name, i, s[i])
		}
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return fmt.Errorf("%s: got %.100q, want no space at either end", name, s)
	}
	return nil
}

// checkVersion wants a version that can be part of a file name.
func checkVersion(name, s string) error {
	const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if n := len(s); n < 1 || n > maxVersion {
		return fmt.Errorf("%s: got %d bytes, want 1 to %d", name, n, maxVersion)
	}
	if strings.Trim(s, alphanumeric+".+-_~") != "" || !strings.Contains(alphanumeric, s[:1]) {
		return fmt.Errorf("%s: got %q, want letters, digits and . + - _ ~, the first a letter or digit", name, s)
	}
	return nil
}

// checkObjectName wants the name of a git object.
func checkObjectName(name, s string) error {
	if n := len(s); n != sha1Name && n != sha256Name || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("%s: got %.100q, want %d or %d digits of lower-case hex", name, s, sha1Name, sha256Name)
	}
	if strings.Trim(s, "0") == "" {
		return fmt.Errorf("%s: all zero, want a git object name", name)
	}
	return nil
}

// checkSum wants a directory hash as golang.org/x/mod/sumdb/dirhash, Hash1,
// writes it: "h1:" and the base64 of a SHA-256.
func checkSum(name, s string) error {
	const prefix = "h1:"
	encoded, found := strings.CutPrefix(s, prefix)
	if len(encoded) != base64.StdEncoding.EncodedLen(sha256.Size) || !found {
		return fmt.Errorf("%s: got %.100q, want %s and the base64 of %d bytes", name, s, prefix, sha256.Size)
	}
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// The same bytes: no bits behind the last one, no line break.
	if len(sum) != sha256.Size || base64.StdEncoding.EncodeToString(sum) != encoded {
		return fmt.Errorf("%s: got %q, want %s and the base64 of %d bytes", name, s, prefix, sha256.Size)
	}
	return nil
}

// checkTime wants Unix seconds from least to the end of year 9999.
func checkTime(name string, t, least int64) error {
	if t < least || t > maxTime {
		return fmt.Errorf("%s: got %d, want %d to %d", name, t, least, int64(maxTime))
	}
	return nil
}
