package acpi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/host/vmm"
)

// machine is one that QEMU can start.
func machine() []string {
	return strings.Fields("-nodefaults -no-user-config -display none -machine q35,smm=off,pic=off -m 256M")
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		o    Options
		want string
	}{
		{"accelerator", append(machine(), "-accel", "kvm"), Options{}, `argument 8: got "-accel": want the machine's description only`},
		{"two dashes", append(machine(), "--enable-kvm"), Options{}, `got "--enable-kvm"`},
		{"in the background", append(machine(), "-daemonize"), Options{}, `got "-daemonize"`},
		{"NUL", append(machine(), "-name", "a\x00b"), Options{}, "want no NUL"},
		{"unknown option", append(machine(), "-no-such-option"), Options{}, "QEMU ended (exit status 1): qemu-system-x86_64: -no-such-option: invalid option"},
		{"unknown device", append(machine(), "-device", "toaster"), Options{}, "'toaster' is not a valid device model name"},
		{"accelerator of the machine", append(machine(), "-machine", "accel=kvm"), Options{}, "QEMU ended (exit status 1): "},
		{"i440FX", strings.Fields("-nodefaults -no-user-config -display none -machine pc -m 256M"), Options{}, "PCI device 00:00.0: got 0x12378086, want 0x29c08086 (the q35's 82G33 host bridge)"},
		{"no ACPI", append(machine(), "-machine", "acpi=off"), Options{}, "fw_cfg has no file etc/table-loader: want a machine with ACPI"},
		{"bridge", append(machine(), "-device", "pcie-root-port,id=p"), Options{}, "PCI device 00:01.0: header type: got 1, want 0: devices behind a bridge are not supported"},
		{"further file", append(machine(), "-device", "vmgenid"), Options{}, "type: got 4, want 1 (allocate), 2 (add pointer) or 3 (add checksum)"},
		{"no aperture", append(machine(), "-device", "virtio-rng-pci,disable-legacy=on,romfile="), Options{}, "PCI device 00:01.0: has a 64-bit memory BAR"},
		{"low aperture", machine(), Options{Aperture: 1 << 31}, "aperture: got 0x80000000, want 0x100000000 up to 0x10000000000000"},
		{"high aperture", append(machine(), "-device", "virtio-rng-pci,disable-legacy=on,romfile="), Options{Aperture: 1<<52 - 4096}, "BAR of 0x4000 bytes from 0xffffffffff000: want it below"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(context.Background(), qemu(t), tt.args, tt.o)
			if err == nil || !strings.Contains(err.Error(), "asking QEMU for ACPI tables: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestReadWithoutQEMU(t *testing.T) {
	_, err := Read(context.Background(), filepath.Join(t.TempDir(), "qemu"), machine(), Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v", err)
	}
}

// fake writes a program that answers --version and then runs a script.
func fake(t *testing.T, version, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu")
	text := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --version ]; then echo '%s'; exit; fi\n%s\n", version, script)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReadVersion: of a QEMU before 10 nothing is taken.
func TestReadVersion(t *testing.T) {
	for version, want := range map[string]string{
		"QEMU emulator version 9.2.1 (Debian 1:9.2.1)": "got version 9.2, want 10 or newer",
		"QEMU emulator version 10":                     `want "QEMU emulator version N.N.N"`,
		"toaster 10.0.2":                               `got "toaster 10.0.2"`,
	} {
		_, err := Read(context.Background(), fake(t, version, "exit 1"), machine(), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", version, err, want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	got, err := parseVersion("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright (c) 2003-2025\n")
	want := &Version{Major: 10, Micro: 2, Text: "10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, (-want +got):\n%s", err, diff)
	}
}

// TestReadTime: a QEMU that does not answer is killed, and one that answers
// with something else refused.
func TestReadTime(t *testing.T) {
	const version = "QEMU emulator version 10.0.2"
	pid := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := Read(ctx, fake(t, version, "echo $$ >"+pid+"; exec sleep 600"), machine(), Options{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: got error %v", err)
	}
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(b))); err == nil {
		t.Error("no answer: the process is still there")
	}
	for script, want := range map[string]string{
		"exit 3":                             "QEMU ended (exit status 3): it said nothing",
		"echo cause >&2; exit 3":             "QEMU ended (exit status 3): cause",
		"echo hello >&3; sleep 600":          `got "hello", want OK`,
		"echo 'OK 0x1' >&3; sleep 600":       `got "OK 0x1"`,
		"echo OK >&3; echo OK >&3; sleep 60": `got value "", want a number`,
	} {
		_, err := Read(context.Background(), fake(t, version, script), machine(), Options{})
		want = strings.ReplaceAll(want, `got "OK 0x1"`, `got "0x1", want OK alone`)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", script, err, want)
		}
	}
}

// TestMachineArgs: the machine is the one that safebox-host launches, beside
// what TDX has no place for.
func TestMachineArgs(t *testing.T) {
	host, err := vmm.Args(vmm.Machine{
		Name: "a", Boot: vmm.ESP, Disk: "d", Code: "c", Vars: "v", VCPUs: 3, Memory: 768 << 20, Accel: vmm.TCG, Port: 1, TPM: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := MachineArgs(3, 768<<20, "-device", "x")
	if err != nil {
		t.Fatal(err)
	}
	after := func(args []string, option string) string {
		for i, a := range args {
			if a == option {
				return args[i+1]
			}
		}
		return ""
	}
	for option, added := range map[string]string{"-machine": ",pic=off", "-smp": "", "-m": ""} {
		want := strings.TrimSuffix(after(host, option), ",pflash0=code,pflash1=vars") + added
		if got := after(ours, option); got == "" || got != want {
			t.Errorf("%s: got %q, want %q", option, got, want)
		}
	}
	for _, want := range []string{"-nodefaults", "-no-user-config"} {
		if !strings.Contains(strings.Join(ours, " "), want) || !strings.Contains(strings.Join(host, " "), want) {
			t.Errorf("%s: not in both", want)
		}
	}
	if ours[len(ours)-1] != "x" {
		t.Errorf("last argument: got %q, want the extra one", ours[len(ours)-1])
	}
	for name, f := range map[string]func() ([]string, error){
		"no vCPUs":         func() ([]string, error) { return MachineArgs(0, 1<<30) },
		"many vCPUs":       func() ([]string, error) { return MachineArgs(513, 1<<30) },
		"little memory":    func() ([]string, error) { return MachineArgs(1, 1<<20) },
		"much memory":      func() ([]string, error) { return MachineArgs(1, 1<<43) },
		"part of a MiB":    func() ([]string, error) { return MachineArgs(1, 1<<30+1) },
		"memory of 64 bit": func() ([]string, error) { return MachineArgs(1, 1<<63) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestAperture: 0x380000000000 of the vectors and 0x38000000000 of a live boot
// (vector_test.go); 39 by hand.
func TestAperture(t *testing.T) {
	for bits, want := range map[int]uint64{46: 0x380000000000, 42: 0x38000000000, 39: 0x7000000000} {
		if got, err := Aperture(bits); err != nil || got != want {
			t.Errorf("%d bits: got %#x, %v, want %#x", bits, got, err, want)
		}
	}
	for _, bits := range []int{-1, 0, 36, 40, 53, 64} {
		if _, err := Aperture(bits); err == nil || !strings.Contains(err.Error(), "want 39 or 41 to 48") {
			t.Errorf("%d bits: got error %v", bits, err)
		}
	}
	if _, err := Aperture(52); err == nil || !strings.Contains(err.Error(), "46 with four-level page tables") {
		t.Errorf("52 bits: got error %v", err)
	}
}
