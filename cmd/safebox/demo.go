package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image"
	"safebox/image/lock"
	"safebox/verifier/release"
)

// demo is the story on one machine: build, predict, boot, attest, verify,
// release keys, compute; and what a hostile host can't do.
type demo struct {
	buildFlags
	accel string

	ctx     context.Context
	command *cobra.Command
	w       *lines
	started time.Time
	host    string // path of safebox-host
	built   *image.Artifacts
	kept    *kept
	log     *server   // the transparency log
	servers []*server // log and witnesses, in the order in which they began

	mu       sync.Mutex // guards findings: machines run side by side
	findings []string   // for the summary
}

func demoCommand() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole story on this machine",
		Long: `Builds an appliance and publishes it: the publisher signs a record of it, three
operators rebuild it from copies of the source and sign what they got, and all
of that lies in a log that two witnesses cosign. Predicts what a TPM will report,
and boots the appliance with a software TPM. Then a data owner seals a text,
challenges the machine, verifies its evidence and the release offline, releases
the keys of two chunks for one program and one recipient, and checks the receipt.
At last the host cheats in every way it knows, with releases too, and is refused
by name. Needs QEMU 10 and swtpm (ci/setup installs them)
and safebox-host beside this program.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return d.run(c) },
	}
	d.inputFlags.add(c)
	c.Flags().StringVar(&d.out, "out", filepath.Join("out", "demo"), "folder for the demo's files")
	c.Flags().StringVar(&d.accel, "accel", "auto", "accelerator of the machines: kvm, tcg or auto")
	return c
}

// step is one chapter of the story.
type step struct {
	title string
	tell  func() error
}

func (d *demo) run(c *cobra.Command) (err error) {
	d.ctx, d.command, d.started = c.Context(), c, time.Now()
	d.w = &lines{w: c.OutOrStdout()}
	d.platform, d.kernel = "vtpm", "distro"
	if d.host, err = findHost(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.endMachine(), d.endServers()) }()
	if err := d.clearStory(); err != nil {
		return err
	}
	for i, s := range []step{
		{"Build an appliance from pinned inputs", d.build},
		{"Publish it: a signed record, in a log that two witnesses cosign", d.publish},
		{"Three operators build it again from copies of the source, and sign what they got", d.rebuildIt},
		{"Predict what a TPM will report, from the files alone", d.predict},
		{"Boot it with a software TPM: from its disk, and by -kernel", d.bootHonest},
		{"Seal a text into encrypted chunks", d.seal},
		{"Challenge the machine, and decide offline whether it is what it says", d.attest},
		{"Release the keys of two chunks to it, for one program and one recipient, and have it work", d.compute},
		{"Let the host cheat", d.refuseCheats},
		{"Let the host tamper with the machine itself", d.bootTampered},
	} {
		d.w.printf("\n%d. %s\n", i+1, s.title)
		began := time.Now()
		if err := s.tell(); err != nil {
			return fmt.Errorf("demo: %s: %w", strings.ToLower(s.title), err)
		}
		d.w.printf("   (%.1f s)\n", time.Since(began).Seconds())
	}
	d.w.printf("\nIn short\n")
	for _, f := range d.findings {
		d.w.printf("   %s\n", f)
	}
	d.w.printf("   The files are in %s: release/ is the appliance, object/ the sealed text, result/ what the recipient got,\n", d.out)
	d.w.printf("   *.report.json what each machine told, *.console.log each machine's console. Done in %.1f s.\n", time.Since(d.started).Seconds())
	return d.w.err
}

func (d *demo) found(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.findings = append(d.findings, fmt.Sprintf(format, args...))
}

func (d *demo) build() error {
	a, err := d.buildFlags.build(d.command)
	if err != nil {
		return err
	}
	if err := a.Write(d.path("release")); err != nil {
		return err
	}
	d.built = a
	encoded, err := a.Release.Encode()
	if err != nil {
		return err
	}
	for _, f := range a.Release.Artifacts {
		d.w.printf("   %s  %9d bytes  %s\n", f.SHA256, f.Size, f.Name)
	}
	id := release.Digest(encoded)
	d.w.printf("   %x  is the release: the digest of release.json, which lists them all\n", id)
	d.found("built      release %x", id)
	return nil
}

// endServers ends the log, then the witnesses.
func (d *demo) endServers() error {
	var failed error
	for _, s := range slices.Backward(d.servers) {
		failed = errors.Join(failed, s.stop())
	}
	d.servers = nil
	return failed
}

func (d *demo) predict() error {
	m, ok := d.built.Release.Measurement("vtpm", "esp", "sha256")
	if !ok {
		return errors.New("release.json has no measurement of the disk boot")
	}
	d.w.printf("   boot from the disk, SHA-256 bank (release.json has the SHA-384 bank and the -kernel boot too)\n")
	for _, r := range m.Registers {
		d.w.printf("   %-6s %-13s %s\n", r.Name, r.Rule, r.Value)
	}
	d.found("predicted  PCR 0, 2 to 9 and 11 to 15, in two banks, for two ways of booting, from the files")
	d.found("           alone (PCR 0 with one digest learned from a labelled golden boot of that firmware)")
	return nil
}

// stub fetches the pinned EFI stub, which the hostile host needs to assemble a
// UKI of its own.
func (d *demo) stub() ([]byte, error) {
	source, err := findSource("")
	if err != nil {
		return nil, err
	}
	l, err := lock.ReadFile(d.lockPath(source))
	if err != nil {
		return nil, err
	}
	in, err := l.File(lock.Stub)
	if err != nil {
		return nil, err
	}
	r, err := d.resolver(newEvents(io.Discard, false))
	if err != nil {
		return nil, err
	}
	return r.File(d.ctx, in.Package, in.File)
}

func (d *demo) path(name string) string { return filepath.Join(d.out, name) }

// findHost finds safebox-host: beside this program, else in $PATH.
func findHost() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	return lookBeside(own, "safebox-host")
}
