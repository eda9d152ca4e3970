package canon

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// small is a document of what a Reader reads.
type small struct {
	Blob []byte   `json:"blob"`
	Hash Octets32 `json:"hash"`
	List []string `json:"list,omitempty"`
	Size int64    `json:"size"`
	Text string   `json:"text"`
}

// read is what a user of Reader writes for it.
func (s *small) read(b []byte) error {
	r := NewReader(b)
	r.Literal(`{"blob":`)
	s.Blob = r.Base64()
	r.Literal(`,"hash":`)
	s.Hash = r.Octets32()
	if r.Next(`,"list":[`) {
		s.List = append(s.List, r.Text())
		for r.Next(`,`) {
			s.List = append(s.List, r.Text())
		}
		r.Literal(`]`)
	}
	r.Literal(`,"size":`)
	s.Size = r.Integer()
	r.Literal(`,"text":`)
	s.Text = r.Text()
	r.Literal(`}`)
	return r.End()
}

// smallDocuments are valid, made from the rules by hand.
func smallDocuments() []string {
	hash := strings.Repeat("0a", 32)
	return []string{
		`{"blob":"","hash":"` + hash + `","size":0,"text":""}`,
		`{"blob":"AQI=","hash":"` + hash + `","list":["",","],"size":-9007199254740991,"text":"é\"\\\u0001"}`,
	}
}

// agree wants from the Reader what Unmarshal says.
func agree(t *testing.T, b []byte) {
	t.Helper()
	var one, two small
	err, want := one.read(b), Unmarshal(b, &two)
	// The one document that small's reader does not take: null for a list of bytes.
	if want == nil && two.Blob == nil {
		return
	}
	if (err == nil) != (want == nil) || err == nil && !reflect.DeepEqual(one, two) {
		t.Errorf("reader: %v, Unmarshal: %v: %q", err, want, b)
	}
}

func TestReader(t *testing.T) {
	for _, text := range smallDocuments() {
		var s small
		if err := s.read([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		again, err := Marshal(s)
		if err != nil || !bytes.Equal(again, []byte(text)) {
			t.Errorf("got %s, %v, want %s", again, err, text)
		}
		for i := range text {
			for _, c := range []byte("\x00 \"\\,:0a}]\r\n\xff") {
				agree(t, []byte(text[:i]+string(c)+text[i+1:]))
				agree(t, []byte(text[:i]+string(c)+text[i:]))
			}
			agree(t, []byte(text[:i]+text[i+1:]))
			agree(t, []byte(text[:i]))
		}
	}
}

// TestReaderErrors: the first error says where it stands, and stays.
func TestReaderErrors(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	for text, want := range map[string]string{
		``:                                     `byte 0: want "{\"blob\":"`,
		`{"blob":"AR=="`:                       `byte 8: want standard base64 with padding`,
		`{"blob":null`:                         `byte 8: want standard base64`,
		`{"blob":"","hash":"` + hash[1:] + `"`: `byte 18: want 32 bytes of lower-case hex`,
		`{"blob":"","hash":"` + hash + `","size":01`:                     `byte 92: want an integer`,
		`{"blob":"","hash":"` + hash + `","size":1,"text":"\u0041"}`:     `byte 101: want a string`,
		`{"blob":"","hash":"` + hash + `","size":1,"text":""}` + "\n":    `byte 104: want the end`,
		`{"blob":"","hash":"` + hash + `","list":[],"size":1,"text":""}`: `byte 93: want a string`,
	} {
		var s small
		if err := s.read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestReaderStays: after an error nothing is taken any more.
func TestReaderStays(t *testing.T) {
	r := NewReader([]byte(`"AQI="`))
	r.Literal(`{`)
	if r.Next(`"`) || r.Text() != "" || r.Base64() != nil || r.Integer() != 0 || r.Octets32() != (Octets32{}) {
		t.Error("read on after an error")
	}
	if err := r.End(); err == nil || !strings.Contains(err.Error(), `byte 0: want "{"`) {
		t.Errorf("got %v, want the first error", err)
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range smallDocuments() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, b) })
}
