package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReadInput(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := ReadInput(path, int64(len(content)))
	if err != nil || !bytes.Equal(b, content) {
		t.Errorf("got %d bytes and %v, want the file", len(b), err)
	}
	b, err = ReadInput(os.DevNull, 0)
	if err != nil || len(b) != 0 {
		t.Errorf("%s: got %d bytes and %v", os.DevNull, len(b), err)
	}
	// All that can't be read is code 2, and named.
	for name, tt := range map[string]struct {
		path  string
		limit int64
		want  string
	}{
		"too large":      {path, int64(len(content)) - 1, "reading " + path + ": more than 65535 bytes"},
		"endless":        {"/dev/zero", 1000, "reading /dev/zero: more than 1000 bytes"},
		"missing":        {dir + "/nothing", 10, "open " + dir + "/nothing: no such file or directory"},
		"a folder":       {dir, 10, "reading " + dir + ": read " + dir + ": is a directory"},
		"below a file":   {path + "/x", 10, "open " + path + "/x: not a directory"},
		"an empty path":  {"", 10, "open : no such file or directory"},
		"a NUL in paths": {"a\x00b", 10, "open a\x00b: invalid argument"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := ReadInput(tt.path, tt.limit)
			var e *Error
			if !errors.As(err, &e) || e.Code != ExitUsage || err.Error() != tt.want || b != nil {
				t.Errorf("got %d bytes and %v, want code 2 and %q", len(b), err, tt.want)
			}
		})
	}
}

// A pipe has no size that could be trusted.
func TestReadInputPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("x"), 100_000)
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, content, 0) }()
	b, err := ReadInput(path, 1<<20)
	if err != nil || !bytes.Equal(b, content) {
		t.Errorf("got %d bytes and %v, want %d", len(b), err, len(content))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	v := struct {
		Z    string   `json:"z"`
		A    []string `json:"a"`
		None string   `json:"none,omitempty"`
	}{"<&>", []string{}, ""}
	if err := WriteJSON(&b, v); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"z\": \"<&>\",\n  \"a\": []\n}\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	if err := WriteJSON(full{}, v); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want that the disk is full", err)
	}
}
