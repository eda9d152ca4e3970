package tlog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// proofHeader is the first line of a proof (tlog-proof, "Format").
const proofHeader = "c2sp.org/tlog-proof@v1"

// MaxExtra bounds a proof's extra data in bytes. This project writes none.
const MaxExtra = 4 << 10

// MaxProof bounds a proof in bytes: header, extra data, index, hashes, and the
// checkpoint.
const MaxProof = 8<<10 + MaxHashes*(hashText+1) + MaxNote

// Proof says that an entry is in a log's tree (tlog-proof). Nothing of it is
// verified: the checkpoint is for Policy.Open, the rest for Check.
type Proof struct {
	Index      int64
	Hashes     [][32]byte // from the leaf's sibling up
	Checkpoint []byte     // the signed note
	Extra      []byte     // authenticated by nothing; nil if there is none
}

// DecodeProof reads a proof. Its checkpoint has the form of one.
func DecodeProof(b []byte) (*Proof, error) {
	if len(b) > MaxProof {
		return nil, fmt.Errorf("decoding proof: got %d bytes, want at most %d", len(b), MaxProof)
	}
	header, note, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return nil, errors.New("decoding proof: no empty line before the checkpoint")
	}
	p := &Proof{Checkpoint: note}
	lines := bytes.Split(header, []byte("\n"))
	if string(lines[0]) != proofHeader {
		return nil, fmt.Errorf("decoding proof: line 1: got %.64q, want %q", lines[0], proofHeader)
	}
	lines = lines[1:]
	var err error
	if len(lines) > 0 && bytes.HasPrefix(lines[0], []byte("extra ")) {
		if p.Extra, err = parseExtra(string(lines[0][len("extra "):])); err != nil {
			return nil, fmt.Errorf("decoding proof: extra data: %w", err)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !bytes.HasPrefix(lines[0], []byte("index ")) {
		return nil, errors.New("decoding proof: no index line")
	}
	if p.Index, err = parseDecimal(string(lines[0][len("index "):])); err != nil {
		return nil, fmt.Errorf("decoding proof: index: %w", err)
	}
	if p.Hashes, err = parseHashes(lines[1:]); err != nil {
		return nil, fmt.Errorf("decoding proof: %w", err)
	}
	if _, err := DecodeCheckpoint(note); err != nil {
		return nil, fmt.Errorf("decoding proof: %w", err)
	}
	return p, nil
}

// parseExtra reads extra data; a line without any is to be left out.
func parseExtra(s string) ([]byte, error) {
	b, err := parseBase64(s)
	if err != nil {
		return nil, err
	}
	if len(b) < 1 || len(b) > MaxExtra {
		return nil, fmt.Errorf("got %d bytes, want 1 to %d", len(b), MaxExtra)
	}
	return b, nil
}

// parseHashes reads one hash a line, at most MaxHashes.
func parseHashes(lines [][]byte) ([][32]byte, error) {
	if len(lines) > MaxHashes {
		return nil, fmt.Errorf("got %d hashes, want at most %d", len(lines), MaxHashes)
	}
	var hashes [][32]byte
	for i, line := range lines {
		h, err := parseHash(string(line))
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i+1, err)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// Encode gives the proof's file.
func (p *Proof) Encode() []byte {
	b := append([]byte(proofHeader), '\n')
	if len(p.Extra) > 0 {
		b = append(b, "extra "+base64.StdEncoding.EncodeToString(p.Extra)+"\n"...)
	}
	b = append(strconv.AppendInt(append(b, "index "...), p.Index, 10), '\n')
	b = appendHashes(b, p.Hashes)
	return append(append(b, '\n'), p.Checkpoint...)
}

// appendHashes writes one hash a line.
func appendHashes(b []byte, hashes [][32]byte) []byte {
	for _, h := range hashes {
		b = append(append(b, formatHash(h)...), '\n')
	}
	return b
}

// Check checks that the entry is at the proof's index in the tree of a
// checkpoint: the proof's own, which counts for as much as Policy.Open says of it.
func (p *Proof) Check(entry []byte, c *Checkpoint) error {
	return CheckInclusion(p.Hashes, p.Index, LeafHash(entry), c.Size, c.Root)
}
