package boot

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"safebox/initrd/layout"
	"safebox/verifier/bootreport"
)

// entry is one thing in the root file system as the kernel unpacked it.
type entry struct {
	path   string
	mode   fs.FileMode
	device uint64 // of device nodes
}

// maxEntries bounds the walk; an appliance has about ten entries.
const maxEntries = 4096

// takeInventory walks the initramfs before anything is mounted over it.
func takeInventory(root fs.FS) ([]entry, error) {
	var all []entry
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == "." {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{path: path, mode: info.Mode()}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			e.device = st.Rdev
		}
		all = append(all, e)
		if len(all) >= maxEntries {
			return fs.SkipAll // far more than any appliance has: the check refuses
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walking the initramfs: %w", err)
	}
	return all, nil
}

// checkInventory compares what is there with package layout, both ways. An
// entry that replaces one of ours under the same name passes here; PCR 9
// shows it to the verifier.
func checkInventory(kernel layout.Kernel, found []entry) (string, error) {
	found = slices.Clone(found)
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	want, err := expectedEntries(kernel)
	if err != nil {
		return "", err
	}
	var list findings
	for _, e := range found {
		wanted, named := want[e.path]
		delete(want, e.path)
		switch {
		case !named:
			list.add(unexpectedID(e.path), fmt.Sprintf("/%s (%s) is not part of the appliance", e.path, e.mode))
		case !wanted(e):
			list.add("initramfs-entry", fmt.Sprintf("/%s is %s, device %#x", e.path, e.mode, e.device))
		}
	}
	for path := range want {
		list.add("initramfs-missing", "/"+path+" is not there")
	}
	if r := list.refusals(); len(r) > 0 {
		return "", r
	}
	return fmt.Sprintf("%d entries, %d modules", len(found), len(layout.Modules(kernel))), nil
}

// expectedEntries maps every path of the appliance to the test that what is
// there must pass.
func expectedEntries(kernel layout.Kernel) (map[string]func(entry) bool, error) {
	directory := func(e entry) bool { return e.mode.IsDir() }
	file := func(e entry) bool { return e.mode.IsRegular() }
	want := map[string]func(entry) bool{layout.Init: file}
	for _, d := range layout.Directories(kernel) {
		want[d] = directory
	}
	for _, d := range layout.KernelBuiltin() {
		want[d] = directory
	}
	want["dev/console"] = isConsole
	for n, name := range layout.Modules(kernel) {
		path, err := layout.ModuleFile(n, name)
		if err != nil {
			return nil, err
		}
		want[path] = file
	}
	return want, nil
}

// isConsole: character device 5,1 (Linux admin-guide/devices.txt), which
// makes st_rdev 0x501.
func isConsole(e entry) bool {
	return e.mode.Type() == fs.ModeDevice|fs.ModeCharDevice && e.device == 0x501
}

// unexpectedID names the reason for an entry that should not be there.
// /.extra is what systemd-stub makes of files that lie beside the UKI on the
// ESP and of SMBIOS strings (systemd-stub(7), "Companion Files"). It makes it
// for sections of the UKI too; ours has none of those.
func unexpectedID(path string) string {
	below, extra := strings.CutPrefix(path, ".extra/")
	folder, _, _ := strings.Cut(below, "/")
	switch {
	case !extra:
		return "initramfs-entry"
	case folder == "credentials", folder == "global_credentials":
		return "credentials"
	case folder == "sysext", folder == "global_sysext", folder == "confext", folder == "global_confext":
		return "extensions"
	}
	return "initramfs-entry"
}

// findings collects reasons by ID: the first in full, of the others the
// number.
type findings struct {
	first map[string]string
	count map[string]int
}

func (f *findings) add(id, detail string) {
	if f.first == nil {
		f.first, f.count = map[string]string{}, map[string]int{}
	}
	if f.count[id] == 0 || detail < f.first[id] {
		f.first[id] = detail
	}
	f.count[id]++
}

// refusals gives one refusal for each ID, most specific first.
func (f *findings) refusals() Refusals {
	var r Refusals
	for _, id := range []string{"credentials", "extensions", "initramfs-entry", "initramfs-missing"} {
		if f.count[id] == 0 {
			continue
		}
		detail := f.first[id]
		if n := f.count[id] - 1; n > 0 {
			detail += fmt.Sprintf(", and %d more", n)
		}
		r = append(r, bootreport.Refusal{ID: id, Detail: detail})
	}
	return r
}
