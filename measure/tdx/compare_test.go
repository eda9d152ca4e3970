package tdx

import (
	"strings"
	"testing"

	"safebox/measure/eventlog"
)

// TestCompare expects every bit of every register to count, and a register
// without a prediction to be a difference.
func TestCompare(t *testing.T) {
	d := Digest{1}
	p := &Prediction{}
	var values [eventlog.MRs]Digest
	for i := range p.Registers {
		p.Registers[i] = Register{Name: name(i), Value: &d}
		values[i] = d
	}
	if list := p.Compare(values); list != nil {
		t.Errorf("equal: got %v", list)
	}
	for i := range values {
		for _, bit := range []int{0, 8*len(d) - 1} {
			values[i][bit/8] ^= 1 << (bit % 8)
			if list := p.Compare(values); len(list) != 1 || list[0].Index != i || list[0].Name != name(i) {
				t.Errorf("%s, bit %d: got %v", name(i), bit, list)
			}
			values[i][bit/8] ^= 1 << (bit % 8)
		}
		p.Registers[i].Value = nil
		if list := p.Compare(values); len(list) != 1 || list[0].Missing != "the register was not predicted at all" {
			t.Errorf("%s, not predicted: got %v", name(i), list)
		}
		p.Registers[i].Value = &d
	}
}

// TestEveryRegisterOfALogCounts: the log has no event in RTMR3, and RTMR0 to
// RTMR2 as predicted.
func TestEveryRegisterOfALogCounts(t *testing.T) {
	log, want := goEventlog(t, "ccel-unpadded")
	p := &Prediction{}
	for i := range p.Registers {
		p.Registers[i] = Register{Name: name(i), Value: &Digest{}}
		if v := want[name(i)]; v != "" {
			d := parseDigest(t, v)
			p.Registers[i].Value = &d
		}
	}
	compareNone(t, p, log)
	for i := RTMR0; i <= RTMR3; i++ {
		changed := *p
		d := *p.Registers[i].Value
		d[47] ^= 1
		changed.Registers[i].Value = &d
		list, err := changed.CompareLog(log)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Index != i || *list[0].Want != d || list[0].Got != *p.Registers[i].Value {
			t.Errorf("%s: got %v", name(i), list)
		}
	}
}

// TestDifferenceText: whoever reads of a difference learns which digests are the
// log's own, and a log's bytes do not get to a terminal.
func TestDifferenceText(t *testing.T) {
	d, e := Digest{1}, Digest{2}
	event := &Event{eventlog.Separator, "separator", d, FromLog}
	got := &eventlog.Event{Type: eventlog.EFIAction, Data: []byte("x\x1b[2J")}
	one, two := "01"+strings.Repeat("00", 47), "02"+strings.Repeat("00", 47)
	for _, tt := range []struct {
		d    Difference
		want string
	}{
		{Difference{Name: "rtmr0", Want: &d, Got: e}, "rtmr0: got " + two + ", want " + one},
		{Difference{Name: "rtmr0", Missing: "no file", Got: e}, "rtmr0: got " + two + ", nothing predicted: no file"},
		{
			Difference{Name: "rtmr0", Want: &d, Got: e, Event: &EventDifference{Index: 3, Want: event}},
			"rtmr0: got " + two + ", want " + one + "; first at its event 3: got no event, want EV_SEPARATOR separator with digest " + one + " (from log)",
		},
		{
			Difference{Name: "rtmr0", Want: &d, Got: e, Event: &EventDifference{Want: &Event{Type: eventlog.EFIAction, Description: "x"}, Got: got, Digest: e}},
			"rtmr0: got " + two + ", want " + one + `; first at its event 0: got EV_EFI_ACTION 781b5b324a with digest ` + two + ", want EV_EFI_ACTION x",
		},
		{
			Difference{Name: "rtmr0", Want: &d, Got: e, Event: &EventDifference{Got: got, Digest: e}},
			"rtmr0: got " + two + ", want " + one + `; first at its event 0: got EV_EFI_ACTION 781b5b324a with digest ` + two + ", want no event",
		},
	} {
		if got := tt.d.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
