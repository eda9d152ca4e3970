// Command testsummary reads the events of `go test -json` and prints what a
// person wants of them: a line for each package, the output of failed tests,
// the lines that boots log ("boot: ..."), and the totals. It exits 1 when a
// test failed or was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() { os.Exit(run(os.Stdin, os.Stdout)) }

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

type summary struct {
	out                     io.Writer
	err                     error               // of the first write that failed
	output                  map[string][]string // by package and test, until its verdict
	passed, failed, skipped int
	packages                int
}

func run(in io.Reader, out io.Writer) int {
	s := &summary{out: out, output: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			s.printf("%s\n", lines.Text()) // not an event: say it as it is
			continue
		}
		s.add(e)
	}
	if err := lines.Err(); err != nil {
		s.printf("reading test events: %v\n", err)
		s.failed++
	}
	s.printf("%d packages\n%d passed, %d failed, %d skipped\n", s.packages, s.passed, s.failed, s.skipped)
	if s.err != nil || s.failed > 0 || s.skipped > 0 || s.passed == 0 {
		return 1
	}
	return 0
}

func (s *summary) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.out, format, args...); err != nil && s.err == nil {
		s.err = err
	}
}

func (s *summary) add(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "output":
		s.output[key] = append(s.output[key], e.Output)
		if line, ok := bootLine(e); ok {
			s.printf("boot: %s", line)
		}
	case "build-output":
		s.printf("%s", e.Output)
	case "pass":
		s.end(e, "ok", &s.passed, false)
	case "fail":
		s.end(e, "FAIL", &s.failed, true)
	case "skip":
		if e.Test != "" { // a package without tests is reported as skipped too
			s.end(e, "SKIP", &s.skipped, true)
		}
	}
}

// bootLine takes what a test logged about a machine: t.Logf("boot: ...") comes
// out as "    file_test.go:12: boot: ...".
func bootLine(e event) (string, bool) {
	where, line, ok := strings.Cut(e.Output, ": boot: ")
	return line, ok && e.Test != "" && strings.HasPrefix(where, "    ") && strings.Contains(where, "_test.go:")
}

// end closes a test, or a package when e.Test is empty.
func (s *summary) end(e event, verdict string, count *int, show bool) {
	key := e.Package + "\x00" + e.Test
	defer delete(s.output, key)
	if show {
		for _, line := range s.output[key] {
			s.printf("%s", line)
		}
	}
	if e.Test != "" {
		*count++
		return
	}
	if verdict == "FAIL" {
		s.failed++ // a package may fail to build, without any test
	}
	s.packages++
	s.printf("%-4s %s %.1fs\n", verdict, e.Package, e.Elapsed)
}
