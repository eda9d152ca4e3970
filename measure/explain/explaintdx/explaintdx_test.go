package explaintdx

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/internal/explaintest"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/fat"
	"safebox/measure/gpt"
	"safebox/measure/ovmf"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/tpm"
	"safebox/measure/vectortest"
)

// data is measure/testdata.
var data = explaintest.New(os.DirFS("../../testdata"))

// debianTDX are the MRTDs of Debian's OVMF.fd: single-pass and tdhob-bug by
// gce-tcb-verifier, two-pass by the author of the vectors.
type debianTDX struct {
	Single string `json:"mrtd_single_pass"`
	Two    string `json:"mrtd_two_pass"`
	Bug    string `json:"mrtd_gce_tdhob_bug_c3_standard_4"`
}

// member reads one member of a JSON object of measure/testdata.
func member(t testing.TB, file, name string, into any) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data.File(t, file), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(all[name], into); err != nil {
		t.Fatalf("%s: %s: %v", file, name, err)
	}
}

// listed reads one vector of a list of vectors.
func listed(t testing.TB, file, id string, into any) {
	t.Helper()
	var all []json.RawMessage
	member(t, file, "vectors", &all)
	for _, raw := range all {
		var name struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(raw, &name); err != nil {
			t.Fatal(err)
		}
		if name.ID != id {
			continue
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s: no vector %s", file, id)
}

// at puts a value at its index.
func at(index int, value []byte) (list [eventlog.MRs][]byte) {
	list[index] = value
	return list
}

// one explains one register.
func one(t *testing.T, in TD, index int, value []byte) *explain.Result {
	t.Helper()
	list, err := in.Explain(at(index, value))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("got %d results, want 1", len(list))
	}
	return list[0]
}

func TestMRTDOfOthers(t *testing.T) {
	t.Parallel()
	var v debianTDX
	member(t, explaintest.DebianVectors, "tdx", &v)
	im := data.Image(t, explaintest.DebianImage)
	for _, tt := range []struct {
		order    tdvf.Order
		reported string
		want     string
	}{
		{tdvf.SinglePass, v.Two, "the reported MRTD is what this TD gives with MRTD order two-pass instead of single-pass (QEMU 8 with the TDX patches of Intel and Canonical)"},
		{tdvf.TwoPass, v.Single, "the reported MRTD is what this TD gives with MRTD order single-pass instead of two-pass (QEMU and KVM as upstream, Google Compute Engine)"},
		{tdvf.SinglePass, v.Bug, "the reported MRTD is what this TD gives with MRTD order tdhob-bug of c3-standard-4 instead of single-pass (earlier hypervisors of Google Compute Engine measure every section)"},
	} {
		r := one(t, TD{Input: tdx.Input{Firmware: im, Order: tt.order}}, tdx.MRTD, explaintest.Unhex(t, tt.reported))
		explaintest.WantSentences(t, r, tt.want)
	}
}

// hardware is a TD whose quote dstack publishes.
type hardware struct {
	Inputs struct {
		Memory   uint64      `json:"memory_bytes"`
		HOB      uint64      `json:"td_hob_gpa"`
		Accepted [][2]uint64 `json:"accepted_ranges"`
		ACPI     []string    `json:"acpi_digests_loader_rsdp_tables"`
		Kernel   string      `json:"kernel_authenticode_sha384"`
		Options  string      `json:"cmdline_utf16nul_sha384"`
		Initrd   string      `json:"initrd_sha384"`
	} `json:"inputs"`
	Expected struct {
		RTMR0     string `json:"rtmr0"`
		RTMR1     string `json:"rtmr1"`
		RTMR2     string `json:"rtmr2"`
		Replayed0 string `json:"replayed_rtmr0"`
	} `json:"expected"`
}

// firmware is one with the TDX metadata of the TD and the empty variable store
// of Debian's, which is the TD's too; its code is not at hand.
func (h *hardware) firmware(t testing.TB) *ovmf.Image {
	t.Helper()
	im := *data.Image(t, explaintest.DebianImage)
	im.TDX = slices.DeleteFunc(slices.Clone(im.TDX), func(s ovmf.TDXSection) bool { return s.Type != ovmf.BFV && s.Type != ovmf.CFV })
	for _, r := range h.Inputs.Accepted {
		typ := ovmf.TempMem
		if r[0] == h.Inputs.HOB {
			typ = ovmf.TDHOB
		}
		im.TDX = append(im.TDX, ovmf.TDXSection{GPA: r[0], MemSize: r[1] - r[0], Type: typ})
	}
	return &im
}

func measurement(t testing.TB, hex string) *tdx.Measurement {
	t.Helper()
	return &tdx.Measurement{Digest: tdx.Digest(explaintest.Unhex(t, hex)), Source: tdx.Given}
}

// TestHardwareTD explains registers that a TDX module signed to someone who
// expected another machine.
func TestHardwareTD(t *testing.T) {
	t.Parallel()
	var h hardware
	listed(t, "dstack/tdx-vectors.json", "dstack/tdx-lite-hw", &h)
	in := TD{Input: tdx.Input{
		Firmware: h.firmware(t), Memory: 4 << 30, Layout: tdx.L2, Direct: &tdx.Direct{},
		Digests: tdx.Digests{
			Loader: measurement(t, h.Inputs.ACPI[0]), RSDP: measurement(t, h.Inputs.ACPI[1]), Tables: measurement(t, h.Inputs.ACPI[2]),
			Kernel: measurement(t, h.Inputs.Kernel), LoadOptions: measurement(t, h.Inputs.Options), Initrd: measurement(t, h.Inputs.Initrd),
		},
	}}
	r := one(t, in, tdx.RTMR0, explaintest.Unhex(t, h.Expected.RTMR0))
	explaintest.WantSentences(t, r, "the reported RTMR 0 is what this TD gives with RTMR layout l1 instead of l2 (edk2 up to 2025.02) and 2 GiB of memory instead of 4 GiB")
	if slices.ContainsFunc(r.Notes, func(s string) bool { return strings.Contains(s, "own log") }) {
		t.Errorf("notes: got %q, and no log was given", r.Notes)
	}

	in.Input.Memory, in.Input.Layout = 2<<30, tdx.L0
	r = one(t, in, tdx.RTMR1, explaintest.Unhex(t, h.Expected.RTMR1))
	explaintest.WantSentences(t, r, "the reported RTMR 1 is what this TD gives with RTMR layout l1 instead of l0 (edk2 up to 2025.02)",
		"the reported RTMR 1 is what this TD gives with RTMR layout l2 instead of l0 (edk2 since 2025.05)")

	in.Input.Layout = tdx.L1
	for i, value := range map[int]string{tdx.RTMR0: h.Expected.RTMR0, tdx.RTMR1: h.Expected.RTMR1, tdx.RTMR2: h.Expected.RTMR2} {
		_, err := in.Explain(at(i, explaintest.Unhex(t, value)))
		var equal *explain.EqualError
		if !errors.As(err, &equal) {
			t.Errorf("register %d: got error %v, want that the values are equal", i, err)
		}
	}
}

// ccLog reads a log of measure/testdata.
func ccLog(t testing.TB, path string) *eventlog.CCLog {
	t.Helper()
	l, err := eventlog.DecodeCCEL(data.File(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLogOfTD finds the memory of a TD whose log dstack publishes, and names the
// event by which it shows.
func TestLogOfTD(t *testing.T) {
	t.Parallel()
	var h hardware
	listed(t, "dstack/tdx-vectors.json", "dstack/ccel-1gib-td-hob", &h)
	in := TD{
		Input: tdx.Input{Firmware: h.firmware(t), Memory: 2 << 30, Layout: tdx.L1, Direct: &tdx.Direct{}},
		Log:   ccLog(t, "dstack/ccel.bin"),
	}
	if err := in.Input.Digests.ACPIFromLog(in.Log); err != nil {
		t.Fatal(err)
	}
	r := one(t, in, tdx.RTMR0, explaintest.Unhex(t, h.Expected.Replayed0))
	explaintest.WantSentences(t, r,
		"the reported RTMR 0 is what this TD gives with 1 GiB of memory instead of 2 GiB",
		`the log first differs at event 0 of RTMR 0: got EV_EFI_HANDOFF_TABLES2 "TdxTable" 93bb96af-b9f2-4eb8-9462-e0ba74564236 at 0x809000 with digest `+
			"2b630fa1d8fa9b6e8c6507d2256803ed227888f7d1f62ca5cfbddfe495338b1c6a0fc339ea64700f0835c0897a662789, want TD HOB")

	const own = "digests of the machine's own log stand in for unknown ones: nothing here speaks for what they hash"
	if !slices.Contains(r.Notes, own) {
		t.Errorf("notes: got %q, want %q among them", r.Notes, own)
	}

	// With tables of another machine too no neighbour gives the register, but the
	// event still shows the memory.
	in.Input.Digests.Loader = measurement(t, h.Expected.Replayed0)
	r = one(t, in, tdx.RTMR0, explaintest.Unhex(t, h.Expected.Replayed0))
	if n := len(r.Findings); n != 2 || r.Findings[1].Sentence != "event 0 of RTMR 0 in the log is what this TD gives with 1 GiB of memory instead of 2 GiB" {
		t.Errorf("got %q", explaintest.Sentences(r))
	}
}

// TestLayoutsOfLogs: two real logs of other layouts than expected.
func TestLayoutsOfLogs(t *testing.T) {
	t.Parallel()
	var v struct {
		Expected map[string]string `json:"expected"`
	}
	listed(t, "go-eventlog/vectors.json", "ccel-unpadded", &v)
	log := ccLog(t, "go-eventlog/CCEL_unpadded.data.bin")
	in := TD{Input: tdx.Input{Layout: tdx.L1, Direct: &tdx.Direct{}}}
	d := &in.Input.Digests
	if err := d.ACPIFromLog(log); err != nil {
		t.Fatal(err)
	}
	d.HOB, d.CFV = logged(log, tdx.RTMR0, 0), logged(log, tdx.RTMR0, 1)
	d.Kernel = logged(log, tdx.RTMR1, 0)
	d.LoadOptions, d.Initrd = logged(log, tdx.RTMR2, 0), logged(log, tdx.RTMR1, 0) // it had no initrd
	explaintest.WantSentences(t, one(t, in, tdx.RTMR0, explaintest.Unhex(t, v.Expected["rtmr0"])),
		"the reported RTMR 0 is what this TD gives with RTMR layout l0 instead of l1 (OVMF 2024.02 with TDX patches)")
	explaintest.WantSentences(t, one(t, in, tdx.RTMR1, explaintest.Unhex(t, v.Expected["rtmr1"])),
		"the reported RTMR 1 is what this TD gives with RTMR layout l0 instead of l1 (OVMF 2024.02 with TDX patches)")
	explaintest.WantSentences(t, one(t, in, tdx.RTMR2, explaintest.Unhex(t, v.Expected["rtmr2"])),
		"the reported RTMR 2 is what this TD gives with no initrd instead of the expected one")
}

// logged is the digest of event n of a register.
func logged(log *eventlog.CCLog, index uint32, n int) *tdx.Measurement {
	for i := range log.Events {
		e := &log.Events[i]
		if e.PCR != index || e.Type == eventlog.NoAction {
			continue
		}
		if n--; n < 0 {
			return &tdx.Measurement{Digest: tdx.Digest(e.Digest(eventlog.SHA384)), Source: tdx.FromLog}
		}
	}
	return nil
}

func TestUnrelatedTD(t *testing.T) {
	t.Parallel()
	var h hardware
	listed(t, "dstack/tdx-vectors.json", "dstack/tdx-lite-hw", &h)
	in := TD{Input: tdx.Input{
		Firmware: h.firmware(t), Memory: 2 << 30, Layout: tdx.L1,
		Direct:  &tdx.Direct{CommandLine: "console=ttyS0 vga=0x317", Patched: true, Kernel: nil},
		ACPI:    &tdx.ACPI{Loader: []byte{1}, RSDP: []byte{2}, Tables: []byte{3}},
		Digests: tdx.Digests{Kernel: measurement(t, h.Inputs.Kernel), Initrd: measurement(t, h.Inputs.Initrd)},
	}}
	unrelated := make([]byte, 48)
	unrelated[0] = 1
	for i := range eventlog.MRs {
		r := one(t, in, i, unrelated)
		if len(r.Findings) != 0 {
			t.Errorf("%s: got %v, want no finding", r.Value, explaintest.Sentences(r))
		}
		t.Log(r.Summary())
	}
}

// releasedUKI is that of the disk of package tpm's tests.
func releasedUKI(t testing.TB) []byte {
	t.Helper()
	disk := bytes.NewReader(vectortest.File(t, os.DirFS("../../tpm/testdata"), "disk.img"))
	table, err := gpt.Decode(disk, disk.Size())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(table.Partitions, func(p gpt.Partition) bool { return p.Type == gpt.ESP() })
	if i < 0 {
		t.Fatal("the disk has no EFI system partition")
	}
	esp := &table.Partitions[i]
	files, err := fat.Open(esp.Section(disk), esp.Size())
	if err != nil {
		t.Fatal(err)
	}
	uki, err := files.ReadFile(tpm.BootPath)
	if err != nil {
		t.Fatal(err)
	}
	return uki
}

// TestUKIOfTD: the UKI of another release, whose command line differs.
func TestUKIOfTD(t *testing.T) {
	t.Parallel()
	released := releasedUKI(t)
	changed := bytes.Replace(released, []byte("panic=1"), []byte("panic=2"), 1)
	if bytes.Equal(changed, released) {
		t.Fatal("the UKI has another command line than panic=1")
	}
	boot := func(uki []byte) tdx.Input {
		return tdx.Input{Layout: tdx.L1, UKI: &tdx.UKI{Boot: tpm.Kernel, Image: uki}}
	}
	p, err := tdx.Predict(boot(released))
	if err != nil {
		t.Fatal(err)
	}
	in := TD{Input: boot(changed), UKIs: []explain.Named[[]byte]{{Name: "release 1.2", Value: released}}}
	for _, index := range []int{tdx.RTMR1, tdx.RTMR2} {
		r := one(t, in, index, p.Registers[index].Value[:])
		explaintest.WantSentences(t, r, "the reported "+r.Noun()+" is what this TD gives with UKI release 1.2 instead of the expected one")
	}
}

// TestRefused: questions that are none.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func() error{
		"reported values: got none": func() error { _, err := (TD{}).Explain([eventlog.MRs][]byte{}); return err },
		"explaining TDX registers: other inputs: got 65": func() error {
			_, err := (TD{Memory: make([]uint64, inputs.Max+1)}).Explain(at(tdx.MRTD, make([]byte, 48)))
			return err
		},
		"MRTD: got 3 bytes, want 48": func() error { _, err := (TD{}).Explain(at(tdx.MRTD, make([]byte, 3))); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with %q", err, name)
		}
	}
}
