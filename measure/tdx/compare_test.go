package tdx

import (
	"slices"
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

// TestFirstDifference changes an event of a log at a time.
func TestFirstDifference(t *testing.T) {
	log, _ := goEventlog(t, "ccel-unpadded")
	in := Input{Layout: L0, Direct: &Direct{}, Digests: Digests{
		HOB: logged(t, log, 0), CFV: logged(t, log, 1), Kernel: logged(t, log, 11), LoadOptions: logged(t, log, 16),
	}}
	if err := in.Digests.ACPIFromLog(log); err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, in)
	place := map[uint32]int{} // among the register's events
	for i := range log.Events {
		e := log.Events[i]
		n := place[e.PCR]
		place[e.PCR]++
		want := &p.Registers[e.PCR].Events[n]

		digest := slices.Clone(e.Digest(eventlog.SHA384))
		digest[0] ^= 1
		log.Events[i].Digests = []eventlog.Digest{{Algorithm: eventlog.SHA384, Value: digest}}
		list, err := p.CompareLog(log)
		if err != nil {
			t.Fatal(err)
		}
		wanted := &EventDifference{Index: n, Want: want, Got: &log.Events[i], Digest: Digest(digest)}
		if len(list) != 1 || list[0].Index != int(e.PCR) || list[0].Event == nil || *list[0].Event != *wanted {
			t.Errorf("event %d: got %v, want %v", i, list, wanted)
		}

		short := &eventlog.CCLog{Header: log.Header, Events: slices.Delete(slices.Clone(log.Events), i, i+1)}
		if list, err = p.CompareLog(short); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Event == nil || list[0].Event.Index != n || list[0].Event.Want != want {
			t.Errorf("without event %d: got %v, want %v", i, list, wanted)
		}
		log.Events[i] = e
	}
	more := eventlog.Event{PCR: RTMR3, Type: eventlog.EventTag, Digests: log.Events[0].Digests}
	log.Events = append(log.Events, more)
	list, err := p.CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &EventDifference{Got: &log.Events[len(log.Events)-1], Digest: Digest(more.Digest(eventlog.SHA384))}
	if len(list) != 1 || list[0].Index != RTMR3 || *list[0].Event != *wanted {
		t.Errorf("one more: got %v, want %v", list, wanted)
	}
	// Where no event is predicted, none can be told to differ.
	in.Layout = 0
	if list, err = mustPredict(t, in).CompareLog(log); err != nil {
		t.Fatal(err)
	}
	if list[0].Name != "rtmr0" || list[0].Event != nil {
		t.Errorf("without a layout: got %v", list[0])
	}
}

// TestDifferenceBehindUnknown: a disk's boot entries are not known, and neither
// is their number. What follows them is not told as a difference.
func TestDifferenceBehindUnknown(t *testing.T) {
	log, _ := goEventlog(t, "cos-113-intel-tdx")
	in := Input{
		Layout: L1, Digests: Digests{HOB: logged(t, log, 0), CFV: logged(t, log, 1)},
		Variables: &Variables{
			SecureBoot: value(t, log, 2), PK: value(t, log, 3), KEK: value(t, log, 4), DB: value(t, log, 5), DBX: value(t, log, 6),
		},
	}
	if err := in.Digests.ACPIFromLog(log); err != nil {
		t.Fatal(err)
	}
	list, err := mustPredict(t, in).CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Name != "rtmr0" || list[0].Event != nil || !strings.Contains(list[0].Missing, "boot entries") {
		t.Errorf("got %v, want a register without a prediction and no event", list[0])
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
