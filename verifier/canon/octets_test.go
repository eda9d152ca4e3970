package canon

import (
	"strings"
	"testing"
)

func TestOctets(t *testing.T) {
	type document struct {
		Key    Octets32 `json:"key"`
		Serial Octets16 `json:"serial"`
	}
	good := `{"key":"` + strings.Repeat("0f", 32) + `","serial":"` + strings.Repeat("a0", 16) + `"}`
	var d document
	if err := Unmarshal([]byte(good), &d); err != nil {
		t.Fatal(err)
	}
	if d.Key[31] != 0x0f || d.Serial[0] != 0xa0 {
		t.Errorf("got %v %v", d.Key, d.Serial)
	}
	for _, bad := range []string{
		strings.Replace(good, "0f", "0F", 1),
		strings.Replace(good, "0f", "", 1),
		strings.Replace(good, "0f", "0f0f", 1),
		strings.Replace(good, "0f", "0g", 1),
		strings.Replace(good, "a0", "", 1),
		strings.Replace(good, `"`+strings.Repeat("0f", 32)+`"`, "null", 1),
		strings.Replace(good, `"`+strings.Repeat("0f", 32)+`"`, "[1]", 1),
	} {
		err := Unmarshal([]byte(bad), &document{})
		if err == nil {
			t.Errorf("%s: accepted", bad)
		}
		if err != nil && (strings.Contains(err.Error(), "0f0f") || strings.Contains(err.Error(), "a0a0")) {
			t.Errorf("the error shows what may be a secret: %v", err)
		}
	}
}
