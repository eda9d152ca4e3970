package deb

import (
	"strings"
	"testing"
)

func TestParseControlRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no end", "Package: x", "last line has no end"},
		{"no colon", "Package x\n", `line 1: got "Package x"`},
		{"comment", "# x: y\n", "line 1"},
		{"dash", "-x: y\n", "line 1"},
		{"blank in name", "Pack age: x\n", "byte 0x20"},
		{"twice", "A: 1\nB: 2\na: 3\n", "line 3: field a: given twice"},
		{"second stanza", "A: 1\n\nB: 2\n", `line 2: got ""`},
		{"fold first", " A: 1\n", "line 1"},
		{"not UTF-8", "A: \xff\n", "not UTF-8"},
		{"empty", "", "last line has no end"},
		{"too long", "A: " + strings.Repeat("x", maxControl) + "\n", "limit is"},
	} {
		if _, err := ParseControl([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestIdentityRefuses(t *testing.T) {
	good := Control{"Package": "x1", "Version": "1", "Architecture": "all"}
	if _, _, _, err := good.identity(); err != nil {
		t.Fatal(err)
	}
	for field, bad := range map[string]string{"Package": "X", "Version": "1_2", "Architecture": "AMD64"} {
		c := Control{"Package": "x1", "Version": "1", "Architecture": "all"}
		c[field] = bad
		if _, _, _, err := c.identity(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s %q: got %v", field, bad, err)
		}
		delete(c, field)
		if _, _, _, err := c.identity(); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("%s missing: got %v", field, err)
		}
	}
}
