package canon

import (
	"reflect"
	"strings"
	"testing"
)

// every has a field of each kind that documents have.
type every struct {
	Text    string      `json:"text"`
	Octets  []byte      `json:"octets"`
	Hash    Octets32    `json:"hash"`
	Serial  Octets16    `json:"serial"`
	Flag    bool        `json:"flag"`
	Small   uint8       `json:"small"`
	Signed  int32       `json:"signed"`
	Wide    int64       `json:"wide"`
	Count   uint64      `json:"count"`
	Pointer *inner      `json:"pointer"`
	List    []inner     `json:"list"`
	Pairs   [][2]uint32 `json:"pairs"`
	Names   []string    `json:"names"`
	Blobs   [][]byte    `json:"blobs"`
	Hashes  []Octets32  `json:"hashes"`
	Option  *inner      `json:"aa_option,omitempty"` // first, last and in between by name
	Options []inner     `json:"serials,omitempty"`
	Tail    []string    `json:"zz_tail,omitempty"`
}

type inner struct {
	Zeta  int    `json:"zeta"`
	Alpha string `json:"alpha"`
}

// examples are valid documents, made from the rules by hand.
func examples() []string {
	hash := strings.Repeat("0a", 32)
	return []string{
		`{"blobs":null,"count":0,"flag":false,"hash":"` + strings.Repeat("00", 32) + `","hashes":null,"list":null,"names":null,"octets":null,"pairs":null,"pointer":null,"serial":"` + strings.Repeat("00", 16) + `","signed":0,"small":0,"text":"","wide":0}`,
		`{"blobs":["","AA==","AAE="],"count":9007199254740991,"flag":true,"hash":"` + hash + `","hashes":["` + hash + `"],"list":[{"alpha":"é€","zeta":-1},{"alpha":"\"\\/\b\f\n\r\t\u0000\u001f","zeta":7}],"names":["a",""],"octets":"AQID","pairs":[[0,1],[4294967295,2]],"pointer":{"alpha":"<>&","zeta":0},"serial":"` + strings.Repeat("0b", 16) + `","signed":-2147483648,"small":255,"text":"x","wide":-9007199254740991}`,
		`{"aa_option":{"alpha":"","zeta":0},"blobs":null,"count":0,"flag":false,"hash":"` + hash + `","hashes":null,"list":null,"names":null,"octets":null,"pairs":null,"pointer":null,"serial":"` + strings.Repeat("00", 16) + `","serials":[{"alpha":"","zeta":1}],"signed":0,"small":0,"text":"","wide":0,"zz_tail":["x"]}`,
		`{"blobs":null,"count":0,"flag":false,"hash":"` + hash + `","hashes":null,"list":null,"names":null,"octets":null,"pairs":null,"pointer":null,"serial":"` + strings.Repeat("00", 16) + `","signed":0,"small":0,"text":"","wide":0,"zz_tail":[""]}`,
	}
}

// TestDirect: what is canonical is read in one pass, as in two.
func TestDirect(t *testing.T) {
	for _, text := range examples() {
		var one, two every
		if !decodeDirect([]byte(text), &one) {
			t.Errorf("not read: %s", text)
		}
		if err := decodeTwice([]byte(text), &two); err != nil {
			t.Errorf("decodeTwice: %v: %s", err, text)
		}
		if !reflect.DeepEqual(one, two) {
			t.Errorf("got %+v, want %+v", one, two)
		}
	}
}

// TestDirectOfOtherTypes: types that it does not know are left to the other
// way, which then decides.
func TestDirectOfOtherTypes(t *testing.T) {
	if decodeDirect([]byte(`{"a":1}`), &map[string]int{}) || decodeDirect([]byte(`1.5`), new(float64)) ||
		decodeDirect([]byte(`1`), new(any)) || decodeDirect([]byte(`{}`), nil) || decodeDirect([]byte(`1`), 1) ||
		decodeDirect([]byte(`{"a":1}`), &struct {
			A int `json:"a,string"`
		}{}) || decodeDirect([]byte(`{"a":1}`), &struct {
		A int `json:"a,omitempty"`
	}{}) {
		t.Error("read a type that it does not know")
	}
	if err := Unmarshal([]byte(`{"a":1}`), &map[string]int{}); err != nil {
		t.Errorf("map: %v", err)
	}
}

// TestEveryByte changes every byte of the examples: both ways refuse the same.
func TestEveryByte(t *testing.T) {
	for _, text := range examples() {
		for i := range text {
			for _, c := range []byte("\x00 \"\\,:0a}]\xff") {
				same(t, []byte(text[:i]+string(c)+text[i+1:]))
				same(t, []byte(text[:i]+string(c)+text[i:]))
			}
			same(t, []byte(text[:i]+text[i+1:]))
			same(t, []byte(text[:i]))
		}
	}
}

// same compares the one pass with the two, which are the definition.
func same(t *testing.T, b []byte) {
	t.Helper()
	var one, two every
	ok, err := decodeDirect(b, &one), decodeTwice(b, &two)
	if ok != (err == nil) || ok && !reflect.DeepEqual(one, two) {
		t.Errorf("one pass: %t, two: %v: %q", ok, err, b)
	}
}

// TestEmptyOption: what may be absent is never there and empty.
func TestEmptyOption(t *testing.T) {
	for _, text := range []string{`"zz_tail":[]`, `"zz_tail":null`, `"aa_option":null`} {
		b := []byte(strings.Replace(examples()[0], `"wide":0}`, `"wide":0,`+text+`}`, 1))
		if text == `"aa_option":null` { // the first by name
			b = []byte(strings.Replace(examples()[0], `{`, `{`+text+`,`, 1))
		}
		if err := Unmarshal(b, &every{}); err == nil {
			t.Errorf("accepted %s", text)
		}
		same(t, b)
	}
}

// TestUsedValue: what is absent is empty, whatever the value held before.
func TestUsedValue(t *testing.T) {
	var want, got every
	if err := Unmarshal([]byte(examples()[0]), &want); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{examples()[2], examples()[0]} {
		if err := Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzDirect(f *testing.F) {
	for _, text := range examples() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b) })
}
