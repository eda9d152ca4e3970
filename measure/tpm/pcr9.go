package tpm

import (
	"errors"
	"fmt"

	"safebox/measure/eventlog"
)

// kernelArguments is what Linux's EFI stub was given (drivers/firmware/efi/
// libstub, efi-stub-helper.c, tags LOAD_OPTIONS_EVENT_TAG_ID and
// INITRD_EVENT_TAG_ID): the command line, if there is one, and the initrd, as
// received.
func (s *sequence) kernelArguments(k *uki) {
	if k.options != nil {
		s.add(9, eventlog.EventTag, "LOADED_IMAGE::LoadOptions", k.options)
	}
	description := "Linux initrd: " + k.initrd.String()
	if k.stub.addsBootSecret() {
		description += " (if firmware cannot write to the ESP: else the stub may add a secret of the machine)"
	}
	s.add(9, eventlog.EventTag, description, k.initrd.Bytes()...)
}

// loadOptions is the command line as systemd-stub hands it on: UTF-16LE with
// its final NUL. The stub trims spaces and replaces control characters; a line
// that needs either is refused, as is one whose bytes are not ASCII.
func loadOptions(cmdline []byte) ([]byte, error) {
	if cmdline == nil {
		return nil, nil
	}
	if cmdline[0] == ' ' || cmdline[len(cmdline)-1] == ' ' {
		return nil, errors.New("section .cmdline: begins or ends with a space, which the stub drops")
	}
	for i, c := range cmdline {
		if c < ' ' || c > '~' {
			return nil, fmt.Errorf("section .cmdline: byte %d: got %#02x, want printable ASCII", i, c)
		}
	}
	return wide(string(cmdline)), nil
}
