package vmm_test

import (
	"strings"
	"testing"
	"time"

	"safebox/host/vmm"
)

func TestProbe(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	start := time.Now()
	if err := vmm.Probe(t.Context(), p, tools, vmm.TCG); err != nil {
		t.Errorf("emulation works everywhere: %v", err)
	}
	t.Logf("probe of tcg: %v", time.Since(start))
	start = time.Now()
	t.Logf("probe of kvm: %v, %v", vmm.Probe(t.Context(), p, tools, vmm.KVM), time.Since(start))
}

// A QEMU that ends well but never ran the guest, one that fails and one that
// hangs: only the guest's own exit status counts.
func TestProbeIsNoConstant(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	for _, tc := range []struct{ name, script, want string }{
		{"ends at once", "exit 0", "exit status 0"},
		{"fails", "echo 'qemu-system-x86_64: error: no such accelerator' >&2; exit 1", "no such accelerator"},
		{"hangs", "exec sleep 60", "within 5s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := tools
			fake.QEMU = script(t, tc.script)
			if err := vmm.Probe(t.Context(), p, fake, vmm.KVM); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	broken, working := tools, tools
	broken.QEMU = script(t, "echo 'qemu-system-x86_64: KVM internal error' >&2; exit 1")
	working.QEMU = script(t, "exit 85")
	for _, tc := range []struct {
		name  string
		tools vmm.Tools
		want  vmm.Accel
		got   vmm.Accel
		why   string
		err   string
	}{
		{"auto, works", working, vmm.Auto, vmm.KVM, "", ""},
		{"auto, broken", broken, vmm.Auto, vmm.TCG, "KVM internal error", ""},
		{"kvm, works", working, vmm.KVM, vmm.KVM, "", ""},
		{"kvm, broken", broken, vmm.KVM, "", "", "KVM is not usable"},
		{"tcg needs no probe", broken, vmm.TCG, vmm.TCG, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, why, err := vmm.Choose(t.Context(), p, tc.tools, tc.want)
			if got != tc.got || !strings.Contains(why, tc.why) || (err == nil) != (tc.err == "") {
				t.Errorf("got %q, %q, %v, want %q, %q, %q", got, why, err, tc.got, tc.why, tc.err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", err, tc.err)
			}
		})
	}
}
