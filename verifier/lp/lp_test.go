package lp

import (
	"bytes"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	// By hand: a length of four bytes, most significant first.
	got := Append(Append([]byte("x"), []byte("abc")), nil)
	if want := []byte("x\x00\x00\x00\x03abc\x00\x00\x00\x00"); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	long := Append(nil, make([]byte, 0x010203))
	if want := []byte{0, 1, 2, 3}; !bytes.Equal(long[:4], want) || len(long) != 4+0x010203 {
		t.Errorf("got %x, %d bytes", long[:4], len(long))
	}
}

func TestCut(t *testing.T) {
	field, rest, err := Cut([]byte("\x00\x00\x00\x03abcdef"), 3)
	if err != nil || string(field) != "abc" || string(rest) != "def" {
		t.Fatalf("got %q, %q, %v", field, rest, err)
	}
	if cap(field) != 3 {
		t.Errorf("appending to the field overwrites what follows: capacity %d", cap(field))
	}
	if field, rest, err = Cut([]byte("\x00\x00\x00\x00"), 0); err != nil || len(field) != 0 || len(rest) != 0 {
		t.Errorf("empty field: got %q, %q, %v", field, rest, err)
	}
	for _, tt := range []struct {
		name, in, want string
		limit          int
	}{
		{"nothing", "", "got 0 bytes, want 4", 3},
		{"short length", "\x00\x00\x03", "got 3 bytes, want 4", 3},
		{"cut", "\x00\x00\x00\x03ab", "got 3, but 2 bytes follow", 3},
		{"over the limit", "\x00\x00\x00\x04abcd", "got 4, want at most 3", 3},
		{"4 GiB", "\xff\xff\xff\xffabcd", "got 4294967295, but 4 bytes follow", 1 << 40},
		{"negative limit", "\x00\x00\x00\x00", "negative limit", -1},
	} {
		if _, _, err := Cut([]byte(tt.in), tt.limit); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
