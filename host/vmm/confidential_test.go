package vmm

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/host/vmm/vmmtest"
)

func confidential() Confidential {
	return Confidential{
		Name: "safebox-a1", Firmware: "/r/f.fd", Kernel: "/r/k", Initrd: "/r/i", CommandLine: "quiet a=b,c",
		VCPUs: 2, Memory: 1 << 30, Port: 40123,
	}
}

func snpGuest() Confidential {
	c := confidential()
	c.SNP = &SNPGuest{CPU: "EPYC-Milan", Policy: 0x30000}
	return c
}

func tdxGuest() Confidential {
	c := confidential()
	c.TDX = &TDXGuest{}
	return c
}

// Written by hand from QEMU's documentation (docs/system/i386/
// amd-memory-encryption.rst, tdx.rst). That QEMU takes it is a test of
// cmd/safebox-host.
func TestConfidentialArgs(t *testing.T) {
	words := func(cpu, object string) []string {
		list := strings.Fields("-name guest=safebox-a1 -nodefaults -no-user-config -display none " +
			"-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny " +
			"-accel kvm -cpu " + cpu + " " +
			"-machine q35,smm=off,vmport=off,sata=off,usb=off,smbus=off,i8042=off,kernel-irqchip=split,confidential-guest-support=cc,memory-backend=ram " +
			"-object " + object + " -object memory-backend-memfd,id=ram,share=on,size=1024M " +
			"-smp cpus=2 -m size=1024M -no-reboot -bios /r/f.fd " +
			"-chardev stdio,id=console,signal=off -serial chardev:console " +
			"-netdev user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:40123-:8080 " +
			"-device virtio-net-pci,netdev=net,iommu_platform=on,disable-legacy=on,romfile= " +
			"-kernel /r/k -initrd /r/i -append")
		return append(list, "quiet a=b,c")
	}
	signed := snpGuest()
	signed.SNP.IDBlock, signed.SNP.IDAuth = make([]byte, 96), make([]byte, 4096)
	author := snpGuest()
	author.SNP = &SNPGuest{CPU: "EPYC-Genoa", Policy: 0xb0000, HostData: [32]byte{0xff}, IDBlock: make([]byte, 96), IDAuth: make([]byte, 4096), Author: true}
	owned := tdxGuest()
	owned.TDX = &TDXGuest{ConfigID: [48]byte{1}, Owner: [48]byte{2}, OwnerConfig: [48]byte{3}}
	zeros := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	const quotes = `"quote-generation-socket":{"type":"vsock","cid":"2","port":"4050"}}`
	rest := strings.Repeat("A", 62)
	for name, tc := range map[string]struct {
		c           Confidential
		cpu, object string
	}{
		"snp":    {snpGuest(), "EPYC-Milan", "sev-snp-guest,id=cc,cbitpos=51,reduced-phys-bits=1,policy=0x30000,kernel-hashes=on"},
		"signed": {signed, "EPYC-Milan", "sev-snp-guest,id=cc,cbitpos=51,reduced-phys-bits=1,policy=0x30000,kernel-hashes=on,id-block=" + zeros(96) + ",id-auth=" + zeros(4096) + ",author-key-enabled=off"},
		"author": {author, "EPYC-Genoa", "sev-snp-guest,id=cc,cbitpos=51,reduced-phys-bits=1,policy=0xb0000,kernel-hashes=on,host-data=/w" + strings.Repeat("A", 41) + "=,id-block=" + zeros(96) + ",id-auth=" + zeros(4096) + ",author-key-enabled=on"},
		"tdx":    {tdxGuest(), "host", `{"qom-type":"tdx-guest","id":"cc",` + quotes},
		"owned":  {owned, "host", `{"qom-type":"tdx-guest","id":"cc","mrconfigid":"AQ` + rest + `","mrowner":"Ag` + rest + `","mrownerconfig":"Aw` + rest + `",` + quotes},
	} {
		got, err := ConfidentialArgs(tc.c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(words(tc.cpu, tc.object), got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestConfidentialRefuses(t *testing.T) {
	change := func(f func(*Confidential)) Confidential {
		c := snpGuest()
		f(&c)
		return c
	}
	for want, c := range map[string]Confidential{
		"0 vCPUs":                         change(func(c *Confidential) { c.VCPUs = 0 }),
		"65 vCPUs":                        change(func(c *Confidential) { c.VCPUs = 65 }),
		"255 MiB of memory":               change(func(c *Confidential) { c.Memory = 255 << 20 }),
		"1048577 MiB of memory":           change(func(c *Confidential) { c.Memory = MaxMemory + 1<<20 }),
		"want whole MiB":                  change(func(c *Confidential) { c.Memory++ }),
		"port 0":                          change(func(c *Confidential) { c.Port = 0 }),
		"port 65536":                      change(func(c *Confidential) { c.Port = 65536 }),
		"no name":                         change(func(c *Confidential) { c.Name = "" }),
		"no firmware, kernel or initrd":   change(func(c *Confidential) { c.Initrd = "" }),
		"want one of SEV-SNP and TDX":     confidential(),
		"want one of SEV-SNP and TDX: 2":  change(func(c *Confidential) { c.TDX = &TDXGuest{} }),
		`"/r/k\n": want no NUL`:           change(func(c *Confidential) { c.Kernel = "/r/k\n" }),
		`"a\x00": want no NUL`:            change(func(c *Confidential) { c.CommandLine = "a\x00" }),
		`processor type ""`:               change(func(c *Confidential) { c.SNP.CPU = "" }),
		`processor type "a,b=c"`:          change(func(c *Confidential) { c.SNP.CPU = "a,b=c" }),
		"want an ID block and its auth":   change(func(c *Confidential) { c.SNP.IDBlock = make([]byte, 96) }),
		"want an ID block and its auth: ": change(func(c *Confidential) { c.SNP.IDAuth = make([]byte, 4096) }),
		"ID block of 95 bytes":            change(func(c *Confidential) { c.SNP.IDBlock, c.SNP.IDAuth = make([]byte, 95), make([]byte, 4096) }),
		"authentication of 4095":          change(func(c *Confidential) { c.SNP.IDBlock, c.SNP.IDAuth = make([]byte, 96), make([]byte, 4095) }),
	} {
		want, _, _ = strings.Cut(want, ": ")
		if _, err := ConfidentialArgs(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// TestConfidentialStarts runs the rest of the command, without isolation, with
// a firmware that says a word and resets: QEMU takes every other option.
func TestConfidentialStarts(t *testing.T) {
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	c := snpGuest()
	dir := t.TempDir()
	// A kernel is anything with the boot protocol's header (Linux x86/boot.rst,
	// "HdrS" at 0x202, version 0x20f at 0x206): this firmware never reads it.
	kernel := make([]byte, 8192)
	copy(kernel[0x202:], "HdrS\x0f\x02")
	copy(kernel[0x22c:], "\xff\xff\xff\x7f") // where an initrd may end, initrd_addr_max
	for path, b := range map[*string][]byte{&c.Firmware: vmmtest.Firmware("here\r\n", vmmtest.Reset), &c.Kernel: kernel, &c.Initrd: {1}} {
		*path = filepath.Join(dir, filepath.Base(*path))
		if err := os.WriteFile(*path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.CommandLine = "quiet"
	args, err := ConfidentialArgs(c)
	if err != nil {
		t.Fatal(err)
	}
	args[slices.Index(args, "-accel")+1], args[slices.Index(args, "-cpu")+1] = "tcg", "max"
	machine := slices.Index(args, "-machine") + 1
	args[machine] = strings.Replace(args[machine], "confidential-guest-support=cc,", "", 1)
	object := slices.Index(args, "-object")
	out, err := exec.CommandContext(t.Context(), qemu, slices.Delete(args, object, object+2)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "here") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHardware(t *testing.T) {
	root := t.TempDir()
	write := func(name, value string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const snp, tdx = "sys/module/kvm_amd/parameters/sev_snp", "sys/module/kvm_intel/parameters/tdx"
	for platform, want := range map[string]string{"snp": "there is no /" + snp, "tdx": "there is no /" + tdx, "vtpm": "want snp or tdx"} {
		if err := checkHardware(root, platform); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", platform, err, want)
		}
	}
	for value, ok := range map[string]bool{"Y\n": true, "1\n": true, "N\n": false, "0\n": false, "": false} {
		write(snp, value)
		write(tdx, value)
		for _, platform := range []string{"snp", "tdx"} {
			if err := checkHardware(root, platform); (err == nil) != ok {
				t.Errorf("%s with %q: got %v", platform, value, err)
			}
		}
	}
}
