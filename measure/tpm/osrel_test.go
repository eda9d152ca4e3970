package tpm

import (
	"strings"
	"testing"

	"safebox/measure/eventlog"
)

// TestInitrdOfRealBoot predicts PCR 9 of the boot in testdata/osrel, whose
// initrd and os-release are at hand, and compares with what the TPM returned.
func TestInitrdOfRealBoot(t *testing.T) {
	k := &uki{stub: stub257, sections: map[string][]byte{
		".cmdline": []byte("console=ttyS0 panic=1"),
		".initrd":  readFile(t, "testdata/osrel/initrd.cpio"),
		".osrel":   readFile(t, "testdata/osrel/os-release"),
	}}
	for _, bank := range banks() {
		r, err := pcr9(bank, k)
		if err != nil {
			t.Fatal(err)
		}
		want := "PCR " + bank.String() + " 9 " + r.Value.String() + "\n"
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
	stubSections, err := decodeUKI(assemble(stub(t), parts(t, "plain")))
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
		events := pcr11(bank, k).Events
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
