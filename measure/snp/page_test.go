package snp

import (
	"testing"

	"safebox/measure/vectortest"
)

// testPages runs the vectors of gce-tcb-verifier: pages without a launch.
func testPages(t *testing.T, in vector, v vectortest.Vector) {
	t.Helper()
	var place struct {
		GPA    uint64 `json:"start_gpa"`
		Length uint64
		Data   string
	}
	v.Decode(t, &place)
	var c Chain
	switch in.Kind {
	case "snp-normal-pages":
		const described = `16 bytes "LGTM"x4, zeros, 16 bytes "LGTM"x4; 12288 bytes in all`
		if place.Data != described {
			t.Fatalf("data: got %q, want %q", place.Data, described)
		}
		data := make([]byte, 12288)
		copy(data, "LGTMLGTMLGTMLGTM")
		copy(data[len(data)-16:], "LGTMLGTMLGTMLGTM")
		c.Normal(place.GPA, data, "")
	case "snp-zero-pages":
		c.Fill(PageZero, place.GPA, place.Length, "")
	default:
		t.Fatalf("kind: got %q", in.Kind)
	}
	if got := c.LD().String(); got != in.Expected {
		t.Errorf("got %s, want %s", got, in.Expected)
	}
}
