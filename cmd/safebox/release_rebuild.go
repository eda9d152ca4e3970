package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/rebuild"
	"safebox/verifier/release/record"
)

// rebuiltFlags are the flags of `release rebuild-record`.
type rebuiltFlags struct {
	testimonyFlags
	release, rebuilt, source string
	environment              record.Environment
	json                     bool
}

func releaseRebuildCommand() *cobra.Command {
	var f rebuiltFlags
	c := &cobra.Command{
		Use:   "rebuild-record BUNDLE|DIR|release.json --rebuilt DIR --source DIR|ARCHIVE --sign KEY --out FILE",
		Short: "Sign a rebuild record for a release that was rebuilt elsewhere",
		Long: `Compares a release with a folder that safebox build wrote on a machine without
the key, and signs the rebuild record as safebox rebuild does. You vouch for the
folder: that it came from this source is what the record says, and nothing here
can see that.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.add(c)
	c.Flags().StringVar(&f.rebuilt, "rebuilt", "", "folder that was built")
	c.Flags().StringVar(&f.source, "source", "", "source that it was built from, folder or archive (default: the folder around the working folder)")
	c.Flags().StringVar(&f.release, "release", "", "release folder with the published files, for a bundle or release.json")
	c.Flags().StringVar(&f.environment.OS, "os", "", "operating system that it was built on (default: this one)")
	c.Flags().StringVar(&f.environment.Arch, "arch", "", "processor that it was built on, as Go names it (default: this one)")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *rebuiltFlags) run(c *cobra.Command, path string) error {
	if f.key == "" || f.rebuilt == "" {
		return cli.Usage(errors.New("--sign and --rebuilt must be given"), "")
	}
	published, err := openPublished(path, f.release)
	if err != nil {
		return err
	}
	mine, err := rebuild.Open(f.rebuilt)
	if err != nil {
		return cli.Usage(fmt.Errorf("--rebuilt: %w", err), "--rebuilt wants the folder that safebox build wrote")
	}
	built, err := mine.Built()
	if err != nil {
		return cli.Usage(fmt.Errorf("--rebuilt: %s: %w", f.rebuilt, err), "--rebuilt wants the whole folder that safebox build wrote")
	}
	if err := notTheSame(path, f.release, f.rebuilt); err != nil {
		return err
	}
	t, err := f.prepare(published, append(releaseFiles(published, path, f.release, f.rebuilt), f.source)...)
	if err != nil {
		return err
	}
	a := &rebuildAnswer{name: path, published: published, testimony: t, elsewhere: true, made: f.environment}
	if err := f.compare(c.Context(), a, built); err != nil {
		return err
	}
	return a.give(c, f.json)
}

// notTheSame refuses a folder that would be compared with itself.
func notTheSame(path, dir, rebuilt string) error {
	for _, p := range []string{path, dir} {
		one, err := os.Stat(p)
		two, err2 := os.Stat(rebuilt)
		if err == nil && err2 == nil && os.SameFile(one, two) {
			return cli.Usage(fmt.Errorf("--rebuilt: %s is the published folder itself", rebuilt), "build it again into another folder")
		}
	}
	return nil
}

// compare puts the folder in the place of a build.
func (f *rebuiltFlags) compare(ctx context.Context, a *rebuildAnswer, built *rebuild.Built) (err error) {
	r := &rebuildFlags{source: f.source}
	source, err := r.openSource(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	a.source, a.archive = r.sourceName(source), source.Digest
	if a.sum, err = rebuild.Sum(ctx, source.Dir); err != nil {
		return cli.Usage(err, "")
	}
	encoded, err := built.Release.Encode()
	if err != nil {
		return err
	}
	if err := checkLock(source.Dir, encoded); err != nil {
		return fmt.Errorf("--rebuilt: %s: %w", f.rebuilt, err)
	}
	lockFile, err := r.readLock(source.Dir)
	if err != nil {
		return err
	}
	a.result, err = rebuild.Run(ctx, a.published, lockFile, func(context.Context, rebuild.Request) (*rebuild.Built, error) {
		return built, nil
	})
	return err
}
