package tlog

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// dash begins a signature line: em dash (U+2014), space.
const dash = "\u2014 "

// idSize is the length of a key ID before a signature, in bytes.
const idSize = 4

// Note is a text and its signatures, none of them verified.
type Note struct {
	Text       []byte // with its last newline
	Signatures []Signature
}

// Signature is one signature line of a note.
type Signature struct {
	Name string
	ID   uint32
	Sig  []byte // without the key ID
}

// String is the signature as a line, newline included.
func (s Signature) String() string {
	b := binary.BigEndian.AppendUint32(nil, s.ID)
	return dash + s.Name + " " + base64.StdEncoding.EncodeToString(append(b, s.Sig...)) + "\n"
}

// SignatureError says that a signature which names a listed key does not
// verify under it. signed-note would have the whole note refused.
type SignatureError struct {
	Name string
	ID   uint32
}

// Error implements error.
func (e *SignatureError) Error() string {
	return fmt.Sprintf("signature of %q (key %08x) does not verify", e.Name, e.ID)
}

// DecodeNote reads a signed note (signed-note, "Format"). Two equal signature
// lines are refused; two of one key are not.
func DecodeNote(b []byte) (*Note, error) {
	if len(b) > MaxNote {
		return nil, fmt.Errorf("decoding note: got %d bytes, want at most %d", len(b), MaxNote)
	}
	at := bytes.LastIndex(b, []byte("\n\n"))
	if at < 0 {
		return nil, errors.New("decoding note: no empty line before the signatures")
	}
	if err := checkText(b[:at+1]); err != nil {
		return nil, fmt.Errorf("decoding note: %w", err)
	}
	signatures, err := DecodeSignatures(b[at+2:])
	if err != nil {
		return nil, fmt.Errorf("decoding note: %w", err)
	}
	return &Note{Text: b[:at+1], Signatures: signatures}, nil
}

// DecodeSignatures reads signature lines alone: a witness's answer
// (tlog-witness, "add-checkpoint").
func DecodeSignatures(b []byte) ([]Signature, error) {
	if len(b) > MaxNote {
		return nil, fmt.Errorf("signatures: got %d bytes, want at most %d", len(b), MaxNote)
	}
	if err := checkText(b); err != nil {
		return nil, fmt.Errorf("signatures: %w", err)
	}
	if n := bytes.Count(b, []byte("\n")); n > MaxSignatures {
		return nil, fmt.Errorf("signatures: got %d lines, want at most %d", n, MaxSignatures)
	}
	var signatures []Signature
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		s, err := parseSignature(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", len(signatures)+1, err)
		}
		if seen[line] {
			return nil, fmt.Errorf("signature %d: the same line again", len(signatures)+1)
		}
		seen[line] = true
		signatures = append(signatures, s)
	}
	return signatures, nil
}

// checkText refuses what no note may hold.
func checkText(b []byte) error {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		return errors.New("no newline at the end")
	}
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	for i, c := range b {
		if c < ' ' && c != '\n' {
			return fmt.Errorf("control character %#02x at byte %d", c, i)
		}
	}
	return nil
}

// parseSignature reads a signature line without its newline.
func parseSignature(line string) (Signature, error) {
	rest, ok := strings.CutPrefix(line, dash)
	if !ok {
		return Signature{}, fmt.Errorf("got %.32q, want a line that begins with an em dash and a space", line)
	}
	name, encoded, ok := strings.Cut(rest, " ")
	if !ok || !validName(name) {
		return Signature{}, fmt.Errorf("key name: got %.64q, want text without space or plus", name)
	}
	b, err := parseBase64(encoded)
	if err != nil {
		return Signature{}, fmt.Errorf("of %.64q: %w", name, err)
	}
	if len(b) <= idSize {
		return Signature{}, fmt.Errorf("of %.64q: got %d bytes, want more than %d", name, len(b), idSize)
	}
	return Signature{Name: name, ID: binary.BigEndian.Uint32(b), Sig: b[idSize:]}, nil
}
