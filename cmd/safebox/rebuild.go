package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/rebuild"
	"safebox/verifier/release"
)

// rebuildFlags are the flags of `rebuild`.
type rebuildFlags struct {
	inputFlags
	source string
	json   bool
}

func rebuildCommand() *cobra.Command {
	var f rebuildFlags
	c := &cobra.Command{
		Use:   "rebuild RELEASE --source DIR|ARCHIVE",
		Short: "Repeat a published release: match, or the first difference",
		Long: `Builds again what a release.json describes, from a source folder or archive
(tar, tar.gz, zip), and compares every byte. RELEASE is a release folder, or
release.json alone; of files that are not in the folder only the digests are
compared. What is rebuilt comes first, what is published after "want"; causes
come before consequences.

The source's lock file must be the one that the release names. Nothing of the
source is executed: this program compiles the init from it and assembles the
rest itself, so use the safebox of the same source.

Exit code 0: match; 1: different, or the build failed; 2: wrong input.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.add(c)
	c.Flags().StringVar(&f.source, "source", "", "source folder or archive (default: the folder around the working folder)")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *rebuildFlags) run(c *cobra.Command, path string) (err error) {
	published, err := rebuild.Open(path)
	if err != nil {
		return cli.Usage(err, "RELEASE is a folder that safebox build wrote, or its release.json")
	}
	source, err := f.openSource(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	lockFile, err := f.readLock(source.Dir)
	if err != nil {
		return err
	}
	result, err := rebuild.Run(c.Context(), published, lockFile, f.builder(c, source.Dir))
	if err != nil {
		return err
	}
	if err := f.print(c.OutOrStdout(), published, source, result); err != nil {
		return err
	}
	if !result.Match() {
		return fmt.Errorf("%s and what %s gives: %w", path, f.sourceName(source), errDifferent)
	}
	return nil
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

// jsonRebuild is the output of `rebuild --json`.
type jsonRebuild struct {
	Match       bool               `json:"match"`
	Release     string             `json:"release"`        // SHA-256 of the published release.json
	Rebuilt     string             `json:"rebuilt"`        // of the rebuilt one; empty if nothing was built
	LockSHA256  string             `json:"lock_sha256"`    // of the published release
	Source      string             `json:"source_archive"` // SHA-256; empty for a folder
	Kernel      string             `json:"kernel"`
	Platforms   []string           `json:"platforms"`
	Disks       []string           `json:"disks"`
	IGVM        bool               `json:"igvm"`
	Artifacts   []release.Artifact `json:"artifacts"` // of the published release
	Differences []jsonDifference   `json:"differences"`
}

func (f *rebuildFlags) print(w io.Writer, p *rebuild.Published, s *rebuild.Source, r *rebuild.Result) error {
	if f.json {
		request := p.Request()
		return cli.WriteJSON(w, jsonRebuild{
			Match: r.Match(), Release: fmt.Sprintf("%x", r.Release), Rebuilt: digestOrNone(r.Rebuilt),
			LockSHA256: p.Release.LockSHA256, Source: digestOrNone(s.Digest),
			Kernel: request.Kernel, Platforms: request.Platforms, Disks: append([]string{}, request.Disks...), IGVM: request.IGVM,
			Artifacts: p.Release.Artifacts, Differences: differencesJSON(r.Differences),
		})
	}
	for _, d := range r.Differences {
		if _, err := fmt.Fprintln(w, d); err != nil {
			return err
		}
	}
	if !r.Match() {
		return nil
	}
	if err := printRelease(w, p.Release, false); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "match")
	return err
}

func digestOrNone(d [32]byte) string {
	if d == [32]byte{} {
		return ""
	}
	return fmt.Sprintf("%x", d)
}
