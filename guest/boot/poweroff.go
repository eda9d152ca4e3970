package boot

import (
	"fmt"
	"os"

	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

// PowerOff is the appliance's Refuse: it names the first reason, sees the
// console drained and takes the power away. It does not return.
func PowerOff(c *Console, reasons []bootreport.Refusal) {
	id := "unknown"
	if len(reasons) > 0 {
		id = reasons[0].ID
	}
	c.writeLine(bootreport.Line{At: sinceKernelStart(), Outcome: bootreport.PowerOff, Name: id})
	if err := c.drain(); err != nil {
		fmt.Fprintf(os.Stderr, "%sdraining the console: %v\n", bootreport.Prefix, err)
	}
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	// Still here: the machine has no power button that the kernel knows. The
	// end of PID 1 makes the kernel panic, which ends the machine as well.
	fmt.Fprintf(os.Stderr, "%spower-off: %v\n", bootreport.Prefix, err)
	os.Exit(1)
}
