package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/verifier/bootreport"

	"github.com/google/go-cmp/cmp"
)

// ended is what the fake power-off panics with: like the real one, it does
// not return.
type ended struct{ id string }

// fakeRunner counts one millisecond for each look at the clock.
func fakeRunner(refuse Refuse) *runner {
	var now time.Duration
	return &runner{
		console:  &Console{},
		now:      func() time.Duration { now += time.Millisecond; return now },
		refuse:   refuse,
		powerOff: func(_ *Console, reasons []bootreport.Refusal) { panic(ended{reasons[0].ID}) },
		report:   &bootreport.Report{},
	}
}

// runUntilEnd runs steps and gives the ID with which the machine went off.
func runUntilEnd(r *runner, steps []step) (id string) {
	defer func() {
		if e, ok := recover().(ended); ok {
			id = e.id
		}
	}()
	r.run(steps)
	return ""
}

func stepsAround(bad step) []step {
	fine := func() (string, error) { return "fine", nil }
	return []step{{"first", fine}, bad, {"last", fine}}
}

func TestStepOutcomes(t *testing.T) {
	powerOff := func(_ *Console, reasons []bootreport.Refusal) { panic(ended{reasons[0].ID}) }
	goOn := func(*Console, []bootreport.Refusal) {}
	two := Refusals{{ID: "a", Detail: "x\ny"}, {ID: "b", Detail: "z"}}
	const first, last = "safebox: [   0.002000] ok first 0.001000s fine\n", "ok last 0.001000s fine\n"
	tests := []struct {
		name    string
		refuse  Refuse
		do      func() (string, error)
		id      string // of the power-off
		console string // what the console has after the first step
		reasons int
	}{
		{"done", powerOff, func() (string, error) { return "", nil }, "", "ok bad 0.001000s\n", 0},
		{"refused", powerOff, func() (string, error) { return "", two }, "a", "refused a: x y\nrefused b: z\n", 2},
		{"refused, test init", goOn, func() (string, error) { return "", two }, "", "refused a: x y\nrefused b: z\n" + last, 2},
		{"wrapped refusal", goOn, func() (string, error) { return "", fmt.Errorf("w: %w", two) }, "", "refused a: x y\n", 2},
		{"failed", powerOff, func() (string, error) { return "", errors.New("broken") }, "bad", "refused bad: broken\n", 1},
		{"failed, test init", goOn, func() (string, error) { return "", errors.New("broken") }, "bad", "refused bad: broken\n", 1},
		{"failed by name", goOn, func() (string, error) { return "", fmt.Errorf("w: %w", failure{"x-exited", errors.New("gone")}) }, "x-exited", "refused x-exited: w: gone\n", 1},
		{"panic, test init", goOn, func() (string, error) { panic("oh") }, "panic", "refused panic: step bad: oh\n", 1},
		{"empty refusals are a failure", goOn, func() (string, error) { return "", Refusals{} }, "bad", "refused bad\n", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fakeRunner(tt.refuse)
			if id := runUntilEnd(r, stepsAround(step{"bad", tt.do})); id != tt.id {
				t.Errorf("ended with %q, want %q", id, tt.id)
			}
			text := string(r.console.kept)
			rest, ok := strings.CutPrefix(text, first)
			if !ok {
				t.Fatalf("console begins with %q", text)
			}
			var plain strings.Builder
			for line := range strings.Lines(rest) {
				_, after, _ := strings.Cut(line, "] ")
				plain.WriteString(after)
			}
			if !strings.HasPrefix(plain.String(), tt.console) {
				t.Errorf("console:\n%swant\n%s", plain.String(), tt.console)
			}
			if strings.Contains(text, "ok last") != (tt.id == "") {
				t.Errorf("the next step must run exactly when the machine stays on:\n%s", text)
			}
			if len(r.report.Refusals) != tt.reasons {
				t.Errorf("report has %v", r.report.Refusals)
			}
		})
	}
}

func TestReportedSteps(t *testing.T) {
	r := fakeRunner(func(*Console, []bootreport.Refusal) {})
	long := strings.Repeat("x", 5000)
	r.run(stepsAround(step{"bad", func() (string, error) { return "", refusal("id", long) }}))
	want := []bootreport.Step{
		{Name: "first", Start: 1000, Duration: 1000, Detail: "fine"},
		{Name: "bad", Start: 3000, Duration: 1000, Detail: "id"},
		{Name: "last", Start: 6000, Duration: 1000, Detail: "fine"},
	}
	if d := cmp.Diff(want, r.report.Steps); d != "" {
		t.Error(d)
	}
	if n := len(r.report.Refusals[0].Detail); n > 1100 {
		t.Errorf("detail of %d bytes is not clipped", n)
	}
}

// TestOrder: the three checks come before the machine does anything with what
// the host supplied, most specific reason first.
func TestOrder(t *testing.T) {
	b := &machine{}
	var names []string
	for _, s := range b.steps(&Console{}) {
		names = append(names, s.name)
	}
	want := []string{
		"inventory", "mounts", "console", "command-line", "initramfs", "registers",
		"event-log", "modules", "sysctls", "entropy", "confine", "keeper", "network", "keeper-ready", "api",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

// TestConsoleKeepsEarlyLines: lines from before the device is open appear on
// it, after a newline that ends what the firmware left.
func TestConsoleKeepsEarlyLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tty")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Console{}
	c.writeLine(bootreport.Line{Outcome: bootreport.StepDone, Name: "early"})
	if err := c.open(path); err != nil {
		t.Fatal(err)
	}
	c.writeLine(bootreport.Line{Outcome: bootreport.Ready})
	if err := c.drain(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "\nsafebox: [   0.000000] ok early 0.000000s\nsafebox: [   0.000000] ready\n"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if err := (&Console{}).open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("opened a console that is not there")
	}
}

func TestConsoleKeepsNoMoreThanItsBound(t *testing.T) {
	c := &Console{}
	if _, err := c.Write(make([]byte, maxKept)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("kept more than the bound")
	}
}
