package pcs

import (
	"fmt"
	"slices"
)

// Status is how good a TCB is. The zero value is none: it never passes.
type Status uint8

// The statuses of Intel. The first seven are written in TCB infos (PCS API
// version 4, tcbStatus), the last two are concluded (Intel's quote verification
// library: TD_RELAUNCH_ADVISED).
const (
	_ Status = iota
	UpToDate
	SWHardeningNeeded
	ConfigurationNeeded
	ConfigurationAndSWHardeningNeeded
	OutOfDate
	OutOfDateConfigurationNeeded
	Revoked
	RelaunchAdvised
	RelaunchAdvisedConfigurationNeeded
)

// Statuses lists the names of all statuses, in the order of their values from 1.
func Statuses() []string {
	return []string{
		"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
		"OutOfDate", "OutOfDateConfigurationNeeded", "Revoked",
		"TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded",
	}
}

// ParseStatus reads the name of a status, letter by letter.
func ParseStatus(name string) (Status, error) {
	i := slices.Index(Statuses(), name)
	if i < 0 {
		return 0, fmt.Errorf("TCB status %q is not known", name)
	}
	return Status(i + 1), nil
}

// String gives Intel's name of the status.
func (s Status) String() string {
	if !s.known() {
		return "none"
	}
	return Statuses()[s-1]
}

func (s Status) known() bool { return s >= UpToDate && s <= RelaunchAdvisedConfigurationNeeded }

// ofPlatform reports whether a TCB level of a platform may have the status.
func (s Status) ofPlatform() bool { return s >= UpToDate && s <= Revoked }

// ofEnclave reports whether a TCB level of a TDX module or of a quoting enclave
// may have the status: software has no configuration, and is never half right.
func (s Status) ofEnclave() bool { return s == UpToDate || s == OutOfDate || s == Revoked }

// configurationNeeded reports whether the status asks for another configuration.
func (s Status) configurationNeeded() bool {
	return s == ConfigurationNeeded || s == ConfigurationAndSWHardeningNeeded ||
		s == OutOfDateConfigurationNeeded || s == RelaunchAdvisedConfigurationNeeded
}

// Converge gives the status of the whole from the platform's and those of its
// components, the TDX module and the quoting enclave:
//
//   - anything revoked: Revoked;
//   - any component out of date: OutOfDate for a platform that is UpToDate or
//     SWHardeningNeeded, OutOfDateConfigurationNeeded for one that is
//     ConfigurationNeeded or ConfigurationAndSWHardeningNeeded;
//   - else the platform's.
//
// A status that is none makes the whole none.
func Converge(platform Status, components ...Status) Status {
	all := append([]Status{platform}, components...)
	if slices.ContainsFunc(all, func(s Status) bool { return !s.known() }) {
		return 0
	}
	if slices.Contains(all, Revoked) {
		return Revoked
	}
	if !slices.Contains(components, OutOfDate) {
		return platform
	}
	switch platform {
	case UpToDate, SWHardeningNeeded:
		return OutOfDate
	case ConfigurationNeeded, ConfigurationAndSWHardeningNeeded:
		return OutOfDateConfigurationNeeded
	}
	return platform
}
