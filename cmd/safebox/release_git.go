package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/rebuild"
	"safebox/verifier/release/record"
)

// isClone reports whether a folder is the top of a git working tree.
func isClone(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".git"))
	return err == nil
}

// askGit fills in commit and tree. What lies in the folder must be what was
// committed: else nobody else has the source whose sum is signed.
func (f *createFlags) askGit(c *cobra.Command, dir string, s *record.Source) error {
	for _, ask := range []struct {
		flag, rev string
		value     *string
	}{{"--commit", "HEAD^{commit}", &s.Commit}, {"--tree", "HEAD^{tree}", &s.Tree}} {
		got, err := git(c.Context(), dir, "rev-parse", "--verify", ask.rev)
		if err != nil {
			return err
		}
		name := strings.TrimSpace(string(got))
		if *ask.value != "" && *ask.value != name {
			return cli.Usage(fmt.Errorf("%s: got %s, want %s, which is checked out in %s", ask.flag, *ask.value, name, dir), "leave the flag out")
		}
		*ask.value = name
	}
	different, err := uncommitted(c.Context(), dir, s)
	if err != nil || different == "" {
		return err
	}
	if f.dirty {
		cli.Say(c.ErrOrStderr(), "the source is not what commit %s holds: %s", s.Commit, different)
		return nil
	}
	return cli.Failed(fmt.Errorf("%s is not what commit %s holds: %s", dir, s.Commit, different),
		"commit it, or remove what is not committed; git status --ignored shows it")
}

// uncommitted compares the folder with the files of its commit, by their sums,
// and names the first that differs. Git's own answer would leave out what it
// was told to ignore.
func uncommitted(ctx context.Context, dir string, s *record.Source) (different string, err error) {
	temporary, err := os.MkdirTemp("", "safebox-commit-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	archive := filepath.Join(temporary, "commit.tar")
	if _, err := git(ctx, dir, "archive", "--format=tar", "--output="+archive, s.Commit); err != nil {
		return "", err
	}
	committed, err := rebuild.OpenSource(ctx, archive)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, committed.Close()) }()
	sum, err := rebuild.Sum(ctx, committed.Dir)
	if err != nil || sum == s.Sum {
		return "", err
	}
	return rebuild.DifferentFile(ctx, dir, committed.Dir)
}

// git asks git about the clone at dir, whatever clone its variables in the
// environment name.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") {
			c.Env = append(c.Env, v)
		}
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, cli.Failed(fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, firstLineOf(stderr.Bytes())),
			"give a source archive with --commit and --tree where there is no git")
	}
	return out, nil
}

func firstLineOf(b []byte) string {
	line, _, _ := strings.Cut(string(b[:min(len(b), 300)]), "\n")
	return line
}
