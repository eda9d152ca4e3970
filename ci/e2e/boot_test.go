package e2e

import (
	"fmt"
	"slices"
	"testing"

	"safebox/host/vmm"
	"safebox/image"
	"safebox/image/hostile"
	"safebox/measure/eventlog"
	"safebox/measure/tpm"
	"safebox/verifier/bootreport"
)

// TestPredictedRegisters: what the TPM of a booted machine reports, read with
// TPM2_PCR_Read, is what release.json says, in both banks and for both ways of
// booting.
func TestPredictedRegisters(t *testing.T) {
	for _, init := range []string{image.InitPackage, testInit} {
		for _, boot := range []vmm.Boot{vmm.ESP, vmm.Kernel} {
			t.Run(fmt.Sprintf("%s/%s", initName(init), boot), func(t *testing.T) {
				t.Parallel()
				b := release(t, init)
				o := bootMachine(t, machine{release: b.folder, boot: boot})
				if o.report == nil {
					t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
				}
				if len(o.report.Refusals) != 0 {
					t.Errorf("refusals of an honest boot: %v", o.report.Refusals)
				}
				comparePublished(t, b, boot, o.report)
				compareLog(t, predictions(t, b, boot), o.report)
			})
		}
	}
}

func initName(init string) string {
	if init == image.InitPackage {
		return "production"
	}
	return "reporting"
}

// comparePublished compares the TPM's values with release.json.
func comparePublished(t *testing.T, b *built, boot vmm.Boot, r *bootreport.Report) {
	t.Helper()
	compared := 0
	for _, p := range predictions(t, b, boot) {
		published, ok := b.artifacts.Release.Measurement("vtpm", string(boot), p.Bank.String())
		if !ok {
			t.Fatalf("release.json has no measurement vtpm %s %v", boot, p.Bank)
		}
		values := bank(t, r, p.Bank.String())
		for _, reg := range published.Registers {
			var n int
			if _, err := fmt.Sscanf(reg.Name, "pcr%d", &n); err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%x", values[n])
			if reg.Rule != "any" && got != reg.Value {
				t.Errorf("%v %s: the TPM says %s, release.json %s", p.Bank, reg.Name, got, reg.Value)
			}
			if reg.Rule != "any" {
				compared++
			}
		}
	}
	// PCR 0, 2 to 9, 11 to 15 in two banks (specs/protocol.md, section 4).
	if want := 14 * 2; compared != want {
		t.Errorf("%d registers compared, want %d", compared, want)
	}
	t.Logf("boot:   %d registers of the TPM equal release.json", compared)
}

// compareLog does the same event by event, with the firmware's log.
func compareLog(t *testing.T, predicted []*tpm.Prediction, r *bootreport.Report) {
	t.Helper()
	log, err := eventlog.Decode(r.EventLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range predicted {
		differences, err := p.CompareLog(log)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			t.Errorf("event log, %v: %s", p.Bank, d)
		}
	}
}

// attack is something that a hostile host does to a boot.
type attack struct {
	name    string
	boot    vmm.Boot
	refusal string // what the init names
	moved   []int  // PCRs that are no longer as published
	prepare func(t *testing.T, b *built, dir string) machine
}

func attacks() []attack {
	return []attack{
		{
			name: "command line by -append", boot: vmm.Kernel,
			refusal: "command-line", moved: []int{9, 12},
			prepare: func(_ *testing.T, b *built, _ string) machine {
				return machine{release: b.folder, extra: []string{"-append", "evil=1"}}
			},
		},
		{
			name: "command line by SMBIOS type 11", boot: vmm.ESP,
			refusal: "command-line", moved: []int{9, 12},
			prepare: func(_ *testing.T, b *built, _ string) machine {
				return machine{release: b.folder, extra: []string{"-smbios", "type=11,value=io.systemd.stub.kernel-cmdline-extra=evil=1"}}
			},
		},
		{
			name: "credential file on the ESP", boot: vmm.ESP,
			refusal: "credentials", moved: []int{9, 12},
			prepare: plantCredential,
		},
		{
			name: "extra entry in the initrd", boot: vmm.ESP,
			refusal: "initramfs-entry", moved: []int{4, 9, 11},
			prepare: addInitrdEntry,
		},
		{
			name: "option ROM on the network card", boot: vmm.ESP,
			refusal: "pcr2-option-rom", moved: []int{2},
			prepare: func(t *testing.T, b *built, dir string) machine {
				writeFile(t, dir+"/evil.rom", optionROM())
				return machine{release: b.folder, rom: dir + "/evil.rom"}
			},
		},
		{
			name: "changed firmware", boot: vmm.ESP,
			// PCR 7 too: this build sets the Secure Boot variables differently.
			refusal: "pcr0-firmware", moved: []int{0, 7},
			prepare: changeFirmware,
		},
	}
}

// TestHostAttacks boots each attack twice: with the init of the release, which
// powers off and names the reason, and with a test-only init that reports
// instead, so that the moved registers can be read through the TPM.
func TestHostAttacks(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name+"/production", func(t *testing.T) {
			t.Parallel()
			o := bootAttack(t, a, image.InitPackage)
			if o.report != nil {
				t.Fatal("the guest went on")
			}
			if got := o.named(bootreport.Refused); !slices.Contains(got, a.refusal) {
				t.Errorf("refused %v, want %s among them", got, a.refusal)
			}
			if got := o.named(bootreport.PowerOff); len(got) != 1 || got[0] != a.refusal {
				t.Errorf("powered off for %v, want %s", got, a.refusal)
			}
		})
		t.Run(a.name+"/reporting", func(t *testing.T) {
			t.Parallel()
			o := bootAttack(t, a, testInit)
			if o.report == nil {
				t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
			}
			ids := []string{}
			for _, r := range o.report.Refusals {
				ids = append(ids, r.ID)
			}
			if !slices.Contains(ids, a.refusal) {
				t.Errorf("reported %v, want %s among them", ids, a.refusal)
			}
			compareMoved(t, a, o.report)
		})
	}
}

func bootAttack(t *testing.T, a attack, init string) *outcome {
	t.Helper()
	m := a.prepare(t, release(t, init), t.TempDir())
	m.boot = a.boot
	return bootMachine(t, m)
}

// compareMoved wants exactly the named registers to differ from what is
// published for the untouched release.
func compareMoved(t *testing.T, a attack, r *bootreport.Report) {
	t.Helper()
	for _, p := range predictions(t, release(t, testInit), a.boot) {
		var moved []int
		for _, d := range p.Compare(bank(t, r, p.Bank.String())) {
			moved = append(moved, d.PCR)
			t.Logf("boot:   %v %s", p.Bank, d)
		}
		if !slices.Equal(moved, a.moved) {
			t.Errorf("%v: registers that moved: got %v, want %v", p.Bank, moved, a.moved)
		}
	}
}

func plantCredential(t *testing.T, b *built, dir string) machine {
	t.Helper()
	raw, err := hostile.Credential(b.artifacts.File(image.UKI))
	if err != nil {
		t.Fatal(err)
	}
	return withDisk(t, b, dir, raw)
}

func addInitrdEntry(t *testing.T, b *built, dir string) machine {
	t.Helper()
	raw, err := hostile.InitrdEntry(stub(t), b.artifacts.File(image.UKI))
	if err != nil {
		t.Fatal(err)
	}
	return withDisk(t, b, dir, raw)
}

// withDisk is the release with another disk.
func withDisk(t *testing.T, b *built, dir string, raw []byte) machine {
	t.Helper()
	for _, name := range []string{"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"} {
		writeFirmware(t, dir, name, b.artifacts.File("firmware/"+name))
	}
	writeFile(t, dir+"/"+image.RawDisk, raw)
	return machine{release: dir}
}

// changeFirmware boots another build of the same firmware: the one for System
// Management Mode, from the same package.
func changeFirmware(t *testing.T, b *built, dir string) machine {
	t.Helper()
	code := dir + "/other.fd"
	writeFile(t, code, packaged(t, "ovmf", "usr/share/OVMF/OVMF_CODE_4M.secboot.fd"))
	return machine{release: b.folder, code: code, extra: []string{
		"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
	}}
}
