package boot

import (
	"io"
	"os"
	"strings"
	"testing"

	"safebox/guest/api"

	"golang.org/x/sys/unix"
)

func TestSealedFile(t *testing.T) {
	f, err := sealedFile("x", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := f.WriteAt([]byte("X"), 0); err == nil {
		t.Error("written after sealing")
	}
	if err := f.Truncate(1); err == nil {
		t.Error("shrunk after sealing")
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, 0); err == nil {
		t.Error("seals can still be added")
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "content" {
		t.Errorf("reads %q, %v", got, err)
	}
}

func TestAwaitReady(t *testing.T) {
	tests := []struct{ reply, want string }{
		{api.ReadyReply, ""},
		{"", `it says ""`},
		{"uid 0, gid 0, want neither to be 0", "uid 0"},
		{"ready\n", `"ready\n"`},
		{"readyready", "readyready"},
		{strings.Repeat("x", 1<<16), "xxx"},
	}
	for _, tt := range tests {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := io.WriteString(w, tt.reply)
			if cerr := w.Close(); err == nil && cerr != nil {
				t.Error(cerr)
			}
		}()
		err = awaitReady(r)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.20q: got %.200v, want %q", tt.reply, err, tt.want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
