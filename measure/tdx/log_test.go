package tdx

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/vectortest"
)

// logged returns the digest of the n-th event of a log, as taken from it.
func logged(t *testing.T, log *eventlog.CCLog, n int) *Measurement {
	t.Helper()
	m, err := fromLog(&log.Events[n])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// value returns the value of the variable that is the n-th event's data
// (UEFI_VARIABLE_DATA, PFP 10.2).
func value(t *testing.T, log *eventlog.CCLog, n int) []byte {
	t.Helper()
	b := log.Events[n].Data
	chars, size := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	if uint64(len(b)) != 32+2*chars+size {
		t.Fatalf("event %d: got %d bytes", n, len(b))
	}
	return b[32+2*chars:]
}

func compareNone(t *testing.T, p *Prediction, log *eventlog.CCLog) {
	t.Helper()
	list, err := p.CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		t.Error(d)
	}
}

// sources counts the events of a register by their source.
func sources(r Register) string {
	n := map[Source]int{}
	for _, e := range r.Events {
		n[e.Source]++
	}
	var list []string
	for _, s := range []Source{Computed, FromFile, Given, FromLog, Unknown} {
		if n[s] > 0 {
			list = append(list, fmt.Sprintf("%d %v", n[s], s))
		}
	}
	return strings.Join(list, ", ")
}

// TestLayoutL0 rebuilds the registers of a TD with OVMF 2024.02 and TDX
// patches: of its 19 events 13 are computed.
func TestLayoutL0(t *testing.T) {
	log, want := goEventlog(t, "ccel-unpadded")
	in := Input{Layout: L0, Direct: &Direct{}, Digests: Digests{
		HOB: logged(t, log, 0), CFV: logged(t, log, 1), Kernel: logged(t, log, 11), LoadOptions: logged(t, log, 16),
	}}
	if err := in.Digests.ACPIFromLog(log); err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, in)
	expect(t, p, want)
	compareNone(t, p, log)
	for i, want := range []string{RTMR0: "9 computed, 5 from log", RTMR1: "3 computed, 1 from log", RTMR2: "1 from log"} {
		if got := sources(p.Registers[i]); got != want {
			t.Errorf("register %d: got %s, want %s", i, got, want)
		}
	}
	in.Layout = L1
	list, err := mustPredict(t, in).CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"rtmr0: got 8083cd68", "first at its event 2: got EV_EFI_VARIABLE_DRIVER_CONFIG",
		"rtmr1: got 6484f0d7", "first at its event 2: got EV_EFI_ACTION",
	} {
		if d := list[i/2].String(); len(list) != 2 || !strings.Contains(d, want) {
			t.Errorf("as L1: got %s, want %q", d, want)
		}
	}
}

// TestLayoutIntel rebuilds the registers of a TD with Intel's own firmware.
func TestLayoutIntel(t *testing.T) {
	log, want := goEventlog(t, "intel-tdvf-downstream")
	in := Input{Layout: Intel, Direct: &Direct{Silent: true}, Digests: Digests{
		HOB: logged(t, log, 0), CFV: logged(t, log, 1), Kernel: logged(t, log, 13),
	}}
	r := mustPredict(t, in).Registers
	for i, want := range []string{RTMR0: "first ACPI event of this layout: what it hashes is not known", RTMR1: "kernel file event"} {
		if r[i].Value != nil || !strings.Contains(r[i].Missing, want) {
			t.Errorf("register %d: got %v, missing %q, want %q", i, r[i].Value, r[i].Missing, want)
		}
	}
	if err := in.Digests.IntelFromLog(log); err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, in)
	expect(t, p, want)
	compareNone(t, p, log)
	for i, want := range []string{RTMR0: "8 computed, 6 from log", RTMR1: "10 computed, 3 from log", RTMR2: ""} {
		if got := sources(p.Registers[i]); got != want {
			t.Errorf("register %d: got %s, want %s", i, got, want)
		}
	}
}

// TestDiskBoot rebuilds the registers of a machine of Google Compute Engine that
// boots by shim and a loader: variables, boot entries and the partition table
// from their bytes, the rest from the log. RTMR1 has one separator.
func TestDiskBoot(t *testing.T) {
	log, want := goEventlog(t, "cos-113-intel-tdx")
	in := Input{
		Layout: L1,
		Variables: &Variables{
			SecureBoot: value(t, log, 2), PK: value(t, log, 3), KEK: value(t, log, 4), DB: value(t, log, 5), DBX: value(t, log, 6),
		},
		BootEntries: []BootEntry{{1, value(t, log, 12)}, {0, L1.bootEntries()[0].Data}},
		Authorities: [][]byte{log.Events[20].Data, log.Events[21].Data},
		Disk: &Disk{GPT: log.Events[16].Data, Images: []Image{
			{Name: "shim", Digest: logged(t, log, 17)}, {Name: "grub-lakitu.efi", Digest: logged(t, log, 23)},
		}},
		Digests: Digests{HOB: logged(t, log, 0), CFV: logged(t, log, 1)},
	}
	if r := mustPredict(t, in).Registers[RTMR2]; r.Value != nil || r.Missing == "" {
		t.Errorf("rtmr2: got %v without its events", r.Value)
	}
	for i, e := range log.Events {
		if e.PCR == RTMR2 {
			in.Disk.RTMR2 = append(in.Disk.RTMR2, Event{e.Type, e.Describe(), logged(t, log, i).Digest, FromLog})
		}
	}
	if err := in.Digests.ACPIFromLog(log); err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, in)
	expect(t, p, want)
	compareNone(t, p, log)
	for i, want := range []string{
		RTMR0: "1 computed, 10 from file, 5 from log", RTMR1: "4 computed, 1 from file, 2 from log", RTMR2: "20 from log",
	} {
		if got := sources(p.Registers[i]); got != want {
			t.Errorf("register %d: got %s, want %s", i, got, want)
		}
	}
	// what a loader could add, to be taken for the firmware
	log.Events = append(log.Events, log.Events[7], log.Events[15])
	list, err := p.CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Name != "rtmr0" || list[0].Event.Index != 16 || list[1].Name != "rtmr1" || list[1].Event.Index != 7 ||
		!strings.Contains(list[0].String(), "got EV_SEPARATOR") || !strings.Contains(list[0].String(), "want no event") {
		t.Errorf("log with second separators: got %v", list)
	}
}

// TestLogOfDstack rebuilds RTMR0 and RTMR1 of a TD with 1 GiB, with its memory
// map from the memory size.
func TestLogOfDstack(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID string
			tdxVector
		}
	}
	if err := json.Unmarshal(vectortest.File(t, testdata(), "dstack/tdx-vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	log := decodeCCEL(t, "dstack/ccel.bin")
	v := file.Vectors[1]
	if v.ID != "dstack/ccel-1gib-td-hob" {
		t.Fatalf("got vector %s", v.ID)
	}
	in := Input{Layout: L1, HOB: v.hob(t), Direct: &Direct{Silent: true}, Digests: Digests{
		CFV: logged(t, log, 1), Kernel: logged(t, log, 11),
	}}
	if err := in.Digests.ACPIFromLog(log); err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, in)
	expect(t, p, map[string]string{"rtmr0": v.Expected["replayed_rtmr0"], "rtmr1": v.Expected["replayed_rtmr1"]})
	compareNone(t, p, log)
}

// TestUnknownEventsArePassedOver expects a register without ACPI tables to stay
// a difference, and one that differs elsewhere to be pointed at.
func TestUnknownEventsArePassedOver(t *testing.T) {
	log, _ := goEventlog(t, "ccel-unpadded")
	in := Input{Layout: L0, Direct: &Direct{}, Digests: Digests{
		HOB: logged(t, log, 0), CFV: logged(t, log, 1), Kernel: logged(t, log, 11), LoadOptions: logged(t, log, 16),
	}}
	list, err := mustPredict(t, in).CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Event != nil || !strings.Contains(list[0].String(), "rtmr0: got 8083cd68") ||
		!strings.Contains(list[0].String(), "nothing predicted: ACPI tables: not given") {
		t.Errorf("got %v", list)
	}
	in.BootEntries = []BootEntry{{0, []byte("other")}}
	list, err = mustPredict(t, in).CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Event == nil || list[0].Event.Index != 12 {
		t.Errorf("with another Boot0000: got %v", list)
	}
}

func TestFromLogRefuses(t *testing.T) {
	log, _ := goEventlog(t, "ccel-unpadded")
	var d Digests
	if err := d.IntelFromLog(log); err == nil || !strings.Contains(err.Error(), `no EV_POST_CODE "ACPI DATA" in RTMR0`) {
		t.Errorf("Intel of another log: got error %v", err)
	}
	log.Events = append(log.Events, log.Events[8])
	if err := d.ACPIFromLog(log); err == nil || !strings.Contains(err.Error(), "got 4 events") {
		t.Errorf("fourth ACPI event: got error %v", err)
	}
	log.Events[8].Digests = nil
	if err := d.ACPIFromLog(log); err == nil || !strings.Contains(err.Error(), "event 8: sha384 digest: got 0 bytes") {
		t.Errorf("ACPI event without a digest: got error %v", err)
	}
	log, _ = goEventlog(t, "intel-tdvf-downstream")
	if err := d.ACPIFromLog(log); err == nil || !strings.Contains(err.Error(), "got 0 events") {
		t.Errorf("log of the layout Intel: got error %v", err)
	}
	log.Events = append(log.Events, log.Events[10])
	if err := d.IntelFromLog(log); err == nil || !strings.Contains(err.Error(), `a second EV_PLATFORM_CONFIG_FLAGS "etc/table-loader"`) {
		t.Errorf("second table loader: got error %v", err)
	}
	log.Events[8].Digests = nil
	if err := d.IntelFromLog(log); err == nil || !strings.Contains(err.Error(), "event 8: sha384 digest: got 0 bytes") {
		t.Errorf("no digest: got error %v", err)
	}
	if _, err := (&Prediction{}).CompareLog(log); err == nil {
		t.Error("log without digests compared")
	}
}
