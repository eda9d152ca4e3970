package tpm

import (
	"strings"
	"testing"

	"safebox/measure/eventlog"
)

// TestInitrdOfRealBoot predicts PCR 9 of the boot in testdata/osrel, whose
// initrd and os-release are at hand, and compares with what the TPM returned.
func TestInitrdOfRealBoot(t *testing.T) {
	k := &uki{sections: map[string][]byte{
		".cmdline": []byte("console=ttyS0 panic=1"),
		".initrd":  readFile(t, "testdata/osrel/initrd.cpio"),
		".osrel":   readFile(t, "testdata/osrel/os-release"),
	}}
	var err error
	if k.options, err = loadOptions(k.sections[".cmdline"]); err != nil {
		t.Fatal(err)
	}
	if k.initrd, err = combineInitrd(k.sections); err != nil {
		t.Fatal(err)
	}
	for _, bank := range banks() {
		s := &sequence{bank: bank}
		s.kernelArguments(k)
		want := "PCR " + bank.String() + " 9 " + s.register(9, Exact).Value.String() + "\n"
		if !strings.Contains(string(readFile(t, "testdata/osrel/pcrs.txt")), want) {
			t.Errorf("the TPM did not return %q", want)
		}
	}
}

// TestContentOfRealPCR11 compares the events of PCR 11 for the sections at
// hand, content included, with the log of that boot.
func TestContentOfRealPCR11(t *testing.T) {
	log, err := eventlog.Decode(readFile(t, "testdata/osrel/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	stubSections, err := decodeUKI(assemble(stub(t), parts(t, "plain")), 0)
	if err != nil {
		t.Fatal(err)
	}
	k := &uki{sections: map[string][]byte{
		".osrel":   readFile(t, "testdata/osrel/os-release"),
		".cmdline": []byte("console=ttyS0 panic=1"),
		".initrd":  readFile(t, "testdata/osrel/initrd.cpio"),
		".uname":   []byte("6.12.107+deb13-cloud-amd64"),
		".sbat":    stubSections.sections[".sbat"],
	}}
	var logged []eventlog.Event
	for _, e := range log.Events {
		if e.PCR == 11 {
			logged = append(logged, e)
		}
	}
	logged = logged[2:] // .linux, which is too large to keep here
	for _, bank := range banks() {
		events := sectionEvents(bank, k)
		if len(events) != len(logged) {
			t.Fatalf("got %d events, want %d", len(events), len(logged))
		}
		for i, e := range events {
			if want := logged[i].Digest(Algorithm(bank)); !e.Digest.Equal(want) {
				t.Errorf("%v: %s: got %v, want %x", bank, e.Description, e.Digest, want)
			}
		}
	}
}

func sectionEvents(bank Bank, k *uki) []Event {
	s := &sequence{bank: bank}
	s.sections(k)
	return s.register(11, Exact).Events
}
