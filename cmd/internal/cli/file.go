package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// ReadInput reads a whole input file of at most limit bytes.
func ReadInput(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Usage(err, "")
	}
	b, err := readAll(f, limit+1)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return nil, Usage(fmt.Errorf("reading %s: %w", path, err), "")
	}
	if int64(len(b)) > limit {
		return nil, Usage(fmt.Errorf("reading %s: more than %d bytes", path, limit), "")
	}
	return b, nil
}

// readAll reads at most limit bytes into a buffer of the file's size, if it has
// one.
func readAll(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := bytes.MinRead // so that the end is found without growing
	if info.Mode().IsRegular() {
		size += int(min(info.Size(), limit))
	}
	b := bytes.NewBuffer(newBuffer(size))
	_, err = b.ReadFrom(io.LimitReader(f, limit))
	return b.Bytes(), err
}

// CheckNotInput refuses to write over a file that the command reads, under
// whatever name. Inputs may be empty: not given.
func CheckNotInput(out string, inputs ...string) error {
	for _, path := range inputs {
		written, err := os.Stat(out)
		read, err2 := os.Stat(path)
		// A file that isn't there can't be overwritten.
		if err == nil && err2 == nil && os.SameFile(written, read) {
			return Usage(fmt.Errorf("%s would be written over the input %s", out, path), "choose another name")
		}
	}
	return nil
}

// WriteJSON prints v on its own lines, keys in the order of the Go type.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
