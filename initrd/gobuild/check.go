package gobuild

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
)

// Check checks that binary is a static x86-64 executable that Go goVersion
// built with our settings. It trusts neither the compiler nor its environment
// to have listened.
func Check(binary []byte, goVersion string) error {
	if err := checkELF(binary); err != nil {
		return fmt.Errorf("checking the result: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("checking the result: %w", err)
	}
	if want := "go" + goVersion; info.GoVersion != want {
		return fmt.Errorf("checking the result: go version: got %s, want %s", info.GoVersion, want)
	}
	if err := checkSettings(info.Settings); err != nil {
		return fmt.Errorf("checking the result: build setting %w", err)
	}
	return nil
}

// checkELF wants what the kernel can start with nothing else in the file
// system: no interpreter, no shared library.
func checkELF(binary []byte) error {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("ELF: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return fmt.Errorf("ELF: got %v %v %v, want an x86-64 executable", f.Class, f.Machine, f.Type)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			return fmt.Errorf("ELF: got a segment of type %v, want a static executable", p.Type)
		}
	}
	return nil
}

// wantSettings is what runtime/debug documents for BuildSetting, as our command
// line and environment set it. With -trimpath the go command leaves -ldflags
// out.
func wantSettings() map[string]string {
	return map[string]string{
		"-buildmode":  "exe",
		"-compiler":   "gc",
		"-trimpath":   "true",
		"CGO_ENABLED": "0",
		"GOOS":        "linux",
		"GOARCH":      "amd64",
		"GOAMD64":     "v2",
	}
}

// sourceSetting is the one further setting that may be there: the //go:debug
// lines of the source and the go line of go.mod decide it.
const sourceSetting = "DefaultGODEBUG"

// checkSettings refuses what is missing and what is too much: tags, race
// detector, coverage, experiments, a profile or a stamp of version control.
func checkSettings(got []debug.BuildSetting) error {
	want := wantSettings()
	for _, s := range got {
		if s.Key == sourceSetting {
			continue
		}
		value, ok := want[s.Key]
		if !ok {
			return fmt.Errorf("%s: got %q, want none", s.Key, s.Value)
		}
		if s.Value != value {
			return fmt.Errorf("%s: got %q, want %q", s.Key, s.Value, value)
		}
		delete(want, s.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		return fmt.Errorf("%s: got none, want %q", key, want[key])
	}
	return nil
}
