package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"safebox/verifier/bootreport"
)

// sysctlRoot is where the kernel shows its settings (proc_sys(5)).
const sysctlRoot = "/proc/sys"

// setting is one sysctl and the value it gets.
type setting struct{ name, value string }

// hardening is specs/image.md 7.5 in its order. kernel.modules_disabled is
// not here: it goes with loading the modules. The IPv6 lines are ours: the
// appliance uses IPv4 alone, and a host that sends router advertisements
// shall configure nothing.
func hardening() []setting {
	return []setting{
		{"kernel.kptr_restrict", "2"},
		{"kernel.dmesg_restrict", "1"},
		{"kernel.perf_event_paranoid", "3"},
		{"kernel.unprivileged_bpf_disabled", "1"},
		{"net.core.bpf_jit_harden", "2"},
		{"kernel.kexec_load_disabled", "1"},
		{"kernel.sysrq", "0"},
		{"kernel.oops_limit", "1"},
		{"kernel.warn_limit", "1"},
		{"kernel.panic", "1"},
		{"kernel.panic_on_oops", "1"},
		{"kernel.randomize_va_space", "2"},
		{"kernel.yama.ptrace_scope", "3"},
		{"kernel.io_uring_disabled", "2"},
		{"user.max_user_namespaces", "0"},
		{"vm.unprivileged_userfaultfd", "0"},
		{"fs.suid_dumpable", "0"},
		{"fs.protected_symlinks", "1"},
		{"fs.protected_hardlinks", "1"},
		{"fs.protected_fifos", "2"},
		{"fs.protected_regular", "2"},
		{"dev.tty.ldisc_autoload", "0"},
		{"vm.mmap_min_addr", "65536"},
		{"kernel.core_pattern", "|/bin/false"}, // there is no such file: no dump leaves
		{"net.ipv4.conf.all.rp_filter", "1"},
		{"net.ipv4.conf.all.accept_redirects", "0"},
		{"net.ipv4.conf.all.send_redirects", "0"},
		{"net.ipv4.tcp_syncookies", "1"},
		{"net.ipv6.conf.all.disable_ipv6", "1"},
		{"net.ipv6.conf.default.disable_ipv6", "1"},
	}
}

func (b *machine) applySysctls() (string, error) {
	done, err := applySettings(sysctlRoot, hardening())
	b.report.Sysctls = append(b.report.Sysctls, done...)
	if err != nil {
		return "", err
	}
	var absent []string
	for _, s := range done {
		if !s.Set {
			absent = append(absent, s.Name)
		}
	}
	detail := fmt.Sprintf("%d set", len(done)-len(absent))
	if len(absent) > 0 {
		detail += ", not in this kernel: " + strings.Join(absent, " ")
	}
	return detail, nil
}

func applySettings(root string, settings []setting) ([]bootreport.Sysctl, error) {
	var done []bootreport.Sysctl
	for _, s := range settings {
		d, err := setSysctl(root, s)
		if err != nil {
			return done, err
		}
		done = append(done, d)
	}
	return done, nil
}

// setSysctl writes a setting and reads it back. A setting that the kernel
// lacks is reported as not set; any other trouble is an error.
func setSysctl(root string, s setting) (bootreport.Sysctl, error) {
	result := bootreport.Sysctl{Name: s.name, Value: s.value}
	path := filepath.Join(root, strings.ReplaceAll(s.name, ".", "/"))
	// No O_CREATE: the file is the kernel's or it is not there.
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return result, nil
	}
	if err != nil {
		return result, fmt.Errorf("setting %s: %w", s.name, err)
	}
	_, err = f.WriteString(s.value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return result, fmt.Errorf("setting %s to %q: %w", s.name, s.value, err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return result, fmt.Errorf("reading back %s: %w", s.name, err)
	}
	if text := strings.TrimSuffix(string(got), "\n"); text != s.value {
		return result, fmt.Errorf("setting %s: reads back %q, want %q", s.name, text, s.value)
	}
	result.Set = true
	return result, nil
}
