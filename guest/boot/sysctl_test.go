package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/verifier/bootreport"

	"github.com/google/go-cmp/cmp"
)

// spec75 is the list of specs/image.md 7.5, copied from there; names without
// a dot are below kernel., braces stand for each of their parts. The last
// line is ours.
const spec75 = `kernel.kptr_restrict=2, dmesg_restrict=1, perf_event_paranoid=3, unprivileged_bpf_disabled=1, net.core.bpf_jit_harden=2, kexec_load_disabled=1,
modules_disabled=1, sysrq=0, oops_limit=1, warn_limit=1, panic=1, panic_on_oops=1, randomize_va_space=2, kernel.yama.ptrace_scope=3, io_uring_disabled=2,
user.max_user_namespaces=0, vm.unprivileged_userfaultfd=0, fs.suid_dumpable=0, fs.protected_symlinks=1, fs.protected_hardlinks=1,
fs.protected_fifos=2, fs.protected_regular=2, dev.tty.ldisc_autoload=0, vm.mmap_min_addr=65536, kernel.core_pattern=|/bin/false,
net.ipv4.conf.all.rp_filter=1, net.ipv4.conf.all.accept_redirects=0, net.ipv4.conf.all.send_redirects=0, net.ipv4.tcp_syncookies=1,
net.ipv6.conf.all.disable_ipv6=1, net.ipv6.conf.default.disable_ipv6=1`

func TestHardeningIsSpecList(t *testing.T) {
	want := map[string]string{}
	for item := range strings.SplitSeq(spec75, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		if !strings.Contains(name, ".") {
			name = "kernel." + name
		}
		want[name] = value
	}
	got := map[string]string{"kernel.modules_disabled": "1"} // set by loadModules
	for _, s := range hardening() {
		if _, twice := got[s.name]; twice {
			t.Errorf("%s twice", s.name)
		}
		got[s.name] = s.value
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// fakeSysctls makes a root with the settings that it is told of.
func fakeSysctls(t *testing.T, values map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range values {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestApplySettings(t *testing.T) {
	root := fakeSysctls(t, map[string]string{"kernel/sysrq": "9\n", "net/ipv4/conf/all/rp_filter": "0\n"})
	got, err := applySettings(root, []setting{
		{"kernel.sysrq", "0"},
		{"kernel.absent", "1"},
		{"absent.altogether", "1"},
		{"net.ipv4.conf.all.rp_filter", "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []bootreport.Sysctl{
		{Name: "kernel.sysrq", Value: "0", Set: true},
		{Name: "kernel.absent", Value: "1"},
		{Name: "absent.altogether", Value: "1"},
		{Name: "net.ipv4.conf.all.rp_filter", Value: "1", Set: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if b, err := os.ReadFile(filepath.Join(root, "kernel/sysrq")); err != nil || string(b) != "0\n" {
		t.Errorf("file holds %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(root, "kernel/absent")); !os.IsNotExist(err) {
		t.Errorf("an absent setting was made: %v", err)
	}
}

func TestApplySettingsFails(t *testing.T) {
	// A kernel that keeps another value shows it when read back. Without
	// truncation, "1" over "400" reads back as "100".
	root := fakeSysctls(t, map[string]string{"kernel/kept": "400\n", "kernel/dir/x": ""})
	tests := []struct{ name, want string }{
		{"kernel.kept", `setting kernel.kept: reads back "100", want "1"`},
		{"kernel.dir", "setting kernel.dir: "},
		{"kernel.kept.below", "setting kernel.kept.below: "},
	}
	for _, tt := range tests {
		_, err := applySettings(root, []setting{{tt.name, "1"}})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
