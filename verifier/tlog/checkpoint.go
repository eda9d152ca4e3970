package tlog

import (
	"fmt"
	"strconv"
	"strings"
)

// Checkpoint is what a log says of its tree (tlog-checkpoint, "Note text").
type Checkpoint struct {
	Origin     string // the log's name
	Size       int64  // entries in the tree
	Root       [32]byte
	Extensions []string // further lines; an ML-DSA-44 cosignature does not cover them
}

// DecodeCheckpoint reads a signed checkpoint WITHOUT verifying a signature.
// Whoever uses it for more than choosing keys must call Policy.Open or
// OpenSigned afterwards.
func DecodeCheckpoint(note []byte) (*Checkpoint, error) {
	n, err := DecodeNote(note)
	if err != nil {
		return nil, fmt.Errorf("decoding checkpoint: %w", err)
	}
	return ParseCheckpoint(string(n.Text))
}

// ParseCheckpoint reads a checkpoint's text, the part that is signed.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	if err := checkText([]byte(text)); err != nil {
		return nil, fmt.Errorf("parsing checkpoint: %w", err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 {
		return nil, fmt.Errorf("parsing checkpoint: got %d lines, want at least 3", len(lines))
	}
	for i, line := range lines {
		if line == "" {
			return nil, fmt.Errorf("parsing checkpoint: line %d is empty", i+1)
		}
	}
	c := &Checkpoint{Origin: lines[0], Extensions: lines[3:]}
	var err error
	if c.Size, err = parseDecimal(lines[1]); err != nil {
		return nil, fmt.Errorf("parsing checkpoint: size: %w", err)
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return nil, fmt.Errorf("parsing checkpoint: root: %w", err)
	}
	if c.Size == 0 && c.Root != RootHash(nil) {
		return nil, fmt.Errorf("parsing checkpoint: root of no entries: got %x, want %x", c.Root, RootHash(nil))
	}
	if len(c.Extensions) == 0 {
		c.Extensions = nil
	}
	return c, nil
}

// Text is the part that is signed: origin, size, root, extensions.
func (c *Checkpoint) Text() []byte {
	b := append([]byte(c.Origin), '\n')
	b = append(strconv.AppendInt(b, c.Size, 10), '\n')
	b = append(append(b, formatHash(c.Root)...), '\n')
	for _, line := range c.Extensions {
		b = append(append(b, line...), '\n')
	}
	return b
}

// OpenSigned reads a checkpoint that one of the keys must have signed under
// its own name, the origin. A signature that names one of the keys and does
// not verify is an error (*SignatureError); others are ignored. It is what a
// witness asks; whoever relies on a log asks a Policy.
func OpenSigned(note []byte, keys []Key) (*Checkpoint, error) {
	n, c, err := decode(note)
	if err != nil {
		return nil, err
	}
	if err := signedBy(n, c, keys); err != nil {
		return nil, fmt.Errorf("opening checkpoint: %w", err)
	}
	return c, nil
}

// decode reads a note that is a checkpoint.
func decode(note []byte) (*Note, *Checkpoint, error) {
	n, err := DecodeNote(note)
	if err != nil {
		return nil, nil, fmt.Errorf("opening checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(string(n.Text))
	if err != nil {
		return nil, nil, fmt.Errorf("opening checkpoint: %w", err)
	}
	return n, c, nil
}

// signedBy demands a signature of the origin's own key.
func signedBy(n *Note, c *Checkpoint, keys []Key) error {
	signed := false
	for _, k := range keys {
		for _, s := range n.Signatures {
			if !k.made(s) {
				continue
			}
			if !k.Verify(n.Text, s) {
				return &SignatureError{Name: s.Name, ID: s.ID}
			}
			signed = signed || k.Name == c.Origin
		}
	}
	if !signed {
		return &LogError{Origin: c.Origin}
	}
	return nil
}
