package golden

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"safebox/measure/eventlog"
)

// readPCRs reads the registers that a TPM returned, by "bank index".
func readPCRs(t *testing.T, boot string) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../eventlog/testdata/uefi/" + boot + "/pcrs.txt")
	if err != nil {
		t.Fatal(err)
	}
	pcrs := map[string]string{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		pcrs[f[1]+" "+f[2]] = f[3]
	}
	return pcrs
}

// TestRegistersOfRealBoots compares with what the TPM returned in ten boots.
func TestRegistersOfRealBoots(t *testing.T) {
	boots := []string{"cred", "esp", "kappend", "kraw", "kuki", "mkosiesp", "osrel", "smbios", "uki", "uki262"}
	for _, boot := range boots {
		pcrs := readPCRs(t, boot)
		for _, b := range Banks() {
			want := map[int]Digest{
				0: KnownFirmware()[0].PCR0(b),
				2: Separator(b), 3: Separator(b), 6: Separator(b),
				7: SecureBootOff(b), 8: b.Zero(),
			}
			for pcr, d := range want {
				if got := pcrs[fmt.Sprintf("%v %d", b, pcr)]; got != d.String() {
					t.Errorf("%s: %v PCR %d: TPM has %s, we have %v", boot, b, pcr, got, d)
				}
			}
		}
	}
}

// TestSpecValues compares with the values of specs/image.md 2.5 and 2.6, which
// stand in systemd's and others' documents too.
func TestSpecValues(t *testing.T) {
	const separator = "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"
	if got := Separator(SHA256).String(); got != separator {
		t.Errorf("separator: got %s, want %s", got, separator)
	}
	const off = "b5710bf57d25623e4019027da116821fa99f5c81e9e38b87671cc574f9281439"
	if got := SecureBootOff(SHA256).String(); got != off {
		t.Errorf("PCR 7: got %s, want %s", got, off)
	}
}

// TestFirmwareFollowsFromItsEvents folds the golden boot's own PCR 0 events:
// version, PEIFV (learned), DXEFV, separator.
func TestFirmwareFollowsFromItsEvents(t *testing.T) {
	raw, err := os.ReadFile("../../eventlog/testdata/uefi/esp/evlog.bin")
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	f := KnownFirmware()[0]
	for b, a := range map[Bank]eventlog.Algorithm{SHA256: eventlog.SHA256, SHA384: eventlog.SHA384} {
		version, pei, dxe := log.Events[0].Digest(a), log.Events[1].Digest(a), log.Events[2].Digest(a)
		if !f.PEI(b).Equal(pei) {
			t.Errorf("%v PEIFV: got %v, want %x", b, f.PEI(b), pei)
		}
		got := b.Extend(b.Zero(), version, pei, dxe, b.Sum([]byte(SeparatorData)))
		if !got.Equal(f.PCR0(b)) {
			t.Errorf("%v: events give %v, table has %v", b, got, f.PCR0(b))
		}
	}
}

func TestParseBank(t *testing.T) {
	for _, b := range Banks() {
		if got, err := ParseBank(b.String()); err != nil || got != b {
			t.Errorf("%v: got %v, %v", b, got, err)
		}
	}
	for _, s := range []string{"", "sha1", "SHA256", "sha512", "bank 0"} {
		if _, err := ParseBank(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

func TestEmptyDigestEqualsNothing(t *testing.T) {
	if (Digest{}).Equal(nil) || Digest(nil).Equal([]byte{}) {
		t.Error("an absent value passed as equal")
	}
}

// TestSecureBootFirmwareFollowsFromItsEvents does the same for the firmware
// with Secure Boot and the boots that its values come from. PCR 0 is also what
// the TPM returned in them.
func TestSecureBootFirmwareFollowsFromItsEvents(t *testing.T) {
	list := SecureBootFirmware()
	for i, boot := range []string{"boots/sb-esp257", "onecpu"} {
		f := list[i]
		if !strings.HasSuffix(f.Origin, "measure/tpm/testdata/"+boot) {
			t.Errorf("%s: origin %s", boot, f.Origin)
		}
		raw, err := os.ReadFile("../testdata/" + boot + "/evlog.bin")
		if err != nil {
			t.Fatal(err)
		}
		log, err := eventlog.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		registers, err := os.ReadFile("../testdata/" + boot + "/pcrs.txt")
		if err != nil {
			t.Fatal(err)
		}
		for b, a := range map[Bank]eventlog.Algorithm{SHA256: eventlog.SHA256, SHA384: eventlog.SHA384} {
			version, pei, dxe := log.Events[0].Digest(a), log.Events[1].Digest(a), log.Events[2].Digest(a)
			got := b.Extend(b.Zero(), version, pei, dxe, b.Sum([]byte(SeparatorData)))
			if !f.PEI(b).Equal(pei) || !got.Equal(f.PCR0(b)) {
				t.Errorf("%s: %v: events give %v, table has %v", boot, b, got, f.PCR0(b))
			}
			if line := fmt.Sprintf("PCR %v 0 %v\n", b, got); !strings.Contains(string(registers), line) {
				t.Errorf("%s: the TPM did not return %s", boot, line)
			}
		}
	}
	for _, known := range KnownFirmware() {
		if known.SecureBoot || known.SHA256 == list[0].SHA256 {
			t.Errorf("%s: a guest would accept it", known.Name)
		}
	}
	if len(list) != 2 || list[0].SHA256 != list[1].SHA256 || list[0].VCPUs != 2 || list[1].VCPUs != 1 {
		t.Errorf("got %+v", list)
	}
}
