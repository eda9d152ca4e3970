// Command process is a TEST-ONLY program: it gives up privileges as PID 1
// takes them away, and then is the process of package keeper, whose tests build
// and run it. With the argument "root" it gives up nothing. No release holds
// it.
package main

import (
	"io"
	"os"

	"safebox/guest/confine"
	"safebox/guest/confine/confinetest"
	"safebox/guest/keeper"
)

func main() {
	status, err := confinetest.Run(os.Args, confine.Keeper, keeper.Main)
	if err != nil {
		if _, err := io.WriteString(os.Stderr, "giving up privileges: "+err.Error()); err != nil {
			status = 3
		}
	}
	os.Exit(status)
}
