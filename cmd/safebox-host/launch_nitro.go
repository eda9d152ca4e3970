package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/instance"
	"safebox/host/vmm"
	"safebox/verifier/release"
)

// releaseEIF is the enclave image of a release folder.
const releaseEIF = "safebox.eif"

// What nitro-cli wants of an enclave's memory (specs/nitro.md 1.7).
const (
	minEnclave  = 64 << 20
	eifInMemory = 4 // times the image's size, at least
)

// nitro prints how the enclave is started on an EC2 instance.
func (f *launchFlags) nitro(c *cobra.Command) error {
	switch {
	case f.release == "":
		return cli.Usage(errors.New("--release is missing"), "see safebox-host launch --help")
	case f.vcpus < 1 || f.vcpus > vmm.MaxVCPUs:
		return cli.Usage(fmt.Errorf("--vcpus %d, want 1 to %d", f.vcpus, vmm.MaxVCPUs), "see safebox-host launch --help")
	}
	memory, err := parseMemory(f.memory)
	if err != nil {
		return cli.Usage(err, "see safebox-host launch --help")
	}
	name := f.name
	if name == "" {
		name = instance.NewID()
	} else if err := instance.CheckID(name); err != nil {
		return cli.Usage(err, "see safebox-host launch --help")
	}
	r, err := openRelease(f.release)
	if err != nil {
		return err
	}
	image, ok := r.Artifact(releaseEIF)
	if !ok {
		return cli.Usage(fmt.Errorf("opening release: %s does not list %s", filepath.Join(f.release, release.FileName), releaseEIF),
			"make one with: safebox build --kernel source --platform vtpm,nitro --out DIR")
	}
	if err := checkArtifacts(f.release, r); err != nil {
		return err
	}
	if want := max(minEnclave, eifInMemory*image.Size); memory < want {
		return cli.Usage(fmt.Errorf("--memory %s, want at least %dM: %d times the size of %s", f.memory, (want+1<<20-1)>>20, eifInMemory, releaseEIF),
			"nitro-cli refuses an enclave with less")
	}
	if !f.printArgs {
		return cli.Failed(errors.New("platform nitro: this program starts no enclave"),
			"run the command that --print-args prints on an EC2 instance with Nitro Enclaves")
	}
	dir, err := filepath.Abs(f.release)
	if err != nil {
		return err
	}
	return printCommand(c.OutOrStdout(), f.json, []string{
		"nitro-cli", "run-enclave", "--enclave-name", "safebox-" + name, "--eif-path", filepath.Join(dir, releaseEIF),
		"--cpu-count", strconv.Itoa(f.vcpus), "--memory", strconv.FormatInt(memory>>20, 10),
	})
}
