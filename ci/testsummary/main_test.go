package main

import (
	"strings"
	"testing"
)

func TestBootLine(t *testing.T) {
	for output, want := range map[string]bool{
		"    boot_test.go:27: boot: ready after 9 s\n":        true,
		"text Image needed to boot: Assertion failed\n":       false,
		"    main_test.go:7: the firmware did not boot: no\n": false,
	} {
		if _, got := bootLine(event{Test: "T", Output: output}); got != want {
			t.Errorf("%q: got %v, want %v", output, got, want)
		}
	}
}

func TestRun(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"T","Elapsed":1}` + "\n"
	for name, c := range map[string]struct {
		in   string
		want string
		code int
	}{
		"pass":          {pass + `{"Action":"pass","Package":"p","Elapsed":1}`, "1 passed, 0 failed, 0 skipped", 0},
		"fail":          {pass + `{"Action":"fail","Package":"p","Test":"U"}`, "1 passed, 1 failed, 0 skipped", 1},
		"build failure": {pass + `{"Action":"fail","Package":"q"}`, "1 passed, 1 failed, 0 skipped", 1},
		"skip":          {pass + `{"Action":"skip","Package":"p","Test":"U"}`, "1 passed, 0 failed, 1 skipped", 1},
		"no tests":      {`{"Action":"skip","Package":"p"}`, "0 passed, 0 failed, 0 skipped", 1},
		"boot log":      {pass + `{"Action":"output","Package":"p","Test":"U","Output":"    e2e_test.go:1: boot: ready\n"}`, "boot: ready\n", 0},
	} {
		var out strings.Builder
		if code := run(strings.NewReader(c.in), &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: code %d, want %d, output:\n%s\nwant %q in it", name, code, c.code, out.String(), c.want)
		}
	}
}
