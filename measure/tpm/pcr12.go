package tpm

import (
	"fmt"
	"strconv"

	"safebox/measure/eventlog"
)

// profile is the choice of a profile, which the load options make. The default
// one is not measured (systemd, src/boot/stub.c, tag UKI_PROFILE_EVENT_TAG_ID).
// Nothing else belongs into PCR 12: a command line, credentials and add-ons
// that a host adds show here.
func (s *sequence) profile(number int) {
	if number != 0 {
		s.add(12, eventlog.EventTag, fmt.Sprintf("profile %d", number), wide(strconv.Itoa(number)))
	}
}
