package cmdline

import (
	"strings"
	"testing"

	"safebox/initrd/layout"
)

// specLine is the production line of specs/image.md 7.4, copied from there,
// with `console=null`/none at its head and ima=off left in place.
const specLine = "console=null panic=1 oops=panic init_on_alloc=1 init_on_free=1 slab_nomerge page_alloc.shuffle=1 " +
	"randomize_kstack_offset=on vsyscall=none debugfs=off lockdown=confidentiality module.sig_enforce=1 " +
	"ia32_emulation=0 efi=noruntime iommu.strict=1 iommu.passthrough=0 random.trust_cpu=on " +
	"random.trust_bootloader=off no-kvmclock clocksource=tsc tsc=reliable mce=off pci=noearly,nommconf " +
	"hest_disable erst_disable mitigations=auto proc_mem.force_override=never ima=off audit=0 quiet loglevel=1"

func TestDistroIsSpecLine(t *testing.T) {
	want := strings.NewReplacer("console=null", "console=ttyS0", " ima=off", "").Replace(specLine)
	if got := Text(layout.Distro); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := len(Text(layout.Distro)); n >= maxSize {
		t.Errorf("%d bytes, the kernel takes fewer than %d", n, maxSize)
	}
}

// TestSourceIsSpecLine: the line of our own kernel, and what it leaves out.
func TestSourceIsSpecLine(t *testing.T) {
	want := strings.NewReplacer("console=null", "console=ttyS0", " ima=off", "", " debugfs=off", "", " module.sig_enforce=1", "",
		" ia32_emulation=0", "", " hest_disable", "", " erst_disable", "", " audit=0", "", " vsyscall=none", "", ",nommconf", "").Replace(specLine)
	if got := Text(layout.Source); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestForms(t *testing.T) {
	for _, k := range []layout.Kernel{layout.Distro, layout.Source} {
		if got := Forms("vtpm", k); len(got) != 1 || got[0].Text != Text(k) {
			t.Errorf("vtpm, kernel %s: %v", k, got)
		}
	}
	if got := Forms("vtpm", "other"); got != nil {
		t.Errorf("unknown kernel: %v, want no form", got)
	}
	for _, p := range []string{"", "VTPM", "snp", "vtpm "} {
		if got := Forms(p, layout.Distro); got != nil {
			t.Errorf("%q: %v, want no form", p, got)
		}
	}
}

func TestMatch(t *testing.T) {
	cmd := Text(layout.Distro)
	tests := []struct {
		name string
		proc string
		want string // part of the error; empty for a match
	}{
		{"exact", cmd + "\n", ""},
		{"empty", "", "newline"},
		{"newline alone", "\n", "missing"},
		{"no newline", cmd, "newline"},
		{"two newlines", cmd + "\n\n", "white space"},
		{"carriage return", cmd + "\r\n", "white space"},
		{"NUL", cmd + "\x00\n", `\x00`},
		{"NUL for newline", cmd + "\x00", "newline"},
		{"extra word", cmd + " evil=1\n", `"evil=1" is in no accepted form`},
		{"extra word first", "evil=1 " + cmd + "\n", `"evil=1" is in no accepted form`},
		{"replaced", "evil=1\n", `"evil=1" is in no accepted form`},
		{"word of the direct boot", cmd + " initrd=initrd\n", `"initrd=initrd"`},
		{"init arguments", cmd + " -- shell\n", `"--"`},
		{"doubled", cmd + " " + cmd + "\n", "repeated"},
		{"doubled by lines", cmd + "\n" + cmd + "\n", "repeated"},
		{"known word again", cmd + " panic=1\n", "repeated"},
		{"prefix of it", cmd[:len(cmd)-len(" loglevel=1")] + "\n", "missing"},
		{"suffix of it", cmd[len("console=ttyS0 "):] + "\n", "missing"},
		{"cut inside a word", cmd[:len(cmd)-1] + "\n", `"loglevel="`},
		{"space before", " " + cmd + "\n", "white space"},
		{"space after", cmd + " \n", "white space"},
		{"space doubled", strings.Replace(cmd, " ", "  ", 1) + "\n", "white space"},
		{"tab for space", strings.Replace(cmd, " ", "\t", 1) + "\n", "white space"},
		{"other case", strings.Replace(cmd, "panic", "Panic", 1) + "\n", `"Panic=1"`},
		{"moved", strings.Replace(cmd, "quiet loglevel=1", "loglevel=1 quiet", 1) + "\n", "moved"},
		{"too long", cmd + strings.Repeat(" a", maxSize) + "\n", "want at most 2048"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Match([]byte(tt.proc), Forms(PlatformVTPM, layout.Distro))
			switch {
			case tt.want == "" && (err != nil || f.Name != "uki"):
				t.Errorf("got %v, %v", f, err)
			case tt.want != "" && err == nil:
				t.Errorf("accepted %q as %v", tt.proc, f)
			case tt.want != "" && !strings.Contains(err.Error(), tt.want):
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
}

// TestNoFormsNoMatch: an unknown platform accepts nothing, not anything.
func TestNoFormsNoMatch(t *testing.T) {
	if f, err := Match([]byte(Text(layout.Distro)+"\n"), Forms("unknown", layout.Distro)); err == nil {
		t.Errorf("accepted as %v", f)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte(Text(layout.Distro) + "\n"))
	f.Add([]byte(Text(layout.Distro) + " evil=1\n"))
	f.Fuzz(func(t *testing.T, proc []byte) {
		_, err := Match(proc, Forms(PlatformVTPM, layout.Distro))
		if want := string(proc) == Text(layout.Distro)+"\n"; (err == nil) != want {
			t.Errorf("%q: %v", proc, err)
		}
	})
}
