// Command devices is a test's init: it prints the kernel's command line and the
// virtio devices that it found, and ends the machine.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if err := tell(); err != nil {
		fmt.Println("devices: error:", err)
	}
	fmt.Println("devices: end")
	// A machine without ACPI can't be switched off; it halts.
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("devices: error:", err)
	}
}

func tell() error {
	for _, fs := range []string{"proc", "sysfs"} {
		if err := unix.Mount(fs, "/"+strings.TrimSuffix(fs, "fs"), fs, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", fs, err)
		}
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	fmt.Printf("devices: command line %s", line)
	found, err := os.ReadDir("/sys/bus/virtio/devices")
	if err != nil {
		return err
	}
	for _, d := range found {
		id, err := os.ReadFile("/sys/bus/virtio/devices/" + d.Name() + "/device")
		if err != nil {
			return err
		}
		fmt.Printf("devices: virtio %s", id)
	}
	return nil
}
