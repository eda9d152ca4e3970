package canon

import (
	"bytes"
	"strings"
	"testing"
)

type doc struct {
	Zeta  string `json:"zeta"`
	Alpha int64  `json:"alpha"`
	List  []int  `json:"list"`
	Null  *int   `json:"null"`
}

func TestMarshal(t *testing.T) {
	// The string is the one of RFC 8785, section 3.2.2, restricted to what has
	// no float; its escapes are those printed in section 3.2.3.
	v := doc{Zeta: "€$\x0f\nA'B\"\\\\\"/", Alpha: -7, List: []int{56, 0, 9007199254740991}}
	got, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"alpha":-7,"list":[56,0,9007199254740991],"null":null,"zeta":"€$\u000f\nA'B\"\\\\\"/"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back doc
	if err := Unmarshal(got, &back); err != nil {
		t.Errorf("own encoding refused: %v", err)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	good := `{"alpha":1,"list":[2],"null":null,"zeta":"z"}`
	var d doc
	if err := Unmarshal([]byte(good), &d); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"white space":     strings.Replace(good, ":", ": ", 1),
		"newline at end":  good + "\n",
		"trailing value":  good + "{}",
		"order":           `{"list":[2],"alpha":1,"null":null,"zeta":"z"}`,
		"duplicate":       `{"alpha":1,"alpha":1,"list":[2],"null":null,"zeta":"z"}`,
		"unknown field":   `{"alpha":1,"beta":1,"list":[2],"null":null,"zeta":"z"}`,
		"missing field":   `{"alpha":1,"list":[2],"zeta":"z"}`,
		"other case":      `{"Alpha":1,"list":[2],"null":null,"zeta":"z"}`,
		"exponent":        strings.Replace(good, "1,", "1e0,", 1),
		"float":           strings.Replace(good, "1,", "1.0,", 1),
		"too large":       strings.Replace(good, "1,", "9007199254740992,", 1),
		"needless escape": strings.Replace(good, `"z"`, `"\u007a"`, 1),
		"not UTF-8":       strings.Replace(good, `"z"`, "\"\xff\"", 1),
		"empty":           "",
	} {
		if err := Unmarshal([]byte(bad), new(doc)); err == nil {
			t.Errorf("%s: accepted %s", name, bad)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"alpha":1,"list":[2],"null":null,"zeta":"z"}`))
	f.Add([]byte(`{"alpha":-9007199254740991,"list":[],"null":null,"zeta":"\u0001\t\"\\é"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d doc
		if Unmarshal(b, &d) != nil {
			return
		}
		again, err := Marshal(d)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
		}
	})
}
