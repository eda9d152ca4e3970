package tdx

import (
	"encoding/json"
	"testing"

	"safebox/measure/tdx/tdvf"
	"safebox/measure/vectortest"
)

// quoteReport is dstack's quote-report.json: another TD's signed quote, from 64
// GiB and 16 vCPUs under QEMU 9.2.1, with the log of all four RTMRs. Its firmware
// is not at hand.
type quoteReport struct {
	Quote    string // hex
	EventLog string `json:"event_log"`
	VMConfig string `json:"vm_config"`

	memory uint64 // that the monitor was asked for, bytes
	log    []logEntry
}

func readQuoteReport(t *testing.T) (q quoteReport) {
	t.Helper()
	decode := func(text []byte, into any) {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	decode(vectortest.File(t, testdata(), "dstack/quote-report.json"), &q)
	var machine struct {
		Memory uint64 `json:"memory_size"`
	}
	decode([]byte(q.VMConfig), &machine)
	q.memory = machine.Memory
	decode([]byte(q.EventLog), &q.log)
	if len(q.log) != 28 || q.memory != 64<<30 {
		t.Fatalf("got %d events and %d bytes of memory", len(q.log), q.memory)
	}
	return q
}

// rtmr is a register of the quote: header 48, then rtmr0 at 328 of the TD
// report (specs/measure.md 5.10).
func (q quoteReport) rtmr(i int) string {
	at := 2 * (48 + 328 + 48*i)
	return q.Quote[at : at+96]
}

// logged is the digest of an event, by its place in the log.
func (q quoteReport) logged(t *testing.T, i int) *Measurement {
	t.Helper()
	return &Measurement{parseDigest(t, q.log[i].Digest), FromLog}
}

// TestSecondQuote rebuilds RTMR0 to RTMR3 of that quote. Computed are the memory
// map, which reaches beyond 4 GiB, with sections of the same edk2 layout as in
// dstack/tdx-lite-hw, variables, separators, boot entries, actions, and every
// runtime event from its payload. ACPI tables, kernel, load options, initrd and
// CFV are the log's.
func TestSecondQuote(t *testing.T) {
	q := readQuoteReport(t)
	ram, err := tdvf.Q35RAM(q.memory)
	if err != nil {
		t.Fatal(err)
	}
	hob, err := tdvf.HOB(ram, 0x809000, []tdvf.Range{
		{Start: 0x800000, Length: 0x6000},
		{Start: 0x809000, Length: 0x2000},
		{Start: 0x80b000, Length: 0x2000},
		{Start: 0x810000, Length: 0x10000},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, Input{
		Layout: L1, HOB: hob, Direct: &Direct{}, Runtime: runtimeEvents(t, q.log),
		Digests: Digests{
			CFV: q.logged(t, 1), Loader: q.logged(t, 8), RSDP: q.logged(t, 9), Tables: q.logged(t, 10),
			Kernel: q.logged(t, 11), LoadOptions: q.logged(t, 16), Initrd: q.logged(t, 17),
		},
	})
	next := [4]int{}
	for i, e := range q.log {
		events := p.Registers[RTMR0+e.IMR].Events
		if next[e.IMR] >= len(events) {
			t.Fatalf("event %d: rtmr%d has %d events", i, e.IMR, len(events))
		}
		if got := events[next[e.IMR]].Digest.String(); got != e.Digest {
			t.Errorf("event %d, rtmr%d: got %s, want %s", i, e.IMR, got, e.Digest)
		}
		next[e.IMR]++
	}
	for i := range next {
		r := p.Registers[RTMR0+i]
		if r.Value == nil || r.Value.String() != q.rtmr(i) || len(r.Events) != next[i] {
			t.Errorf("rtmr%d: got %v of %d events, want %s of the quote, of %d", i, r.Value, len(r.Events), q.rtmr(i), next[i])
		}
	}
}
