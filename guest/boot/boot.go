// Package boot is PID 1 of the appliance: what happens between the kernel's
// start of /init and an API that answers. It implements specs/image.md 7.5
// (settings), specs/protocol.md 4 (command-line forms, register rules as far
// as a guest can check them) and 7 (processes).
//
// PID 1 stops the machine when it finds anything that it does not expect.
// That is defence in depth and a good error message. It convinces nobody
// outside: a host that replaces this program also replaces its checks. What
// ran is told by the measurement registers, and judged by the verifier.
package boot

import (
	"os"
	"strings"

	"safebox/guest/boot/cmdline"
	"safebox/guest/spawn"
	"safebox/initrd/layout"
	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

// Platform is what differs between kinds of machine.
type Platform struct {
	Name      string
	Console   string // device on which PID 1 reports
	Forms     func(layout.Kernel) []cmdline.Form
	Registers []Rule
}

// Options are what only a test's init changes; the zero value is the appliance.
type Options struct {
	// Refuse is called with the reasons when a check refuses, instead of
	// PowerOff. Errors of any other kind power off whatever it does.
	Refuse Refuse
	// Watch is told of each process by role, when it starts, and of "init"
	// when all are ready.
	Watch func(role string, pid int)
}

// Run boots the machine and does not return while the machine runs.
func Run(p Platform, o Options) {
	refuse, watch := PowerOff, func(string, int) {}
	if o.Refuse != nil {
		refuse = o.Refuse
	}
	if o.Watch != nil {
		watch = o.Watch
	}
	b := &machine{platform: p, watch: watch, reaper: spawn.NewReaper(), groups: cgroupRoot, report: &bootreport.Report{
		Type: bootreport.Type, Platform: p.Name,
		Steps: []bootreport.Step{}, Refusals: []bootreport.Refusal{},
		Modules: []string{}, Sysctls: []bootreport.Sysctl{}, Banks: []bootreport.Bank{},
	}}
	c := &Console{}
	r := &runner{console: c, now: sinceKernelStart, refuse: refuse, powerOff: PowerOff, report: b.report}
	r.run(b.steps(c))
	r.ready()
	watch("init", os.Getpid())
	r.run([]step{{"running", b.awaitEnd}})
}

// machine is the state that steps hand to later steps.
type machine struct {
	platform  Platform
	report    *bootreport.Report
	inventory []entry
	kernel    layout.Kernel
	watch     func(role string, pid int)
	reaper    *spawn.Reaper
	groups    spawn.Cgroups
	enabled   chan error // of the cgroup controllers, which take the kernel a while
	starting  *starting  // the keeper, until it is ready
	keeper    *spawn.Child
	api       *spawn.Child
	toKeeper  *os.File   // the API's ends of what it shares with the keeper
	toAPI     *os.File   // until it is started
	workers   chan error // why no worker can be started any more
}

// steps is the boot in order. The three checks come before anything that
// they might find tampered with is used, the command line first: a host that
// adds a word moves registers too, and the word is the better reason to name.
func (b *machine) steps(c *Console) []step {
	return []step{
		{"inventory", b.takeInventory}, // before mounts hide parts of the initramfs
		{"mounts", b.mount},
		{"console", func() (string, error) { return b.openConsole(c) }},
		{"command-line", b.checkCommandLine},
		{"initramfs", b.checkInitramfs},
		{"registers", b.checkRegisters},
		{"event-log", b.readEventLog},
		{"modules", b.loadModules},
		{"sysctls", b.applySysctls},
		{"entropy", b.awaitEntropy},
		{"confine", b.confine},
		{"keeper", b.startKeeper},
		{"network", b.configureNetwork}, // while the keeper makes its keys
		{"keeper-ready", b.awaitKeeper},
		{"api", b.startAPI},
	}
}

func (b *machine) takeInventory() (string, error) {
	var err error
	b.inventory, err = takeInventory(os.DirFS("/"))
	return "", err
}

func (b *machine) openConsole(c *Console) (string, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", os.NewSyscallError("uname", err)
	}
	b.report.Kernel = unix.ByteSliceToString(uts.Release[:])
	return b.platform.Console + ", kernel " + b.report.Kernel, c.open(b.platform.Console)
}

func (b *machine) checkCommandLine() (string, error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	b.report.CommandLine = strings.TrimSuffix(string(text), "\n")
	form, err := cmdline.Match(text, b.platform.Forms(b.kernel))
	if err != nil {
		return "", refusal("command-line", err.Error())
	}
	b.report.Form = form.Name
	return "form " + form.Name, nil
}

func (b *machine) checkInitramfs() (string, error) { return checkInventory(b.kernel, b.inventory) }
