// Command safebox-init is the one program inside the appliance, started by
// the kernel as PID 1. See package guest/boot for what it does.
package main

import (
	"os"

	"safebox/guest/boot"
)

func main() { os.Exit(boot.Main(boot.Vtpm(), boot.Options{})) }
