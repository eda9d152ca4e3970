package guestapi

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"safebox/verifier/lp"
)

// resultMagic starts a result.
const resultMagic = "SBR1"

// Limits of a result.
const (
	MaxResult     = 256 << 20 // bytes, encoded
	MaxReceipt    = 160 << 10 // bytes: the receipt of MaxOutputs to MaxRecipients
	MaxOutputs    = 64
	MaxRecipients = 16
)

// Result is what a job leaves.
type Result struct {
	Receipt []byte   // DSSE envelope
	Outputs []Output // ascending by slot
}

// Output is one output, once for each recipient.
type Output struct {
	Slot   uint32
	Sealed [][]byte // in the order of the grant's recipients
}

// Encode gives "SBR1" || LP(receipt) || u32be n || n x (u32be slot || u32be r
// || r x LP(sealed)).
func (r *Result) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encoding result: %w", err)
	}
	size := r.size()
	if size > MaxResult {
		return nil, fmt.Errorf("encoding result: %d bytes, want at most %d", size, MaxResult)
	}
	b := append(make([]byte, 0, size), resultMagic...)
	b = lp.Append(b, r.Receipt)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Outputs)))
	for _, o := range r.Outputs {
		b = binary.BigEndian.AppendUint32(b, o.Slot)
		b = binary.BigEndian.AppendUint32(b, uint32(len(o.Sealed)))
		for _, s := range o.Sealed {
			b = lp.Append(b, s)
		}
	}
	return b, nil
}

// DecodeResult parses a result strictly. Its parts share b's memory.
func DecodeResult(b []byte) (*Result, error) {
	if len(b) > MaxResult {
		return nil, fmt.Errorf("decoding result: %d bytes, want at most %d", len(b), MaxResult)
	}
	var r Result
	if err := r.decode(b); err != nil {
		return nil, fmt.Errorf("decoding result: %w", err)
	}
	return &r, nil
}

func (r *Result) decode(b []byte) error {
	rest, ok := bytes.CutPrefix(b, []byte(resultMagic))
	if !ok {
		return fmt.Errorf("magic: got %.4q, want %q", b, resultMagic)
	}
	var err error
	if r.Receipt, rest, err = lp.Cut(rest, MaxReceipt); err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	n, rest, err := cutCount(rest, "outputs", 0, MaxOutputs)
	if err != nil {
		return err
	}
	r.Outputs = make([]Output, n)
	for i := range r.Outputs {
		if rest, err = r.Outputs[i].decode(rest); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	if err := checkEnd(rest); err != nil {
		return err
	}
	return r.check()
}

func (o *Output) decode(b []byte) (rest []byte, err error) {
	if o.Slot, rest, err = cutUint32(b, "slot"); err != nil {
		return nil, err
	}
	n, rest, err := cutCount(rest, "recipients", 1, MaxRecipients)
	if err != nil {
		return nil, err
	}
	o.Sealed = make([][]byte, n)
	for i := range o.Sealed {
		if o.Sealed[i], rest, err = lp.Cut(rest, MaxResult); err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i, err)
		}
	}
	return rest, nil
}

func (r *Result) size() int {
	n := len(resultMagic) + lp.PrefixSize + len(r.Receipt) + 4
	for _, o := range r.Outputs {
		n += 8
		for _, s := range o.Sealed {
			n += lp.PrefixSize + len(s)
		}
	}
	return n
}

func (r *Result) check() error {
	if n := len(r.Receipt); n == 0 || n > MaxReceipt {
		return fmt.Errorf("receipt: got %d bytes, want 1 to %d", n, MaxReceipt)
	}
	if n := len(r.Outputs); n > MaxOutputs {
		return fmt.Errorf("outputs: got %d, want 0 to %d", n, MaxOutputs)
	}
	for i, o := range r.Outputs {
		if i > 0 && r.Outputs[i-1].Slot >= o.Slot {
			return fmt.Errorf("output %d: slot: got %d after %d, want each slot once, ascending", i, o.Slot, r.Outputs[i-1].Slot)
		}
		if n := len(o.Sealed); n == 0 || n > MaxRecipients {
			return fmt.Errorf("output %d: recipients: got %d, want 1 to %d", i, n, MaxRecipients)
		}
		for j, s := range o.Sealed {
			if len(s) == 0 {
				return fmt.Errorf("output %d: recipient %d: got nothing, want a sealed message", i, j)
			}
		}
	}
	return nil
}

func cutUint32(b []byte, name string) (uint32, []byte, error) {
	if len(b) < 4 {
		return 0, nil, fmt.Errorf("%s: got %d bytes, want 4", name, len(b))
	}
	return binary.BigEndian.Uint32(b), b[4:], nil
}

func cutCount(b []byte, name string, low, high uint32) (uint32, []byte, error) {
	n, rest, err := cutUint32(b, name)
	if err != nil {
		return 0, nil, err
	}
	if n < low || n > high {
		return 0, nil, fmt.Errorf("%s: got %d, want %d to %d", name, n, low, high)
	}
	return n, rest, nil
}
