package eventlog

import (
	"bytes"
	"fmt"
)

// The registers of the dynamic root of trust start as ones and only a dynamic
// launch, which no firmware log tells of, resets them (TCG PC Client Platform
// TPM Profile 1.05, section 4.6.2, table of PCR attributes).
const (
	firstDynamicPCR = 17
	lastDynamicPCR  = 22
)

// startupLocality is the signature of a TCG_EfiStartupLocalityEvent (PFP
// 10.4.5.3). One byte follows it.
const startupLocality = "StartupLocality\x00"

// Replay computes the value of every register of one bank after all events of
// the log. EV_NO_ACTION events extend nothing.
func (l *Log) Replay(a Algorithm) ([PCRs][]byte, error) {
	var pcrs [PCRs][]byte
	h, err := a.newHash()
	if err != nil {
		return pcrs, fmt.Errorf("replaying event log: %w", err)
	}
	locality, err := l.StartupLocality()
	if err != nil {
		return pcrs, fmt.Errorf("replaying event log: %w", err)
	}
	for i := range pcrs {
		pcrs[i] = make([]byte, a.Size())
		if i >= firstDynamicPCR && i <= lastDynamicPCR {
			pcrs[i] = bytes.Repeat([]byte{0xff}, a.Size())
		}
	}
	pcrs[0][a.Size()-1] = locality
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type == NoAction {
			continue
		}
		if err := replayable(e, a); err != nil {
			return pcrs, fmt.Errorf("replaying event %d: %w", i, err)
		}
		h.Reset()
		h.Write(pcrs[e.PCR])
		h.Write(e.Digest(a))
		h.Sum(pcrs[e.PCR][:0]) // in place: it was just hashed
	}
	return pcrs, nil
}

func replayable(e *Event, a Algorithm) error {
	if e.PCR >= PCRs {
		return fmt.Errorf("PCR index: got %d, want below %d", e.PCR, PCRs)
	}
	if e.PCR >= firstDynamicPCR && e.PCR <= lastDynamicPCR {
		return fmt.Errorf("PCR %d: only a dynamic launch makes it extendable", e.PCR)
	}
	if got := len(e.Digest(a)); got != a.Size() {
		return fmt.Errorf("%v digest: got %d bytes, want %d", a, got, a.Size())
	}
	return nil
}

// StartupLocality returns the locality from which the TPM was started, 0 when
// the log does not tell. PCR 0 starts with that number (TPM 2.0 Library Part
// 1, _TPM_Hash_Start and TPM2_Startup; PFP 10.4.5.3), so the event must come
// before anything is extended into PCR 0, and once.
func (l *Log) StartupLocality() (byte, error) {
	found, extended := false, false
	var locality byte
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type != NoAction {
			extended = extended || e.PCR == 0
			continue
		}
		if !bytes.HasPrefix(e.Data, []byte(startupLocality)) {
			continue
		}
		switch {
		case len(e.Data) != len(startupLocality)+1:
			return 0, fmt.Errorf("event %d: startup locality: got %d bytes, want %d", i, len(e.Data), len(startupLocality)+1)
		case e.PCR != 0:
			return 0, fmt.Errorf("event %d: startup locality: PCR index: got %d, want 0", i, e.PCR)
		case found:
			return 0, fmt.Errorf("event %d: startup locality: told twice", i)
		case extended:
			return 0, fmt.Errorf("event %d: startup locality: comes after an event that extends PCR 0", i)
		}
		found, locality = true, e.Data[len(startupLocality)]
		if locality != 0 && locality != 3 && locality != 4 {
			return 0, fmt.Errorf("event %d: startup locality: got %d, want 0, 3 or 4", i, locality)
		}
	}
	return locality, nil
}
