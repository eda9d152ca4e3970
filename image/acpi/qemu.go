package acpi

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"safebox/measure/tdx"
)

// MinQEMU is the oldest major version that is asked. The steps before the read
// were compared with a live boot for 10.0; older versions build other tables
// for the same machine, and none of them starts TDX guests unpatched, so their
// answer would be about a machine that does not exist.
const MinQEMU = 10

// readTime bounds a read whose caller set no deadline. It takes about a second.
const readTime = time.Minute

// Version is QEMU's own, as --version prints it.
type Version struct {
	Major, Minor, Micro int
	Text                string // the whole line, with the packager's suffix
}

// Options of Read.
type Options struct {
	// Aperture is the guest physical address from which the firmware places
	// 64-bit memory BARs. With such a BAR in the machine it must be given: see
	// Aperture, the function.
	Aperture uint64
}

// Answer is what QEMU hands a guest's firmware.
type Answer struct {
	ACPI tdx.ACPI
	QEMU Version
	// Files are the other fw_cfg files that firmware measures since EDK II
	// 2025.05 (OvmfPkg, QemuFwCfgCacheInit.c), by name; absent and empty ones are
	// not measured and not here.
	Files    map[string][]byte
	BootMenu [2]byte // fw_cfg item 0x0e
}

// cachedFiles are the names of Answer.Files in the order of measurement.
func cachedFiles() []string {
	return []string{
		"etc/extra-pci-roots", "etc/boot-menu-wait", "etc/reserved-memory-end", "opt/ovmf/X-PciMmio64Mb", "bootorder",
	}
}

// Read starts QEMU, the program at path qemu, with the arguments of a machine,
// does to the machine what the firmware would do, and reads the tables. No
// instruction of the guest runs, and neither KVM nor privileges are needed. The
// arguments must not choose an accelerator.
func Read(ctx context.Context, qemu string, args []string, o Options) (*Answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTime)
		defer cancel()
	}
	a, err := read(ctx, qemu, args, o)
	if err != nil {
		return nil, fmt.Errorf("asking QEMU for ACPI tables: %w", err)
	}
	return a, nil
}

func read(ctx context.Context, qemu string, args []string, o Options) (*Answer, error) {
	if o.Aperture != 0 && (o.Aperture < minAddress || o.Aperture >= maxAddress) {
		return nil, fmt.Errorf("aperture: got %#x, want %#x up to %#x", o.Aperture, uint64(minAddress), uint64(maxAddress))
	}
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	version, err := askVersion(ctx, qemu)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, qemu, args)
	if err != nil {
		return nil, err
	}
	a, err := ask(p.conn, o)
	if end := p.stop(); err != nil {
		return nil, p.explain(ctx, err, end)
	}
	a.QEMU = *version
	return a, Check(&a.ACPI)
}

// ask is the order of events before and during the read.
func ask(conn net.Conn, o Options) (*Answer, error) {
	q := newQtest(conn)
	bus := pci{q}
	if err := bus.chipset(); err != nil {
		return nil, err
	}
	if err := bus.program(o.Aperture); err != nil {
		return nil, err
	}
	f, err := openFwCfg(q)
	if err != nil {
		return nil, err
	}
	a := &Answer{Files: map[string][]byte{}}
	menu, err := f.item(bootMenuItem, len(a.BootMenu))
	if err != nil {
		return nil, fmt.Errorf("reading fw_cfg item %#x: %w", bootMenuItem, err)
	}
	a.BootMenu = [2]byte(menu)
	for _, want := range []struct {
		name string
		into *[]byte
	}{{loaderFile, &a.ACPI.Loader}, {rsdpFile, &a.ACPI.RSDP}, {tablesFile, &a.ACPI.Tables}} {
		b, ok, err := f.file(want.name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("fw_cfg has no file %s: want a machine with ACPI", want.name)
		}
		*want.into = b
	}
	for _, name := range cachedFiles() {
		b, ok, err := f.file(name)
		if err != nil {
			return nil, err
		}
		if ok && len(b) > 0 {
			a.Files[name] = b
		}
	}
	return a, nil
}

// checkArgs refuses what would start another kind of process.
func checkArgs(args []string) error {
	refused := []string{
		"accel", "enable-kvm", "qtest", "qtest-log", "daemonize", "incoming", "loadvm", "S", "readconfig", "preconfig", "help", "h", "version",
	}
	for i, a := range args {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("argument %d: got %q, want no NUL", i, a)
		}
		name, dash := strings.CutPrefix(strings.TrimPrefix(a, "-"), "-")
		if dash || strings.HasPrefix(a, "-") {
			if slices.Contains(refused, name) {
				return fmt.Errorf("argument %d: got %q: want the machine's description only, without it", i, a)
			}
		}
	}
	return nil
}

// askVersion asks for QEMU's version and refuses old ones.
func askVersion(ctx context.Context, qemu string) (*Version, error) {
	cmd := exec.CommandContext(ctx, qemu, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", qemu, err)
	}
	v, err := parseVersion(string(out))
	if err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", qemu, err)
	}
	if v.Major < MinQEMU {
		return nil, fmt.Errorf("%s: got version %d.%d, want %d or newer: older ones build other tables", qemu, v.Major, v.Minor, MinQEMU)
	}
	return v, nil
}

// parseVersion reads "QEMU emulator version 10.0.2 (Debian ...)".
func parseVersion(s string) (*Version, error) {
	line, _, _ := strings.Cut(s, "\n")
	m := regexp.MustCompile(`^QEMU emulator version ([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?: \([!-~ ]{1,100}\))?$`).FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("got %q, want \"QEMU emulator version N.N.N\"", line)
	}
	v := &Version{Text: strings.TrimPrefix(line, "QEMU emulator version ")}
	for i, into := range []*int{&v.Major, &v.Minor, &v.Micro} {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return nil, err
		}
		*into = n
	}
	return v, nil
}
