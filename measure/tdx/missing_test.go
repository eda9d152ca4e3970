package tdx

import (
	"bytes"
	"crypto/sha512"
	"os"
	"strings"
	"testing"

	"safebox/measure/vectortest"
)

// kernelSetup is the start of a real kernel (../bzimage/testdata/README.md).
func kernelSetup(t *testing.T) []byte {
	t.Helper()
	return vectortest.File(t, os.DirFS(".."), "bzimage/testdata/vmlinuz-setup.bin")
}

// TestMissing lists what a direct boot lacks, register by register.
func TestMissing(t *testing.T) {
	kernel := kernelSetup(t)
	m := &Measurement{Digest{1}, Given}
	for _, tt := range []struct {
		name  string
		in    Input
		index int
		want  string
	}{
		{"nothing", Input{}, MRTD, "no firmware given"},
		{"nothing", Input{}, RTMR0, "no layout chosen"},
		{"nothing", Input{}, RTMR1, "no kernel, UKI or disk given"},
		{"nothing", Input{}, RTMR2, "no kernel, UKI or disk given"},
		{"no layout", Input{Direct: &Direct{}}, RTMR1, "no layout chosen"},
		{"no layout", Input{Direct: &Direct{CommandLine: "x"}}, RTMR2, "load options: their form depends on the layout"},
		{
			"nothing else",
			Input{Layout: L1, Direct: &Direct{}},
			RTMR0,
			"TD HOB: needs the firmware and the memory size; configuration volume: no firmware given; ACPI tables: not given",
		},
		{"a disk's boot entries", Input{Layout: L1, Disk: &Disk{Images: []Image{{Digest: m}}}}, RTMR0, "boot entries: a firmware that boots from a disk"},
		{"a disk's boot order", Input{Layout: L2, Disk: &Disk{Images: []Image{{Digest: m}}}}, RTMR0, "fw_cfg files: bootorder follows"},
		{"no partition table", Input{Layout: L1, Disk: &Disk{Images: []Image{{Digest: m}}}}, RTMR1, "no partition table given"},
		{"layout without a disk boot", Input{Layout: L0, Disk: &Disk{}}, RTMR1, "was not seen with layout l0"},
		{"Secure Boot", Input{Layout: L1, Variables: &Variables{SecureBoot: []byte{1}}}, RTMR0, "Secure Boot is on"},
		{"no kernel", Input{Layout: L1, Direct: &Direct{}}, RTMR1, "no kernel given"},
		{"no load options", Input{Layout: L1, Direct: &Direct{}}, RTMR2, "no command line given"},
		{
			"memory for the initrd",
			Input{Layout: L1, Direct: &Direct{Kernel: kernel, Patched: true, InitrdSHA384: &[48]byte{}}},
			RTMR1,
			"needs the memory size",
		},
		{"a shim's authorities", Input{Layout: L1, BootEntries: []BootEntry{{}}, Disk: &Disk{}}, RTMR0, "authorities: a shim measures some"},
		{"Intel", Input{Layout: Intel, Direct: &Direct{}}, RTMR1, "kernel file event"},
		{"Intel", Input{Layout: Intel, Direct: &Direct{CommandLine: "x"}}, RTMR2, "their form depends on the layout"},
	} {
		r, err := [...]func(*input) (Register, error){mrtd, rtmr0, rtmr1, rtmr2}[tt.index](&input{Input: tt.in})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if r.Value != nil || !strings.Contains(r.Missing, tt.want) || r.Source() != Unknown {
			t.Errorf("%s: %s: got %v, missing %q, want %q", tt.name, name(tt.index), r.Value, r.Missing, tt.want)
		}
	}
}

// TestMissingOfPatch: where digests stand in for files, not all that QEMU writes
// into the header is known.
func TestMissingOfPatch(t *testing.T) {
	direct := &Direct{Kernel: kernelSetup(t), Patched: true}
	m := &Measurement{Digest{1}, Given}
	for _, tt := range []struct {
		in   Input
		want string
	}{
		{Input{Layout: L1, Direct: direct, Digests: Digests{Initrd: m}}, "needs the memory size"},
		{Input{Layout: L1, Direct: direct, Digests: Digests{Initrd: m}, Memory: 1 << 30}, "needs the size of the initrd"},
		{Input{Layout: L1, Direct: direct, Digests: Digests{LoadOptions: m}}, "needs the command line, in which vga= may stand"},
	} {
		r, err := rtmr1(&input{Input: tt.in})
		if err != nil || r.Value != nil || !strings.Contains(r.Missing, tt.want) {
			t.Errorf("got %v, missing %q, %v, want %q", r.Value, r.Missing, err, tt.want)
		}
	}
}

// TestKernelVersion: a kernel before 6.9 measures nothing, as far as is known.
func TestKernelVersion(t *testing.T) {
	version := func(text string) []byte {
		b := bytes.Clone(kernelSetup(t))
		copy(b[0x4500:], text)
		return b
	}
	for text, want := range map[string]string{
		"6.8.12-x\x00": "Linux 6.8: before 6.9", "5.19.0\x00": "Linux 5.19", "vmlinuz\x00": "kernel without a version",
		"6.9.0\x00": "", "7.0.0\x00": "", "6.12.107": "",
	} {
		in := &input{Input: Input{Layout: L1, Direct: &Direct{Kernel: version(text), CommandLine: "x"}}}
		r, err := rtmr2(in)
		if err != nil || (r.Value == nil) != (want != "") || !strings.Contains(r.Missing, want) {
			t.Errorf("%q: got %v, %q, %v, want %q", text, r.Value, r.Missing, err, want)
		}
		in.Direct.Silent = true
		if r, err = rtmr2(in); err != nil || r.Value == nil || *r.Value != (Digest{}) {
			t.Errorf("%q, silent: got %v, %v, want zero", text, r.Value, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	empty := sha512.Sum384(nil)
	m := &Measurement{Digest{1}, Given}
	stub := vectortest.File(t, os.DirFS(".."), "pe/testdata/linuxx64.efi.stub")
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{"two boots", Input{Direct: &Direct{}, Disk: &Disk{}}, "boot: got several"},
		{"layout", Input{Layout: 5}, "layout: got layout 5, want one of [l0 l1 l2 intel]"},
		{"kernel twice", Input{Direct: &Direct{Kernel: []byte{}}, Digests: Digests{Kernel: m}}, "kernel: got both bytes and a digest"},
		{"ACPI twice", Input{ACPI: &ACPI{}, Digests: Digests{Tables: m}}, "ACPI tables: got both"},
		{"HOB twice", Input{HOB: []byte{}, Digests: Digests{HOB: m}}, "TD HOB: got both"},
		{"options twice", Input{Direct: &Direct{CommandLine: "x"}, Digests: Digests{LoadOptions: m}}, "load options: got both"},
		{"digest without a source", Input{Digests: Digests{HOB: &Measurement{}}}, "digest of TD HOB: source: got unknown, want given or from log"},
		{"digest said to be computed", Input{Digests: Digests{HOB: &Measurement{Source: Computed}}}, "source: got computed"},
		{"fw_cfg of L1", Input{Layout: L1, FWCfg: &FWCfg{}}, "fw_cfg files: got some with layout l1"},
		{"no BootMenu", Input{Layout: L2, FWCfg: &FWCfg{}}, "predicting rtmr0: fw_cfg item BootMenu: got none"},
		{"size of a fw_cfg file", Input{Layout: L2, FWCfg: &FWCfg{BootMenu: []byte{0, 0}, BootMenuWait: []byte{1}}}, "etc/boot-menu-wait: got 1 bytes, want 2"},
		{"SecureBoot 2", Input{Layout: L1, Variables: &Variables{SecureBoot: []byte{2}}}, "variable SecureBoot: got 02"},
		{"SecureBoot of 2 bytes", Input{Layout: L1, Variables: &Variables{SecureBoot: []byte{0, 0}}}, "variable SecureBoot: got 0000"},
		{"control character", Input{Layout: L1, Direct: &Direct{CommandLine: "a\tb"}}, "command line: byte 1: got 0x09"},
		{"form", Input{Layout: L1, Digests: Digests{Initrd: m}, Direct: &Direct{CommandLine: "x", OptionsForm: 9}}, "load options: got options form 9"},
		{"empty initrd", Input{Layout: L1, Direct: &Direct{CommandLine: "x", InitrdSHA384: &empty}}, "predicting rtmr2: initrd: got an empty file"},
		{"not a kernel", Input{Layout: L1, Direct: &Direct{Kernel: []byte("x")}}, "predicting rtmr1: kernel: parsing kernel setup header: length: got 1"},
		{"not a kernel to patch", Input{Layout: L1, Direct: &Direct{Kernel: []byte("x"), Patched: true}}, "parsing kernel setup header"},
		{"UKI as a kernel", Input{Layout: L1, Direct: &Direct{Kernel: stub, Silent: true}}, "predicting rtmr1: kernel: parsing kernel setup header at 0x1fe"},
		{"no boot entries", Input{BootEntries: []BootEntry{}}, "boot entries: got an empty list"},
		{"empty table loader", Input{ACPI: &ACPI{Loader: []byte{}}}, "etc/table-loader: got an empty file"},
		{"empty RSDP", Input{ACPI: &ACPI{RSDP: []byte{}}}, "etc/acpi/rsdp: got an empty file"},
		{"empty tables", Input{ACPI: &ACPI{Tables: []byte{}}}, "etc/acpi/tables: got an empty file"},
		{"empty partition table", Input{Disk: &Disk{GPT: []byte{}}}, "partition table: got an empty file"},
		{"image's digest without a source", Input{Disk: &Disk{Images: []Image{{Name: "a", Digest: &Measurement{}}}}}, `digest of image 0 "a": source: got unknown`},
		{"image's digest said to be computed", Input{Disk: &Disk{Images: []Image{{Digest: m}, {Digest: &Measurement{Source: Computed}}}}}, `digest of image 1 "": source: got computed`},
		{"no images", Input{Layout: L1, Disk: &Disk{}}, "disk: got no images"},
		{"image twice", Input{Layout: L1, Disk: &Disk{Images: []Image{{Name: "a"}}}}, `image "a": want either`},
		{"image", Input{Layout: L1, Disk: &Disk{Images: []Image{{Name: "a", File: []byte("x")}}}}, `image "a": parsing PE`},
		{"runtime event", Input{Runtime: []Event{{Description: "a"}}}, `predicting rtmr3: event 0 "a": source: got unknown`},
		{"loader's event", Input{Disk: &Disk{RTMR2: []Event{{Source: 9}}}}, "predicting rtmr2: event 0"},
	} {
		_, err := Predict(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestRefusesHOB(t *testing.T) {
	// EFI_HOB_HANDOFF_INFO_TABLE (PI 1.8, Volume 3, 5.3): type 1, length 56, version 9
	hob := append([]byte{1, 0, 56, 0, 0, 0, 0, 0, 9}, make([]byte, 47)...)
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{"HOB cut", Input{HOB: hob[:55]}, "TD HOB at 0x0: length: got 56, want a multiple of 8 from 8 to 55"},
		{"HOB cut in a header", Input{HOB: append(bytes.Clone(hob), 3, 0)}, "TD HOB at 0x38: got 2 bytes, want a header of 8"},
		{"second HOB cut", Input{HOB: append(bytes.Clone(hob), 3, 0, 48, 0, 0, 0, 0, 0)}, "TD HOB at 0x38: length: got 48, want a multiple of 8 from 8 to 8"},
		{"HOB with its end", Input{HOB: append(bytes.Clone(hob), 0xff, 0xff, 8, 0, 0, 0, 0, 0)}, "TD HOB at 0x38: got the end of the list"},
		{"HOB of length 0", Input{HOB: append(bytes.Clone(hob), 3, 0, 0, 0, 0, 0, 0, 0)}, "TD HOB at 0x38: length: got 0"},
		{"HOB of length 12", Input{HOB: append(bytes.Clone(hob), 3, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0)}, "TD HOB at 0x38: length: got 12"},
		{"no HOB list", Input{HOB: hob[8:]}, "TD HOB at 0x0: type: got 9, want 1"},
		{"empty HOB", Input{HOB: []byte{}}, "TD HOB at 0x0: got 0 bytes"},
	} {
		_, err := Predict(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}
