package kernel

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConfig(t *testing.T) {
	const text = "#\n# Automatically generated file; DO NOT EDIT.\n#\nCONFIG_SMP=y\n# CONFIG_MODULES is not set\nCONFIG_LZO_x=m\n" +
		"CONFIG_HZ=250\nCONFIG_OFFSET=-1\nCONFIG_PHYSICAL_START=0x1000000\nCONFIG_LSM=\"landlock,yama\"\nCONFIG_EMPTY=\"\"\n\n# end of all\n"
	want := config{
		"SMP": "y", "MODULES": "n", "LZO_x": "m", "HZ": "250", "OFFSET": "-1", "PHYSICAL_START": "0x1000000",
		"LSM": `"landlock,yama"`, "EMPTY": `""`,
	}
	got, err := parseConfig(text)
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	if s := got.state("ABSENT"); s != "n" {
		t.Errorf("an option without a line: got %q, want n", s)
	}
}

// The lines of testdata/resolved.config, counted by grep -c '^CONFIG_' and
// grep -c 'is not set'.
const (
	resolvedSet   = 841
	resolvedUnset = 1218
)

func TestParseResolved(t *testing.T) {
	c, err := parseConfig(resolved(t))
	if err != nil {
		t.Fatal(err)
	}
	set, unset := 0, 0
	for _, v := range c {
		if v == "n" {
			unset++
		} else {
			set++
		}
	}
	if want := [2]int{resolvedSet, resolvedUnset}; [2]int{set, unset} != want {
		t.Errorf("options set and not: got %d, %d, want %v", set, unset, want)
	}
}

func TestParseConfigErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no prefix":      {"SMP=y\n", `line 1: got "SMP=y"`},
		"no value":       {"\nCONFIG_SMP\n", "line 2"},
		"empty value":    {"CONFIG_SMP=\n", "line 1"},
		"word":           {"CONFIG_SMP=yes\n", "line 1"},
		"blank":          {"CONFIG_SMP=y \n", "line 1"},
		"blank before":   {" CONFIG_SMP=y\n", "line 1"},
		"name":           {"CONFIG_S-P=y\n", "line 1"},
		"no name":        {"CONFIG_=y\n", "line 1"},
		"open string":    {"CONFIG_A=\"x\n", "line 1"},
		"one quote":      {"CONFIG_A=\"\n", "line 1"},
		"quote inside":   {"CONFIG_A=\"x\"y\"\n", "line 1"},
		"escape":         {"CONFIG_A=\"x\\\"\n", "line 1"},
		"not ASCII":      {"CONFIG_A=\"\xc3\xa4\"\n", "line 1"},
		"minus":          {"CONFIG_A=-\n", "line 1"},
		"hex":            {"CONFIG_A=0xg\n", "line 1"},
		"no hex":         {"CONFIG_A=0x\n", "line 1"},
		"twice":          {"CONFIG_A=y\nCONFIG_A=y\n", "line 2: CONFIG_A is set a second time: got y, had y"},
		"set and not":    {"CONFIG_A=y\n# CONFIG_A is not set\n", "line 2: CONFIG_A is set a second time: got n, had y"},
		"comment":        {"# CONFIG_A is not set, is it?\n", "is not set\""},
		"comment value":  {"# CONFIG_A=y\n", "is not set\""},
		"comment name":   {"# CONFIG_A\n", "is not set\""},
		"comment nobody": {"# CONFIG_ is not set\n", "is not set\""},
		"carriage":       {"CONFIG_A=y\r\n", "line 1"},
		"long":           {strings.Repeat("\n", maxConfig+1), "limit is"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := parseConfig(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want .. %s", err, tt.want)
			}
		})
	}
}

func TestCheckFragment(t *testing.T) {
	const resolved = "CONFIG_A=y\nCONFIG_B=\"x\"\n# CONFIG_C is not set\n"
	if err := checkFragment("CONFIG_A=y\nCONFIG_B=\"x\"\nCONFIG_D=n\n", resolved); err != nil {
		t.Error(err)
	}
	err := checkFragment("CONFIG_C=y\nCONFIG_A=m\nCONFIG_D=y\n", resolved)
	const want = "kernel configuration against policy: CONFIG_A: got y, want m as config/fragment says; " +
		"CONFIG_C: got n, want y as config/fragment says; CONFIG_D: got n, want y as config/fragment says"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	for _, text := range []string{"A", "CONFIG_A=y\nCONFIG_A=n\n"} {
		if checkFragment(text, resolved) == nil || checkFragment("", text) == nil {
			t.Errorf("%q passed", text)
		}
	}
}

func TestDeclaredOptions(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Kconfig":                "mainmenu \"x\"\nconfig SMP\n\tbool \"config NOT a declaration\"\nmenuconfig NET\n",
		"net/Kconfig.debug":      "if NET\n  config NET_DEBUG\nendif\n",
		"arch/Kconfig":           "config KPROBES\n",
		"arch/x86/Kconfig":       "config X86\n",
		"arch/arm64/Kconfig":     "config ARM64\n",
		"Documentation/Kconfig":  "config EXAMPLE\n",
		"scripts/kconfig/t/Kcon": "config TEST\n",
		"net/Makefile":           "config MAKE\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	got, err := declaredOptions(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"KPROBES", "NET", "NET_DEBUG", "SMP", "X86"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = empty.Close() })
	if _, err := declaredOptions(empty); err == nil {
		t.Error("a source that declares nothing passed")
	}
}

func FuzzParseConfig(f *testing.F) {
	// Parts of the real files: whole ones leave a fuzzer no time.
	for _, text := range []string{resolved(f), fragmentText} {
		for part := range slices.Chunk(strings.SplitAfter(text, "\n"), 200) {
			f.Add(strings.Join(part, ""))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig(text)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(c)) {
			b.WriteString("CONFIG_" + name + "=" + c[name] + "\n")
		}
		again, err := parseConfig(b.String())
		if err != nil || !maps.Equal(again, c) {
			t.Errorf("written again: %v\n%s", err, cmp.Diff(c, again))
		}
	})
}
