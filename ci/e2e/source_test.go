package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"safebox/host/vmm"
	"safebox/image"
	"safebox/image/kernel"
	"safebox/initrd/layout"
	"safebox/verifier/bootreport"
)

// sourceRelease has our kernel and everything that can be built with it.
var sourceRelease = sync.OnceValues(func() (*built, error) { //nolint:gochecknoglobals // test fixture, built once
	return buildRelease(shared.dir, "source", image.InitPackage, layout.Source)
})

func source(t testing.TB) *built {
	t.Helper()
	b, err := sourceRelease()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Limits of issue 6, in bytes.
const (
	maxKernel  = 5_000_000
	maxUKI     = 10_000_000
	maxEnclave = 10_000_000
)

// TestSourceRelease: what the release with our kernel holds.
func TestSourceRelease(t *testing.T) {
	b := source(t)
	for name, limit := range map[string]int{"vmlinuz": maxKernel, image.UKI: maxUKI, image.Enclave: maxEnclave} {
		if n := len(b.artifacts.File(name)); n == 0 || n > limit {
			t.Errorf("%s: %d bytes, want 1 to %d", name, n, limit)
		}
	}
	if err := kernel.CheckConfig(b.artifacts.File(image.KernelConfig)); err != nil {
		t.Error(err)
	}
	// cpio(1) is another reader than ours.
	archive, err := exec.Command("zstd", "-dc", filepath.Join(b.folder, "initrd.cpio.zst")).Output()
	if err != nil {
		t.Fatalf("zstd: %v: run ci/setup", err)
	}
	list := exec.Command("cpio", "--quiet", "-t")
	list.Stdin = bytes.NewReader(archive)
	out, err := list.Output()
	if err != nil {
		t.Fatalf("cpio: %v: run ci/setup", err)
	}
	if got, want := strings.Join(strings.Fields(string(out)), " "), "dev init proc run sys tmp"; got != want {
		t.Errorf("the initrd holds %q, want /init and mount points: %q", got, want)
	}
}

// TestSourceRegisters: a machine with our kernel reaches its API, both ways of
// booting and from each format of the disk that QEMU reads, and its TPM reports
// what release.json says.
func TestSourceRegisters(t *testing.T) {
	for _, boot := range []vmm.Boot{vmm.ESP, vmm.Kernel} {
		t.Run(string(boot), func(t *testing.T) {
			t.Parallel()
			b := source(t)
			o := bootMachine(t, machine{release: b.folder, boot: boot})
			if o.report == nil {
				t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
			}
			if want := releaseName(t, b); o.report.Kernel != want {
				t.Errorf("kernel %q, want %q", o.report.Kernel, want)
			}
			if len(o.report.Modules) != 0 {
				t.Errorf("modules %q, want none", o.report.Modules)
			}
			comparePublished(t, b, boot, o.report)
			compareLog(t, predictions(t, b, boot), o.report)
		})
	}
}

// TestSourceCommandLine: our kernel takes no command line but its own. What the
// host adds moves PCR 9 and 12, which the init names, and reaches nothing.
func TestSourceCommandLine(t *testing.T) {
	b := source(t)
	o := bootMachine(t, machine{release: b.folder, boot: vmm.Kernel, extra: []string{"-append", "evil=1"}})
	if o.report != nil {
		t.Fatal("the guest came up with another command line in its registers")
	}
	refused := o.named(bootreport.Refused)
	if len(refused) != 1 || refused[0] != "pcr12-injected" {
		t.Errorf("refused %q, want pcr12-injected: the kernel shows its own line, the TPM what the host passed", refused)
	}
}

// TestSourceArtifacts: the files that release.json describes are those of the
// issue's list.
func TestSourceArtifacts(t *testing.T) {
	b := source(t)
	var names []string
	for _, a := range b.artifacts.Release.Artifacts {
		names = append(names, a.Name)
	}
	want := "cmdline firmware/OVMF.amdsev.fd firmware/OVMF.fd firmware/OVMF_CODE_4M.fd firmware/OVMF_VARS_4M.fd initrd.cpio.zst " +
		"kernel.config safebox-init safebox.efi safebox.eif safebox.gcp.tar.gz safebox.igvm safebox.qcow2 safebox.raw safebox.vhd sbom.cdx.json vmlinuz"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
