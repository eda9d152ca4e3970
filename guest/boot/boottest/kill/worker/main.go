// Command worker is a TEST-ONLY PID 1 under which every worker is killed as
// soon as it is started. No release holds it.
package main

import (
	"os"

	"safebox/guest/boot"
	"safebox/guest/boot/boottest/kill"
)

func main() { os.Exit(boot.Main(boot.Vtpm(), kill.WhenStarted("worker"))) }
