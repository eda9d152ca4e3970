package boot

import (
	"fmt"
	"os"

	"safebox/guest/api"
	"safebox/guest/keeper"
	"safebox/guest/sandbox"
	"safebox/verifier/bootreport"
)

// Main is the main function of an init: the kernel starts it as PID 1, and it
// starts itself again in the other roles, which argument 0 names. Each of them
// has number 1 too, in a PID namespace of its own. It gives the exit status.
func Main(p Platform, o Options) int {
	switch os.Args[0] {
	case keeper.Role:
		return keeper.Main()
	case api.Role:
		return api.Main()
	case sandbox.Role:
		return sandbox.Main()
	}
	if os.Getpid() == 1 {
		Run(p, o)
		return 1 // not reached in the appliance; at the end of PID 1 the kernel panics
	}
	// Anywhere else it would mount over the file systems of a living machine.
	fmt.Fprintf(os.Stderr, "%serror: this program is PID 1 of a Safebox appliance and runs nowhere else\n", bootreport.Prefix)
	return 2
}
