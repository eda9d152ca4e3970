package kernel

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/guest/boot/cmdline"
	"safebox/initrd/layout"
)

// specItems are the names of the image specification, section 7.2, in its
// order: needed, off, hardening. "A/B" and "A+B" of its text are two names.
func specItems() map[string][]string {
	return map[string][]string{
		"needed": strings.Fields(`
			EFI EFI_STUB ACPI PCI PCI_MSI X86_X2APIC SMP HYPERVISOR_GUEST KVM_GUEST PARAVIRT AMD_MEM_ENCRYPT SEV_GUEST
			INTEL_TDX_GUEST TDX_GUEST_DRIVER TSM_REPORTS CONFIGFS_FS UNACCEPTED_MEMORY VIRT_DRIVERS
			VIRTIO VIRTIO_PCI VIRTIO_PCI_LEGACY VIRTIO_BLK VIRTIO_NET VIRTIO_CONSOLE VIRTIO_MMIO VSOCKETS VIRTIO_VSOCKETS NSM
			VIRTIO_IOMMU SCSI VIRTIO_SCSI HYPERV HYPERV_NET HYPERV_STORAGE HYPERV_PCI NVME ENA GVE
			TCG_TPM TCG_TIS TCG_CRB BLK_DEV_DM DM_VERITY DM_CRYPT DM_INTEGRITY EROFS_FS OVERLAY_FS TMPFS DEVTMPFS DEVTMPFS_MOUNT
			PROC_FS SYSFS SECURITYFS BLK_DEV_INITRD RD_ZSTD CRYPTO_SHA256 CRYPTO_SHA512 AES_NI XTS INET IPV6 NF_TABLES
			SECCOMP_FILTER CGROUPS NAMESPACES RTC SERIAL_8250 NULL_TTY`),
		"off": strings.Fields(`
			MODULES KEXEC KEXEC_FILE KEXEC_CORE HIBERNATION SUSPEND COREDUMP PROC_KCORE DEVMEM DEVPORT DEBUG_FS KPROBES FTRACE
			IO_URING USERFAULTFD BPF IA32_EMULATION COMPAT X86_IOPL_IOPERM MODIFY_LDT LEGACY_TIOCSTI BINFMT_MISC
			ACPI_TABLE_UPGRADE ACPI_HOTPLUG CUSTOM_SSDT DMI EFIVAR_FS EFI_DISABLE_RUNTIME FW_CFG_SYSFS HOTPLUG_PCI USB DRM SOUND
			WLAN 9P FUSE VIRTIO_FS VIRTIO_BALLOON PAGE_REPORTING VIRTIO_MEM HW_RANDOM_VIRTIO XEN MICROCODE_LATE VT IMA`),
		"hardening": strings.Fields(`
			LOCKDOWN LOCKDOWN_EARLY RANDOMIZE_BASE RANDOMIZE_MEMORY STACKPROTECTOR_STRONG INIT_STACK_ALL_ZERO INIT_ON_ALLOC
			INIT_ON_FREE SLAB_FREELIST_RANDOM SLAB_FREELIST_HARDENED SHUFFLE_PAGE_ALLOCATOR HARDENED_USERCOPY
			RANDOM_KMALLOC_CACHES STRICT_KERNEL_RWX LEGACY_VSYSCALL_NONE SECURITY_DMESG_RESTRICT YAMA LANDLOCK
			IOMMU_DEFAULT_DMA_STRICT ZERO_CALL_USED_REGS PANIC_ON_OOPS`),
	}
}

// different are items whose rule is not what their list in the specification
// says; config/policy gives the reason.
func different() map[string]string {
	return map[string]string{
		"VIRTIO_PCI_LEGACY":   "n", // "VIRTIO_PCI (no LEGACY)"
		"RTC":                 "n", // "RTC from TSC only"
		"EFI_DISABLE_RUNTIME": "y", // the option that turns EFI's runtime off
	}
}

func standardPolicy(t testing.TB) *Policy {
	t.Helper()
	p, err := StandardPolicy()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyHasEveryItemOfTheSpecification(t *testing.T) {
	rules := map[string]string{}
	for _, r := range standardPolicy(t).Rules {
		rules[r.Item] = r.Want
	}
	exempt := map[string]bool{}
	for _, e := range standardPolicy(t).Exempt {
		exempt[e.Item] = true
	}
	if diff := cmp.Diff(map[string]bool{
		"NULL_TTY": true, "MITIGATION_VMSCAPE": true,
		"ACPI_HOTPLUG_IOAPIC": true, "VIRTIO_PCI_ADMIN_LEGACY": true, "CMOS_CLOCK": true,
	}, exempt); diff != "" {
		t.Errorf("items without a rule (-want +got):\n%s", diff)
	}
	for list, items := range specItems() {
		want := map[string]string{"needed": "y", "off": "n", "hardening": "y"}[list]
		for _, item := range items {
			if w, ok := different()[item]; ok {
				if rules[item] != w {
					t.Errorf("%s: got rule %q, want %q", item, rules[item], w)
				}
			} else if !exempt[item] && rules[item] != want {
				t.Errorf("%s (%s): got rule %q, want %q", item, list, rules[item], want)
			}
		}
	}
}

// resolved is the configuration of a real build: testdata/README.md.
func resolved(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/resolved.config")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestResolvedConfigHolds(t *testing.T) {
	if err := CheckConfig([]byte(resolved(t))); err != nil {
		t.Error(err)
	}
	r, err := standardRecipe(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkFragment(r.fragment, resolved(t)); err != nil {
		t.Errorf("testdata/resolved.config is not of this fragment: %v", err)
	}
}

// TestEveryRuleBites changes the option of each rule in a configuration that
// holds, and leaves its line out.
func TestEveryRuleBites(t *testing.T) {
	whole := resolved(t)
	for _, r := range standardPolicy(t).Rules {
		var without []string
		for line := range strings.SplitSeq(whole, "\n") {
			if !strings.HasPrefix(line, "CONFIG_"+r.Option+"=") && line != "# CONFIG_"+r.Option+" is not set" {
				without = append(without, line)
			}
		}
		rest := strings.Join(without, "\n")
		other := "y"
		if r.Want == "y" {
			other = "m"
		}
		tests := []struct{ text, got string }{{rest + "CONFIG_" + r.Option + "=" + other + "\n", other}}
		if r.Want != "n" {
			tests = append(tests, struct{ text, got string }{rest, "n"}, struct{ text, got string }{rest + "# CONFIG_" + r.Option + " is not set\n", "n"})
		} else {
			tests = append(tests, struct{ text, got string }{rest + "CONFIG_" + r.Option + "=m\n", "m"})
		}
		for _, tt := range tests {
			err := CheckConfig([]byte(tt.text))
			var policy *PolicyError
			want := []Violation{{r.Option, tt.got, r.Want}}
			if !errors.As(err, &policy) || !slices.Equal(policy.Violations, want) {
				t.Errorf("%s=%s: got %v, want %v", r.Option, tt.got, err, want)
			}
		}
	}
}

func TestPolicyErrorNamesAll(t *testing.T) {
	p, err := ParsePolicy("format safebox-kernel-policy/1\non B\noff A\nvalue C \"x\"\n")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Check([]byte("CONFIG_A=y\nCONFIG_C=\"\"\n"))
	const want = `kernel configuration against policy: CONFIG_A: got y, want n; CONFIG_B: got n, want y; CONFIG_C: got "", want "x"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := p.Check([]byte("# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=\"x\"\n")); err != nil {
		t.Error(err)
	}
	if err := p.Check([]byte("CONFIG_A\n")); err == nil {
		t.Error("a line without a value passed")
	}
}

func TestCommandLineIsTheGuests(t *testing.T) {
	want := `"` + cmdline.Text(layout.Source) + `"`
	found := false
	for _, r := range standardPolicy(t).Rules {
		if r.Option == "CMDLINE" {
			found = r.Want == want
		}
	}
	if !found {
		t.Errorf("policy: no rule that CMDLINE is %s", want)
	}
	if c, err := parseConfig(resolved(t)); err != nil || c["CMDLINE"] != want {
		t.Errorf("resolved: got %s, %v, want %s", c["CMDLINE"], err, want)
	}
}

func TestParsePolicyErrors(t *testing.T) {
	const head = "format safebox-kernel-policy/1\n"
	tests := map[string]struct{ text, want string }{
		"empty":          {"", "no rule"},
		"no rule":        {head, "no rule"},
		"no format":      {"on A\n", `line 1: got "on A", want "format safebox-kernel-policy/1"`},
		"other format":   {"format safebox-kernel-policy/2\non A\n", "line 1: got"},
		"format twice":   {head + head + "on A\n", "line 2"},
		"word":           {head + "yes A\n", `got "yes A", want on, off, value or none`},
		"prefix":         {head + "on CONFIG-A\n", "want a rule about an option"},
		"blank":          {head + " on A\n", "want"},
		"two blanks":     {head + "on  A\n", "want a rule about an option"},
		"blank at end":   {head + "on A \n", "want \"on OPTION for ITEM\""},
		"no item":        {head + "on A for \n", "want \"on OPTION for ITEM\""},
		"more":           {head + "off A for B C\n", "want \"off OPTION for ITEM\""},
		"comment behind": {head + "off A # why\n", "want \"off OPTION for ITEM\""},
		"no value":       {head + "value A\n", "want \"value OPTION TEXT\""},
		"value y":        {head + "value A y\n", "want \"value OPTION TEXT\""},
		"value open":     {head + "value A \"x\n", "want \"value OPTION TEXT\""},
		"no reason":      {head + "on B\nnone A\n", "with a reason"},
		"short reason":   {head + "on B\nnone A because\n", "with a reason"},
		"twice":          {head + "on A\non A\n", "line 3: A has a rule already"},
		"contradiction":  {head + "on A\noff A\n", "line 3: A has a rule already"},
		"item twice":     {head + "on A for C\non B for C\n", "line 3: B has a rule already"},
		"item an option": {head + "on A\non B for A\n", "line 3: B has a rule already"},
		"carriage":       {head + "on A\r\n", "want"},
		"long":           {head + strings.Repeat("#\n", maxConfig), "limit is"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePolicy(tt.text)
			if err == nil || !strings.HasPrefix(err.Error(), "parsing kernel policy: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want parsing kernel policy: .. %s", err, tt.want)
			}
		})
	}
}

func TestCheckKnown(t *testing.T) {
	p, err := ParsePolicy("format safebox-kernel-policy/1\noff MODULS\non SMP\non MITIGATION_A\nnone MITIGATION_B not for a guest, that is\n")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{"SMP": true, "EFI": true, "MODULES": true, "MITIGATION_A": true, "MITIGATION_B": true, "MITIGATION_C": true}
	err = p.checkKnown("CONFIG_SMP=y\nCONFIG_EF=y\nCONFIG_MITIGATION_C=y\n", declared)
	want := &PolicyError{[]Violation{
		{"EF", "no such option in the kernel's source", "y"},
		{"MITIGATION_C", "no rule in config/policy", "one: each mitigation has one"},
		{"MODULS", "no such option in the kernel's source", "n"},
	}}
	var got *PolicyError
	if !errors.As(err, &got) || !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(policyText)
	f.Add("format safebox-kernel-policy/1\non A for B\nvalue C \"\"\nnone D no option is there for it\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		var b strings.Builder
		b.WriteString("format " + policyFormat + "\n")
		for _, r := range p.Rules {
			switch {
			case r.Want == "y" && r.Item != r.Option:
				b.WriteString("on " + r.Option + " for " + r.Item + "\n")
			case r.Want == "n" && r.Item != r.Option:
				b.WriteString("off " + r.Option + " for " + r.Item + "\n")
			case r.Want == "y":
				b.WriteString("on " + r.Option + "\n")
			case r.Want == "n":
				b.WriteString("off " + r.Option + "\n")
			default:
				b.WriteString("value " + r.Option + " " + r.Want + "\n")
			}
		}
		for _, e := range p.Exempt {
			b.WriteString("none " + e.Item + " " + e.Reason + "\n")
		}
		again, err := ParsePolicy(b.String())
		if err != nil || !slices.Equal(again.Rules, p.Rules) || !slices.Equal(again.Exempt, p.Exempt) {
			t.Errorf("written again: %v\n%s", err, cmp.Diff(p, again))
		}
	})
}
