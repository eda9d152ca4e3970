// Package inputs holds what platforms share of the files and texts that a guest is
// started with: the names of their axes, how many others a caller may give, and
// what becomes of a command line on its way.
package inputs

import "fmt"

// Names of axes that mean the same on every platform.
const (
	Firmware    = "firmware"
	Kernel      = "kernel"
	Initrd      = "initrd"
	CommandLine = "command line"
)

// Max bounds each list of other inputs, which are tried in place of the expected
// ones.
const Max = 64

// Check refuses lists of other inputs that are longer than Max.
func Check(lengths ...int) error {
	for _, n := range lengths {
		if n > Max {
			return fmt.Errorf("other inputs: got %d of a kind, want at most %d", n, Max)
		}
	}
	return nil
}
