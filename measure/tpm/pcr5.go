package tpm

import "safebox/measure/eventlog"

// Strings that firmware measures when the kernel takes over (PFP 10.4.4,
// EV_EFI_ACTION strings).
const (
	exitInvoked  = "Exit Boot Services Invocation"
	exitReturned = "Exit Boot Services Returned with Success"
)

// partitionTable is the table of the disk that an image is loaded from. A host
// that grows the disk moves the table's second copy, hence the header, hence
// PCR 5.
func (s *sequence) partitionTable(gpt []byte) {
	s.add(5, eventlog.EFIGPTEvent, "GPT header and partitions", gpt)
}

// exitBootServices is the end of the log.
func (s *sequence) exitBootServices() {
	s.add(5, eventlog.EFIAction, exitInvoked, []byte(exitInvoked))
	s.add(5, eventlog.EFIAction, exitReturned, []byte(exitReturned))
}
