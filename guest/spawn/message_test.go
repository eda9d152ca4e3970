package spawn

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// messages has the bytes of each message written out by hand after the table
// in message.go; 64 MiB is 0x4000000, a minute is 60e9 ns = 0xdf8475800.
func messages() map[string]message {
	return map[string]message{
		"01" + "00000007" + "0000000004000000" + "0000000df8475800" + "01": {op: 1, worker: 7, limits: Limits{Memory: 64 << 20, Wall: time.Minute, Engine: "compiler"}},
		"01" + "00000007" + "0000000004000000" + "0000000df8475800" + "02": {op: 1, worker: 7, limits: Limits{Memory: 64 << 20, Wall: time.Minute, Engine: "interpreter"}},
		"02" + "01020304":                      {op: 2, worker: 0x01020304},
		"03" + "00000001":                      {op: 3, worker: 1},
		"04" + "00000001" + "776879":           {op: 4, worker: 1, text: "why"},
		"04" + "00000001":                      {op: 4, worker: 1},
		"05" + "00000001" + "09" + "00" + "03": {op: 5, worker: 1, ending: Ending{Signal: 9, OOM: true, Wall: true}},
		"05" + "00000001" + "00" + "ff" + "00": {op: 5, worker: 1, ending: Ending{Status: 255}},
	}
}

func TestMessages(t *testing.T) {
	for text, want := range messages() {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeMessage(b)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(message{})); d != "" {
			t.Errorf("%s: %s", text, d)
		}
		if e := got.encode(); !bytes.Equal(e, b) {
			t.Errorf("%s: encodes as %x", text, e)
		}
	}
	for _, text := range []string{
		"", "01", "01000000", "0000000001", "0600000001", "0200000001ff", "0300000001ff",
		"01000000070000000004000000" + "0000000df8475800",          // no engine
		"01000000070000000004000000" + "0000000df8475800" + "00",   // engine 0
		"01000000070000000004000000" + "0000000df8475800" + "03",   // engine 3
		"01000000070000000004000000" + "0000000df8475800" + "01ff", // longer
		"0500000001" + "0900", "0500000001" + "090004", "0500000001" + "09000000", // short, flag 4, long
		"0400000001" + hex.EncodeToString(make([]byte, 257)),
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := decodeMessage(b); err == nil {
			t.Errorf("%s: decoded as %+v", text, m)
		}
	}
	long := message{op: opRefused, worker: 1, text: string(make([]byte, 1000))}.encode()
	if _, err := decodeMessage(long); err != nil {
		t.Errorf("a long reason: %v", err)
	}
}

// FuzzMessage: whatever decodes encodes to the same bytes.
func FuzzMessage(f *testing.F) {
	for text := range messages() {
		b, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMessage(b)
		if err != nil {
			return
		}
		if e := m.encode(); !bytes.Equal(e, b) {
			t.Errorf("%x decodes as %+v, which encodes as %x", b, m, e)
		}
	})
}

// TestParseOOM: memory.events of Linux 6.12, taken from a group before and
// after its limit was hit.
func TestParseOOM(t *testing.T) {
	for text, want := range map[string]bool{
		"low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n":  false,
		"low 0\nhigh 0\nmax 91\noom 1\noom_kill 1\noom_group_kill 1\n": true,
	} {
		if got, err := parseOOM([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %t, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "oom 1\n", "oom_kill x\n", "oom_kill -1\n", "oom_kill\n"} {
		if got, err := parseOOM([]byte(text)); err == nil {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

// TestCgroupsNeedTheKernel: a folder that is no cgroup gives an error, not a
// group without limits.
func TestCgroupsNeedTheKernel(t *testing.T) {
	c := Cgroups(t.TempDir())
	if err := c.Enable(); err == nil {
		t.Error("controllers enabled in a folder")
	}
	if _, err := c.New("x", 1, 1<<20); err == nil {
		t.Error("group made in a folder")
	}
}
