package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	hosttlog "safebox/host/tlog"
	"safebox/verifier/guestapi"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

func logAppendCommand() *cobra.Command {
	var url, policy, out string
	c := &cobra.Command{
		Use:   "append --url URL [--policy FILE] [--out PROOF] FILE.dsse...",
		Short: "Append records to a log",
		Long: `Append records to a log, in this order, and print each one's index. A record
that is in the log already keeps its first index.

With --policy the log's proof of each is checked: the log's signature, a quorum
of witnesses, and that the record is in the tree. --out writes it.`,
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringVar(&url, "url", "", "URL of the log (required)")
	c.Flags().StringVar(&policy, "policy", "", "C2SP tlog-policy: check the proof by it")
	c.Flags().StringVar(&out, "out", "", "write the tlog-proof of the one FILE (needs --policy)")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case url == "" || len(args) == 0:
			return cli.Usage(errors.New("want --url and at least one record"), "usage: "+c.UseLine())
		case out != "" && policy == "":
			return cli.Usage(errors.New("--out needs --policy"), "a proof is checked before it is written: the policy lists the log's key, the witnesses and the quorum")
		case out != "" && len(args) != 1:
			return cli.Usage(fmt.Errorf("--out with %d records, want 1", len(args)), "")
		}
		client, err := hosttlog.NewClient(url)
		if err != nil {
			return cli.Usage(err, "")
		}
		a := appending{client: client, out: out, stdout: c.OutOrStdout()}
		if policy != "" {
			if a.policy, err = readLogPolicy(policy); err != nil {
				return err
			}
		}
		if err := cli.CheckNotInput(out, append(args, policy)...); err != nil {
			return err
		}
		return a.all(c.Context(), args)
	}
	return c
}

// appending is one run of `log append`.
type appending struct {
	client *hosttlog.Client
	policy *tlog.Policy // nil: proofs are not checked
	out    string
	stdout io.Writer
}

func (a *appending) all(parent context.Context, paths []string) error {
	entries := make([][]byte, len(paths)) // all are read before the first is sent
	for i, path := range paths {
		var err error
		if entries[i], err = cli.ReadInput(path, record.MaxEntry); err != nil {
			return err
		}
		if _, err := record.Decode(entries[i]); err != nil {
			return cli.Usage(fmt.Errorf("reading %s: %w", path, err), "want a record of safebox release or safebox rebuild")
		}
	}
	ctx, stop := untilSignal(parent)
	defer stop()
	for i, path := range paths {
		if err := a.one(ctx, path, entries[i]); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (a *appending) one(ctx context.Context, path string, entry []byte) error {
	r, err := a.client.Append(ctx, entry)
	if err != nil {
		return adviseAppend(err)
	}
	if a.policy != nil {
		if err := a.prove(ctx, r, entry); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.stdout, "index %d: %s\n", r.Index, path)
	return err
}

// prove gets, checks and perhaps writes the proof.
func (a *appending) prove(ctx context.Context, r hosttlog.Receipt, entry []byte) error {
	proof, err := a.client.Proof(ctx, entry)
	if err != nil {
		return adviseAppend(err)
	}
	index, err := hosttlog.Verify(proof, entry, a.policy)
	if err != nil {
		return cli.Failed(fmt.Errorf("checking the log's proof: %w", err), "the log took the record, but does not prove it by this policy")
	}
	if index != r.Index {
		return fmt.Errorf("checking the log's proof: it is for index %d, and the log said %d", index, r.Index)
	}
	if a.out == "" {
		return nil
	}
	return writeWhole(a.out, proof)
}

// adviseAppend adds what people can do about a refusal.
func adviseAppend(err error) error {
	var p *guestapi.Problem
	if !errors.As(err, &p) {
		return cli.Failed(err, "is the log there? appending again is harmless")
	}
	switch p.ID {
	case "log-witness":
		return cli.Failed(err, "the log keeps the record; run this again when its witnesses are back")
	case "log-submitter":
		return cli.Failed(err, "the log's operator lists who may submit: safebox-host log serve --submitters")
	case "log-busy", "log-stopped":
		return cli.Failed(err, "appending again is harmless")
	}
	return err
}
