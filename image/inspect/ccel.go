package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"safebox/measure/eventlog"
	"safebox/measure/tdx"
)

// isCCEL tells the log of a confidential guest from that of a TPM. Both begin
// with the same event: that of a TPM names PCR 0, edk2 writes register 1 in a
// guest. td-shim writes 0 there too; its log is one that no TPM has when it
// reads as such only.
func isCCEL(b []byte) bool {
	if !isEventLog(b) {
		return false
	}
	if binary.LittleEndian.Uint32(b) != 0 {
		return true
	}
	if _, err := eventlog.Decode(b); err == nil {
		return false
	}
	_, err := eventlog.DecodeCCEL(b)
	return err == nil
}

func ccel(b []byte) ([]Item, error) {
	l, err := eventlog.DecodeCCEL(b)
	if err != nil {
		return nil, err
	}
	items := []Item{
		consistent(&l.Header, l.CheckData()),
		item("firmware_layout", "%s", rtmrLayout(l)),
		item("filling", "%d bytes of 0x%02x", l.Filling, l.Filler),
	}
	for i := range uint32(eventlog.MRs) {
		if err := l.DuplicateSeparators(i); err != nil {
			items = append(items, item("duplicate_separator", "%v: the firmware of layouts l0 and intel writes it; of others, a loader that logs events as the firmware's", err))
		}
	}
	events := Item{Name: "events", Value: strconv.Itoa(len(l.Events))}
	for i := range l.Events {
		e := &l.Events[i]
		entry := item(strconv.Itoa(i), "%s %s %s", eventlog.MRName(e.PCR), e.Type, e.Describe())
		for _, d := range e.Digests {
			entry.Items = append(entry.Items, item(d.Algorithm.String(), "%x", d.Value))
		}
		events.Items = append(events.Items, entry)
	}
	values, err := l.Replay()
	if err != nil {
		return nil, err
	}
	replayed := Item{Name: "replayed SHA384"}
	for i, v := range values {
		replayed.Items = append(replayed.Items, item(fmt.Sprintf("rtmr%d", i), "%x", v))
	}
	return append(items, events, replayed), nil
}

// rtmrLayout tells by the order of events which of the layouts of package tdx
// a log has (specs/measure.md, 5.3). It vouches for nothing: a log can be made
// to look like any.
func rtmrLayout(l *eventlog.CCLog) string {
	const rtmr0, rtmr1 = 1, 2
	var separators [eventlog.MRs]int
	var variables, early, bootInRTMR1 bool
	for i := range l.Events {
		e := &l.Events[i]
		switch e.Type {
		case eventlog.Separator:
			separators[e.PCR]++
		case eventlog.EFIVariableBoot:
			bootInRTMR1 = bootInRTMR1 || e.PCR == rtmr1
		case eventlog.EFIVariableDriverConfig:
			variables = variables || e.PCR == rtmr0
		case eventlog.PlatformConfigFlags: // a file of fw_cfg
			early = early || e.PCR == rtmr0 && !variables
		}
	}
	one := separators[rtmr0] == 1 && separators[rtmr1] == 1
	switch {
	case !variables:
		return "unknown"
	case bootInRTMR1:
		return tdx.Intel.String()
	case one && early:
		return tdx.L2.String()
	case one:
		return tdx.L1.String()
	case separators[rtmr0] == 2 && separators[rtmr1] == 0:
		return tdx.L0.String()
	}
	return "unknown"
}

// ccelTableSignature begins the ACPI table that says where the log is (ACPI
// 6.5, section 5.2.34).
const ccelTableSignature = "CCEL"

func isCCELTable(b []byte) bool { return bytes.HasPrefix(b, []byte(ccelTableSignature)) }

func ccelTable(b []byte) ([]Item, error) {
	t, err := eventlog.DecodeCCELTable(b)
	if err != nil {
		return nil, err
	}
	return []Item{
		item("oem", "%q", t.OEM[:]),
		item("oem_table", "%q", t.OEMTable[:]),
		item("oem_revision", "%d", t.OEMRevision),
		item("creator", "%q", t.Creator[:]),
		item("creator_revision", "0x%08x", t.CreatorRevision),
		item("log_size", "0x%x", t.LogSize),
		item("log_address", "0x%x", t.LogAddress),
	}, nil
}
