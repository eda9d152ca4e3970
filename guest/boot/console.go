package boot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

// Console is where PID 1 tells what it does. Until its device is open, lines
// are kept; then it writes to the device itself and not to /dev/console,
// because a host that replaces the kernel command line also says where
// /dev/console leads, and the reason for the refusal should still be seen.
// The host reads all of it: nothing secret is written here.
type Console struct {
	device *os.File
	kept   []byte
}

// maxKept bounds what is kept until the device is open.
const maxKept = 64 << 10

// open makes path the device and writes out what was kept.
func (c *Console) open(path string) error {
	// O_NOCTTY: PID 1 takes no signals from a terminal.
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	c.device = f
	// The firmware left the cursor in the middle of a line.
	kept := append([]byte("\n"), c.kept...)
	c.kept = nil
	if _, err := f.Write(kept); err != nil {
		return fmt.Errorf("writing the first lines: %w", err)
	}
	return nil
}

// Write implements io.Writer.
func (c *Console) Write(b []byte) (int, error) {
	if c.device != nil {
		return c.device.Write(b)
	}
	if len(c.kept)+len(b) > maxKept {
		return 0, io.ErrShortWrite
	}
	c.kept = append(c.kept, b...)
	return len(b), nil
}

// writeLine writes one line whole.
func (c *Console) writeLine(l bootreport.Line) {
	if _, err := io.WriteString(c, l.String()+"\n"); err != nil {
		// The kernel's console is the last resort; it is what PID 1 has as
		// standard error.
		fmt.Fprintf(os.Stderr, "%s\n", l)
	}
}

// drain waits until the device has sent everything, so that the last line is
// out before the power is.
func (c *Console) drain() error {
	if c.device == nil {
		_, err := os.Stderr.Write(c.kept)
		return err
	}
	// TCSBRK with a non-zero argument is tcdrain (ioctl_tty(2)).
	err := unix.IoctlSetInt(int(c.device.Fd()), unix.TCSBRK, 1)
	// The UART's own buffer empties after the driver calls it drained.
	time.Sleep(50 * time.Millisecond)
	if err != nil && !errors.Is(err, unix.ENOTTY) {
		return fmt.Errorf("draining %s: %w", c.device.Name(), err)
	}
	return nil
}
