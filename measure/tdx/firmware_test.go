package tdx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/vectortest"
)

// debianOVMF is Debian's OVMF.fd 2025.02-8+deb13u1.
func debianOVMF(t testing.TB) []byte {
	t.Helper()
	return vectortest.File(t, testdata(), "debian-ovmf/OVMF.fd")
}

func open(t testing.TB, b []byte) *ovmf.Image {
	t.Helper()
	im, err := ovmf.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// TestDebianFirmware predicts a machine from files alone.
func TestDebianFirmware(t *testing.T) {
	var file struct{ TDX map[string]string }
	if err := json.Unmarshal(vectortest.File(t, testdata(), "debian-ovmf/vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	b := debianOVMF(t)
	layout, ok := KnownLayout(sha256.Sum256(b))
	if !ok || layout != L1 {
		t.Fatalf("layout: got %v, %v, want %v", layout, ok, L1)
	}
	if l, ok := KnownLayout([32]byte{}); ok || l != 0 {
		t.Errorf("layout of zeros: got %v", l)
	}
	acpi := func(name string) []byte { return vectortest.File(t, testdata(), "qemu-acpi/q35-2g-4cpu/"+name) }
	in := Input{
		Firmware: open(t, b), Memory: 2 << 30, Layout: layout, Direct: &Direct{CommandLine: "quiet"},
		ACPI: &ACPI{acpi("etc_table-loader.bin"), acpi("etc_acpi_rsdp.bin"), acpi("etc_acpi_tables.bin")},
	}
	for order, key := range map[tdvf.Order]string{tdvf.SinglePass: "mrtd_single_pass", tdvf.TwoPass: "mrtd_two_pass"} {
		in.Order = order
		p := mustPredict(t, in)
		expect(t, p, map[string]string{"mrtd": file.TDX[key]})
		if got := p.Registers[MRTD].Source(); got != FromFile {
			t.Errorf("mrtd: source: got %v, want %v", got, FromFile)
		}
		if got := p.Registers[RTMR3].Source(); got != Computed {
			t.Errorf("rtmr3: source: got %v, want %v", got, Computed)
		}
	}
	r := mustPredict(t, in).Registers[RTMR0]
	if r.Value == nil || r.Source() != FromFile {
		t.Fatalf("rtmr0: got source %v, missing %q", r.Source(), r.Missing)
	}
	if got, want := r.Events[1].Digest.String(), file.TDX["cfv_sha384"]; got != want {
		t.Errorf("configuration volume: got %s, want %s", got, want)
	}
	if other := mustPredict(t, Input{Firmware: in.Firmware, Memory: 4 << 30, Layout: L1, Direct: in.Direct, ACPI: in.ACPI}).Registers[RTMR0]; *other.Value == *r.Value {
		t.Error("rtmr0 does not depend on the memory size")
	}
	// Only machines of Google have this order: a q35 machine's HOB is none of theirs.
	in = Input{Firmware: in.Firmware, Memory: in.Memory, Order: tdvf.TDHOBBug}
	if r := mustPredict(t, in).Registers[MRTD]; r.Value != nil || !strings.Contains(r.Missing, "this order measures the TD HOB of a machine of Google") {
		t.Errorf("mrtd with the TD HOB: got %v, missing %q", r.Value, r.Missing)
	}
	m, err := tdvf.ParseGCEMachine("c3-standard-4")
	if err != nil {
		t.Fatal(err)
	}
	if in.HOB, err = tdvf.GCEHOB(in.Firmware, m, 0); err != nil {
		t.Fatal(err)
	}
	expect(t, mustPredict(t, in), map[string]string{"mrtd": file.TDX["mrtd_gce_tdhob_bug_c3_standard_4"]})
}

// TestVariableInFirmware puts one into the image's store: a prediction for a
// firmware without variables would be a guess.
func TestVariableInFirmware(t *testing.T) {
	b := debianOVMF(t)
	if v, err := ReadVariables(open(t, b)); err == nil || !strings.Contains(err.Error(), "got no keys") {
		t.Errorf("variables: got %+v, %v", v, err)
	}
	addVariable(b)
	in := Input{Firmware: open(t, b), Memory: 2 << 30, Layout: L1, Direct: &Direct{}}
	r := mustPredict(t, in).Registers[RTMR0]
	if want := `Secure Boot variables: not given, and the firmware's image is not without variables: it has "XY"`; !strings.Contains(r.Missing, want) {
		t.Errorf("got missing %q, want %q", r.Missing, want)
	}
	in.Variables = &Variables{}
	if r := mustPredict(t, in).Registers[RTMR0]; strings.Contains(r.Missing, "variables") {
		t.Errorf("with variables given: got missing %q", r.Missing)
	}
	b[0x64-8] = 0 // its format
	in = Input{Firmware: open(t, b), Layout: L1}
	if r := mustPredict(t, in).Registers[RTMR0]; !strings.Contains(r.Missing, "the firmware's own cannot be read") {
		t.Errorf("damaged store: got missing %q", r.Missing)
	}
	if _, err := ReadVariables(in.Firmware); err == nil {
		t.Error("damaged store: no error")
	}
}

// TestReadVariables puts variable stores with keys into the image and compares
// with the logs of machines with a TPM that booted with these stores.
func TestReadVariables(t *testing.T) {
	tpmTestdata := os.DirFS("../tpm/testdata/boots")
	for store, boot := range map[string]string{
		"ca.fd": "sb-ca257", "leaf.fd": "sb-leaf257", "hash.fd": "sb-hash257", "disabled.fd": "sb-disabled257",
	} {
		b := debianOVMF(t)
		copy(b, vectortest.File(t, tpmTestdata, "inputs/"+store))
		log, err := eventlog.Decode(vectortest.File(t, tpmTestdata, boot+"/evlog.bin"))
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Layout: L1, Firmware: open(t, b), Memory: 2 << 30, Direct: &Direct{}}
		if in.Variables, err = ReadVariables(in.Firmware); err != nil {
			t.Fatalf("%s: %v", store, err)
		}
		r := mustPredict(t, in).Registers[RTMR0]
		if got, want := digests(r)[2:8], pcrDigests(log, 7)[:6]; !slices.Equal(got, want) {
			t.Errorf("%s: variables and separator: got %v, want %v", store, got, want)
		}
		const on = "Secure Boot is on: give the authorities"
		if got, want := strings.Contains(r.Missing, on), store != "disabled.fd"; got != want {
			t.Errorf("%s: missing %q: got %v for %q, want %v", store, r.Missing, got, on, want)
		}
		if r.Events[2].Source != FromFile {
			t.Errorf("%s: source: got %v, want %v", store, r.Events[2].Source, FromFile)
		}
	}
}

// addVariable puts a variable XY into the image's empty store.
func addVariable(b []byte) {
	// VARIABLE_STORE_HEADER ends at 0x64 (edk2, VariableFormat.h).
	record := bytes.Join([][]byte{
		{0xaa, 0x55, 0x3f, 0, 7, 0, 0, 0},
		make([]byte, 8+16+4),
		{6, 0, 0, 0, 1, 0, 0, 0},
		make([]byte, 16),
		{'X', 0, 'Y', 0, 0, 0},
		{1},
		{0xff},
	}, nil)
	copy(b[0x64:], record)
}

// TestVariableAxes compares with digests that real logs have: SecureBoot without
// content in Debian's OVMF and dstack's (boots of ../eventlog/testdata), with one
// zero byte in Intel's and in Google's.
func TestVariableAxes(t *testing.T) {
	for _, tt := range []struct {
		value []byte
		want  string
	}{
		{nil, hex.EncodeToString(vtpmLog(t, "kraw").Events[3].Digest(eventlog.SHA384))},
		{[]byte{0}, hex.EncodeToString(decodeCCEL(t, "go-eventlog/event_log.bin").Events[2].Digest(eventlog.SHA384))},
	} {
		p := mustPredict(t, Input{Layout: L1, Direct: &Direct{}, Variables: &Variables{SecureBoot: tt.value}})
		if got := p.Registers[RTMR0].Events[2]; got.Description != "variable SecureBoot" || got.Digest.String() != tt.want {
			t.Errorf("%x: got %s %v, want %s", tt.value, got.Description, got.Digest, tt.want)
		}
	}
	p := mustPredict(t, Input{Layout: L1, Direct: &Direct{}, Variables: &Variables{DBT: []byte{1}}})
	// GUID d719b2cb-3d3a-4596-a3bc-dad00e67656f, 3 characters, 1 byte
	data := "cbb219d73a3d9645a3bcdad00e67656f" + "0300000000000000" + "0100000000000000" + "640062007400" + "01"
	raw, err := hex.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	s := &sequence{}
	s.computed(eventlog.EFIVariableDriverConfig, "variable dbt", raw)
	if got := p.Registers[RTMR0].Events[7]; got.Description != "variable dbt" || got.Digest != s.events[0].Digest {
		t.Errorf("dbt: got %s %v, want %v", got.Description, got.Digest, s.events[0].Digest)
	}
}

// TestBootEntryBytes has the bytes that dstack's vector gives.
func TestBootEntryBytes(t *testing.T) {
	const want = "090100002c0055006900410070007000000004071400c9bdb87cebf8344faaea3ee4af6516a10406140021aa2c4614760345836e8ab6f46623317fff0400"
	if got := hex.EncodeToString(L1.bootEntries()[0].Data); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNames(t *testing.T) {
	for _, l := range Layouts() {
		if got, err := ParseLayout(l.String()); err != nil || got != l {
			t.Errorf("%v: got %v, %v", l, got, err)
		}
		if l.Evidence() == Layout(0).Evidence() {
			t.Errorf("%v: no evidence", l)
		}
	}
	for _, s := range []string{"", "L1", "layout 1"} {
		if _, err := ParseLayout(s); err == nil || !strings.Contains(err.Error(), "want l0, l1, l2, intel") {
			t.Errorf("%q: got error %v", s, err)
		}
	}
	seen := map[string]bool{}
	for _, s := range []Source{Unknown, FromLog, Given, FromFile, Computed, 9} {
		seen[s.String()] = true
	}
	for _, f := range []OptionsForm{OptionsOfLayout, InitrdLast, InitrdFirst, NoInitrdName, 9} {
		seen[f.String()] = true
	}
	if len(seen) != 11 || !seen["source 9"] || !seen["options form 9"] {
		t.Errorf("got names %v", seen)
	}
}
