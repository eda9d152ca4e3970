package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/rebuild"
)

// rebuildFlags are the flags of `rebuild`.
type rebuildFlags struct {
	inputFlags
	testimonyFlags
	source, release string
	json            bool
}

func rebuildCommand() *cobra.Command {
	var f rebuildFlags
	c := &cobra.Command{
		Use:   "rebuild BUNDLE|DIR|release.json --source DIR|ARCHIVE",
		Short: "Repeat a published release: match, or the first difference",
		Long: `Builds again what a release.json describes, from a source folder or archive
(tar, tar.gz, zip), and compares every byte. The release is a bundle, a release
folder, or release.json alone; --release names the folder with the published
files of a bundle. Of files that are not there only the digests are compared.
What is rebuilt comes first, what is published after "want"; causes come before
consequences.

The source's lock file must be the one that the release names. Nothing of the
source is executed: this program compiles the init from it and assembles the
rest itself, so use the safebox of the same source.

With a release record (in the bundle, or --record) the source must be the one
that it names, by its sum; what is built is a copy of the files that the sum
counts. --sign then writes a rebuild record: match, or mismatch with the
differences. A mismatch holds the release wherever you are listed. From another
source the build runs and differences are printed, but nothing is signed: they
may be of this copy.

Exit code 0: match; 1: different, another source than the record names, or the
build failed; 2: wrong input.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.inputFlags.add(c)
	f.testimonyFlags.add(c)
	c.Flags().StringVar(&f.source, "source", "", "source folder or archive (default: the folder around the working folder)")
	c.Flags().StringVar(&f.release, "release", "", "release folder with the published files, for a bundle or release.json")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *rebuildFlags) run(c *cobra.Command, path string) error {
	published, err := openPublished(path, f.release)
	if err != nil {
		return err
	}
	if f.key != "" && f.lock != "" {
		return cli.Usage(errors.New("--sign and --lock: a record is about the source, with its own lock file"), "leave --lock out")
	}
	t, err := f.prepare(published, append(releaseFiles(published, path, f.release), f.source)...)
	if err != nil {
		return err
	}
	a := &rebuildAnswer{name: path, published: published, testimony: t}
	if err := f.repeat(c, a); err != nil {
		return err
	}
	return a.give(c, f.json)
}

// openPublished reads a release, and the folder with its files if one is named.
func openPublished(path, dir string) (*rebuild.Published, error) {
	p, err := rebuild.Open(path)
	if err != nil {
		return nil, cli.Usage(err, "give a bundle, a folder that safebox build wrote, or its release.json")
	}
	if dir == "" {
		return p, nil
	}
	if err := p.Look(dir); err != nil {
		return nil, cli.Usage(fmt.Errorf("--release: %w", err), "--release wants the folder with the published files of this release")
	}
	return p, nil
}

// releaseFiles names the files of a release that may be in these places.
func releaseFiles(p *rebuild.Published, places ...string) []string {
	var list []string
	for _, place := range places {
		if place == "" {
			continue // not given
		}
		list = append(list, releasePath(place))
		for _, a := range p.Release.Artifacts {
			list = append(list, filepath.Join(place, filepath.FromSlash(a.Name)))
		}
	}
	return list
}

// repeat builds from the source, of which it makes a copy when a release record
// says which source that must be.
func (f *rebuildFlags) repeat(c *cobra.Command, a *rebuildAnswer) (err error) {
	source, err := f.openSource(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	a.source, a.archive = f.sourceName(source), source.Digest
	dir := source.Dir
	if a.testimony.of != nil {
		exact, err := source.Copy(c.Context())
		if err != nil {
			return cli.Usage(err, "")
		}
		defer func() { err = errors.Join(err, exact.Close()) }()
		dir = exact.Dir
		if a.sum, err = rebuild.Sum(c.Context(), dir); err != nil {
			return err
		}
	}
	lockFile, err := f.readLock(dir)
	if err != nil {
		return err
	}
	a.result, err = rebuild.Run(c.Context(), a.published, lockFile, f.builder(c, dir))
	return err
}

// openSource gives a folder that holds our module.
func (f *rebuildFlags) openSource(ctx context.Context) (*rebuild.Source, error) {
	if f.source == "" {
		dir, err := findSource("")
		return &rebuild.Source{Dir: dir}, err
	}
	s, err := rebuild.OpenSource(ctx, f.source)
	if err != nil {
		return nil, cli.Usage(err, "--source wants a folder with the source of safebox, or a tar, tar.gz or zip of one")
	}
	if s.Dir, err = findSource(s.Dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (f *rebuildFlags) sourceName(s *rebuild.Source) string {
	if f.source == "" {
		return s.Dir
	}
	return f.source
}

// builder repeats the build as `safebox build` would do it.
func (f *rebuildFlags) builder(c *cobra.Command, dir string) rebuild.Builder {
	return func(_ context.Context, r rebuild.Request) (*rebuild.Built, error) {
		b := buildFlags{
			json:       f.json,
			inputFlags: f.inputFlags, source: dir, kernel: r.Kernel,
			platform: strings.Join(r.Platforms, ","), disk: strings.Join(r.Disks, ","), igvm: r.IGVM,
		}
		a, err := b.build(c)
		if err != nil {
			return nil, err
		}
		return &rebuild.Built{Release: a.Release, File: a.File}, nil
	}
}
