package tlog

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// MaxAddCheckpoint bounds the body of an add-checkpoint request in bytes: the
// line of the old size, the hashes, an empty line and the checkpoint.
const MaxAddCheckpoint = 64 + MaxHashes*(hashText+1) + MaxNote

// AddCheckpoint is the body of a request for cosignatures (tlog-witness,
// "add-checkpoint"). Nothing of it is verified.
type AddCheckpoint struct {
	Old        int64      // size of the tree that the witness cosigned last
	Proof      [][32]byte // from there to the checkpoint
	Checkpoint []byte     // the signed note
}

// DecodeAddCheckpoint reads a request's body. Its checkpoint has the form of
// one.
func DecodeAddCheckpoint(b []byte) (*AddCheckpoint, error) {
	if len(b) > MaxAddCheckpoint {
		return nil, fmt.Errorf("decoding request: got %d bytes, want at most %d", len(b), MaxAddCheckpoint)
	}
	header, note, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return nil, errors.New("decoding request: no empty line before the checkpoint")
	}
	lines := bytes.Split(header, []byte("\n"))
	old, ok := bytes.CutPrefix(lines[0], []byte("old "))
	if !ok {
		return nil, fmt.Errorf("decoding request: line 1: got %.64q, want the old size", lines[0])
	}
	r := &AddCheckpoint{Checkpoint: note}
	var err error
	if r.Old, err = parseDecimal(string(old)); err != nil {
		return nil, fmt.Errorf("decoding request: old size: %w", err)
	}
	if r.Proof, err = parseHashes(lines[1:]); err != nil {
		return nil, fmt.Errorf("decoding request: %w", err)
	}
	if _, err := DecodeCheckpoint(note); err != nil {
		return nil, fmt.Errorf("decoding request: %w", err)
	}
	return r, nil
}

// Encode gives the request's body.
func (r *AddCheckpoint) Encode() []byte {
	b := append(strconv.AppendInt([]byte("old "), r.Old, 10), '\n')
	b = appendHashes(b, r.Proof)
	return append(append(b, '\n'), r.Checkpoint...)
}
