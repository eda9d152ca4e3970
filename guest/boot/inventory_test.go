package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"safebox/initrd/layout"
	"safebox/verifier/bootreport"
)

// appliance is the tree that a real boot has: our archive and what the kernel
// brings (12 entries in the console log of a QEMU boot).
func appliance() fstest.MapFS {
	dir := func() *fstest.MapFile { return &fstest.MapFile{Mode: fs.ModeDir | 0o755} }
	file := func() *fstest.MapFile { return &fstest.MapFile{Data: []byte("x"), Mode: 0o444} }
	return fstest.MapFS{
		"dev": dir(), "root": dir(), "proc": dir(), "run": dir(), "sys": dir(), "tmp": dir(), "modules": dir(),
		"dev/console":                device(5, 1),
		"init":                       file(),
		"modules/00-failover.ko":     file(),
		"modules/01-net_failover.ko": file(),
		"modules/02-virtio_net.ko":   file(),
	}
}

// device: the old 16-bit encoding, which Linux keeps for small numbers.
func device(major, minor uint64) *fstest.MapFile {
	return &fstest.MapFile{
		Mode: fs.ModeDevice | fs.ModeCharDevice | 0o600,
		Sys:  &syscall.Stat_t{Rdev: major<<8 | minor},
	}
}

func checkTree(t *testing.T, tree fs.FS) (string, error) {
	t.Helper()
	found, err := takeInventory(tree)
	if err != nil {
		t.Fatal(err)
	}
	return checkInventory(layout.Distro, found)
}

func TestInventoryAsBuilt(t *testing.T) {
	detail, err := checkTree(t, appliance())
	if err != nil {
		t.Fatal(err)
	}
	if want := "12 entries, 3 modules"; detail != want {
		t.Errorf("got %q, want %q", detail, want)
	}
}

// TestInventoryWithoutModules: the kernel that loads no modules gets none, and
// neither kernel accepts the other's tree.
func TestInventoryWithoutModules(t *testing.T) {
	tree := appliance()
	maps.DeleteFunc(tree, func(path string, _ *fstest.MapFile) bool { return strings.HasPrefix(path, "modules") })
	bare, err := takeInventory(tree)
	if err != nil {
		t.Fatal(err)
	}
	full, err := takeInventory(appliance())
	if err != nil {
		t.Fatal(err)
	}
	if detail, err := checkInventory(layout.Source, bare); err != nil || detail != "8 entries, 0 modules" {
		t.Errorf("got %q, %v, want 8 entries, 0 modules", detail, err)
	}
	if _, err := checkInventory(layout.Source, full); err == nil {
		t.Error("modules for a kernel that loads none: accepted")
	}
	if _, err := checkInventory(layout.Distro, bare); err == nil {
		t.Error("no modules for the distribution's kernel: accepted")
	}
}

func TestKernelKind(t *testing.T) {
	file := filepath.Join(t.TempDir(), "modules")
	if k, err := kernelKind(file); k != layout.Source || err != nil {
		t.Errorf("no list of modules: got %q, %v", k, err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := kernelKind(file); k != layout.Distro || err != nil {
		t.Errorf("an empty list of modules: got %q, %v", k, err)
	}
	if k, err := kernelKind(file + "/x"); err == nil {
		t.Errorf("a list that can't be looked at: got %q", k)
	}
}

// TestStepsRefuse: what the steps of the boot do with a finding. The kernel
// command line of the machine that runs the test is none of the appliance's.
func TestStepsRefuse(t *testing.T) {
	tree := appliance()
	tree["evil"] = &fstest.MapFile{Mode: 0o755}
	found, err := takeInventory(tree)
	if err != nil {
		t.Fatal(err)
	}
	b := &machine{platform: Vtpm(), report: &bootreport.Report{}, inventory: found, kernel: layout.Distro}
	for want, check := range map[string]func() (string, error){
		"initramfs-entry": b.checkInitramfs,
		"command-line":    b.checkCommandLine,
	} {
		var r Refusals
		if _, err := check(); !errors.As(err, &r) || r[0].ID != want {
			t.Errorf("got %v, want the refusal %s", err, want)
		}
	}
}

// treeChange is one way to tamper with the initramfs.
type treeChange struct {
	name   string
	change func(fstest.MapFS)
	want   []string // refusal IDs in order
}

func treeChanges() []treeChange {
	file := &fstest.MapFile{Mode: 0o644}
	return []treeChange{
		{"file", func(m fstest.MapFS) { m["evil"] = file }, []string{"initramfs-entry"}},
		{"file in a mount point", func(m fstest.MapFS) { m["proc/cmdline"] = file }, []string{"initramfs-entry"}},
		{"file under /dev", func(m fstest.MapFS) { m["dev/shm/x"] = file }, []string{"initramfs-entry"}},
		{"empty folder", func(m fstest.MapFS) { m["etc"] = &fstest.MapFile{Mode: fs.ModeDir} }, []string{"initramfs-entry"}},
		{"symlink", func(m fstest.MapFS) { m["lib"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("usr/lib")} }, []string{"initramfs-entry"}},
		{"symlink for /proc", func(m fstest.MapFS) { m["proc"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("tmp")} }, []string{"initramfs-entry"}},
		{"init is a device", func(m fstest.MapFS) { m["init"] = device(1, 3) }, []string{"initramfs-entry"}},
		{"console is null", func(m fstest.MapFS) { m["dev/console"] = device(1, 3) }, []string{"initramfs-entry"}},
		{"console is a file", func(m fstest.MapFS) { m["dev/console"] = file }, []string{"initramfs-entry"}},
		{"console is a block device", func(m fstest.MapFS) {
			m["dev/console"] = &fstest.MapFile{Mode: fs.ModeDevice, Sys: &syscall.Stat_t{Rdev: 0x501}}
		}, []string{"initramfs-entry"}},
		{"node beside the console", func(m fstest.MapFS) { m["dev/mem"] = device(1, 1) }, []string{"initramfs-entry"}},
		{"module name", func(m fstest.MapFS) { m["modules/evil.ko"] = file }, []string{"initramfs-entry"}},
		{"module twice at a position", func(m fstest.MapFS) { m["modules/01-evil.ko"] = file }, []string{"initramfs-entry"}},
		{"module at the next position", func(m fstest.MapFS) { m["modules/03-vsock.ko"] = file }, []string{"initramfs-entry"}},
		{"other module at a position", func(m fstest.MapFS) {
			delete(m, "modules/02-virtio_net.ko")
			m["modules/02-vsock.ko"] = file
		}, []string{"initramfs-entry", "initramfs-missing"}},
		{"module is missing", func(m fstest.MapFS) { delete(m, "modules/01-net_failover.ko") }, []string{"initramfs-missing"}},
		{"module is a symlink", func(m fstest.MapFS) {
			m["modules/00-failover.ko"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("../init")}
		}, []string{"initramfs-entry"}},
		{"folder of modules", func(m fstest.MapFS) { m["modules/03-x.ko/y"] = file }, []string{"initramfs-entry"}},
		{"no init", func(m fstest.MapFS) { delete(m, "init") }, []string{"initramfs-missing"}},
		{"no mount point", func(m fstest.MapFS) { delete(m, "run") }, []string{"initramfs-missing"}},
		{"empty /.extra", func(m fstest.MapFS) { m[".extra"] = &fstest.MapFile{Mode: fs.ModeDir} }, []string{"initramfs-entry"}},
		{"os-release of the stub", func(m fstest.MapFS) { m[".extra/os-release"] = file }, []string{"initramfs-entry"}},
		{"empty credentials", func(m fstest.MapFS) { m[".extra/credentials"] = &fstest.MapFile{Mode: fs.ModeDir} }, []string{"credentials", "initramfs-entry"}},
		{"credential", func(m fstest.MapFS) { m[".extra/credentials/x.cred"] = file }, []string{"credentials", "initramfs-entry"}},
		{"global credential", func(m fstest.MapFS) { m[".extra/global_credentials/x.cred"] = file }, []string{"credentials", "initramfs-entry"}},
		{"sysext", func(m fstest.MapFS) { m[".extra/sysext/x.raw"] = file }, []string{"extensions", "initramfs-entry"}},
		{"confext", func(m fstest.MapFS) { m[".extra/confext/x.raw"] = file }, []string{"extensions", "initramfs-entry"}},
		{"global sysext", func(m fstest.MapFS) { m[".extra/global_sysext/x.raw"] = file }, []string{"extensions", "initramfs-entry"}},
		{"all at once", func(m fstest.MapFS) {
			m[".extra/sysext/x.raw"], m[".extra/credentials/x.cred"] = file, file
			delete(m, "sys")
		}, []string{"credentials", "extensions", "initramfs-entry", "initramfs-missing"}},
	}
}

func TestInventoryRefuses(t *testing.T) {
	for _, tt := range treeChanges() {
		t.Run(tt.name, func(t *testing.T) {
			tree := appliance()
			tt.change(tree)
			_, err := checkTree(t, tree)
			var reasons Refusals
			if !errors.As(err, &reasons) {
				t.Fatalf("got error %v, want a refusal", err)
			}
			var ids []string
			for _, r := range reasons {
				ids = append(ids, r.ID)
				t.Log(r.ID, r.Detail)
			}
			if d := cmp.Diff(tt.want, ids); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestInventoryFollowsNoLink: on a real file system, a link is an entry and
// what it leads to is not walked.
func TestInventoryFollowsNoLink(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	found, err := takeInventory(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].path != "link" || found[0].mode.Type() != fs.ModeSymlink {
		t.Errorf("got %+v, want the link alone", found)
	}
}

// TestInventoryIsBounded: a tree of any size is refused after a bounded walk.
func TestInventoryIsBounded(t *testing.T) {
	tree := maps.Clone(appliance())
	for i := range 2 * maxEntries {
		tree[fmt.Sprintf("x%d", i)] = &fstest.MapFile{}
	}
	found, err := takeInventory(tree)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > maxEntries {
		t.Errorf("%d entries, want at most %d", len(found), maxEntries)
	}
	if _, err := checkInventory(layout.Distro, found); err == nil {
		t.Error("accepted")
	}
}
