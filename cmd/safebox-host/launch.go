package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/agent"
	"safebox/host/instance"
	"safebox/host/shard"
	"safebox/host/vmm"
	"safebox/verifier/configuration"
	"safebox/verifier/release"
)

// launchFlags are the flags as given.
type launchFlags struct {
	release   string
	platform  string
	boot      string
	accel     string
	memory    string
	vcpus     int
	port      int
	name      string
	shards    string
	config    string
	tpm       string
	timeout   time.Duration
	json      bool
	printArgs bool

	cpu, policy, hostData        string // of SEV-SNP
	policyGiven                  bool
	idBlock, idAuth              string
	configID, owner, ownerConfig string // of TDX
}

func launchCommand() *cobra.Command {
	var f launchFlags
	c := &cobra.Command{
		Use:   "launch --release DIR --platform vtpm|snp|tdx|nitro",
		Short: "Start an appliance and stay with it",
		Long: `Start an appliance and stay with it until it ends, or until a signal or
'safebox-host stop' ends it.

The boot timeline goes to standard error. When the appliance answers, one line
"ready URL" goes to standard output; URL is the relay to its API:
  URL/v1/health  URL/v1/boot-report  URL/v1/identity  URL/v1/evidence
  URL/v1/jobs    URL/v1/sh/ROOT (--shards)            URL/v1/instance
--json prints events instead, one JSON object a line: started, step, refused,
note, ready, stopped.

Exit status: 0 if it was ready and then ended on request; 1 if it never came
up, powered itself off, or a program failed.

--print-args prints the VMM command and starts no guest. Its descriptor 3 is
the TPM emulator's control channel. With --accel auto, the throw-away machine
that finds out about KVM does run.

Platforms snp, tdx and nitro need hardware that this program was never run on:
for them, --print-args prints the exact command, of QEMU 10.0 (snp), QEMU 10.1
(tdx) or nitro-cli, and nothing else is done. What that command boots is what
release.json says of the platform.`,
		Args: cli.NoArgs,
	}
	flags := c.Flags()
	flags.StringVar(&f.release, "release", "", "release folder, as safebox build writes it (required)")
	flags.StringVar(&f.platform, "platform", "", "platform: vtpm, snp, tdx or nitro (required)")
	flags.StringVar(&f.boot, "boot", string(vmm.ESP), "boot path: esp (disk) or kernel (-kernel)")
	flags.StringVar(&f.accel, "accel", string(vmm.Auto), "accelerator: kvm, tcg or auto (kvm if a guest instruction really runs)")
	flags.StringVar(&f.memory, "memory", "1G", "memory of the guest, with a suffix M or G")
	flags.IntVar(&f.vcpus, "vcpus", 2, "processors of the guest")
	flags.IntVar(&f.port, "port", 0, "port of the relay on 127.0.0.1; 0 for any free one")
	flags.StringVar(&f.name, "name", "", "name of the instance (default random)")
	flags.StringVar(&f.shards, "shards", "", "folder of shards of sealed objects, for the guest and for callers; made if absent")
	flags.StringVar(&f.config, "config", "", "configuration document of the guest, which measures it (default: its own settings)")
	flags.StringVar(&f.tpm, "tpm", "", "folder of the software TPM, made if absent and kept (default: a new TPM that goes with the instance)")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long the guest may take until it is ready")
	flags.BoolVar(&f.json, "json", false, "print events as JSON, one a line")
	flags.BoolVar(&f.printArgs, "print-args", false, "print the VMM command and start nothing")
	f.addConfidential(flags)
	c.RunE = func(c *cobra.Command, _ []string) error { return f.run(c) }
	return c
}

// run launches on the platform that the flags name.
func (f *launchFlags) run(c *cobra.Command) error {
	if f.platform != "" {
		if err := f.checkFlags(c); err != nil {
			return cli.Usage(err, "see safebox-host launch --help")
		}
	}
	switch f.platform {
	case release.PlatformSNP, release.PlatformTDX:
		f.policyGiven = c.Flags().Changed("policy")
		return f.confidential(c)
	case release.PlatformNitro:
		return f.nitro(c)
	}
	return f.vtpm(c)
}

// vtpm launches a machine with a software TPM.
func (f *launchFlags) vtpm(c *cobra.Command) error {
	o, err := f.options()
	if err != nil {
		return cli.Usage(err, "see safebox-host launch --help")
	}
	if err := checkRelease(f.release); err != nil {
		return err
	}
	if o.Configuration, err = f.configuration(); err != nil {
		return err
	}
	return f.launch(c, o)
}

func (f *launchFlags) launch(c *cobra.Command, o agent.Options) error {
	if err := noCoreFiles(); err != nil {
		return err
	}
	tools, err := vmm.FindTools()
	if err != nil {
		return err
	}
	store, err := openStore(c)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(c.Context())
	defer stop()
	if f.printArgs {
		return f.print(ctx, c.OutOrStdout(), tools, store, o)
	}
	if f.shards != "" {
		folder, err := shard.NewFolder(f.shards)
		if err != nil {
			return cli.Failed(err, "--shards names a folder, as safebox seal writes one")
		}
		o.Shards = shard.Handler(folder)
	}
	show := &timeline{out: c.OutOrStdout(), err: c.ErrOrStderr(), json: f.json}
	return errors.Join(agent.Launch(ctx, tools, store, o, show.event), show.failed)
}

// print prints what Launch would start.
func (f *launchFlags) print(ctx context.Context, w io.Writer, tools vmm.Tools, store *instance.Store, o agent.Options) error {
	args, err := agent.Command(ctx, tools, store, o)
	if err != nil {
		return err
	}
	return printCommand(w, f.json, args)
}

// printCommand prints a command for a shell, or as JSON.
func printCommand(w io.Writer, asJSON bool, args []string) error {
	if asJSON {
		return printJSON(w, struct {
			Args []string `json:"args"`
		}{args})
	}
	_, err := fmt.Fprintln(w, shellCommand(args))
	return err
}

// configuration reads the document, so that a mistake costs no boot. The guest
// reads it again.
func (f *launchFlags) configuration() ([]byte, error) {
	if f.config == "" {
		return nil, nil
	}
	b, err := readInput(f.config, configuration.MaxSize)
	if err != nil {
		return nil, err
	}
	if _, err := configuration.Decode(b); err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", f.config, err), "docs/format-configuration.md describes the document")
	}
	return b, nil
}

// options checks the flags.
func (f *launchFlags) options() (agent.Options, error) {
	var o agent.Options
	switch {
	case f.release == "":
		return o, errors.New("--release is missing")
	case f.platform == "":
		return o, errors.New("--platform is missing")
	case f.vcpus < 1 || f.vcpus > vmm.MaxVCPUs:
		return o, fmt.Errorf("--vcpus %d, want 1 to %d", f.vcpus, vmm.MaxVCPUs)
	case f.port < 0 || f.port > 65535:
		return o, fmt.Errorf("--port %d, want 0 to 65535", f.port)
	case f.timeout <= 0:
		return o, fmt.Errorf("--timeout %v, want more than nothing", f.timeout)
	}
	boot, err := vmm.ParseBoot(f.boot)
	if err != nil {
		return o, err
	}
	accel, err := vmm.ParseAccel(f.accel)
	if err != nil {
		return o, err
	}
	memory, err := parseMemory(f.memory)
	if err != nil {
		return o, err
	}
	if f.name != "" {
		if err := instance.CheckID(f.name); err != nil {
			return o, err
		}
	}
	dir, err := filepath.Abs(f.release)
	if err != nil {
		return o, err
	}
	o = agent.Options{
		Name: f.name, Release: dir, Boot: boot, VCPUs: f.vcpus, Memory: memory, Accel: accel, Port: f.port, Timeout: f.timeout,
		Code: filepath.Join(dir, releaseCode), Vars: filepath.Join(dir, releaseVars),
	}
	o.Disk, o.UKI = bootFile(dir, boot)
	if f.tpm != "" {
		if o.TPM, err = filepath.Abs(f.tpm); err != nil {
			return o, err
		}
	}
	return o, nil
}
