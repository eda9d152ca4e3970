package main

import (
	"fmt"
	"os"
	"path/filepath"

	"safebox/cmd/internal/cli"
	"safebox/host/vmm"
)

// Files of a release folder that a launch for vtpm uses, as `safebox build`
// writes them (docs/cli.md).
const (
	releaseJSON = "release.json"
	releaseUKI  = "safebox.efi"
	releaseDisk = "safebox.raw"
	releaseCode = "firmware/OVMF_CODE_4M.fd"
	releaseVars = "firmware/OVMF_VARS_4M.fd"
)

// checkRelease refuses a folder that is not a release. It is for the
// operator's sake: what runs is decided by the guest's measurements.
func checkRelease(dir string) error {
	const advice = "make a release folder with: safebox build --out DIR"
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		if err == nil {
			err = fmt.Errorf("%s is no folder", dir)
		}
		return cli.Usage(fmt.Errorf("opening release: %w", err), advice)
	}
	for _, name := range []string{releaseJSON, releaseUKI, releaseDisk, releaseCode, releaseVars} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return cli.Usage(fmt.Errorf("opening release: %w", err), advice)
		}
		fi, err := f.Stat()
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err == nil && (!fi.Mode().IsRegular() || fi.Size() == 0) {
			err = fmt.Errorf("%s is not a file with content", f.Name())
		}
		if err != nil {
			return cli.Usage(fmt.Errorf("opening release: %w", err), advice)
		}
	}
	return nil
}

// bootFile gives the file that the boot path starts from: a disk or a UKI.
func bootFile(dir string, boot vmm.Boot) (disk, uki string) {
	if boot == vmm.Kernel {
		return "", filepath.Join(dir, releaseUKI)
	}
	return filepath.Join(dir, releaseDisk), ""
}
