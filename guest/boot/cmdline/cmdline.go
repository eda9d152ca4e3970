// Package cmdline holds the kernel command lines of the appliance: for each
// kernel the one text that the image builder measures, and the closed list of
// forms in which PID 1 accepts it (specs/protocol.md 4, specs/image.md 7.4). It imports
// nothing of the operating system, so that builder, verifier and guest share
// the list.
package cmdline

import (
	_ "embed"
	"fmt"
	"strings"

	"safebox/initrd/layout"
)

// PlatformVTPM names the TPM machine as specs/protocol.md 2 does.
const PlatformVTPM = "vtpm"

// maxSize is COMMAND_LINE_SIZE of Linux on x86 (arch/x86/include/asm/setup.h).
const maxSize = 2048

//go:embed cmdline.go
var file []byte

// File is this source file. The builder holds it against that of the source
// from which it compiles the init: both must hold the same texts.
func File() (name string, content []byte) { return "guest/boot/cmdline/cmdline.go", file }

// Form is one way in which a boot path hands the command line to the kernel.
type Form struct {
	Name string
	Text string
}

// Text gives the command line that a release measures: the .cmdline section of
// the UKI, the command line of the launches and of the enclave image. Into the
// kernel from source the same text is built, and it takes no other.
func Text(k layout.Kernel) string {
	var words []string
	for _, w := range distroWords() {
		switch {
		case k == layout.Source && notInSource(w):
			continue
		case k == layout.Source && w == "pci=noearly,nommconf":
			w = "pci=noearly" // memory-mapped configuration space is left out of it too
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// Forms lists the accepted forms of a platform with a kernel; nil for an
// unknown platform.
//
// systemd-stub passes .cmdline as it is, whether the firmware found the UKI
// on the ESP or got it by fw_cfg, so vtpm has one form. Boot paths without
// the stub get words from the firmware as well (specs/protocol.md 4): their
// forms join the list with their platforms. The kernel from source shows its
// built-in text whatever it was passed (CONFIG_CMDLINE_OVERRIDE).
func Forms(platform string, k layout.Kernel) []Form {
	switch {
	case platform == PlatformVTPM && k == layout.Distro:
		return []Form{{Name: "uki", Text: Text(k)}}
	case platform == PlatformVTPM && k == layout.Source:
		return []Form{{Name: "built-in", Text: Text(k)}}
	}
	return nil
}

// Match finds the form that proc, the content of /proc/cmdline, has. The
// kernel ends it with one newline; nothing else may differ, white space
// neither.
func Match(proc []byte, forms []Form) (Form, error) {
	if len(proc) > maxSize {
		return Form{}, fmt.Errorf("command line of %d bytes, want at most %d", len(proc), maxSize)
	}
	text, ok := strings.CutSuffix(string(proc), "\n")
	if !ok {
		return Form{}, fmt.Errorf("command line %q does not end with a newline", proc)
	}
	for _, f := range forms {
		if text == f.Text {
			return f, nil
		}
	}
	return Form{}, fmt.Errorf("%s: command line is %q", difference(text, forms), text)
}

// difference names the first word that no form has, or else says what kind of
// difference it is, so that a reader of the console need not compare by eye.
func difference(text string, forms []Form) string {
	known := map[string]bool{}
	for _, f := range forms {
		for w := range strings.FieldsSeq(f.Text) {
			known[w] = true
		}
	}
	for w := range strings.FieldsSeq(text) {
		if !known[w] {
			return fmt.Sprintf("%q is in no accepted form", w)
		}
	}
	return "words are missing, repeated or moved, or white space differs"
}

// notInSource tells the words for which the kernel from source has no code:
// what they turn off is not in it. It would call them unknown and pass them on
// to PID 1.
func notInSource(word string) bool {
	switch word {
	case "debugfs=off", "module.sig_enforce=1", "ia32_emulation=0", "hest_disable", "erst_disable", "audit=0", "vsyscall=none":
		return true
	}
	return false
}

// distroWords is the production line of specs/image.md 7.4 with two changes:
//
//   - console=ttyS0 for console=null: the boot log is part of this platform's
//     product. The console is the host's to read, so no secret is ever written
//     to it.
//   - no ima=off: Linux 6.12 does not know it ("Unknown kernel command line
//     parameters") and would pass it to PID 1. IMA writes PCR 10 alone, which
//     no rule reads (specs/protocol.md 4).
//
// All the others boot under plain emulation, and none is unknown to that
// kernel.
func distroWords() []string {
	return []string{
		"console=ttyS0",
		"panic=1", // reboot at once; the VMM is told not to restart
		"oops=panic",
		"init_on_alloc=1",
		"init_on_free=1",
		"slab_nomerge",
		"page_alloc.shuffle=1",
		"randomize_kstack_offset=on",
		"vsyscall=none",
		"debugfs=off",
		"lockdown=confidentiality",
		"module.sig_enforce=1",
		"ia32_emulation=0",
		"efi=noruntime", // no calls into the firmware once the kernel runs
		"iommu.strict=1",
		"iommu.passthrough=0",
		"random.trust_cpu=on",
		"random.trust_bootloader=off", // the firmware's seed is the host's
		"no-kvmclock",                 // time from the TSC, not from a page that the host writes
		"clocksource=tsc",
		"tsc=reliable",
		"mce=off",              // machine checks are the host's to inject
		"pci=noearly,nommconf", // configuration space by port alone
		"hest_disable",         // no error records through tables of the host
		"erst_disable",
		"mitigations=auto",
		"proc_mem.force_override=never",
		"audit=0",
		"quiet",
		"loglevel=1",
	}
}
