package main

import (
	"bytes"
	"io"
)

// writeBytes is what output's functions want for a file that is in memory.
func writeBytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(b))
		return err
	}
}
