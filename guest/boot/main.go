package boot

import (
	"fmt"
	"os"

	"safebox/guest/api"
	"safebox/verifier/bootreport"
)

// Main is the main function of an init: the kernel starts it as PID 1, and it
// starts itself again in another role. It gives the exit status.
func Main(p Platform, refuse Refuse) int {
	switch {
	case os.Getpid() == 1:
		Run(p, refuse)
		return 1 // not reached in the appliance; at the end of PID 1 the kernel panics
	case len(os.Args) == 1 && os.Args[0] == api.Role:
		return api.Main()
	}
	// Anywhere else it would mount over the file systems of a living machine.
	fmt.Fprintf(os.Stderr, "%serror: this program is PID 1 of a Safebox appliance and runs nowhere else\n", bootreport.Prefix)
	return 2
}
