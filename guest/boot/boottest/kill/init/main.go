// Command init is a TEST-ONLY PID 1 under which the process init ends some
// seconds after the machine is ready. No release holds it.
package main

import (
	"os"

	"safebox/guest/boot"
	"safebox/guest/boot/boottest/kill"
)

func main() { os.Exit(boot.Main(boot.Vtpm(), kill.AfterReady("init"))) }
