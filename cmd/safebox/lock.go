package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
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

func lockFetchCommand() *cobra.Command {
	var f inputFlags
	var archive string
	c := &cobra.Command{
		Use:   "fetch",
		Short: "Fetch every pinned input into the cache, or pack them all into one archive",
		Long: `Fetches every package of the lock file into the cache, so that a build with
--offline succeeds. With --archive they are also packed, by content address,
into one tar; unpacked, that folder serves as --inputs anywhere.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, _, err := f.open()
			if err != nil {
				return err
			}
			r, err := f.resolver(c.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := r.Fetch(c.Context(), l); err != nil {
				return err
			}
			if archive != "" {
				err := output.File(archive, func(w io.Writer) error { return r.Pack(c.Context(), l, w) })
				if err != nil {
					return err
				}
			}
			var result strings.Builder
			for _, p := range l.Packages {
				fmt.Fprintf(&result, "%s %s\n", p.SHA256, p)
			}
			_, err = io.WriteString(c.OutOrStdout(), result.String())
			return err
		},
	}
	f.add(c)
	c.Flags().StringVar(&archive, "archive", "", "tar file to write")
	return c
}

func lockUpdateCommand() *cobra.Command {
	var f inputFlags
	var suites []string
	c := &cobra.Command{
		Use:   "update",
		Short: "Pin the newest versions of the same packages",
		Long: `Looks up the newest version of every package in the lock file, fetches it,
hashes it and its files, and rewrites the lock file. The mirror's index must
be signed by the distribution's archive key. Measurements change with it.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.offline {
				return cli.Usage(errors.New("only the mirrors know the newest versions, and --offline keeps from asking them"), "leave out --offline")
			}
			old, path, err := f.open()
			if err != nil {
				return err
			}
			r, err := f.resolver(c.ErrOrStderr())
			if err != nil {
				return err
			}
			next, err := lock.Update(c.Context(), old, r, lock.UpdateOptions{Suites: suites})
			if err != nil {
				return adviseUpdate(err)
			}
			if err := output.File(path, whole(next.Encode())); err != nil {
				return err
			}
			var result strings.Builder
			for i, p := range next.Packages {
				if was := old.Packages[i]; was.SHA256 != p.SHA256 {
					fmt.Fprintf(&result, "%s -> %s\n", was, p)
				} else {
					fmt.Fprintf(&result, "%s unchanged\n", p)
				}
			}
			_, err = io.WriteString(c.OutOrStdout(), result.String())
			return err
		},
	}
	f.add(c)
	c.Flags().StringArrayVar(&suites, "suite", []string{lock.DefaultSuite}, "distribution suite to look in; may be given several times")
	return c
}

// adviseUpdate says where an update looks, unless the error itself says what to do.
func adviseUpdate(err error) error {
	var advised interface{ Hint() string }
	if errors.As(err, &advised) {
		return err
	}
	return cli.Failed(err, "an update asks the mirrors of apt's configuration for --suite; the lock file is as it was")
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
