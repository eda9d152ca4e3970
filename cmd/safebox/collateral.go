package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/chain"
	"safebox/verifier/collateral"
	"safebox/verifier/endorse"
	"safebox/verifier/evidence"
	"safebox/verifier/snp"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/pcs"
	"safebox/verifier/transcript"
)

// freshCollateral is for how long a list that was fetched is used again: a
// verdict asks for lists of the week, and vendors count requests.
const freshCollateral = time.Hour

func collateralCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "collateral",
		Short: "Fetch and pack what vendors say about machines",
		RunE:  cli.Group,
	}
	c.AddCommand(collateralFetchCommand(), collateralPackCommand())
	return c
}

// fetchFlags are the flags of `collateral fetch`.
type fetchFlags struct {
	platform, in, out string
	early, offline    bool
}

func collateralFetchCommand() *cobra.Command {
	var f fetchFlags
	c := &cobra.Command{
		Use:   "fetch --in FILE --out BUNDLE [--platform snp|tdx]",
		Short: "Fetch certificates, revocation lists and TCB documents for a machine's evidence",
		Long: `Asks AMD's key distribution service or Intel's provisioning certification
service for what the verification of a piece of evidence needs, and packs it into
one bundle. This is the only command that needs a network for a verification, and
nothing that it fetches is trusted: safebox verify checks every signature.

FILE is our evidence file, an SNP report or a TDX quote (then with --platform).
What was fetched is kept in the cache folder; chips' certificates are asked for
once only, because AMD answers few requests.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) },
	}
	c.Flags().StringVar(&f.in, "in", "", "evidence file, report or quote")
	c.Flags().StringVar(&f.platform, "platform", "", "snp or tdx, for a raw report or quote")
	c.Flags().StringVar(&f.out, "out", "", "bundle to write")
	c.Flags().BoolVar(&f.early, "early", false, "Intel's TCB documents of the series \"early\"")
	c.Flags().BoolVar(&f.offline, "offline", false, "use only what is in the cache, whatever its age")
	return c
}

func (f *fetchFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if f.out == "" {
		return cli.Usage(errors.New("no --out"), "name the file for the bundle")
	}
	if err := cli.CheckNotInput(f.out, f.in); err != nil {
		return err
	}
	b, err := readNamed("--in", f.in, evidence.MaxSize)
	if err != nil {
		return err
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	fetcher := &collateral.Fetcher{
		Cache: filepath.Join(cache, "collateral"), Offline: f.offline, Fresh: freshCollateral, Now: time.Now,
		Progress: func(text string) { cli.Say(stderr, "%s", text) },
	}
	platform, raw := f.platform, b
	if e, err := evidence.Decode(b); err == nil {
		platform = e.Platform
		switch {
		case e.SNP != nil:
			raw = e.SNP.Report
		case e.TDX != nil:
			raw = e.TDX.Quote
		}
	}
	set, err := f.fetch(ctx, fetcher, platform, raw)
	var usage *cli.Error
	if errors.As(err, &usage) {
		return err
	}
	if err != nil {
		return cli.Failed(err, "a network is needed for this command alone; --offline uses the cache")
	}
	return writeBundle(stdout, f.out, set)
}

func (f *fetchFlags) fetch(ctx context.Context, fetcher *collateral.Fetcher, platform string, raw []byte) (*endorse.Set, error) {
	switch platform {
	case transcript.SNP:
		m, err := machineSNP(raw)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("%s: %w", f.in, err), "")
		}
		return fetcher.SNP(ctx, m)
	case transcript.TDX:
		m, err := machineTDX(raw)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("%s: %w", f.in, err), "")
		}
		m.Early = f.early
		return fetcher.TDX(ctx, m)
	}
	return nil, cli.Usage(fmt.Errorf("--platform: got %q, want snp or tdx: the others need no documents", platform), "")
}

// machineSNP is the machine that a report names.
func machineSNP(report []byte) (collateral.SNP, error) {
	r, err := snp.Decode(report)
	if err != nil {
		return collateral.SNP{}, err
	}
	product := r.CPUID.Product()
	if product == 0 {
		return collateral.SNP{}, fmt.Errorf("report of version %d, CPUID %v: the product is not known", r.Version, r.CPUID)
	}
	t := r.Reported
	return collateral.SNP{
		Product: product.String(), ChipID: r.ChipID, VLEK: r.Signer.SigningKey() == snp.VLEK,
		FMC: t.FMC, Bootloader: t.Bootloader, TEE: t.TEE, SNP: t.SNP, Microcode: t.Microcode,
	}, nil
}

// machineTDX is the machine that a quote's PCK certificate names.
func machineTDX(quote []byte) (collateral.TDX, error) {
	q, err := tdx.Decode(quote)
	if err != nil {
		return collateral.TDX{}, err
	}
	const most = 3 // leaf, intermediate, root
	certs, err := chain.ParsePEM(bytes.TrimSuffix(q.Data.Chain, []byte{0}), most)
	if err != nil {
		return collateral.TDX{}, fmt.Errorf("PCK chain: %w", err)
	}
	pck, err := pcs.ParseSGXExtension(certs[0])
	if err != nil {
		return collateral.TDX{}, fmt.Errorf("PCK certificate: %w", err)
	}
	m := collateral.TDX{FMSPC: pck.FMSPC, CA: "platform"}
	if strings.Contains(certs[0].Issuer.CommonName, "Processor") {
		m.CA = "processor"
	}
	return m, nil
}

func collateralPackCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "pack FILE|DIR... --out BUNDLE",
		Short: "Pack certificates, revocation lists and TCB documents into one bundle",
		Long: `Recognises files by their content and packs what vendors have signed into one
deterministic bundle: equal documents give equal bytes, in whatever order and form
they were given. Files that are something else are named and left out. Nothing is
verified here.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || out == "" {
				return cli.Usage(errors.New("files and --out must be given"), "")
			}
			vendor := &vendorFlags{collateral: args}
			files, err := vendor.files()
			if err != nil {
				return err
			}
			if err := cli.CheckNotInput(out, files...); err != nil {
				return err
			}
			v, err := vendor.read()
			if err != nil {
				return err
			}
			set := &endorse.Set{}
			for _, file := range v.Collateral {
				set.Add(file.Name, file.Bytes)
			}
			for _, file := range set.Files {
				if file.Why != "" {
					cli.Say(c.ErrOrStderr(), "left out: %s: %s", file.Name, file.Why)
				}
			}
			return writeBundle(c.OutOrStdout(), out, set)
		},
	}
	c.Flags().StringVar(&out, "out", "", "bundle to write")
	return c
}

func writeBundle(stdout io.Writer, path string, set *endorse.Set) error {
	var found []string
	for _, n := range []struct {
		what  string
		count int
	}{
		{"certificates", len(set.Certificates)},
		{"revocation lists", len(set.CRLs)},
		{"TCB infos", len(set.TCBInfos)},
		{"QE identities", len(set.Identities)},
	} {
		if n.count > 0 {
			found = append(found, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	if len(found) == 0 {
		return cli.Failed(errors.New("no document of a vendor was found"), "safebox inspect FILE says what a file is")
	}
	b, err := set.Encode()
	if err != nil {
		return err
	}
	if err := output.File(path, writeBytes(b)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %s\n", path, strings.Join(found, ", "))
	return err
}
