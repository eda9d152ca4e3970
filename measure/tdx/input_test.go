package tdx

import (
	"crypto/sha512"
	"reflect"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/tpm"
)

// TestEveryDigestHasASource: a digest of no source, and one that is said to be
// computed here, is refused wherever it stands.
func TestEveryDigestHasASource(t *testing.T) {
	fields := reflect.TypeFor[Digests]()
	if n := len((&Digests{}).named()); n != fields.NumField() {
		t.Errorf("got %d names, want %d", n, fields.NumField())
	}
	for i := range fields.NumField() {
		for _, source := range []Source{Unknown, FromFile, Computed, Computed + 1} {
			var in Input
			reflect.ValueOf(&in.Digests).Elem().Field(i).Set(reflect.ValueOf(&Measurement{Source: source}))
			if _, err := Predict(in); err == nil || !strings.Contains(err.Error(), "source: got "+source.String()) {
				t.Errorf("%s of source %v: got error %v", fields.Field(i).Name, source, err)
			}
		}
	}
}

// TestBytesAndDigest: both of a thing are refused, whatever they say.
func TestBytesAndDigest(t *testing.T) {
	m := &Measurement{Digest{1}, Given}
	direct := func(d Direct, digests Digests) Input { return Input{Direct: &d, Digests: digests} }
	for _, tt := range []struct {
		in   Input
		want string
	}{
		{Input{Firmware: open(t, debianOVMF(t)), Digests: Digests{CFV: m}}, "configuration volume"},
		{Input{ACPI: &ACPI{}, Digests: Digests{Loader: m}}, "ACPI tables"},
		{Input{ACPI: &ACPI{}, Digests: Digests{RSDP: m}}, "ACPI tables"},
		{Input{ACPI: &ACPI{}, Digests: Digests{Tables: m}}, "ACPI tables"},
		{direct(Direct{Kernel: kernelSetup(t)}, Digests{Kernel: m}), "kernel"},
		{direct(Direct{InitrdSHA384: &[48]byte{}}, Digests{Initrd: m}), "initrd"},
		{direct(Direct{CommandLine: "x"}, Digests{LoadOptions: m}), "load options"},
	} {
		if _, err := Predict(tt.in); err == nil || !strings.Contains(err.Error(), tt.want+": got both bytes and a digest") {
			t.Errorf("%s: got error %v", tt.want, err)
		}
	}
}

// TestSourceOfHOB: computed from the memory size, or what the caller gave.
func TestSourceOfHOB(t *testing.T) {
	in := Input{Layout: L1, Firmware: open(t, debianOVMF(t)), Memory: 2 << 30}
	first := func() Event { return mustPredict(t, in).Registers[RTMR0].Events[0] }
	computed := first()
	if computed.Source != Computed {
		t.Errorf("from the memory size: got source %v, want %v", computed.Source, Computed)
	}
	in.Digests.HOB = &Measurement{Digest{1}, FromLog}
	if got := first(); got.Digest != (Digest{1}) || got.Source != FromLog {
		t.Errorf("digest of a log: got %v, %v", got.Digest, got.Source)
	}
	in.Digests.HOB = nil
	in.HOB = append([]byte{1, 0, 56, 0, 0, 0, 0, 0, 9}, make([]byte, 47)...)
	if got := first(); got.Digest != sha512.Sum384(in.HOB) || got.Source != FromFile {
		t.Errorf("bytes: got %v, %v", got.Digest, got.Source)
	}
	in.HOB, in.Memory = nil, 1<<20
	if _, err := Predict(in); err == nil || !strings.Contains(err.Error(), "memory below 4 GiB") {
		t.Errorf("1 MiB: got error %v", err)
	}
}

// TestAuthoritiesOfUKI: with Secure Boot on, the entries of db that let a UKI
// through come last in RTMR0 of a boot from a disk. By -kernel their place was
// not seen.
func TestAuthoritiesOfUKI(t *testing.T) {
	digest := Digest{7}
	in := &input{
		Input: Input{Layout: L1, UKI: &UKI{Boot: tpm.ESP}, Variables: &Variables{SecureBoot: []byte{1}}},
		uki: &ukiEvents{sequence: []tpm.PCREvent{
			{PCR: 7, Event: tpm.Event{Type: eventlog.EFIVariableDriverConfig, Digest: make(tpm.Digest, 48)}},
			{PCR: 7, Event: tpm.Event{Type: eventlog.EFIVariableAuthority, Description: "db", Digest: digest[:]}},
			{PCR: 4, Event: tpm.Event{Type: eventlog.EFIBootServicesApplication, Digest: make(tpm.Digest, 48)}},
		}},
	}
	r, err := rtmr0(in)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{eventlog.EFIVariableAuthority, "db", digest, FromFile}
	if last := r.Events[len(r.Events)-1]; last != want || strings.Contains(r.Missing, "authorities") {
		t.Errorf("got %+v, missing %q, want %+v", last, r.Missing, want)
	}
	in.UKI = &UKI{Boot: tpm.Kernel}
	if r, err = rtmr0(in); err != nil || !strings.Contains(r.Missing, "Secure Boot is on: give the authorities") {
		t.Errorf("by -kernel: missing %q, %v", r.Missing, err)
	}
	in.Variables.SecureBoot[0] = 0
	if r, err = rtmr0(in); err != nil || strings.Contains(r.Missing, "authorities") {
		t.Errorf("off: missing %q, %v", r.Missing, err)
	}
}
