package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/host/witness"
	"safebox/verifier/tlog"
)

// witnessFlags are what `witness serve` is told.
type witnessFlags struct {
	dir    string
	listen string
	keys   []string // files
	logs   []string // vkeys or @FILE
	store  keystore.Options
}

func witnessServeCommand() *cobra.Command {
	var f witnessFlags
	c := &cobra.Command{
		Use:   "serve --key FILE... --dir STATE --listen ADDR --log VKEY|@FILE...",
		Short: "Answer add-checkpoint requests",
		Long: `Answer add-checkpoint requests of C2SP tlog-witness on ADDR (host:port) until
SIGINT or SIGTERM. Prints one line "listening URL" when it does. Plain HTTP: the
log's signature is all that is asked for, and TLS is a reverse proxy's business.

With several keys every checkpoint is signed by each, as with an Ed25519 and an
ML-DSA-44 key of the same name. Each log must have a state in STATE (witness
add); a missing or damaged one is refused. Forks, wrong proofs and a wrong clock
are told on standard error, and the evidence is kept in STATE/evidence.`,
		Args: cli.NoArgs,
	}
	c.Flags().StringArrayVar(&f.keys, "key", nil, "key file of safebox key witness (required, repeatable)")
	c.Flags().StringVar(&f.dir, "dir", "", "state folder (required)")
	c.Flags().StringVar(&f.listen, "listen", "", "address to listen on, as 127.0.0.1:8080; port 0 for any free one (required)")
	c.Flags().StringArrayVar(&f.logs, "log", nil, "key of a log to cosign for, or @FILE with one a line (required, repeatable)")
	f.store.AddFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(f.keys) == 0 || f.dir == "" || f.listen == "" || len(f.logs) == 0 {
			return cli.Usage(errors.New("want --key, --dir, --listen and --log"), "usage: "+c.UseLine())
		}
		return f.serve(c)
	}
	return c
}

func (f *witnessFlags) serve(c *cobra.Command) (err error) {
	w, err := f.open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return serveHTTP(c, f.listen, w.Server(), nil)
}

// open reads the keys and opens the state folder.
func (f *witnessFlags) open(c *cobra.Command) (*witness.Witness, error) {
	logs, err := logKeys(f.logs)
	if err != nil {
		return nil, err
	}
	o := witness.Options{
		Logs: logs, Now: time.Now,
		Say: func(format string, args ...any) { cli.Say(c.ErrOrStderr(), "witness: "+format, args...) },
	}
	for _, path := range f.keys {
		skey, err := keystore.NoteKey(path, f.store)
		if err != nil {
			return nil, err
		}
		k, err := tlog.NewCosigner(skey)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "want a key of safebox key witness")
		}
		o.Cosigners = append(o.Cosigners, k)
	}
	w, err := witness.Open(f.dir, o)
	if errors.Is(err, witness.ErrNoState) {
		return nil, cli.Failed(err, "a new log: safebox-host witness add, once. A state that was lost: "+
			"never start from nothing with the same key, make a new one")
	}
	return w, err
}
