// Package configuration is the measured configuration document of one
// instance (docs/format-configuration.md): the settings that the host may
// choose and the owner gets to see, as their digest is in PCR 15 and in the
// transcript (specs/protocol.md, sections 2 and 3).
package configuration

import (
	"fmt"

	"safebox/verifier/canon"
)

// Type is the value of Document.Type.
const Type = "safebox/config/v1"

// MaxSize bounds a document, in bytes.
const MaxSize = 64 << 10

// The engines of Worker.Engine.
const (
	Compiler    = "compiler"    // the module is compiled to machine code in the worker
	Interpreter = "interpreter" // it is interpreted: slow, and no page is ever made executable
)

// Limits of Worker.
const (
	PageSize  = 64 << 10 // bytes of a WebAssembly page: Memory is a multiple
	MinMemory = 1 << 20
	MaxMemory = 512 << 20
	MaxWall   = 900
	MaxOutput = 64 << 20
)

// Document is the configuration of one instance.
type Document struct {
	Type   string `json:"type"`
	Worker Worker `json:"worker"`
}

// Worker is what each job runs under.
type Worker struct {
	Engine string `json:"engine"` // Compiler or Interpreter
	Memory int64  `json:"memory"` // bytes of linear memory
	Wall   int64  `json:"wall"`   // seconds that a job may take
	Output int64  `json:"output"` // bytes of all outputs together
}

// Default is what holds when there is no document.
func Default() *Document {
	return &Document{
		Type:   Type,
		Worker: Worker{Engine: Compiler, Memory: 256 << 20, Wall: 60, Output: 16 << 20},
	}
}

// Encode gives the canonical bytes.
func (d *Document) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("encoding configuration: %w", err)
	}
	b, err := canon.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding configuration: %w", err)
	}
	return b, nil
}

// Decode parses a document strictly.
func Decode(b []byte) (*Document, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("decoding configuration: %d bytes, want at most %d", len(b), MaxSize)
	}
	var d Document
	if err := canon.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("decoding configuration: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("decoding configuration: %w", err)
	}
	return &d, nil
}

func (d *Document) check() error {
	w := d.Worker
	switch {
	case d.Type != Type:
		return fmt.Errorf("type: got %.100q, want %q", d.Type, Type)
	case w.Engine != Compiler && w.Engine != Interpreter:
		return fmt.Errorf("worker.engine: got %.100q, want %q or %q", w.Engine, Compiler, Interpreter)
	case w.Memory < MinMemory || w.Memory > MaxMemory:
		return fmt.Errorf("worker.memory: got %d bytes, want %d to %d", w.Memory, MinMemory, MaxMemory)
	case w.Memory%PageSize != 0:
		return fmt.Errorf("worker.memory: got %d bytes, want a multiple of %d", w.Memory, PageSize)
	case w.Wall < 1 || w.Wall > MaxWall:
		return fmt.Errorf("worker.wall: got %d s, want 1 to %d", w.Wall, MaxWall)
	case w.Output < 1 || w.Output > MaxOutput:
		return fmt.Errorf("worker.output: got %d bytes, want 1 to %d", w.Output, MaxOutput)
	}
	return nil
}
