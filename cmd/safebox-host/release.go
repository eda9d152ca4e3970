package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"safebox/cmd/internal/cli"
	"safebox/host/vmm"
	"safebox/verifier/release"
)

// Files of a release folder that a launch for vtpm uses, as `safebox build`
// writes them (docs/format-release.md).
const (
	releaseUKI  = "safebox.efi"
	releaseDisk = "safebox.raw"
	releaseCode = "firmware/OVMF_CODE_4M.fd"
	releaseVars = "firmware/OVMF_VARS_4M.fd"
)

// checkRelease refuses a folder whose files are not those that its
// release.json describes, and one without those of platform vtpm.
func checkRelease(dir string) error {
	r, err := openRelease(dir)
	if err != nil {
		return err
	}
	for _, name := range []string{releaseUKI, releaseDisk, releaseCode, releaseVars} {
		if _, ok := r.Artifact(name); !ok {
			return cli.Usage(fmt.Errorf("opening release: %s does not list %s", filepath.Join(dir, release.FileName), name), releaseAdvice)
		}
	}
	return checkArtifacts(dir, r)
}

// releaseAdvice says where a release folder comes from.
const releaseAdvice = "make a release folder with: safebox build --out DIR"

// openRelease reads release.json of a folder.
func openRelease(dir string) (*release.Release, error) {
	b, err := readReleaseFile(dir, release.FileName, release.MaxSize)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("opening release: %w", err), releaseAdvice)
	}
	r, err := release.Decode(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("opening release: %s: %w", filepath.Join(dir, release.FileName), err), releaseAdvice)
	}
	return r, nil
}

// checkArtifacts compares the files of a folder with what its release.json says
// of them. It is for the operator's sake, against damage and mix-ups: what runs
// is decided by the guest's measurements.
func checkArtifacts(dir string, r *release.Release) error {
	for _, a := range r.Artifacts {
		content, err := readReleaseFile(dir, a.Name, a.Size)
		if err != nil {
			return cli.Usage(fmt.Errorf("opening release: %w", err), releaseAdvice)
		}
		if err := a.Check(content); err != nil {
			return cli.Failed(fmt.Errorf("checking release: %s: %w", filepath.Join(dir, a.Name), err), "build it again, or fetch the release again")
		}
	}
	return nil
}

// readReleaseFile is readFile for a name of release.json.
func readReleaseFile(dir, name string, limit int64) ([]byte, error) {
	return readFile(filepath.Join(dir, filepath.FromSlash(name)), limit)
}

// readFile reads a regular file of at most limit bytes and one more, which
// tells that it is longer.
func readFile(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	return b, errors.Join(err, f.Close())
}

// bootFile gives the file that the boot path starts from: a disk or a UKI.
func bootFile(dir string, boot vmm.Boot) (disk, uki string) {
	if boot == vmm.Kernel {
		return "", filepath.Join(dir, releaseUKI)
	}
	return filepath.Join(dir, releaseDisk), ""
}
