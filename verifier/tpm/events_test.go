package tpm

import (
	"os"
	"testing"

	"safebox/measure/eventlog"
)

const boots = "../../measure/eventlog/testdata/uefi/"

func readLog(t testing.TB, boot string) *eventlog.Log {
	t.Helper()
	b, err := os.ReadFile(boots + boot + "/evlog.bin")
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestRealBoots: the ten real boots, of which three are attacks that leave an
// event in PCR 12 and one has another stub. The expectations are read off the
// README of the logs.
func TestRealBoots(t *testing.T) {
	for boot, want := range map[string]bool{
		"esp": true, "uki": true, "kuki": true, "kraw": true, "osrel": true, "mkosiesp": true,
		"kappend": false, "smbios": false, "cred": false, "uki262": false,
	} {
		l := readLog(t, boot)
		if err := CheckEvents(l); (err == nil) != want {
			t.Errorf("%s: events: got %v, want accepted %t", boot, err, want)
		}
		if err := CheckDigests(l); err != nil {
			t.Errorf("%s: digests: %v", boot, err)
		}
		if err := CheckSecureBoot(l); err != nil {
			t.Errorf("%s: Secure Boot: %v", boot, err)
		}
	}
}
