package witness

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestStateFile: the state file has the form of docs/format-witness-state.md,
// and its last line is what sha256sum says of the lines before it.
func TestStateFile(t *testing.T) {
	checkpoint, err := os.ReadFile("testdata/checkpoint")
	must(t, err)
	want, err := os.ReadFile("testdata/state")
	must(t, err)
	s := newState("log.example/test")
	s.time = testTime
	if err := s.setCheckpoint(checkpoint); err == nil {
		t.Error("a checkpoint of another log was taken")
	}
	s = newState("example.com/behind-the-sofa")
	s.time = testTime
	must(t, s.setCheckpoint(checkpoint))
	if got := s.encode(); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s, err = decodeState(want)
	must(t, err)
	if s.origin != "example.com/behind-the-sofa" || s.time != testTime || s.size != 20852163 || !bytes.Equal(s.checkpoint, checkpoint) {
		t.Errorf("got %+v", s)
	}
}

// TestStateDamage: every flipped bit, every lost end and every added byte is
// found.
func TestStateDamage(t *testing.T) {
	for _, b := range states(t) {
		for i := range b {
			for bit := range 8 {
				c := bytes.Clone(b)
				c[i] ^= 1 << bit
				if _, err := decodeState(c); err == nil {
					t.Fatalf("byte %d, bit %d: the flip was not found", i, bit)
				}
			}
			if _, err := decodeState(b[:i]); err == nil {
				t.Fatalf("cut at %d: not found", i)
			}
		}
		if _, err := decodeState(append(bytes.Clone(b), '\n')); err == nil {
			t.Error("a byte behind the end was not found")
		}
	}
}

// states are state files with and without a checkpoint.
func states(t testing.TB) [][]byte {
	t.Helper()
	l := newTestLog(t, testOrigin)
	l.grow(t, 5, "main")
	s := newState(testOrigin)
	first := s.encode()
	s.time = testTime
	must(t, s.setCheckpoint(l.checkpoint(t, 5)))
	return [][]byte{first, s.encode()}
}

// TestStateForm: a file whose sum is right but whose content is not of the
// form, as by somebody's hand.
func TestStateForm(t *testing.T) {
	l := newTestLog(t, testOrigin)
	l.grow(t, 5, "main")
	checkpoint := string(l.checkpoint(t, 5))
	cases := []struct{ name, body, want string }{
		{"magic", "safebox-witness-state/v2\norigin " + testOrigin + "\ntime 7\n\n" + checkpoint, "header"},
		{"line too many", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime 7\nx y\n\n" + checkpoint, "header"},
		{"no origin", "safebox-witness-state/v1\nname " + testOrigin + "\ntime 7\n\n" + checkpoint, "line 2"},
		{"other origin", "safebox-witness-state/v1\norigin a\ntime 7\n\n" + checkpoint, "checkpoint of"},
		{"no time", "safebox-witness-state/v1\norigin " + testOrigin + "\n7\n\n" + checkpoint, "line 3"},
		{"negative", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime -7\n\n" + checkpoint, "line 3"},
		{"not decimal", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime 0x7\n\n" + checkpoint, "line 3"},
		{"leading zero", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime 07\n\n" + checkpoint, "form"},
		{"time 0 of a checkpoint", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime 0\n\n" + checkpoint, "both or none"},
		{"time of nothing", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime 7\n\n", "both or none"},
		{"no checkpoint", "safebox-witness-state/v1\norigin " + testOrigin + "\ntime 7\n\nhello\n", "checkpoint"},
		{"no header", checkpoint, "header"},
		{"one line", "safebox-witness-state/v1\n", "no empty line"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := decodeState(sealed(c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	if _, err := decodeState(make([]byte, maxState+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too large: got %v", err)
	}
}

// FuzzDecodeState: the sum is made right, so that the fuzzer reaches what lies
// behind it.
func FuzzDecodeState(f *testing.F) {
	for _, b := range states(f) {
		body, _, _ := bytes.Cut(b, []byte(sumPrefix))
		f.Add(string(body))
	}
	f.Fuzz(func(t *testing.T, body string) {
		b := sealed(body)
		s, err := decodeState(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.encode(), b) {
			t.Errorf("%q does not round-trip", b)
		}
		if s.size < 0 || s.time < 0 || (s.size > 0 && s.time == 0) {
			t.Errorf("accepted size %d at time %d", s.size, s.time)
		}
	})
}

// sealed adds the line with the sum, by hand.
func sealed(body string) []byte {
	return fmt.Appendf(nil, "%ssha256 %x\n", body, sha256.Sum256([]byte(body)))
}
