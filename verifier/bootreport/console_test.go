package bootreport

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines reads the lines of PID 1 out of a real console.
func lines(t *testing.T, name string) []Line {
	t.Helper()
	var all []Line
	for s := range strings.Lines(string(read(t, name))) {
		if l, ok := ParseLine(s); ok {
			all = append(all, l)
		} else if strings.Contains(s, Prefix) {
			t.Errorf("%s: did not parse %q", name, s)
		}
	}
	return all
}

func names(all []Line) []string {
	var s []string
	for _, l := range all {
		s = append(s, strings.TrimSpace(string(l.Outcome)+" "+l.Name))
	}
	return s
}

// TestRealConsoles: firmware and kernel lines are passed over, ours are read.
func TestRealConsoles(t *testing.T) {
	honest := []string{
		"ok inventory", "ok mounts", "ok console", "ok command-line", "ok initramfs", "ok registers", "ok event-log",
		"ok modules", "ok sysctls", "ok entropy", "ok network", "ok confine", "ok api", "ready",
	}
	if d := cmp.Diff(honest, names(lines(t, "honest.log"))); d != "" {
		t.Error(d)
	}
	tampered := lines(t, "smbios.log")
	want := []string{"ok inventory", "ok mounts", "ok console", "refused command-line", "power-off command-line"}
	if d := cmp.Diff(want, names(tampered)); d != "" {
		t.Error(d)
	}
	if d := tampered[3].Detail; !strings.HasPrefix(d, `"evil=1" is in no accepted form`) {
		t.Errorf("reason %q", d)
	}
}

// TestFormat: the examples of the documentation, both ways.
func TestFormat(t *testing.T) {
	tests := []struct {
		text string
		line Line
	}{
		{"safebox: [   1.234567] ok command-line 0.000120s form esp", Line{
			At: 1234567 * time.Microsecond, Outcome: StepDone, Name: "command-line", Duration: 120 * time.Microsecond, Detail: "form esp",
		}},
		{"safebox: [   1.234567] ok inventory 0.000120s", Line{
			At: 1234567 * time.Microsecond, Outcome: StepDone, Name: "inventory", Duration: 120 * time.Microsecond,
		}},
		{`safebox: [   1.240000] refused command-line: "evil=1": is not it`, Line{
			At: 1240 * time.Millisecond, Outcome: Refused, Name: "command-line", Detail: `"evil=1": is not it`,
		}},
		{"safebox: [   1.240100] power-off command-line", Line{At: 1240100 * time.Microsecond, Outcome: PowerOff, Name: "command-line"}},
		{"safebox: [12345.000000] ready", Line{At: 12345 * time.Second, Outcome: Ready}},
	}
	for _, tt := range tests {
		if got := tt.line.String(); got != tt.text {
			t.Errorf("got  %q\nwant %q", got, tt.text)
		}
		for _, end := range []string{"", "\n", "\r\n"} {
			got, ok := ParseLine(tt.text + end)
			if d := cmp.Diff(tt.line, got); !ok || d != "" {
				t.Errorf("%q: %v %s", tt.text, ok, d)
			}
		}
	}
}

func TestStringKeepsLinesApart(t *testing.T) {
	l := Line{Outcome: Refused, Name: "x", Detail: "a\nsafebox: [   0.000000] ready\x1b[2J\u009b\xff"}
	s := l.String()
	if strings.ContainsAny(s, "\n\x1b\u009b") {
		t.Errorf("control characters in %q", s)
	}
	if _, ok := ParseLine(s); !ok {
		t.Errorf("does not parse: %q", s)
	}
}

func TestParseLineRefuses(t *testing.T) {
	for _, s := range []string{
		"",
		"safebox: ",
		"safebox: error: no such file",
		"[    5.126083] reboot: Power down",
		" safebox: [   1.000000] ready",
		"x safebox: [   1.000000] ready",
		"safebox: [   1.000000] ready now",
		"safebox: [   1.000000] done x",
		"safebox: [   1.000000]",
		"safebox: [   1.000000",
		"safebox: [   1.00000] ready",
		"safebox: [   1.0000000] ready",
		"safebox: [  -1.000000] ready",
		"safebox: [    .000000] ready",
		"safebox: [1234567890.000000] ready",
		"safebox: [   1,000000] ready",
		"safebox: [   1.000000] ok",
		"safebox: [   1.000000] ok  0.000001s",
		"safebox: [   1.000000] ok x 0.000001",
		"safebox: [   1.000000] ok x s",
		"safebox: [   1.000000] refused",
		"safebox: [   1.000000] refused two words",
		"safebox: [   1.000000] refused x: \x1b[2J",
		"safebox: [   1.000000] refused x: \u009b2J",
		"safebox: [   1.000000] refused x: \xff",
		"safebox: [   1.000000] refused x: a\nb",
		"safebox: [   1.000000] refused x: " + strings.Repeat("a", MaxText),
	} {
		if l, ok := ParseLine(s); ok {
			t.Errorf("%.80q: read as %+v", s, l)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, name := range []string{"honest.log", "smbios.log"} {
		for s := range strings.Lines(string(read(f, name))) {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, ok := ParseLine(s)
		if !ok {
			return
		}
		again, ok := ParseLine(l.String())
		if d := cmp.Diff(l, again); !ok || d != "" {
			t.Errorf("%q became %q: %v %s", s, l, ok, d)
		}
	})
}
