//go:build wasip1

// Command peek tries to read one byte at the start of each chunk of input 0, in
// order. Its one output has a line for each chunk: "read", "denied" where the
// chunk was not granted, or another error's text.
package main

import (
	"errors"
	"strings"

	"safebox/guest/sandbox/sdk"
)

func main() {
	if err := run(); err != nil {
		sdk.Log(err.Error())
		sdk.Abort(1)
	}
}

func run() error {
	g, err := sdk.Input(0).Granted()
	if err != nil {
		return err
	}
	var lines strings.Builder
	for offset := int64(0); offset < g.Size; offset += g.ChunkSize {
		lines.WriteString(peek(offset) + "\n")
	}
	out, err := sdk.NewOutput()
	if err != nil {
		return err
	}
	if _, err := out.Write([]byte(lines.String())); err != nil {
		return err
	}
	return out.Close()
}

// peek reads a byte and says how that went.
func peek(offset int64) string {
	var b [1]byte
	switch _, err := sdk.Input(0).ReadAt(b[:], offset); {
	case errors.Is(err, sdk.EACCES):
		return "denied"
	case err != nil:
		return err.Error()
	}
	return "read"
}
