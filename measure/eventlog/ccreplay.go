package eventlog

import (
	"crypto/sha512"
	"fmt"
)

// Replay computes RTMR0 to RTMR3 after all events of the log: each starts as
// zeros and becomes SHA-384(register || digest) with every event (Intel TDX
// Module Base Architecture Specification, TDG.MR.RTMR.EXTEND). EV_NO_ACTION
// events extend nothing. RTMR3 stays zero unless the log tells of it: what a
// guest's system extends at run time is not in a firmware's log.
func (l *CCLog) Replay() ([RTMRs][sha512.Size384]byte, error) {
	var rtmrs [RTMRs][sha512.Size384]byte
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type == NoAction {
			continue
		}
		if e.PCR == 0 || e.PCR >= MRs {
			return rtmrs, fmt.Errorf("replaying event %d: %s: nothing extends it while the guest runs", i, MRName(e.PCR))
		}
		digest := e.Digest(SHA384)
		if len(digest) != sha512.Size384 {
			return rtmrs, fmt.Errorf("replaying event %d: %v digest: got %d bytes, want %d", i, SHA384, len(digest), sha512.Size384)
		}
		r := &rtmrs[e.PCR-1]
		*r = sha512.Sum384(append(r[:], digest...))
	}
	return rtmrs, nil
}

// DuplicateSeparators refuses a log with a second separator in the register
// with an index. Whoever reads claims about the firmware out of the events
// before the separator must call it: a loader can extend and log another one,
// and so make its own events look like the firmware's.
//
// It is no part of Replay: the logs of OVMF 2024.02 with TDX patches, and of
// Intel's own tree, hold several and are genuine (specs/measure.md, 5.3).
func (l *CCLog) DuplicateSeparators(index uint32) error {
	first := -1
	for i := range l.Events {
		if e := &l.Events[i]; e.PCR != index || e.Type != Separator {
			continue
		}
		if first >= 0 {
			return fmt.Errorf("duplicate separator in %s: event %d, after event %d", MRName(index), i, first)
		}
		first = i
	}
	return nil
}
