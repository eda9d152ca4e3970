package e2e

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"safebox/host/vmm"
	"safebox/image"
	"safebox/measure/eventlog"
	"safebox/measure/tpm"
	"safebox/measure/tpm/golden"
)

// TestBareKernel holds what docs/LIMITATIONS.md says of OVMF: a kernel by
// -kernel that it does not load as an image, because Secure Boot refuses it or
// because it does not look like one, is started all the same by a loader for old
// kernels, which measures nothing of it. The registers are not those of a release,
// but such a kernel could extend them until they are those of a boot from an ESP.
func TestBareKernel(t *testing.T) {
	b := release(t, testInit)
	kernel := b.artifacts.File("vmlinuz")
	for _, tt := range []struct {
		name string
		make func(t *testing.T) machine
	}{
		{"unsigned, with Secure Boot", func(t *testing.T) machine {
			return secureMachine(t, vmm.Kernel, kernel, newOwner(t, 2048).flash(t, b))
		}},
		{"no image, without Secure Boot", func(t *testing.T) machine {
			bare := bytes.Clone(kernel)
			copy(bare, "\x00\x00") // "MZ", code of a boot sector that nobody runs
			dir := t.TempDir()
			for _, name := range []string{"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"} {
				writeFirmware(t, dir, name, b.artifacts.File("firmware/"+name))
			}
			writeFile(t, filepath.Join(dir, image.UKI), bare)
			return machine{release: dir, boot: vmm.Kernel}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.make(t)
			initrd := filepath.Join(m.release, "initrd")
			writeFile(t, initrd, b.artifacts.File("initrd.cpio.zst"))
			m.extra = append(m.extra, "-initrd", initrd, "-append", strings.TrimSpace(string(b.artifacts.File("cmdline"))))
			compareBare(t, b, bootMachine(t, m))
		})
	}
}

func compareBare(t *testing.T, b *built, o *outcome) {
	t.Helper()
	if o.report == nil {
		t.Fatal("firmware did not start the kernel: the limit is gone, and its text can go too")
	}
	const calling = "Calling EFI Application from Boot Option"
	for _, bank := range golden.Banks() {
		want := bank.Extend(bank.Zero(), bank.Sum([]byte(calling)), bank.Sum([]byte(golden.SeparatorData)))
		if got := registersOf(t, o, bank)[4]; !want.Equal(got) {
			t.Errorf("%v PCR 4: got %x, want %v: an action and a separator", bank, got, want)
		}
	}
	log, err := eventlog.Decode(o.report.EventLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Events {
		if e.Type == eventlog.EFIVariableAuthority || e.Type == eventlog.EFIBootServicesApplication {
			t.Errorf("PCR %d: %v: want no word of the kernel", e.PCR, e.Type)
		}
	}
	for _, boot := range []vmm.Boot{vmm.ESP, vmm.Kernel} {
		for _, p := range predictions(t, b, boot) {
			var moved []int
			for _, d := range p.Compare(registersOf(t, o, p.Bank)) {
				moved = append(moved, d.PCR)
			}
			if len(moved) < 3 {
				t.Errorf("%s %v: registers that tell it from the release: got %v", boot, p.Bank, moved)
			}
		}
	}
}

func registersOf(t *testing.T, o *outcome, b tpm.Bank) [eventlog.PCRs][]byte {
	t.Helper()
	return bank(t, o.report, b.String())
}
