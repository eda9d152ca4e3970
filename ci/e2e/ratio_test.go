package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/host/console"
	"safebox/host/vmm"
	"safebox/initrd/layout"
	"safebox/verifier/bootreport"
)

// helloInit is a bare init.
const helloInit = "./guest/boot/boottest/hello"

// pairs is how many boots of each are compared.
const pairs = 5

// maxBootRatio is the limit: from the kernel's start until the API answers, as
// a multiple of the time until a bare init runs.
const maxBootRatio = 1.25

// BenchmarkBoot boots our kernel with the appliance and with a bare init in
// turn, in the same kind of machine, and compares the kernel's clock when each
// is up. The medians are compared: other programs on the host disturb a boot.
func BenchmarkBoot(b *testing.B) {
	hello, err := buildRelease(shared.dir, "hello", helloInit, layout.Source)
	if err != nil {
		b.Fatal(err)
	}
	appliance := source(b)
	host := newHost(b)
	var bare, full []time.Duration
	for b.Loop() {
		bare, full = nil, nil
		for range pairs {
			bare = append(bare, upAfter(b, host, hello, func(s string) (time.Duration, bool) {
				text, ok := strings.CutPrefix(s, "hello: ")
				if !ok {
					return 0, false
				}
				d, err := time.ParseDuration(text)
				return d, err == nil
			}))
			full = append(full, upAfter(b, host, appliance, func(s string) (time.Duration, bool) {
				l, ok := bootreport.ParseLine(s)
				return l.At, ok && l.Outcome == bootreport.Ready
			}))
		}
	}
	slices.Sort(bare)
	slices.Sort(full)
	b.Logf("bare init: %v", bare)
	b.Logf("appliance: %v", full)
	ratio := float64(full[pairs/2]) / float64(bare[pairs/2])
	b.ReportMetric(ratio, "x-of-bare-init")
	b.ReportMetric(ratio/maxBootRatio, "of-1.25-limit")
	b.ReportMetric(full[pairs/2].Seconds(), "s-kernel-to-API")
}

// upAfter boots a release from its disk until a console line tells the time.
func upAfter(b *testing.B, host host, r *built, told func(line string) (time.Duration, bool)) time.Duration {
	b.Helper()
	dir := b.TempDir()
	if err := vmm.MakeTPM(b.Context(), host.parent, host.tools, dir); err != nil {
		b.Fatal(err)
	}
	emulator, channel, err := vmm.StartTPM(host.parent, host.tools, dir)
	if err != nil {
		b.Fatal(err)
	}
	defer stop(b, emulator.Child)
	up := make(chan time.Duration, 1)
	var once sync.Once
	m := machine{release: r.folder, boot: vmm.ESP}.shape(b, dir)
	m.VCPUs = 2
	vm, err := vmm.Start(host.parent, host.tools, m, channel, console.NewLines(func(s string) {
		if d, ok := told(s); ok {
			once.Do(func() { up <- d })
		}
	}))
	if err != nil {
		b.Fatal(err)
	}
	defer stop(b, vm.Child)
	if err := channel.Close(); err != nil {
		b.Fatal(err)
	}
	select {
	case d := <-up:
		return d
	case <-time.After(bootTime):
		b.Fatalf("not up within %v", bootTime)
	}
	return 0
}
