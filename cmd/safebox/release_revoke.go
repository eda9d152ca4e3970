package main

import (
	"bytes"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/verifier/canon"
	"safebox/verifier/release/record"
)

// revokeFlags are the flags of `release revoke`.
type revokeFlags struct {
	recordFlags
	releases          []string
	floor             int64
	reason, effective string
}

func releaseRevokeCommand() *cobra.Command {
	var f revokeFlags
	c := &cobra.Command{
		Use:   "revoke --release DIR|DIGEST... --reason TEXT --sign KEY --out FILE",
		Short: "Sign a revocation: don't run these releases any more",
		Long: `Writes the record by which a publisher takes releases back: those that are named,
and with --svn-floor every release whose security version number is lower. One
signature of a key that a policy lists is enough: a revocation counts from the
moment that it is in the log, and there is no way to take it back.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	c.Flags().StringArrayVar(&f.releases, "release", nil, "release to revoke: folder, release.json or digest; may be given several times")
	c.Flags().Int64Var(&f.floor, "svn-floor", 0, "also revoke every release with a lower security version number; 0: none")
	c.Flags().StringVar(&f.reason, "reason", "", "why, for people")
	c.Flags().StringVar(&f.effective, "effective", "", "since when, RFC 3339 (default: now)")
	return c
}

func (f *revokeFlags) run(c *cobra.Command) error {
	var inputs []string
	for _, text := range f.releases {
		inputs = append(inputs, releasePath(text))
	}
	if err := f.recordFlags.check(inputs...); err != nil {
		return err
	}
	if len(f.releases) == 0 || f.reason == "" {
		return cli.Usage(errors.New("--release and --reason must be given"), "")
	}
	r := &record.Revoke{SVNFloor: f.floor, Reason: f.reason}
	for _, text := range f.releases {
		d, err := releaseDigest("--release", text)
		if err != nil {
			return err
		}
		r.Digests = append(r.Digests, d)
	}
	slices.SortFunc(r.Digests, func(a, b canon.Octets32) int { return bytes.Compare(a[:], b[:]) })
	r.Digests = slices.Compact(r.Digests)
	var err error
	if r.Effective, err = parseTime("--effective", f.effective); err != nil {
		return err
	}
	return f.write(c, r)
}
