package main

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/rebuild"
	"safebox/verifier/canon"
	"safebox/verifier/release"
	"safebox/verifier/release/record"
)

// createFlags are the flags of `release create`.
type createFlags struct {
	recordFlags
	release, source, version string
	svn                      int64
	supersedes, notBefore    string
	commit, tree             string
	dirty                    bool
}

func releaseCreateCommand() *cobra.Command {
	var f createFlags
	c := &cobra.Command{
		Use:   "create --release DIR --source DIR|ARCHIVE --version V --svn N --sign KEY --out FILE",
		Short: "Sign a release record: this is my release, from that source",
		Long: `Writes the record by which a publisher says that a release.json is a release of
theirs: its version and security version number, the source that it was built
from, and when it comes into force. The record is an entry of the release log.

What counts of the source is its sum (Go's directory hash of all files but .git
and the top-level folders bin and out). Commit and tree say where to find it:
they are asked from git when the source is a clone, which must hold what was
committed and nothing else, and are given by --commit and --tree otherwise. The
lock file of the source must be the one that release.json names.

The release is not built here: rebuild it first, safebox rebuild DIR.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	c.Flags().StringVar(&f.release, "release", "", "release folder, or its release.json")
	c.Flags().StringVar(&f.source, "source", "", "source folder or archive (default: the folder around the working folder)")
	c.Flags().StringVar(&f.version, "version", "", "version for people, such as 1.4.0")
	c.Flags().Int64Var(&f.svn, "svn", 0, "security version number, from 1: raised when a release mends a weakness")
	c.Flags().StringVar(&f.supersedes, "supersedes", "", "release that this one replaces: folder, release.json or digest")
	c.Flags().StringVar(&f.notBefore, "not-before", "", "time from which the release is in force, RFC 3339 (default: now)")
	c.Flags().StringVar(&f.commit, "commit", "", "git commit of the source, for an archive")
	c.Flags().StringVar(&f.tree, "tree", "", "git tree of the source, for an archive")
	c.Flags().BoolVar(&f.dirty, "dirty", false, "take a clone that holds something else than its commit")
	return c
}

func (f *createFlags) run(c *cobra.Command) error {
	if err := f.recordFlags.check(releasePath(f.release), f.source, releasePath(f.supersedes)); err != nil {
		return err
	}
	if f.version == "" || f.svn == 0 {
		return cli.Usage(errors.New("--version and --svn must be given"), "for example --version 1.4.0 --svn 1")
	}
	b, err := readRelease(releasePath(f.release))
	if err != nil {
		return err
	}
	r := &record.Release{Digest: release.Digest(b), Version: f.version, SVN: f.svn}
	if r.NotBefore, err = parseTime("--not-before", f.notBefore); err != nil {
		return err
	}
	if f.supersedes != "" {
		var before canon.Octets32
		if before, err = releaseDigest("--supersedes", f.supersedes); err != nil {
			return err
		}
		r.Supersedes = before.String()
	}
	if r.Source, err = f.describe(c, b); err != nil {
		return err
	}
	return f.write(c, r)
}

// describe names the source, which must be one of this release.
func (f *createFlags) describe(c *cobra.Command, encoded []byte) (_ record.Source, err error) {
	r := &rebuildFlags{source: f.source}
	source, err := r.openSource(c.Context())
	if err != nil {
		return record.Source{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := checkLock(source.Dir, encoded); err != nil {
		return record.Source{}, err
	}
	s := record.Source{Commit: f.commit, Tree: f.tree}
	if s.Sum, err = rebuild.Sum(c.Context(), source.Dir); err != nil {
		return record.Source{}, cli.Usage(err, "")
	}
	if isClone(source.Dir) {
		err = f.askGit(c, source.Dir, &s)
		return s, err
	}
	if s.Commit == "" || s.Tree == "" {
		return record.Source{}, cli.Usage(fmt.Errorf("%s is no clone: --commit and --tree must be given", r.sourceName(source)),
			"git rev-parse HEAD HEAD^{tree} in the clone prints both")
	}
	return s, nil
}

// checkLock wants the lock file that the release was built from.
func checkLock(dir string, encoded []byte) error {
	r, err := release.Decode(encoded)
	if err != nil {
		return err
	}
	var in inputFlags
	b, err := in.readLock(dir)
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != r.LockSHA256 {
		return cli.Failed(fmt.Errorf("%s: SHA-256: got %s, want %s of %s", in.lockPath(dir), got, r.LockSHA256, release.FileName),
			"the release was not built from this source")
	}
	return nil
}
