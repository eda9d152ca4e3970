package tpm

import "safebox/measure/eventlog"

// Strings that firmware measures when the kernel takes over (PFP 10.4.4,
// EV_EFI_ACTION strings).
const (
	exitInvoked  = "Exit Boot Services Invocation"
	exitReturned = "Exit Boot Services Returned with Success"
)

// pcr5 is how it was booted: the partition table of the disk that an image was
// loaded from, and the end of boot services. A host that grows the disk moves
// the table's second copy, hence the header, hence this register.
func pcr5(bank Bank, boot Boot, gpt []byte) Register {
	if boot == ESP && gpt == nil {
		return Register{Rule: Any}
	}
	s := &sequence{bank: bank}
	s.separator()
	if boot == ESP {
		s.add(eventlog.EFIGPTEvent, "GPT header and partitions", gpt)
	}
	s.add(eventlog.EFIAction, exitInvoked, []byte(exitInvoked))
	s.add(eventlog.EFIAction, exitReturned, []byte(exitReturned))
	return s.register(FixedDisk)
}
