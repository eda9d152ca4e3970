package e2e

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/guest/boot/cmdline"
	"safebox/host/console"
	"safebox/image"
	"safebox/initrd/layout"
	"safebox/measure/eif"
)

// devicesInit tells of its command line and devices.
const devicesInit = "./guest/boot/boottest/devices"

// TestEnclaveImage boots what is in an enclave image as AWS's hypervisor does:
// in a machine with neither firmware, ACPI nor PCI, which tells of its devices by
// words behind the command line. QEMU's microvm stands for it, since QEMU's own
// Nitro machine is not to be had. Our kernel keeps these words, and no others,
// behind its built-in line, and finds the devices by them.
func TestEnclaveImage(t *testing.T) {
	b, err := buildRelease(shared.dir, "devices", devicesInit, layout.Source)
	if err != nil {
		t.Fatal(err)
	}
	im := b.artifacts.File(image.Enclave)
	f, err := eif.Open(bytes.NewReader(im), int64(len(im)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	parts := map[eif.Type]string{eif.KernelSection: "kernel", eif.CommandLineSection: "cmdline", eif.RamdiskSection: "ramdisk"}
	text := map[string]string{}
	for _, s := range f.Sections {
		name, ok := parts[s.Type]
		if !ok {
			continue
		}
		data, err := io.ReadAll(s.Data())
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), data)
		text[name] = string(data)
	}
	if want := cmdline.Text(layout.Source); text["cmdline"] != want {
		t.Errorf("command line of the image: got %q, want %q", text["cmdline"], want)
	}
	said := bootMicroVM(t, dir, text["cmdline"]+" evil=1")
	line, found := strings.CutPrefix(said[0], "devices: command line "+text["cmdline"]+" virtio_mmio.device=")
	if !found || strings.Contains(line, "evil") {
		t.Errorf("the kernel shows %q, want its own line and words virtio_mmio.device alone", said[0])
	}
	// Device ID 2 is a block device: virtio 1.2, section 5.
	if len(said) != 2 || said[1] != "devices: virtio 0x0002" {
		t.Errorf("devices %q, want one of ID 2", said[1:])
	}
}

// microVMTime bounds the boot, which takes 3 s on a quiet machine.
const microVMTime = 3 * time.Minute

// bootMicroVM boots the kernel and ramdisk in dir and gives what the init said
// until its end, with which the machine is ended too.
func bootMicroVM(t *testing.T, dir, commandLine string) []string {
	t.Helper()
	cores <- struct{}{}
	defer func() { <-cores }()
	empty := filepath.Join(dir, "empty")
	writeFile(t, empty, make([]byte, 1<<20))
	cmd := exec.CommandContext(t.Context(), "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1G", "-smp", "1", "-no-reboot",
		"-M", "microvm,acpi=off,rtc=on,pit=on,pic=on,isa-serial=on,auto-kernel-cmdline=on",
		"-kernel", filepath.Join(dir, "kernel"), "-initrd", filepath.Join(dir, "ramdisk"), "-append", commandLine,
		"-blockdev", "driver=file,node-name=d,read-only=on,filename="+empty, "-device", "virtio-blk-device,drive=d",
		"-serial", "stdio")
	var mu sync.Mutex
	var said, all []string
	end := make(chan struct{})
	cmd.Stdout = console.NewLines(func(s string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
		switch {
		case s == "devices: end":
			close(end)
		case strings.HasPrefix(s, "devices: "):
			said = append(said, s)
		}
	})
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-end:
	case err := <-exited:
		t.Fatalf("QEMU ended: %v: %s", err, stderr.String())
	case <-time.After(microVMTime):
		t.Errorf("no end within %v", microVMTime)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err == nil {
		t.Error("QEMU ended by itself, want it to halt until it is killed")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(said) == 0 {
		t.Fatalf("the init said nothing: console:\n%s", strings.Join(all, "\n"))
	}
	return said
}
