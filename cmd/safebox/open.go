package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/guest/object"
	"safebox/image/output"
	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
	format "safebox/verifier/object"
)

// openFlags are the flags of `open`.
type openFlags struct {
	manifest, keys, shards, chunks, out string
	json                                bool
}

func openCommand() *cobra.Command {
	var f openFlags
	c := &cobra.Command{
		Use:   "open --manifest FILE --keys FILE --shards DIR|URL --out FILE",
		Short: "Decrypt an object, or some chunks of it",
		Long: `Checks the manifest against the key file and the leaf table (the file "leaves"
beside the manifest) against the manifest, fetches shards, checks each, rebuilds
what is lost or damaged from parity, and decrypts.

Shards come from a folder or from an HTTP server such as safebox-host's relay.
With --chunks the file holds those chunks one after the other. It appears whole
or not at all: when one chunk can't be read nothing is written.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.manifest, "manifest", "", "manifest.json of the object")
	c.Flags().StringVar(&f.keys, "keys", "", "keys.json of the object")
	c.Flags().StringVar(&f.shards, "shards", "", "folder of shards, or http:// address of a server that has them")
	c.Flags().StringVar(&f.chunks, "chunks", "", "chunks to open, both ends included, for example 0-9,20 (default: all)")
	c.Flags().StringVar(&f.out, "out", "", "file to write, readable by you alone")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// openResult is the result of `open`.
type openResult struct {
	Object string     `json:"root_cid"`
	Chunks string     `json:"chunks"`
	Size   int64      `json:"size"`
	Out    string     `json:"out"`
	Bad    []badShard `json:"bad_shards"` // that were rebuilt or not needed
}

type badShard struct {
	Leaf int            `json:"leaf"`
	Root canon.Octets32 `json:"root"`
	Kind string         `json:"kind"` // "missing" or "hash"
}

func (f *openFlags) run(c *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	o, keys, err := f.open()
	if err != nil {
		return err
	}
	ranges := format.Ranges{{0, o.Geometry.Chunks}}
	if f.chunks != "" {
		if ranges, err = format.ParseRanges(f.chunks); err == nil {
			err = ranges.Check(o.Geometry.Chunks)
		}
		if err != nil {
			return cli.Usage(fmt.Errorf("--chunks: %w", err), fmt.Sprintf("the object has chunks 0 to %d", o.Geometry.Chunks-1))
		}
	}
	fetcher, err := newFetcher(f.shards)
	if err != nil {
		return cli.Usage(err, "--shards wants a folder or an http:// address")
	}
	nodes, err := keys.Root().Cover(ranges)
	if err != nil {
		return err
	}
	r, err := object.NewReader(o, format.NewChunkKeys(keys.OID, nodes), fetcher)
	if err != nil {
		return err
	}
	var size int64
	for _, span := range ranges {
		size += min(o.Geometry.Size, int64(span[1])*format.ChunkSize) - int64(span[0])*format.ChunkSize
	}
	bar := newProgress(c.ErrOrStderr(), "opening", size)
	err = output.SecretFile(f.out, func(w io.Writer) error { return r.Copy(c.Context(), w, ranges, bar.set) })
	bar.end()
	bad := r.Blames()
	sayBlames(c.ErrOrStderr(), bad)
	if err != nil {
		return withHint(err)
	}
	return f.print(c.OutOrStdout(), openResult{o.CID, ranges.String(), size, f.out, badShards(bad)})
}

// check wants every flag that has no default, and an output that is no input.
func (f *openFlags) check() error {
	for _, flag := range []struct{ name, value string }{
		{"manifest", f.manifest},
		{"keys", f.keys},
		{"shards", f.shards},
		{"out", f.out},
	} {
		if flag.value == "" {
			return cli.Usage(fmt.Errorf("--%s is missing", flag.name), "")
		}
	}
	for _, in := range []string{f.manifest, f.keys, f.leaves()} {
		if sameFile(in, f.out) {
			return cli.Usage(fmt.Errorf("--out %s is an input", f.out), "name another file")
		}
	}
	if sameFile(f.shards, filepath.Dir(f.out)) {
		return cli.Usage(fmt.Errorf("--out %s lies among the shards", f.out), "name a file elsewhere")
	}
	return nil
}

func (f *openFlags) leaves() string { return filepath.Join(filepath.Dir(f.manifest), leavesFile) }

// open reads the files and checks that they belong together.
func (f *openFlags) open() (*format.Object, *format.Keys, error) {
	b, err := cli.ReadInput(f.keys, format.MaxKeys)
	if err != nil {
		return nil, nil, err
	}
	keys, err := format.DecodeKeys(b)
	if err != nil {
		return nil, nil, cli.Usage(fmt.Errorf("%s: %w", f.keys, err), "--keys wants the keys.json that safebox seal wrote")
	}
	envelope, err := cli.ReadInput(f.manifest, format.MaxEnvelope)
	if err != nil {
		return nil, nil, err
	}
	leaves, err := cli.ReadInput(f.leaves(), format.MaxLeafTable)
	if err != nil {
		return nil, nil, err
	}
	o, err := format.OpenManifest(envelope, keys.RootCID, leaves)
	if err != nil {
		return nil, nil, withHint(fmt.Errorf("%s: %w", f.manifest, err))
	}
	return o, keys, nil
}

func (f *openFlags) print(w io.Writer, r openResult) error {
	if f.json {
		return cli.WriteJSON(w, r)
	}
	_, err := fmt.Fprintf(w, "object %s\nchunks %s\nsize %d\nbad shards %d\nout %s\n", r.Object, r.Chunks, r.Size, len(r.Bad), r.Out)
	return err
}

func badShards(blames []object.Blame) []badShard {
	list := make([]badShard, len(blames))
	for i, b := range blames {
		list[i] = badShard{b.Leaf, b.Root, b.Kind}
	}
	return list
}

// maxBlames is how many bad shards are told one by one.
const maxBlames = 8

// sayBlames tells which shards were bad: what was read is right all the same.
func sayBlames(w io.Writer, blames []object.Blame) {
	for i, b := range blames {
		if i == maxBlames {
			cli.Say(w, "and %d bad shards more", len(blames)-maxBlames)
			return
		}
		cli.Say(w, "bad shard %x (leaf %d): %s: %.200q", b.Root, b.Leaf, b.Kind, b.Detail)
	}
}

// withHint adds advice to what the object refuses.
func withHint(err error) error {
	var p *guestapi.Problem
	if !errors.As(err, &p) {
		return err
	}
	hint := map[string]string{
		format.ProblemManifest:   "the manifest is damaged or not signed by the one it names: get it again",
		format.ProblemCID:        "this manifest is of another object than the key file: give the two that safebox seal wrote together",
		format.ProblemLeaves:     "the file " + leavesFile + " beside the manifest is damaged or of another object: get it again",
		object.ProblemMissing:    "more shards are lost than parity makes up for: get some of them back, or open other chunks with --chunks",
		object.ProblemHash:       "more shards are lost or damaged than parity makes up for: get some of them back, or open other chunks with --chunks",
		object.ProblemCommitment: "the key is not the one that this object was sealed with",
		object.ProblemOpen:       "the object was sealed wrong, or the key file is not its own",
	}[p.ID]
	return cli.Failed(err, hint)
}
