package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/policy"
	"safebox/verifier/tpm"
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
	var roots []string
	c := &cobra.Command{
		Use:   "init --profile strict|cloud|test [--tpm-root PEM]",
		Short: "Write a commented policy to start from",
		Long: `Writes a commented TOML policy. Profiles strict (machines of your own) and
cloud (a provider's) demand signed releases and hardware TPMs; profile test
accepts unsigned releases and the software TPMs whose root you name, which
prove nothing about their host.

Without --tpm-root no machine is accepted until you add a root to the file.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := newPolicy(profile, roots)
			if err != nil {
				return err
			}
			if out == "" {
				_, err := c.OutOrStdout().Write(b)
				return err
			}
			if err := cli.CheckNotInput(out, roots...); err != nil {
				return err
			}
			return output.File(out, writeBytes(b))
		},
	}
	c.Flags().StringVar(&profile, "profile", "", "strict, cloud or test")
	c.Flags().StringArrayVar(&roots, "tpm-root", nil, "root certificate of TPMs, PEM; may be given several times")
	c.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return c
}

func newPolicy(profile string, paths []string) ([]byte, error) {
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
	b, err := policy.Profile(profile, roots...)
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
