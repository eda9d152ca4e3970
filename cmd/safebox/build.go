package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"

	"safebox/cmd/internal/cli"
	"safebox/image"
	"safebox/image/output"
	"safebox/initrd/layout"
	"safebox/verifier/release"
)

// modulePath is our module, whose source a build compiles.
const modulePath = "safebox"

// buildFlags are the flags of `build`.
type buildFlags struct {
	inputFlags
	out, source, platform, kernel, disk string
	igvm, json                          bool
}

func buildCommand() *cobra.Command {
	var f buildFlags
	c := &cobra.Command{
		Use:   "build --out DIR",
		Short: "Build a release: byte for byte the same anywhere",
		Long: `Builds an appliance from the inputs that the lock file names and writes a
release folder: vmlinuz, initrd.cpio.zst, cmdline, safebox.efi, safebox.raw,
safebox-init, firmware/, sbom.cdx.json and release.json, which describes the
others and says what a machine that boots them will report. Platforms snp and
tdx add their firmware and what their launch measurements are computed from
(safebox measure all); nitro adds safebox.eif, --disk the same disk for other
monitors and clouds, --igvm safebox.igvm.

--kernel source builds the kernel from the distribution's source with our
configuration and pinned tools, and adds kernel.config. That takes minutes, the
first time, and 3 GB in TMPDIR.

Inputs are looked for in the cache, in the --inputs folders, at the package
mirrors of this machine's apt configuration, and in the --snapshot archive.
Wherever one comes from, its size and SHA-256 must be the lock file's.

The folder appears whole or not at all; an earlier release in it is replaced.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.inputFlags.add(c)
	c.Flags().StringVar(&f.out, "out", "", "release folder to write")
	c.Flags().StringVar(&f.source, "source", "", "root folder of the safebox source (default: the one around the working folder)")
	c.Flags().StringVar(&f.platform, "platform", "vtpm", "platforms, separated by commas: vtpm, and snp, tdx and nitro beside it")
	c.Flags().StringVar(&f.kernel, "kernel", "distro", "kernel: distro (the distribution's) or source (built from its source with our configuration)")
	c.Flags().BoolVar(&f.igvm, "igvm", false, "with platform snp: also an IGVM file for QEMU, of one EPYC-Milan vCPU")
	c.Flags().StringVar(&f.disk, "disk", "", "containers of the disk beside the raw one, separated by commas: qcow2, vhd, gcp")
	c.Flags().BoolVar(&f.json, "json", false, "print the release digest and the artifacts as JSON")
	return c
}

func (f *buildFlags) run(c *cobra.Command) error {
	if f.out == "" {
		return cli.Usage(errors.New("--out is missing"), "name the folder to write, for example --out out/release")
	}
	if o := f.request(); o.Check() != nil {
		return cli.Usage(o.Check(), "see safebox build --help")
	}
	if err := checkOut(f.out); err != nil {
		return err
	}
	started := time.Now()
	a, err := f.build(c)
	if err != nil {
		return err
	}
	if err := a.Write(f.out); err != nil {
		return err
	}
	cli.Say(c.ErrOrStderr(), "%s written in %.1f s", f.out, time.Since(started).Seconds())
	return printRelease(c.OutOrStdout(), a.Release, f.json)
}

// request is what the flags ask for.
func (f *buildFlags) request() image.Options {
	return image.Options{
		Init: image.InitPackage, Kernel: layout.Kernel(f.kernel),
		Platforms: list(f.platform), Disks: list(f.disk), IGVM: f.igvm,
	}
}

// list splits a flag's value; an empty one has no elements.
func list(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}

// build makes the artifacts without writing them.
func (f *buildFlags) build(c *cobra.Command) (*image.Artifacts, error) {
	source, err := findSource(f.source)
	if err != nil {
		return nil, err
	}
	if err := image.CheckSource(source); err != nil {
		return nil, cli.Usage(err, "go build ./cmd/safebox in the source gives its own program")
	}
	lockFile, err := f.readLock(source)
	if err != nil {
		return nil, err
	}
	e := newEvents(c.ErrOrStderr(), f.json)
	resolver, err := f.resolver(e)
	if err != nil {
		return nil, err
	}
	o := f.request()
	o.LockName, o.Lock, o.Resolver, o.Source = f.lockPath(source), lockFile, resolver, source
	o.Progress = e.build
	a, err := image.Build(c.Context(), o)
	var unusable *image.LockError
	if errors.As(err, &unusable) {
		return nil, cli.Usage(err, "docs/format-lock.md describes the file")
	}
	return a, err
}

// checkOut finds out before the work whether its result could be written.
func checkOut(dir string) error {
	if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
		return nil // to be made when there is something to put into it
	}
	folder, err := output.NewFolder(dir, release.FileName)
	if err == nil {
		err = folder.Discard()
	}
	if err != nil {
		return cli.Failed(err, "choose another folder with --out")
	}
	return nil
}

// printRelease is the result of a build: its identity and its files.
func printRelease(w io.Writer, r *release.Release, asJSON bool) error {
	encoded, err := r.Encode()
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%x", release.Digest(encoded))
	if asJSON {
		return cli.WriteJSON(w, struct {
			Release   string             `json:"release"`
			Artifacts []release.Artifact `json:"artifacts"`
		}{id, r.Artifacts})
	}
	for _, a := range r.Artifacts {
		if _, err := fmt.Fprintf(w, "%s  %s\n", a.SHA256, a.Name); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "release %s\n", id)
	return err
}

// findSource gives the root folder of our module: dir, or the nearest one
// upwards from the working folder.
func findSource(dir string) (string, error) {
	if dir != "" {
		if err := checkSource(dir); err != nil {
			return "", cli.Usage(err, "--source wants the folder that holds the go.mod of safebox")
		}
		return filepath.Abs(dir)
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := wd; ; d = filepath.Dir(d) {
		if checkSource(d) == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", cli.Usage(fmt.Errorf("no source of %s around %s", modulePath, wd), "run inside a clone, or give --source DIR")
		}
	}
}

func checkSource(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	if got := modfile.ModulePath(b); got != modulePath {
		return fmt.Errorf("%s is module %q, want %q", dir, got, modulePath)
	}
	return nil
}
