package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image"
	"safebox/image/lock"
	"safebox/image/output"
)

func lockCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lock",
		Short: "Work with the pinned inputs",
		RunE:  cli.Group,
	}
	c.AddCommand(lockFetchCommand(), lockUpdateCommand())
	return c
}

// Values of --kernel.
const (
	kernelDistro = "distro"
	kernelSource = "source"
)

func lockFetchCommand() *cobra.Command {
	var f inputFlags
	var archive, source, kernel string
	var asJSON bool
	c := &cobra.Command{
		Use:   "fetch",
		Short: "Fetch every pinned input into the cache, or pack them all into one archive",
		Long: `Fetches the packages of the lock file into the cache; those that only a kernel
built from source needs with --kernel source. With --archive every input of a
build, with either kernel, is packed by content address into one tar: the
packages, the Go toolchain, and the Go modules of the init and of this program.
Unpacked, that folder serves as --inputs of a build with --offline anywhere.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if kernel != kernelDistro && kernel != kernelSource {
				return cli.Usage(fmt.Errorf("--kernel: got %q, want %s or %s", kernel, kernelDistro, kernelSource), "")
			}
			l, path, err := f.open()
			if err != nil {
				return err
			}
			if sameFile(path, archive) {
				return cli.Usage(fmt.Errorf("--archive %s is the lock file itself", archive), "name another file")
			}
			if archive != "" {
				if source, err = findSource(source); err != nil {
					return err
				}
			}
			r, err := f.resolver(newEvents(c.ErrOrStderr(), asJSON))
			if err != nil {
				return err
			}
			wanted := l
			if archive == "" && kernel == kernelDistro {
				wanted = l.WithoutSource()
			}
			if err := r.Fetch(c.Context(), wanted); err != nil {
				return err
			}
			if archive != "" {
				if err := packInputs(c, r, l, source, archive); err != nil {
					return err
				}
			}
			return printFetched(c.OutOrStdout(), wanted, asJSON)
		},
	}
	f.add(c)
	c.Flags().StringVar(&archive, "archive", "", "tar file to write")
	c.Flags().StringVar(&source, "source", "", "root folder of the safebox source, whose modules --archive packs (default: the one around the working folder)")
	c.Flags().StringVar(&kernel, "kernel", kernelDistro, "kernel to fetch for: distro, or source, which needs the source and the compiler too; --archive packs both")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// packInputs writes the archive. Its modules are those of the source's init and
// of the program that builds it.
func packInputs(c *cobra.Command, r *lock.Resolver, l *lock.Lock, source, archive string) error {
	cli.Say(c.ErrOrStderr(), "fetching the Go modules and the toolchain")
	modules, err := image.GoModules(c.Context(), image.Options{Resolver: r, Source: source}, l)
	if err != nil {
		return err
	}
	return output.File(archive, func(w io.Writer) error { return r.Pack(c.Context(), l, modules, w) })
}

// sameFile tells whether both names lead to one file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}

// jsonPackage is a package in the JSON of `lock`.
type jsonPackage struct {
	Package      string `json:"package"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
}

func packageJSON(p lock.Package) jsonPackage {
	return jsonPackage{p.Name, p.Version, p.Architecture, p.Size, p.SHA256.String()}
}

func printFetched(w io.Writer, l *lock.Lock, asJSON bool) error {
	var text strings.Builder
	list := make([]jsonPackage, 0, len(l.Packages)+len(l.Tools))
	for _, p := range slices.Concat(l.Packages, l.Tools) {
		fmt.Fprintf(&text, "%s %s\n", p.SHA256, p)
		list = append(list, packageJSON(p))
	}
	if asJSON {
		return cli.WriteJSON(w, list)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func lockUpdateCommand() *cobra.Command {
	var f inputFlags
	var suites, keep []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "update",
		Short: "Pin the newest versions of the same packages",
		Long: `Looks up the newest version of every package and tool in the lock file, fetches
it, hashes it and its files, and rewrites the lock file. The mirror's index
must be signed by the distribution's archive key. A tool that depends on what
is not in the list of tools is an error. Measurements change with an update.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.offline {
				return cli.Usage(errors.New("only the mirrors know the newest versions, and --offline keeps from asking them"), "leave out --offline")
			}
			old, path, err := f.open()
			if err != nil {
				return err
			}
			r, err := f.resolver(newEvents(c.ErrOrStderr(), asJSON))
			if err != nil {
				return err
			}
			next, err := lock.Update(c.Context(), old, r, lock.UpdateOptions{Suites: suites, Keep: keep})
			if err != nil {
				return adviseUpdate(err)
			}
			if err := output.File(path, whole(next.Encode())); err != nil {
				return err
			}
			return printUpdated(c.OutOrStdout(), old, next, asJSON)
		},
	}
	f.add(c)
	c.Flags().StringArrayVar(&suites, "suite", []string{lock.DefaultSuite}, "distribution suite to look in; may be given several times")
	c.Flags().StringArrayVar(&keep, "keep", nil, "package that stays as it is pinned; may be given several times")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// jsonUpdate is one element of `lock update --json`.
type jsonUpdate struct {
	Old     jsonPackage `json:"old"`
	New     jsonPackage `json:"new"`
	Changed bool        `json:"changed"`
}

// printUpdated prints what became of each package, in the order of the lock.
func printUpdated(w io.Writer, old, next *lock.Lock, asJSON bool) error {
	var text strings.Builder
	before := slices.Concat(old.Packages, old.Tools)
	list := make([]jsonUpdate, 0, len(before))
	for i, p := range slices.Concat(next.Packages, next.Tools) {
		was := before[i]
		changed := was.SHA256 != p.SHA256
		if changed {
			fmt.Fprintf(&text, "%s -> %s\n", was, p)
		} else {
			fmt.Fprintf(&text, "%s unchanged\n", p)
		}
		list = append(list, jsonUpdate{packageJSON(was), packageJSON(p), changed})
	}
	if asJSON {
		return cli.WriteJSON(w, list)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// adviseUpdate says where an update looks, unless the error itself says what to do.
func adviseUpdate(err error) error {
	var advised interface{ Hint() string }
	if errors.As(err, &advised) {
		return err
	}
	return cli.Failed(err, "an update asks the mirrors of apt's configuration for --suite; --keep NAME leaves a package as it is; the lock file is as it was")
}

// open reads the lock file and says where it is.
func (f *inputFlags) open() (*lock.Lock, string, error) {
	source := ""
	if f.lock == "" {
		var err error
		if source, err = findSource(""); err != nil {
			return nil, "", err
		}
	}
	path := f.lockPath(source)
	l, err := lock.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", cli.Usage(err, "")
	}
	if err != nil {
		return nil, "", cli.Usage(err, "docs/format-lock.md describes the file")
	}
	return l, path, nil
}
