package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/policy"
	"safebox/verifier/policy/publication"
	"safebox/verifier/tpm"
	"safebox/verifier/transcript"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Write and explain policies",
		RunE:  cli.Group,
	}
	c.AddCommand(policyInitCommand(), policyCheckCommand())
	return c
}

func policyInitCommand() *cobra.Command {
	var profile, out string
	var platforms, roots []string
	var published publicationFlags
	c := &cobra.Command{
		Use:   "init --profile strict|cloud|test [--platform snp,tdx,nitro,nitrotpm,vtpm] [--tpm-root PEM] [--signer FILE.pub --rebuilder OPERATOR=FILE.pub --log-policy FILE]",
		Short: "Write a commented policy to start from",
		Long: `Writes a commented TOML policy: a table for each platform, with the floors of
firmware that are current and where each number comes from.

  strict  machines of your own: you list their chips; published releases
  cloud   machines of a provider: any of its chips; published releases
  test    FOR TESTS ONLY: real evidence of today's machines passes, old firmware,
          unsigned releases and the software TPMs whose root you name, which prove
          nothing about their host

A release is published when --signatures of the signers have signed it, --rebuilds
operators of the rebuilders got the same bytes from its source, and all of that is
in the witnessed log of --log-policy. Each key has one role. With any of these flags
profile test wants published releases too. Without them, and without --tpm-root for
machines with a TPM alone, nothing is accepted until you edit the file.

safebox policy check FILE explains a policy in plain sentences.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			by, err := published.values()
			if err != nil {
				return err
			}
			b, err := newPolicy(profile, platforms, roots, by)
			if err != nil {
				return err
			}
			if out == "" {
				_, err := c.OutOrStdout().Write(b)
				return err
			}
			if err := cli.CheckNotInput(out, append(append(published.keyFiles, published.log), roots...)...); err != nil {
				return err
			}
			return output.File(out, writeBytes(b))
		},
	}
	c.Flags().StringVar(&profile, "profile", "", "strict, cloud or test")
	c.Flags().StringSliceVar(&platforms, "platform", transcript.Platforms(), "platforms to accept, by commas")
	c.Flags().StringArrayVar(&roots, "tpm-root", nil, "root certificate of TPMs, PEM; may be given several times")
	published.add(c)
	c.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return c
}

func newPolicy(profile string, platforms, paths []string, by *publication.Values) ([]byte, error) {
	for i, p := range platforms {
		if !slices.Contains(transcript.Platforms(), p) || slices.Contains(platforms[:i], p) {
			return nil, cli.Usage(fmt.Errorf("--platform: got %q, want some of %s, each once", p, strings.Join(transcript.Platforms(), ", ")), "")
		}
	}
	var roots []*x509.Certificate
	for _, path := range paths {
		root, err := readCertificate(path)
		if err != nil {
			return nil, err
		}
		if profile != policy.Test && tpm.Software(root) {
			return nil, cli.Failed(fmt.Errorf("%s: %q is the root of a software TPM: profile %s refuses those", path, root.Subject.String(), profile),
				"name the root of a hardware vendor, or use --profile test")
		}
		roots = append(roots, root)
	}
	b, err := policy.Profile(profile, platforms, roots...)
	if by != nil {
		b, err = policy.Published(profile, platforms, *by, roots...)
	}
	if err != nil {
		return nil, cli.Usage(err, "safebox policy init --profile strict|cloud|test")
	}
	return b, nil
}

// jsonPolicy is the result of `policy check --json`.
type jsonPolicy struct {
	Profile string   `json:"profile"`
	Review  string   `json:"review"` // last day
	Says    []string `json:"says"`   // sentences; those that begin with WAIVED say what is not checked
}

func policyCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Read a policy strictly and say in plain sentences what it accepts",
		Args:  cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := cli.ReadInput(args[0], policy.MaxSize)
			if err != nil {
				return err
			}
			p, err := policy.Parse(b)
			if err != nil {
				return cli.Failed(fmt.Errorf("%s: %w", args[0], err), "safebox policy init writes a complete policy with comments")
			}
			if asJSON {
				return cli.WriteJSON(c.OutOrStdout(), jsonPolicy{
					Profile: p.Profile, Review: p.Review.AddDate(0, 0, -1).Format(time.DateOnly), Says: p.Explain(),
				})
			}
			_, err = io.WriteString(c.OutOrStdout(), strings.Join(p.Explain(), "\n")+"\n")
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
