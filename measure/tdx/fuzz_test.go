package tdx

import (
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/vectortest"
)

// FuzzCompareLog compares any log with a prediction of layout L1 whose ACPI
// digests are the log's own. No difference must mean that the registers are those
// that the log replays to.
func FuzzCompareLog(f *testing.F) {
	for _, name := range []string{"go-eventlog/CCEL_unpadded.data.bin", "go-eventlog/event_log.bin", "dstack/ccel.bin"} {
		f.Add(vectortest.File(f, testdata(), name))
	}
	hob := &Measurement{Digest{1}, Given}
	f.Fuzz(func(t *testing.T, b []byte) {
		log, err := eventlog.DecodeCCEL(b)
		if err != nil {
			return
		}
		in := Input{Layout: L1, Direct: &Direct{Silent: true}, Digests: Digests{HOB: hob, CFV: hob, Kernel: hob}}
		if err := in.Digests.ACPIFromLog(log); err != nil {
			if err := in.Digests.IntelFromLog(log); err == nil {
				in.Layout = Intel
			}
		}
		p, err := Predict(in)
		if err != nil {
			t.Fatal(err)
		}
		list, err := p.CompareLog(log)
		if err != nil {
			return
		}
		values, err := log.Replay()
		if err != nil {
			t.Fatal(err)
		}
		differs := map[int]bool{}
		for _, d := range list {
			differs[d.Index] = true
			if d.String() == "" || d.Want != nil && d.Event == nil {
				t.Errorf("%v: no event named", d)
			}
		}
		for i, v := range values {
			want := p.Registers[RTMR0+i].Value
			if same := want != nil && *want == v; same == differs[RTMR0+i] {
				t.Errorf("rtmr%d: equal is %v, and told as different is %v", i, same, differs[RTMR0+i])
			}
		}
	})
}
