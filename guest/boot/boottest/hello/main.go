// Command hello is a benchmark's init, the least that a Go program does: it says
// how long after the kernel's start it runs, and ends the machine.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		fmt.Println("hello: error:", err)
	}
	fmt.Println("hello:", time.Duration(ts.Nano()))
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("hello: error:", err)
	}
}
