package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"safebox/verifier/release"
)

// platforms are those that launch knows.
func platforms() []string {
	return []string{release.PlatformVTPM, release.PlatformSNP, release.PlatformTDX, release.PlatformNitro}
}

// platformFlags says for which platforms a flag is. Those that aren't here are
// for all.
func platformFlags() map[string][]string {
	const vtpm, snp, tdx = release.PlatformVTPM, release.PlatformSNP, release.PlatformTDX
	return map[string][]string{
		"boot": {vtpm}, "shards": {vtpm}, "config": {vtpm}, "tpm": {vtpm}, "timeout": {vtpm},
		"accel": {vtpm, snp, tdx}, "port": {vtpm, snp, tdx},
		"cpu": {snp}, "policy": {snp}, "host-data": {snp}, "id-block": {snp}, "id-auth": {snp},
		"mrconfigid": {tdx}, "mrowner": {tdx}, "mrownerconfig": {tdx},
	}
}

// checkFlags refuses flags that the platform would pass over.
func (f *launchFlags) checkFlags(c *cobra.Command) (err error) {
	if !slices.Contains(platforms(), f.platform) {
		return fmt.Errorf("unknown platform %q, want one of %s", f.platform, strings.Join(platforms(), ", "))
	}
	list := platformFlags()
	c.Flags().Visit(func(given *pflag.Flag) {
		if only := list[given.Name]; err == nil && only != nil && !slices.Contains(only, f.platform) {
			err = fmt.Errorf("--%s is for platform %s, not for %s", given.Name, strings.Join(only, ", "), f.platform)
		}
	})
	return err
}

// addConfidential adds the flags of confidential VMs.
func (f *launchFlags) addConfidential(flags *pflag.FlagSet) {
	flags.StringVar(&f.cpu, "cpu", "EPYC-Milan", "snp: processor type as QEMU names it; its signature is measured")
	flags.StringVar(&f.policy, "policy", "0x30000", "snp: guest policy (with --id-block: the one in it)")
	flags.StringVar(&f.hostData, "host-data", "", "snp: HOST_DATA of the report, 32 bytes in hex")
	flags.StringVar(&f.idBlock, "id-block", "", "snp: ID block (96 bytes), as safebox measure snp writes it")
	flags.StringVar(&f.idAuth, "id-auth", "", "snp: its authentication (4096 bytes)")
	flags.StringVar(&f.configID, "mrconfigid", "", "tdx: MRCONFIGID of the quote, 48 bytes in hex")
	flags.StringVar(&f.owner, "mrowner", "", "tdx: MROWNER of the quote, 48 bytes in hex")
	flags.StringVar(&f.ownerConfig, "mrownerconfig", "", "tdx: MROWNERCONFIG of the quote, 48 bytes in hex")
}
