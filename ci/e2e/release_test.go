// Package e2e boots real appliances under QEMU, OVMF and a software TPM: as
// published, and as a hostile host would.
package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"safebox/host/vmm"
	"safebox/image"
	"safebox/image/lock/locktest"
	"safebox/initrd/layout"
	"safebox/measure/tpm"
)

// root is the root folder of the source, seen from this package.
const root = "../.."

// testInit reports refusals where the appliance's init powers off.
const testInit = "./guest/boot/boottest/init"

// built is a release with one init, in memory and on disk.
type built struct {
	artifacts *image.Artifacts
	folder    string
}

// suite builds what the tests share once.
type suite struct {
	dir  string
	once map[string]func() (*built, error)
}

var shared suite //nolint:gochecknoglobals // test fixtures, built once

// cores bounds how many machines run at the same time.
var cores = make(chan struct{}, runtime.NumCPU()) //nolint:gochecknoglobals // see above

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "safebox-e2e-*")
	if err != nil {
		panic(err)
	}
	shared = suite{dir: dir, once: map[string]func() (*built, error){}}
	for _, init := range []string{image.InitPackage, testInit, killKeeper, killInit, killWorker, oomWorker} {
		shared.once[init] = sync.OnceValues(func() (*built, error) {
			return buildRelease(dir, strings.ReplaceAll(strings.TrimPrefix(init, "./"), "/", "-"), init, layout.Distro)
		})
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func buildRelease(dir, name, init string, kernel layout.Kernel) (*built, error) {
	lockFile, err := os.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		return nil, err
	}
	source, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	r, err := locktest.Resolver(root)
	if err != nil {
		return nil, err
	}
	o := image.Options{
		Lock: lockFile, Resolver: r, Source: source, Init: init, Kernel: kernel, Platforms: []string{"vtpm"}, Progress: func(image.Progress) {},
	}
	if kernel == layout.Source { // which has all there is
		o.Platforms, o.Disks, o.IGVM = image.Platforms(), image.Disks(), true
	}
	a, err := image.Build(context.Background(), o)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, name)
	return &built{artifacts: a, folder: folder}, a.Write(folder)
}

// release gives the release with that init; it is built at the first call.
func release(t *testing.T, init string) *built {
	t.Helper()
	b, err := shared.once[init]()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// host is what machines are started with. Getting one waits for a free core.
type host struct {
	parent *vmm.Parent
	tools  vmm.Tools
}

func newHost(t testing.TB) host {
	t.Helper()
	cores <- struct{}{}
	tools, err := vmm.FindTools()
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	h := host{parent: vmm.NewParent(), tools: tools}
	t.Cleanup(func() {
		h.parent.Close()
		<-cores
	})
	return h
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, b)
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// predictions gives what a boot of the release must report, in both banks.
func predictions(t *testing.T, b *built, boot vmm.Boot) []*tpm.Prediction {
	t.Helper()
	in := tpm.Input{Boot: tpm.Kernel, UKI: b.artifacts.File(image.UKI), Firmware: b.artifacts.File(image.FirmwareCode)}
	if boot == vmm.ESP {
		disk := b.artifacts.File(image.RawDisk)
		in = tpm.Input{Boot: tpm.ESP, Disk: bytes.NewReader(disk), DiskSize: int64(len(disk)), Firmware: in.Firmware}
	}
	var list []*tpm.Prediction
	for _, bank := range []tpm.Bank{tpm.SHA256, tpm.SHA384} {
		p, err := tpm.Predict(in, bank)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}
