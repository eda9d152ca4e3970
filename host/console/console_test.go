package console

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "a line\twith a tab", "a line\twith a tab"},
		// The first bytes of a real boot of OVMF 2025.02, glued to the guest's first words.
		{"firmware", "\x1b[2J\x1b[01;01H\x1b[=3h\x1b[2J\x1b[01;01Hsafebox: [", "safebox: ["},
		{"carriage return", "first\rsecond", "firstsecond"},
		{"title", "\x1b]0;title\a", "]0;title"},
		{"C1 control as UTF-8", "a\u009b31mb", "a31mb"},
		{"raw C1 control", "a\x9bb", "a?b"},
		{"direction override", "a\u202eb", "ab"},
		{"unfinished", "a\x1b", "a"},
		{"unfinished sequence", "a\x1b[12", "a"},
		{"backspace and NUL", "a\b\x00b", "ab"},
		{"UTF-8", "größe", "größe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Clean(tc.in); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2J\x1b[01;01H\x1b[=3h plain \xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		for _, r := range got {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("Clean(%q) = %q, holds %q", s, got, r)
			}
		}
		if again := Clean(got); again != got {
			t.Errorf("Clean twice: %q, then %q", got, again)
		}
	})
}

func TestLines(t *testing.T) {
	text := "one\r\n\r\ntwo\n" + strings.Repeat("x", MaxLine+3) + "\nthree\nrest"
	want := []string{"one", "two", strings.Repeat("x", MaxLine), "xxx", "three", "rest"}
	for _, size := range []int{1, 2, 7, 4096, len(text)} {
		var got []string
		l := NewLines(func(s string) { got = append(got, s) })
		for chunk := range slices.Chunk([]byte(text), size) {
			if n, err := l.Write(chunk); n != len(chunk) || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("in chunks of %d: -want +got\n%s", size, d)
		}
		if d := cmp.Diff(want[3:], l.Last()); d != "" {
			t.Errorf("last lines: -want +got\n%s", d)
		}
	}
}

// A line of exactly the greatest length is one line.
func TestLinesAtTheLimit(t *testing.T) {
	var got []string
	l := NewLines(func(s string) { got = append(got, s) })
	line := strings.Repeat("y", MaxLine)
	if _, err := l.Write([]byte(line + "\nnext\n")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{line, "next"}, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestLogIsBounded(t *testing.T) {
	var b bytes.Buffer
	l := NewLog(&b)
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16) // 1 MiB
	for range 20 {
		if n, err := l.Write(chunk); n != len(chunk) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	if b.Len() < MaxLog || b.Len() > MaxLog+200 {
		t.Errorf("log of %d bytes, want %d and a remark", b.Len(), MaxLog)
	}
	if !strings.HasSuffix(b.String(), "the rest is dropped\n") {
		t.Error("the end does not say that something is missing")
	}
	if l.Err() != nil {
		t.Error(l.Err())
	}
}

type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestLogSurvivesFullDisk(t *testing.T) {
	l := NewLog(fullDisk{})
	for range 2 {
		if n, err := l.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("wrote %d, %v, want all and no error", n, err)
		}
	}
	if !errors.Is(l.Err(), errFull) {
		t.Errorf("got %v, want the disk's error", l.Err())
	}
}
