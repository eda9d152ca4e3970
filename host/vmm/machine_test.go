package vmm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func espMachine() Machine {
	return Machine{
		Name: "safebox-a1", Boot: ESP, Disk: "/r/safebox.raw", Code: "/r/code.fd", Vars: "/s/vars.fd",
		VCPUs: 2, Memory: 1 << 30, Accel: TCG, Port: 40123, TPM: 3,
	}
}

func kernelMachine() Machine {
	m := espMachine()
	m.Boot, m.Disk, m.UKI, m.Accel = Kernel, "", "/r/safebox.efi", KVM
	return m
}

// Written by hand from QEMU's documentation; TestArgsAccepted shows that QEMU
// takes them.
func TestArgs(t *testing.T) {
	common := []string{
		"-name guest=safebox-a1",
		"-nodefaults -no-user-config -display none",
		"-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"ACCEL",
		"-machine q35,smm=off,vmport=off,sata=off,usb=off,smbus=off,i8042=off,pflash0=code,pflash1=vars",
		"-smp cpus=2 -m size=1024M -no-reboot",
		"-blockdev driver=raw,node-name=code,read-only=on,file.driver=file,file.filename=/r/code.fd",
		"-blockdev driver=raw,node-name=vars,read-only=off,file.driver=file,file.filename=/s/vars.fd",
		"-chardev stdio,id=console,signal=off -serial chardev:console",
		"-chardev socket,id=tpm,fd=3 -tpmdev emulator,id=tpm,chardev=tpm -device tpm-crb,tpmdev=tpm",
		"-netdev user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:40123-:8080",
		"-device virtio-net-pci,netdev=net,disable-legacy=on,romfile=",
	}
	attacked := kernelMachine()
	attacked.NetROM, attacked.Extra = "/evil.rom", []string{"-append", "evil=1"}
	rom := slices.Clone(common)
	rom[len(rom)-1] += "/evil.rom"
	for _, tc := range []struct {
		name  string
		m     Machine
		accel string
		want  []string
	}{
		{"esp", espMachine(), "-accel tcg,thread=multi -cpu max", append(slices.Clone(common),
			"-blockdev driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename=/r/safebox.raw",
			"-device virtio-blk-pci,drive=disk,bootindex=0,disable-legacy=on,romfile=")},
		{"kernel", kernelMachine(), "-accel kvm -cpu host", append(slices.Clone(common), "-kernel /r/safebox.efi")},
		{"for tests", attacked, "-accel kvm -cpu host", append(rom, "-kernel /r/safebox.efi", "-append evil=1")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Args(tc.m)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Fields(strings.Replace(strings.Join(tc.want, " "), "ACCEL", tc.accel, 1))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// Devices of QEMU that are no PCI devices, hence without an option ROM. A new
// device must be added here or come with romfile=.
func TestEveryPCIDeviceHasNoROM(t *testing.T) {
	notPCI := []string{"tpm-crb"}
	for _, m := range []Machine{espMachine(), kernelMachine()} {
		args, err := Args(m)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for i, a := range args {
			if a != "-device" {
				continue
			}
			options := strings.Split(args[i+1], ",")
			if slices.Contains(notPCI, options[0]) {
				continue
			}
			seen++
			if !slices.Contains(options, "romfile=") {
				t.Errorf("%s boot: device %q has a ROM", m.Boot, args[i+1])
			}
		}
		if seen == 0 {
			t.Errorf("%s boot: no PCI device found", m.Boot)
		}
	}
}

func TestArgsEscapesCommas(t *testing.T) {
	m := espMachine()
	m.Name, m.Disk, m.Code, m.Vars = "a,b", "/x,y/d", "/x,y/c", "/x,y/v"
	args, err := Args(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"guest=a,,b",
		"driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename=/x,,y/d",
		"driver=raw,node-name=code,read-only=on,file.driver=file,file.filename=/x,,y/c",
		"driver=raw,node-name=vars,read-only=off,file.driver=file,file.filename=/x,,y/v",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("no argument %q in %q", want, args)
		}
	}
	m = kernelMachine()
	m.UKI = "/x,y/u"
	if args, err = Args(m); err != nil || !slices.Contains(args, "/x,y/u") {
		t.Errorf("-kernel takes a path as it is: %q, %v", args, err)
	}
}

func TestArgsRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Machine)
		want   string
	}{
		{"no vCPU", func(m *Machine) { m.VCPUs = 0 }, "0 vCPUs"},
		{"too many vCPUs", func(m *Machine) { m.VCPUs = 65 }, "65 vCPUs"},
		{"little memory", func(m *Machine) { m.Memory = 128 << 20 }, "128 MiB"},
		{"odd memory", func(m *Machine) { m.Memory++ }, "whole MiB"},
		{"no port", func(m *Machine) { m.Port = 0 }, "port 0"},
		{"TPM on standard error", func(m *Machine) { m.TPM = 2 }, "descriptor 2"},
		{"accelerator not settled", func(m *Machine) { m.Accel = Auto }, `"auto"`},
		{"disk and UKI", func(m *Machine) { m.UKI = "u" }, "no UKI"},
		{"kernel boot with a disk", func(m *Machine) { m.Boot = Kernel }, "want a UKI"},
		{"no boot path", func(m *Machine) { m.Boot = "" }, "boot path"},
		{"no firmware", func(m *Machine) { m.Code = "" }, "no firmware"},
		{"newline", func(m *Machine) { m.Disk = "a\nb" }, "newline"},
		{"no name", func(m *Machine) { m.Name = "" }, "no name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := espMachine()
			tc.change(&m)
			if _, err := Args(m); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want int
	}{
		// Debian 12, 13, and QEMU's own build.
		{"QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022\n", 7},
		{"QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright\n", 10},
		{"QEMU emulator version 11.1.0\n", 11},
	} {
		if got, err := parseVersion(tc.in); err != nil || got != tc.want {
			t.Errorf("parseVersion(%q) = %d, %v, want %d", tc.in, got, err, tc.want)
		}
	}
	for _, in := range []string{"", "QEMU", "qemu-img version 10.0.2", "QEMU emulator version x.1"} {
		if got, err := parseVersion(in); err == nil {
			t.Errorf("parseVersion(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseNames(t *testing.T) {
	for _, s := range []string{"esp", "kernel"} {
		if b, err := ParseBoot(s); err != nil || string(b) != s {
			t.Errorf("ParseBoot(%q) = %q, %v", s, b, err)
		}
	}
	for _, s := range []string{"kvm", "tcg", "auto"} {
		if a, err := ParseAccel(s); err != nil || string(a) != s {
			t.Errorf("ParseAccel(%q) = %q, %v", s, a, err)
		}
	}
	if b, err := ParseBoot("ESP"); err == nil {
		t.Errorf("ParseBoot(ESP) = %q, want an error", b)
	}
	if a, err := ParseAccel(""); err == nil {
		t.Errorf("ParseAccel of nothing = %q, want an error", a)
	}
}
