package wire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"safebox/verifier/canon"
)

// Limits of bodies.
const (
	MaxKind = 32      // name of an output's kind
	MaxLog  = 4 << 10 // text of one line
	MaxTrap = 32      // name of a trap
)

// Fetch is the body of OpFetch.
type Fetch struct {
	Root  [32]byte
	Limit uint32
}

// Encode gives root || u32be limit.
func (f Fetch) Encode() []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), f.Root[:]...), f.Limit)
}

// DecodeFetch is the strict inverse of Encode.
func DecodeFetch(b []byte) (Fetch, error) {
	if len(b) != 36 {
		return Fetch{}, fmt.Errorf("decoding fetch: %d bytes, want 36", len(b))
	}
	return Fetch{Root: [32]byte(b), Limit: binary.BigEndian.Uint32(b[32:])}, nil
}

// Chunk is the body of OpChunk: which chunk of which input. Both count from 0;
// the input as Info lists them, the chunk in its object.
type Chunk struct{ Input, Index uint32 }

// Encode gives u32be input || u32be chunk.
func (c Chunk) Encode() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, c.Input), c.Index)
}

// DecodeChunk is the strict inverse of Encode.
func DecodeChunk(b []byte) (Chunk, error) {
	if len(b) != 8 {
		return Chunk{}, fmt.Errorf("decoding chunk: %d bytes, want 8", len(b))
	}
	return Chunk{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, nil
}

// Output is the body of OpOutput.
type Output struct {
	Slot uint32
	Kind string // 1 to MaxKind letters of a to z
	Data []byte
}

// Encode gives u32be slot || u8 length of kind || kind || data.
func (o Output) Encode() ([]byte, error) {
	if err := checkName("kind", o.Kind, MaxKind); err != nil {
		return nil, fmt.Errorf("encoding output: %w", err)
	}
	b := make([]byte, 0, 5+len(o.Kind)+len(o.Data))
	b = binary.BigEndian.AppendUint32(b, o.Slot)
	b = append(append(b, byte(len(o.Kind))), o.Kind...)
	return append(b, o.Data...), nil
}

// DecodeOutput is the strict inverse of Encode. Data is a part of b.
func DecodeOutput(b []byte) (Output, error) {
	if len(b) < 5 || len(b) < 5+int(b[4]) {
		return Output{}, fmt.Errorf("decoding output: %d bytes are too few", len(b))
	}
	end := 5 + int(b[4])
	o := Output{Slot: binary.BigEndian.Uint32(b), Kind: string(b[5:end]), Data: b[end:]}
	if err := checkName("kind", o.Kind, MaxKind); err != nil {
		return Output{}, fmt.Errorf("decoding output: %w", err)
	}
	return o, nil
}

// Log is the body of OpLog.
type Log struct {
	Level uint8
	Text  string // UTF-8, at most MaxLog bytes
}

// Encode gives u8 level || text.
func (l Log) Encode() []byte { return append([]byte{l.Level}, l.Text...) }

// DecodeLog is the strict inverse of Encode.
func DecodeLog(b []byte) (Log, error) {
	switch {
	case len(b) < 1 || len(b) > 1+MaxLog:
		return Log{}, fmt.Errorf("decoding log: %d bytes, want 1 to %d", len(b), 1+MaxLog)
	case !utf8.Valid(b[1:]):
		return Log{}, fmt.Errorf("decoding log: text is not UTF-8")
	}
	return Log{Level: b[0], Text: string(b[1:])}, nil
}

// Done is the body of OpDone, canonical JSON: how the run ended, as the worker
// tells it. The keeper adds what it saw itself: time, and the worker's end.
type Done struct {
	Exit       int64  `json:"exit"`        // what the program returned
	MemoryPeak int64  `json:"memory_peak"` // bytes of linear memory
	Trap       string `json:"trap"`        // empty, or its ID, such as "trap", "memory", "import"
}

// Encode gives canonical JSON.
func (d Done) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("encoding done: %w", err)
	}
	return canon.Marshal(d)
}

// DecodeDone is the strict inverse of Encode.
func DecodeDone(b []byte) (Done, error) {
	var d Done
	err := canon.Unmarshal(b, &d)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return Done{}, fmt.Errorf("decoding done: %w", err)
	}
	return d, nil
}

func (d Done) check() error {
	if d.MemoryPeak < 0 {
		return fmt.Errorf("memory_peak: got %d, want at least 0", d.MemoryPeak)
	}
	if d.Trap == "" {
		return nil
	}
	return checkName("trap", d.Trap, MaxTrap)
}

// checkName says whether s is a short word that is safe in documents and
// messages.
func checkName(field, s string, limit int) error {
	if s == "" || len(s) > limit {
		return fmt.Errorf("%s: got %d bytes, want 1 to %d", field, len(s), limit)
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && c != '-' {
			return fmt.Errorf("%s: got %q, want letters a to z and hyphens", field, s)
		}
	}
	return nil
}
