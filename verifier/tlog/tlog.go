// Package tlog reads and writes what a transparency log, its witnesses and
// those who rely on them exchange: notes, checkpoints, cosignatures, proofs,
// trust policies, bundles of entries and requests for cosignatures. It does no
// input or output, and a time is always an argument.
//
// It implements these documents of C2SP (c2sp.org; the revision is the commit
// of github.com/C2SP/C2SP that was read):
//
//   - signed-note, 055287621bf3: notes, verifier keys and signer keys;
//   - tlog-checkpoint, 2793893976c8: the text that a log signs;
//   - tlog-cosignature, 01194db11950: Ed25519 (type 0x04) and ML-DSA-44 (0x06)
//     cosignatures of a whole tree;
//   - tlog-policy, 13027eee7f3f: which logs and how many of which witnesses
//     count;
//   - tlog-proof, 0065ea5b7161: one entry's proof as a file;
//   - tlog-tiles, 0ad71eb1f1b9: entry bundles and their paths;
//   - tlog-witness, 055270b59288: the body of an add-checkpoint request;
//
// and the Merkle tree of RFC 6962, section 2.1.
//
// Everything read is untrusted until a Policy or a Key has verified it. Each
// form has exactly one encoding here: what decodes encodes to the same bytes,
// and all else is refused.
package tlog

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what is read.
const (
	// MaxNote bounds a signed note in bytes: 64 ML-DSA-44 cosignatures of
	// 3.3 KB and the text of a checkpoint.
	MaxNote = 256 << 10
	// MaxSignatures bounds the signature lines of a note. signed-note wants 16
	// at least.
	MaxSignatures = 100
	// MaxName bounds a key's name in bytes: tlog-cosignature, cosigned_message,
	// cosigner_name and log_origin.
	MaxName = 255
	// MaxHashes bounds the hashes of an inclusion or consistency proof: the
	// levels of a tree of 2^63-1 entries, and tlog-witness's limit.
	MaxHashes = 63
)

// hashText is the length of a SHA-256 hash in base64.
const hashText = 44

// parseBase64 decodes standard base64 with padding (RFC 4648, section 4) and
// refuses every text that encoding does not give back: Go's decoder skips line
// ends and ignores the unused bits of the last character.
func parseBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("base64 %.64q is not in its one form", s)
	}
	return b, nil
}

// parseHash decodes one SHA-256 hash in base64.
func parseHash(s string) ([32]byte, error) {
	if len(s) != hashText {
		return [32]byte{}, fmt.Errorf("hash: got %d characters, want %d", len(s), hashText)
	}
	b, err := parseBase64(s)
	if err != nil {
		return [32]byte{}, fmt.Errorf("hash: %w", err)
	}
	if len(b) != 32 {
		return [32]byte{}, fmt.Errorf("hash: got %d bytes, want 32", len(b))
	}
	return [32]byte(b), nil
}

// formatHash is a hash in base64.
func formatHash(h [32]byte) string { return base64.StdEncoding.EncodeToString(h[:]) }

// parseDecimal reads a number from 0 to 2^63-1 in ASCII decimal without sign
// or leading zero.
func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("got %.32q, want a decimal number from 0 to 2^63-1 without leading zero", s)
	}
	return n, nil
}

// validName is signed-note's rule for a key's name (section "Format").
func validName(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.Contains(s, "+") && strings.IndexFunc(s, unfit) < 0
}

// unfit says which characters are in no name: spaces, and what no note may
// hold.
func unfit(r rune) bool { return unicode.IsSpace(r) || r < ' ' }
