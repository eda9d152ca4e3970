// Command kernellog is a TEST-ONLY PID 1: before it does what boottest/init
// does, it tells on the console how many processors run, where in memory the
// kernel lies and what the kernel's log says of ACPI. The console is quiet, so
// nothing else does. No release holds it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"safebox/guest/boot"
	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

func main() {
	// The processes that an init starts have number 1 too, but another name.
	if os.Getpid() == 1 && os.Args[0] == "/init" {
		if err := tell(); err != nil {
			fmt.Fprintf(os.Stderr, "test: error %v\n", err)
			boot.PowerOff(&boot.Console{}, []bootreport.Refusal{{ID: "test", Detail: err.Error()}})
		}
	}
	os.Exit(boot.Main(boot.Vtpm(), boot.Options{Refuse: func(*boot.Console, []bootreport.Refusal) {}}))
}

// tell mounts what it reads, and unmounts it: the boot that follows finds the
// machine as the kernel left it.
func tell() error {
	for target, fstype := range map[string]string{"/proc": "proc", "/dev": "devtmpfs"} {
		if err := unix.Mount(fstype, target, fstype, unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", target, err)
		}
	}
	out, err := os.OpenFile("/dev/ttyS0", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	err = errors.Join(tellMachine(out), tellLog(out), out.Close())
	for _, target := range []string{"/proc", "/dev"} {
		err = errors.Join(err, unix.Unmount(target, 0))
	}
	return err
}

// tellMachine writes how many processors run and /proc/iomem, whose addresses are
// root's to read.
func tellMachine(out io.Writer) error {
	text, err := os.ReadFile("/proc/iomem")
	if err != nil {
		return err
	}
	// The firmware left the cursor in a line.
	if _, err := fmt.Fprintf(out, "\ntest: processors %d\n", runtime.NumCPU()); err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Fprintf(out, "test: memory %s", line); err != nil {
			return err
		}
	}
	return nil
}

// maxRecord bounds one record of the log (Linux 6.12, kernel/printk/internal.h,
// PRINTK_MESSAGE_MAX).
const maxRecord = 2048

// maxTold bounds the lines that are told: a serial line is slow.
const maxTold = 40

// tellLog writes what the log says of refusals and of ACPI's errors, and how much
// of the log there was to read. One read of /dev/kmsg gives one record (Linux,
// Documentation/ABI/testing/dev-kmsg).
func tellLog(out io.Writer) error {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("open /dev/kmsg", err)
	}
	var first string // sequence number of the oldest record
	read, errs, told := 0, 0, 0
	record := make([]byte, maxRecord)
	for {
		n, err := unix.Read(fd, record)
		if errors.Is(err, unix.EAGAIN) {
			break // the end
		}
		if err != nil { // EPIPE too: the log was overrun
			return errors.Join(os.NewSyscallError("read /dev/kmsg", err), unix.Close(fd))
		}
		head, text, _ := strings.Cut(string(record[:n]), ";")
		if read++; read == 1 {
			first = strings.Split(head, ",")[1]
		}
		refused := strings.Contains(text, "refused:")
		if strings.Contains(text, "ACPI Error") || strings.Contains(text, "ACPI BIOS Error") {
			errs++
		} else if !refused {
			continue
		}
		if told++; told <= maxTold {
			text, _, _ = strings.Cut(text, "\n")
			if _, err := fmt.Fprintf(out, "test: log %s\n", text); err != nil {
				return errors.Join(err, unix.Close(fd))
			}
		}
	}
	_, err = fmt.Fprintf(out, "test: read records=%d first=%s told=%d errors=%d\n", read, first, told, errs)
	return errors.Join(err, unix.Close(fd))
}
