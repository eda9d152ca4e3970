package witness

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"safebox/verifier/tlog"
)

// Form of a state file (docs/format-witness-state.md).
const (
	stateMagic = "safebox-witness-state/v1"
	sumPrefix  = "sha256 "
	maxState   = maxBody + 1<<10
)

// state is what the witness knows of one log: the latest checkpoint that it
// cosigned and when. A log that was added and never cosigned has neither.
type state struct {
	origin     string
	time       int64  // of the latest cosignature, Unix seconds; 0 for none
	checkpoint []byte // signed note with the log's signatures; empty for none

	size int64    // of the checkpoint; 0 for none
	root [32]byte // of the checkpoint; of the empty tree for none
}

// newState is the state of a log before its first cosignature.
func newState(origin string) *state {
	return &state{origin: origin, root: tlog.RootHash(nil)}
}

// encode gives the bytes of a state file.
func (s *state) encode() []byte {
	b := fmt.Appendf(nil, "%s\norigin %s\ntime %d\n\n%s", stateMagic, s.origin, s.time, s.checkpoint)
	return fmt.Appendf(b, "%s%x\n", sumPrefix, sha256.Sum256(b))
}

// decodeState reads a state file. Whatever was not written by encode is
// damage: a witness that guesses could cosign a fork.
func decodeState(b []byte) (*state, error) {
	if len(b) > maxState {
		return nil, fmt.Errorf("size: got %d bytes, want at most %d", len(b), maxState)
	}
	const sumLine = len(sumPrefix) + 2*sha256.Size + 1
	if len(b) < sumLine {
		return nil, fmt.Errorf("size: got %d bytes, want at least %d", len(b), sumLine)
	}
	body, got := b[:len(b)-sumLine], string(b[len(b)-sumLine:])
	if want := fmt.Sprintf("%s%x\n", sumPrefix, sha256.Sum256(body)); got != want {
		return nil, fmt.Errorf("last line: got %q, want %q", got, want)
	}
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return nil, errors.New("no empty line after the header")
	}
	s, err := decodeHeader(string(head))
	if err != nil {
		return nil, err
	}
	if err := s.setCheckpoint(checkpoint); err != nil {
		return nil, err
	}
	if (s.time == 0) != (len(checkpoint) == 0) {
		return nil, fmt.Errorf("time %d with a checkpoint of %d bytes: want both or none", s.time, len(checkpoint))
	}
	if !bytes.Equal(s.encode(), b) {
		return nil, errors.New("not in the form that is written")
	}
	return s, nil
}

func decodeHeader(head string) (*state, error) {
	lines := strings.Split(head, "\n")
	if len(lines) != 3 || lines[0] != stateMagic {
		return nil, fmt.Errorf("header: got %q, want three lines that begin with %s", head, stateMagic)
	}
	origin, ok := strings.CutPrefix(lines[1], "origin ")
	if !ok {
		return nil, fmt.Errorf("line 2: got %q, want origin", lines[1])
	}
	text, ok := strings.CutPrefix(lines[2], "time ")
	if !ok {
		return nil, fmt.Errorf("line 3: got %q, want time", lines[2])
	}
	time, err := strconv.ParseInt(text, 10, 64)
	if err != nil || time < 0 {
		return nil, fmt.Errorf("line 3: time: got %q, want Unix seconds", text)
	}
	s := newState(origin)
	s.time = time
	return s, nil
}

// setCheckpoint takes size and root from a checkpoint; empty means none.
func (s *state) setCheckpoint(signed []byte) error {
	if len(signed) == 0 {
		return nil
	}
	c, err := tlog.DecodeCheckpoint(signed)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if c.Origin != s.origin {
		return fmt.Errorf("checkpoint of %q, want %q", c.Origin, s.origin)
	}
	s.checkpoint, s.size, s.root = signed, c.Size, c.Root
	return nil
}
