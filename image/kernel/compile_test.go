package kernel

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// madeKernel is a source whose "kernel" is a real setup header followed by what
// its Makefile sees.
func madeKernel(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"setup.bin": string(setup(t)),
		"Kconfig":   "config SMP\nconfig MODULES\nconfig CMDLINE\n",
		"look.sh":   look,
		"greeting":  "one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
		"Makefile": "allnoconfig:\n\tcp $(KCONFIG_ALLCONFIG) .config\n" +
			"bzImage:\n\techo '  CC      init/main.o'; mkdir -p arch/x86/boot\n" +
			"\t{ cat setup.bin; echo; bash look.sh 1 /none | grep -v 'MAKEFLAGS\\|MFLAGS\\|^process'; echo arch $(ARCH); stat -c '%a %u:%g' greeting; cat greeting; } > arch/x86/boot/bzImage\n",
	}
}

// madeRecipe is a recipe for madeKernel.
func madeRecipe() recipe {
	return recipe{
		fragment: "CONFIG_SMP=y\nCONFIG_CMDLINE=\"quiet\"\n",
		policy:   "format safebox-kernel-policy/1\non SMP\noff MODULES\nvalue CMDLINE \"quiet\"\n",
		patches: []patch{{"patches/0001-four.patch", "Why: a test.\n\n--- a/greeting\n+++ b/greeting\n" +
			"@@ -1,7 +1,7 @@\n one\n two\n three\n-four\n+FOUR\n five\n six\n seven\n"}},
		epoch: testEpoch,
	}
}

func made(t *testing.T, box *sandbox, r recipe, files map[string]string, jobs int) (*Kernel, string, error) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	k, err := r.compile(t.Context(), box, archive(t, files), compilation{jobs: jobs, log: log, report: func(Step) {}})
	said, readErr := os.ReadFile(log)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return k, string(said), err
}

// TestCompile builds a made kernel twice, under what a machine can vary, by the
// real tools.
func TestCompile(t *testing.T) {
	var first *Kernel
	for i, mask := range []int{0o022, 0o077} {
		t.Setenv("TMPDIR", t.TempDir())
		t.Setenv("TZ", []string{"UTC", "America/New_York"}[i])
		old := syscall.Umask(mask)
		box := smallSandbox(t)
		k, _, err := made(t, box, madeRecipe(), madeKernel(t), i+1)
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = k
		} else if !bytes.Equal(first.Image, k.Image) || !bytes.Equal(first.Config, k.Config) {
			t.Errorf("two builds differ:\n%s\n%s", first.Image[len(setup(t)):], k.Image[len(setup(t)):])
		}
	}
	said := string(first.Image[len(setup(t)):]) // -j shows in MAKEFLAGS, so the made kernel leaves that out
	for _, want := range []string{
		"\nKBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026\n", "\nuser 0:0\nfolder /build\nmachine safebox\nmask 0022\n",
		"\narch x86_64\n", "\n644 0:0\none\ntwo\nthree\nFOUR\nfive\nsix\nseven\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("got\n%s\nwant .. %q", said, want)
		}
	}
	if string(first.Config) != madeRecipe().fragment || first.Cached {
		t.Errorf("config %q, cached %v", first.Config, first.Cached)
	}
	if want := "6.12.107+deb13-cloud-amd64"; first.Release != want { // testdata/README.md
		t.Errorf("release: got %q, want %q", first.Release, want)
	}
}

func TestCompileErrors(t *testing.T) {
	tests := map[string]struct {
		change func(*recipe, map[string]string)
		want   string
		policy bool
	}{
		"fuzz": {func(r *recipe, _ map[string]string) {
			r.patches[0].text = strings.Replace(r.patches[0].text, " one\n", " other\n", 1)
		}, "applying patches/0001-four.patch: running patch: exit status 1; it said at the end:\n", false},
		"applied before": {func(_ *recipe, f map[string]string) {
			f["greeting"] = strings.Replace(f["greeting"], "four", "FOUR", 1)
		}, "applying patches/0001-four.patch: ", false},
		"no file to patch": {func(_ *recipe, f map[string]string) { delete(f, "greeting") }, "applying patches/0001-four.patch: ", false},
		"before": {func(_ *recipe, f map[string]string) {
			f["Makefile"] = strings.Replace(f["Makefile"], ".config\n", ".config; echo CONFIG_MODULES=y >> .config\n", 1)
		}, "before the build: kernel configuration against policy: CONFIG_MODULES: got y, want n", true},
		"lost": {func(r *recipe, f map[string]string) {
			r.policy = "format safebox-kernel-policy/1\noff MODULES\n"
			f["Makefile"] = strings.Replace(f["Makefile"], "\tcp $(KCONFIG_ALLCONFIG) .config\n", "\techo CONFIG_SMP=y > .config\n", 1)
		}, "before the build: kernel configuration against policy: CONFIG_CMDLINE: got n, want \"quiet\" as config/fragment says", true},
		"unknown": {func(r *recipe, _ map[string]string) { r.policy += "off MODULS\n" }, "before the build: kernel configuration against policy: CONFIG_MODULS: got no such option in the kernel's source, want n", true},
		"after":   {func(_ *recipe, f map[string]string) { f["Makefile"] += "\techo CONFIG_MODULES=y >> .config\n" }, "after the build: kernel configuration against policy: CONFIG_MODULES: got y, want n", true},
		"changed": {func(_ *recipe, f map[string]string) { f["Makefile"] += "\techo '# one more line' >> .config\n" }, "the build changed its own .config", false},
		"fails": {
			func(_ *recipe, f map[string]string) { f["Makefile"] += "\techo the compiler is out of memory; false\n" },
			"compiling: running make: exit status 2; it said at the end:\n", false,
		},
		"no image":  {func(_ *recipe, f map[string]string) { f["Makefile"] += "\trm arch/x86/boot/bzImage\n" }, "no such file", false},
		"no kernel": {func(_ *recipe, f map[string]string) { f["setup.bin"] = "" }, "parsing bzImage: ", false},
		"policy":    {func(r *recipe, _ map[string]string) { r.policy = "on SMP\n" }, "parsing kernel policy: ", false},
	}
	box := smallSandbox(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, files := madeRecipe(), madeKernel(t)
			tt.change(&r, files)
			k, said, err := made(t, box, r, files, 1)
			var policy *PolicyError
			switch {
			case err == nil || !strings.Contains(err.Error(), tt.want) || k != nil:
				t.Errorf("got %v, want .. %s", err, tt.want)
			case errors.As(err, &policy) != tt.policy:
				t.Errorf("%v: a policy error is wanted: %v", err, tt.policy)
			case strings.HasPrefix(err.Error(), "before") && strings.Contains(said, "init/main.o"):
				t.Errorf("compiled in spite of the policy:\n%s", said)
			case name == "fails" && (!strings.Contains(err.Error(), "the compiler is out of memory") || !strings.Contains(said, "the compiler is out of memory")):
				t.Errorf("what make said is not in %v or not in the log %s", err, said)
			}
			emptyFolder(t, box)
		})
	}
}

// emptyFolder makes the sandbox fit for another build.
func emptyFolder(t *testing.T, box *sandbox) {
	t.Helper()
	if err := box.root.RemoveAll(buildFolder); err != nil {
		t.Fatal(err)
	}
	if err := box.mkdir(buildFolder, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedSource(t *testing.T) {
	box := smallSandbox(t)
	f := archive(t, madeKernel(t))
	size, err := f.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.Name(), size-8); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	_, err = madeRecipe().compile(t.Context(), box, f, compilation{log: filepath.Join(t.TempDir(), "log"), report: func(Step) {}})
	if err == nil || !strings.Contains(err.Error(), "unpacking source: running tar: exit status 2") {
		t.Errorf("got %v, want unpacking source: ..", err)
	}
}

func TestCounter(t *testing.T) {
	var steps []Step
	c := counter{report: func(s Step) { steps = append(steps, s) }}
	for range 3000 {
		if _, err := c.Write([]byte("  CC      init/main.o\n")); err != nil {
			t.Fatal(err)
		}
	}
	if len(steps) != 60 || steps[0] != (Step{Name: "compiling", Done: 50, Total: 2050}) || steps[59].Done != 2050 {
		t.Errorf("got %d steps, first %v, last %v", len(steps), steps[0], steps[len(steps)-1])
	}
}
