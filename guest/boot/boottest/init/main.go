// Command init is a TEST-ONLY PID 1: it reports refusals where the appliance
// powers off, and goes on to serve the API, so that a test can read the
// registers of a tampered boot. It differs from cmd/safebox-init in nothing
// else. No release holds it: it has another digest, so PCR 9 and 11 refuse it
// wherever a verifier expects the appliance.
package main

import (
	"os"

	"safebox/guest/boot"
	"safebox/verifier/bootreport"
)

func main() { os.Exit(boot.Main(boot.Vtpm(), boot.Options{Refuse: goOn})) }

// goOn leaves the refusals to the boot report, which has them already.
func goOn(*boot.Console, []bootreport.Refusal) {}
