package sandbox

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func text(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/text")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTextstat: wanted are the values that testdata/textstat.py printed.
func TestTextstat(t *testing.T) {
	tests := []struct {
		name   string // and the script's arguments
		params string
		chunk  int64
		ranges [][2]uint32
		want   string
	}{
		{"whole: 1000 3 0-0", `{"top":3}`, 1000, [][2]uint32{{0, 1}}, `{"bytes":364,"lines":8,"words":48,"distinct":39,"longest":130,"utf8":false,"top":[{"count":6,"word":"the"},{"count":2,"word":"The"},{"count":2,"word":"café"}]}`},
		{"one chunk: 40 100 0-0", `{"top":100}`, 40, [][2]uint32{{0, 1}}, `{"bytes":40,"lines":0,"words":8,"distinct":8,"longest":40,"utf8":true,"top":[{"count":1,"word":"The"},{"count":1,"word":"brown"},{"count":1,"word":"fox"},{"count":1,"word":"jumps"},{"count":1,"word":"lazy"},{"count":1,"word":"over"},{"count":1,"word":"quick"},{"count":1,"word":"the"}]}`},
		{"three ranges: 40 5 1-3 5-7 9-11", `{"top":5}`, 40, [][2]uint32{{1, 4}, {5, 8}, {9, 12}}, `{"bytes":244,"lines":7,"words":34,"distinct":30,"longest":79,"utf8":false,"top":[{"count":3,"word":"the"},{"count":2,"word":"café"},{"count":2,"word":"dog"},{"count":1,"word":"\u0001control\u001f"},{"count":1,"word":"\"slept\""}]}`},
		{"words and characters cut: 10 4 0-11 13-29", `{"top":4}`, 10, [][2]uint32{{0, 12}, {13, 30}}, `{"bytes":290,"lines":5,"words":33,"distinct":28,"longest":130,"utf8":false,"top":[{"count":4,"word":"the"},{"count":2,"word":"The"},{"count":2,"word":"dog"},{"count":1,"word":"\u0001control\u001f"}]}`},
		{"no words: 16 0 0-3", `{"top":0}`, 16, [][2]uint32{{0, 4}}, `{"bytes":64,"lines":2,"words":13,"distinct":12,"longest":44,"utf8":true,"top":[]}`},
		{"single bytes: 1 3 0-2 4-4", `{"top":3}`, 1, [][2]uint32{{0, 3}, {4, 5}}, `{"bytes":4,"lines":0,"words":2,"distinct":2,"longest":3,"utf8":true,"top":[{"count":1,"word":"The"},{"count":1,"word":"q"}]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			done, k := job{
				module: module(t, textstat), params: test.params, text: text(t), chunk: test.chunk, ranges: test.ranges,
			}.both(t)
			if done.Exit != 0 || done.Trap != "" {
				t.Fatalf("%+v: %q", done, k.logs)
			}
			var got, want any
			if err := json.Unmarshal([]byte(k.outputs[0]), &got); err != nil {
				t.Fatalf("output %q: %v", k.outputs[0], err)
			}
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			if len(k.outputs) != 1 || k.kinds[0] != "object" {
				t.Errorf("outputs: %v", k.kinds)
			}
		})
	}
}

// TestTextstatASCII: wanted is what wc -l -w -c -L printed for the first 93 bytes:
// 3 19 93 44.
func TestTextstatASCII(t *testing.T) {
	_, k := job{module: module(t, textstat), params: `{"top":0}`, text: text(t)[:93], chunk: 1 << 20, ranges: [][2]uint32{{0, 1}}}.both(t)
	if want := `{"bytes":93,"lines":3,"words":19,`; !strings.HasPrefix(k.outputs[0], want) {
		t.Errorf("got %s, want %s", k.outputs[0], want)
	}
}

// TestTextstatNothing: no input at all, an empty one, one of which nothing is
// granted.
func TestTextstatNothing(t *testing.T) {
	const want = `{"bytes":0,"lines":0,"words":0,"distinct":0,"longest":0,"utf8":true,"top":[]}` + "\n"
	for name, j := range map[string]job{
		"no input":        {},
		"empty input":     {chunk: 10, ranges: [][2]uint32{}},
		"nothing granted": {chunk: 10, ranges: [][2]uint32{}, text: "some text"},
	} {
		j.module, j.params = module(t, textstat), `{"top":9}`
		if done, k := j.both(t); k.outputs[0] != want || done.Exit != 0 {
			t.Errorf("%s: %+v, %v %q", name, done, k.outputs, k.logs)
		}
	}
}

func TestTextstatParameters(t *testing.T) {
	for _, params := range []string{"", "{}", `{"top":-1}`, `{"top":1001}`, `{"top":1}x`, `{"top":1,"x":2}`, `{"top":99999999999999999999}`} {
		done, k, err := job{module: module(t, textstat), params: params}.on(t, "interpreter")
		if err != nil || done.Trap != TrapAbort || done.Exit != 1 || len(k.outputs) != 0 || !strings.Contains(strings.Join(k.logs, ""), "parameters") {
			t.Errorf("%q: %+v, %v, %q", params, done, err, k.logs)
		}
	}
}

// TestTextstatLongWord: a word over 64 KiB is refused, whatever the chunks.
func TestTextstatLongWord(t *testing.T) {
	j := job{module: module(t, textstat), params: `{"top":1}`, chunk: 1000, ranges: [][2]uint32{{0, 66}}}
	j.text = strings.Repeat("w", 64<<10)
	if done, k := j.both(t); done.Exit != 0 || !strings.Contains(k.outputs[0], `"words":1,`) {
		t.Errorf("64 KiB: %+v, %q", done, k.logs)
	}
	j.text += "w"
	if done, _ := j.both(t); done.Exit != 1 || done.Trap != TrapAbort {
		t.Errorf("64 KiB and a byte: %+v", done)
	}
}
