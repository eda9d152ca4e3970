package sandbox

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestProbe runs Go programs, with both engines.
func TestProbe(t *testing.T) {
	const text = "0123456789abcdefghijABCDEFGHIJ98765" // four chunks of 10, the last of 5
	tests := []struct {
		word, want string // output 0
		exit       int64
		trap       string
		output     int64
	}{
		{word: "nothing"},
		// Go's runtime ends with 2 after a panic.
		{word: "panic", exit: 2, want: "none"},
		{word: "nil", exit: 2, want: "none"},
		{word: "exit", exit: 7, want: "none"},
		{word: "abort", exit: 9, trap: TrapAbort, want: "none"},
		{word: "sleep", want: "slept 1 h\nwaited 2 h\nspun\n"},
		// python3: sum(i % 100 for i in range(20000))
		{word: "stress", want: "990000\n"},
		{word: "outside", want: "open: true\nread folder: true\nwrite: true\nmake folder: true\ndial: true\nlook up: true\n" +
			"environment: 0, arguments: 0\ninput: 0 <nil>\nprocess: true\n"},
		{word: "inputs", want: inputsWant},
		{word: "outputs", want: "slot 1 <nil>\nwrite: <nil>\nslot 2 <nil>\nwrite: <nil>\nwrite: <nil>\nwrite: <nil>\nclose: <nil>\n" +
			"close: errno 9\nwrite: errno 9\nclose: errno 9\n"},
		{word: "many", want: "64 errno 24\n"},
		{word: "chatter"},
		{word: "grow", exit: 2, want: "none"},
		{word: "calls", trap: TrapCalls, want: "none"},
		// python3: hashlib.sha256(b"0123456789abcdef" * 4096).hexdigest()
		{word: "work", want: "d8b2af1c85cdb4588e978aed5875e12cbfd20f68009823cf914b40cf41d8e4ce true\n"},
	}
	for _, test := range tests {
		t.Run(test.word, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			done, k := job{
				module: module(t, probe), params: test.word, text: text, chunk: 10, ranges: [][2]uint32{{1, 2}, {3, 4}},
			}.both(t)
			if done.Exit != test.exit || done.Trap != test.trap || done.MemoryPeak == 0 || done.MemoryPeak > 64<<20 {
				t.Errorf("got %+v, want exit %d and trap %q; logs %q", done, test.exit, test.trap, k.logs)
			}
			got, ok := k.outputs[0]
			if !ok {
				got = "none"
			}
			if got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			if logged := len(strings.Join(k.logs, "")); logged > maxLog {
				t.Errorf("%d bytes of logs, want at most %d", logged, maxLog)
			}
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("took %v", took)
			}
			if _, ok := k.outputs[1]; ok {
				t.Error("an output that was never closed left")
			}
			if test.word == "outputs" && (k.outputs[2] != "one, two" || k.kinds[2] != "object") {
				t.Errorf("output 2: %q, %q", k.outputs[2], k.kinds[2])
			}
		})
	}
}

// inputsWant: 35 bytes in chunks of 10, of which 1 and 3 are granted. EBADF is 9,
// EACCES 13, EINVAL 22 (Linux, include/uapi/asm-generic/errno-base.h).
const inputsWant = `inputs: 1
0 at 0: "" errno 13
0 at 9: "" errno 13
1 at 10: "a" <nil>
1 at 15: "f" <nil>
1 at 19: "j" <nil>
0 at 20: "" errno 13
0 at 29: "" errno 13
1 at 30: "9" <nil>
1 at 34: "5" <nil>
0 at 35: "" EOF
0 at 36: "" EOF
0 at 1099511627776: "" EOF
0 at 9223372036854775807: "" EOF
0 at -1: "" errno 22
0 at -9223372036854775808: "" errno 22
10 at 10: "abcdefghij" errno 13
0 at 10: "" <nil>
0 at 0: "" errno 9
0 at 0: "" errno 9
release: <nil> <nil> errno 9
info: errno 9
granted: {10 35 [[1 2] [3 4]]} <nil>
`

// TestOutputLimit: what was written before the limit leaves.
func TestOutputLimit(t *testing.T) {
	done, k := job{module: module(t, probe), params: "full", output: 10_100}.both(t)
	if done.Exit != 0 || done.Trap != "" || k.outputs[0] != "10000 errno 28\nclose: <nil>\n" || len(k.outputs[1]) != 10_000 {
		t.Errorf("%+v, %q, %d bytes", done, k.outputs[0], len(k.outputs[1]))
	}
}

// TestDeterminism: random numbers, clocks, map order, scheduling.
func TestDeterminism(t *testing.T) {
	_, k := job{module: module(t, probe), params: "chance"}.both(t)
	_, again := job{module: module(t, probe), params: "chance"}.both(t)
	if k.outputs[0] != again.outputs[0] || len(k.outputs[0]) < 500 {
		t.Errorf("got\n%s\nand then\n%s", k.outputs[0], again.outputs[0])
	}
	if !strings.Contains(k.outputs[0], "2023-11-14T22:13:20.") { // date -u -d @1700000000
		t.Errorf("the job's time is not there: %s", k.outputs[0])
	}
}

// TestDeepRecursion: the engines have different ends of the stack, and both have
// one.
func TestDeepRecursion(t *testing.T) {
	for _, engine := range engines() {
		done, k, err := job{module: module(t, probe), params: "recurse", memory: 512 << 20}.on(t, engine)
		if err != nil || done.Trap == "" && done.Exit != 2 || len(k.outputs) != 0 {
			t.Errorf("%s: %+v, %v", engine, done, err)
		}
	}
}

// TestKeeperFails: what the keeper can't do is no outcome of the program.
func TestKeeperFails(t *testing.T) {
	for call, word := range map[string]string{"chunk": "inputs", "output": "nothing", "log": "chatter"} {
		for _, engine := range engines() {
			_, k, err := job{
				module: module(t, probe), params: word, text: "0123456789abcdef", chunk: 10, ranges: [][2]uint32{{0, 2}}, fail: call,
			}.on(t, engine)
			if !errors.Is(err, errTest) || !errors.Is(err, errHost) || len(k.outputs) != 0 {
				t.Errorf("%s, %s: got %v", call, engine, err)
			}
		}
	}
}
