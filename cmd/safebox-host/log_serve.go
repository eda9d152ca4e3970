package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/host/lockfile"
	hosttlog "safebox/host/tlog"
	"safebox/verifier/dsse"
)

// anybody is the value of --submitters that leaves the log open.
const anybody = "any"

// logFlags are what `log serve` is told.
type logFlags struct {
	dir, listen, key      string
	witnesses, submitters string // files
	refresh               time.Duration
	store                 keystore.Options
}

func logServeCommand() *cobra.Command {
	var f logFlags
	c := &cobra.Command{
		Use:   "serve --dir DIR --key FILE --listen ADDR --submitters FILE|any [--witnesses FILE]",
		Short: "Take entries and serve the log",
		Long: `Take entries and serve the log on ADDR (host:port) until SIGINT or SIGTERM.
Prints one line "listening URL" when it does. Plain HTTP: TLS is a reverse
proxy's business.

An entry is a record of safebox release or safebox rebuild, in its one form;
each of its signatures must be a listed submitter's. It is acknowledged once it
is on disk and under a checkpoint that a quorum of the witnesses has cosigned.
While there is no quorum nothing is published, entries are kept, and whoever
appends is told so after 30 seconds; appending again is harmless.`,
		Args: cli.NoArgs,
	}
	c.Flags().StringVar(&f.dir, "dir", "", "folder of safebox-host log create (required)")
	c.Flags().StringVar(&f.key, "key", "", "key file of safebox key log (required)")
	c.Flags().StringVar(&f.listen, "listen", "", "address to listen on, as 127.0.0.1:8080; port 0 for any free one (required)")
	c.Flags().StringVar(&f.submitters, "submitters", "", "file with the signers' public keys, one a line, or \"any\" for everybody (required)")
	c.Flags().StringVar(&f.witnesses, "witnesses", "", "C2SP tlog-policy with this log, the witnesses, their URLs and the quorum")
	c.Flags().DurationVar(&f.refresh, "refresh", 10*time.Minute, "age at which cosignatures are made anew")
	f.store.AddFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case f.dir == "" || f.key == "" || f.listen == "":
			return cli.Usage(errors.New("want --dir, --key and --listen"), "usage: "+c.UseLine())
		case f.submitters == "":
			return cli.Usage(errors.New("--submitters is missing"), "a file with the publishers' and rebuilders' public keys, or --submitters any for a log that everybody can fill")
		case f.refresh <= 0:
			return cli.Usage(fmt.Errorf("--refresh %v, want a positive time", f.refresh), "")
		}
		return f.serve(c)
	}
	return c
}

func (f *logFlags) serve(c *cobra.Command) (err error) {
	quietTessera(c.ErrOrStderr())
	l, err := f.open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(l.Err(), err, l.Close()) }()
	return serveHTTP(c, f.listen, l.Server(), l.Stopped())
}

// open reads the files that the flags name, and opens the log.
func (f *logFlags) open(c *cobra.Command) (*hosttlog.Log, error) {
	o := hosttlog.Options{
		Dir: f.dir, Refresh: f.refresh, Anybody: f.submitters == anybody,
		Note: func(text string) { cli.Say(c.ErrOrStderr(), "log: %s", text) },
	}
	var err error
	if !o.Anybody {
		if o.Submitters, err = readSubmitters(f.submitters); err != nil {
			return nil, err
		}
	}
	if f.witnesses != "" {
		if o.Policy, err = readLogPolicy(f.witnesses); err != nil {
			return nil, err
		}
	}
	if o.Key, err = logSigner(f.key, f.store); err != nil {
		return nil, err
	}
	l, err := hosttlog.Open(o)
	switch {
	case errors.Is(err, hosttlog.ErrNone):
		return nil, cli.Failed(err, "a new log: safebox-host log create, once. A folder that was lost: never begin anew with the same key, make a new one")
	case errors.Is(err, lockfile.ErrHeld):
		return nil, cli.Failed(err, "another process serves this folder")
	case err != nil:
		return nil, err
	}
	if o.Policy == nil {
		cli.Say(c.ErrOrStderr(), "log: no --witnesses: no policy with a quorum will accept what is logged here")
	}
	return l, nil
}

// maxSubmitters bounds the file of submitters, in bytes.
const maxSubmitters = 64 << 10

func readSubmitters(path string) ([]dsse.PublicKey, error) {
	b, err := cli.ReadInput(path, maxSubmitters)
	if err != nil {
		return nil, err
	}
	var keys []dsse.PublicKey
	number := 0
	for line := range strings.Lines(string(b)) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := dsse.ParsePublicKey(line)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("reading %s: line %d: %w", path, number, err), "want the lines of the .pub files of safebox key signer")
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, cli.Usage(fmt.Errorf("reading %s: no key in it", path), "")
	}
	return keys, nil
}

// quietTessera keeps tessera's own log to what goes wrong. klog has one output
// for the whole program.
func quietTessera(stderr io.Writer) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	klog.SetOutputBySeverity("WARNING", stderr)
}
