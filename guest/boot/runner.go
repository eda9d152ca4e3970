package boot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

// Refuse is told why the machine must not go on, most specific reason first.
// PowerOff is the one that the appliance uses; it does not return. One that
// returns lets the boot go on: only a test's init may have such a thing.
type Refuse func(c *Console, reasons []bootreport.Refusal)

// step is one named part of the boot. Its error is either Refusals or a
// failure.
type step struct {
	name string
	do   func() (detail string, err error)
}

// Refusals is the error of a check that found reasons not to go on.
type Refusals []bootreport.Refusal

// Error lists the refusals.
func (r Refusals) Error() string {
	texts := make([]string, len(r))
	for i, x := range r {
		texts[i] = x.ID + ": " + x.Detail
	}
	return strings.Join(texts, "; ")
}

func refusal(id, detail string) Refusals { return Refusals{{ID: id, Detail: detail}} }

// failure is an error that powers off under a name other than its step's.
type failure struct {
	id  string
	err error
}

func (f failure) Error() string { return f.err.Error() }

func (f failure) Unwrap() error { return f.err }

// runner runs steps, times them, and says on the console what happened.
type runner struct {
	console  *Console
	now      func() time.Duration
	refuse   Refuse
	powerOff Refuse
	report   *bootreport.Report
}

func (r *runner) run(steps []step) {
	for _, s := range steps {
		r.runStep(s)
	}
}

// runStep ends in one of four ways: done, refused, failed, panicked. All but
// the first leave through refuse or powerOff.
func (r *runner) runStep(s step) {
	start := r.now()
	detail, err := recovered(s.do)
	took := r.now() - start

	if err == nil {
		r.say(bootreport.Line{At: start + took, Outcome: bootreport.StepDone, Name: s.name, Duration: took, Detail: detail})
		r.record(s.name, start, took, detail)
		return
	}
	reasons, leave := r.classify(s.name, err)
	r.record(s.name, start, took, reasons[0].ID)
	for i := range reasons {
		reasons[i].Detail = clip(reasons[i].Detail)
		r.say(bootreport.Line{At: r.now(), Outcome: bootreport.Refused, Name: reasons[i].ID, Detail: reasons[i].Detail})
	}
	r.report.Refusals = append(r.report.Refusals, reasons...)
	leave(r.console, reasons)
}

// classify tells refusals, which go to refuse, from failures and panics,
// which always power off.
func (r *runner) classify(name string, err error) (Refusals, Refuse) {
	var reasons Refusals
	if errors.As(err, &reasons) && len(reasons) > 0 {
		return reasons, r.refuse
	}
	var p panicked
	if errors.As(err, &p) {
		return refusal("panic", fmt.Sprintf("step %s: %s", name, p.text)), r.powerOff
	}
	var f failure
	if errors.As(err, &f) {
		name = f.id
	}
	return refusal(name, err.Error()), r.powerOff
}

func (r *runner) record(name string, start, took time.Duration, detail string) {
	r.report.Steps = append(r.report.Steps, bootreport.Step{
		Name: name, Start: start.Microseconds(), Duration: took.Microseconds(), Detail: clip(detail),
	})
}

func (r *runner) ready() { r.say(bootreport.Line{At: r.now(), Outcome: bootreport.Ready}) }

// say writes a line. A console that takes none is no reason to stop: the
// host could otherwise choose the moment at which the boot ends.
func (r *runner) say(l bootreport.Line) { r.console.writeLine(l) }

// panicked is a panic turned into an error.
type panicked struct{ text string }

func (p panicked) Error() string { return "panic: " + p.text }

// recovered calls do and turns a panic of its goroutine into an error. A
// panic elsewhere ends PID 1, at which the kernel panics and, by panic=1 on
// its command line, leaves the machine.
func recovered(do func() (string, error)) (detail string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked{fmt.Sprint(v)}
		}
	}()
	return do()
}

// clip bounds a text that may hold what the host supplied.
func clip(s string) string {
	const most = 1024
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// sinceKernelStart reads CLOCK_BOOTTIME, which counts from the kernel's start.
// It fails for a bad clock number only.
func sinceKernelStart() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("reading CLOCK_BOOTTIME: %v", err))
	}
	return time.Duration(ts.Nano())
}
