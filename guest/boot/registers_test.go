package boot

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"safebox/measure/tpm/golden"

	"github.com/google/go-cmp/cmp"
)

// realRegisters reads what the TPM returned in a boot under QEMU; see
// measure/eventlog/testdata/README.md.
func realRegisters(t *testing.T, boot string) registers {
	t.Helper()
	b, err := os.ReadFile("../../measure/eventlog/testdata/uefi/" + boot + "/pcrs.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := registers{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line) // PCR sha256 0 0101...
		bank, err := golden.ParseBank(f[1])
		if err != nil {
			continue
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		values := all[bank]
		if values[n], err = hex.DecodeString(f[3]); err != nil {
			t.Fatal(err)
		}
		all[bank] = values
	}
	// pcrs.txt may leave out registers above 15; nothing is checked there.
	return all
}

func ids(r Refusals) []string {
	var all []string
	for _, x := range r {
		all = append(all, x.ID)
	}
	return all
}

// TestRealBoots: what the TPM of honest and of tampered boots said. PCR 12
// moved wherever the host added something (specs/image.md 2.7).
func TestRealBoots(t *testing.T) {
	tests := map[string][]string{
		"esp": nil, "kuki": nil, "uki": nil, "uki262": nil,
		"kappend": {"pcr12-injected"}, "smbios": {"pcr12-injected"}, "cred": {"pcr12-injected"},
	}
	for boot, want := range tests {
		if d := cmp.Diff(want, ids(compareRegisters(realRegisters(t, boot), vtpmRegisters()))); d != "" {
			t.Errorf("%s: %s", boot, d)
		}
	}
}

// TestEveryRegisterCounts: one bit of any register in any bank is refused
// under that register's name, with both values.
func TestEveryRegisterCounts(t *testing.T) {
	want := map[int]string{
		0: "pcr0-firmware", 2: "pcr2-option-rom", 3: "pcr3-option-rom-data", 6: "pcr6-host-platform", 7: "pcr7-secure-boot",
		8: "pcr8-grub", 12: "pcr12-injected", 13: "pcr13-extension", 14: "pcr14-shim", 15: "pcr15-runtime",
	}
	for _, bank := range golden.Banks() {
		for n := range 16 {
			r := realRegisters(t, "esp")
			values := r[bank]
			good := values[n].String()
			values[n] = bytes.Clone(values[n])
			values[n][len(values[n])-1] ^= 1
			r[bank] = values
			reasons := compareRegisters(r, vtpmRegisters())
			if want[n] == "" {
				if len(reasons) != 0 {
					t.Errorf("%v pcr%d: refused: %v", bank, n, reasons)
				}
				continue
			}
			if !slices.Equal(ids(reasons), []string{want[n]}) {
				t.Errorf("%v pcr%d: got %v, want %s", bank, n, ids(reasons), want[n])
				continue
			}
			detail := fmt.Sprintf("%v pcr%d: got %v, want %s", bank, n, values[n], good)
			if reasons[0].Detail != detail {
				t.Errorf("detail %q, want %q", reasons[0].Detail, detail)
			}
		}
	}
}

// TestAbsentIsRefused: a bank that was not read, and a rule that accepts
// nothing, refuse.
func TestAbsentIsRefused(t *testing.T) {
	r := realRegisters(t, "esp")
	delete(r, golden.SHA384)
	if got := compareRegisters(r, vtpmRegisters()); len(got) != len(vtpmRegisters()) {
		t.Errorf("without a bank: %d refusals, want %d", len(got), len(vtpmRegisters()))
	}
	none := []Rule{{PCR: 0, ID: "x", Accept: func(golden.Bank) []golden.Digest { return nil }}}
	if got := compareRegisters(realRegisters(t, "esp"), none); len(got) != 1 {
		t.Errorf("rule without values: %v", got)
	}
}

// TestOneOfSeveral: any of several known firmware values will do.
func TestOneOfSeveral(t *testing.T) {
	r := realRegisters(t, "esp")
	rule := Rule{PCR: 7, ID: "x", Accept: func(b golden.Bank) []golden.Digest {
		return []golden.Digest{b.Zero(), golden.SecureBootOff(b)}
	}}
	if got := compareRegisters(r, []Rule{rule}); len(got) != 0 {
		t.Errorf("refused: %v", got)
	}
}
