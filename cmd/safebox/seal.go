package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/guest/object"
	"safebox/image/output"
	"safebox/verifier/canon"
	format "safebox/verifier/object"
)

// Files of a sealed object (docs/format-object.md).
const (
	manifestFile = "manifest.json"
	leavesFile   = "leaves"
	keysFile     = "keys.json"
	shardsFolder = "shards"
)

// sealFlags are the flags of `seal`.
type sealFlags struct {
	out, profile string
	json         bool
}

func sealCommand() *cobra.Command {
	var f sealFlags
	c := &cobra.Command{
		Use:   "seal FILE --out DIR",
		Short: "Encrypt a file into an object: chunks with keys of their own, spread over shards",
		Long: `Cuts a file into chunks, encrypts each under a key of its own, adds parity, and
writes a folder: manifest.json (signed), leaves, shards/ and keys.json.

The first three hold nothing secret; shards may lie anywhere and be lost up to
the profile's limit. Who has keys.json can read everything: keep it, it exists
only once. Keys are new at every run, so sealing a file again makes another
object.

The folder appears whole or not at all and must not hold anything before.
Formats: docs/format-object.md.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	c.Flags().StringVar(&f.out, "out", "", "folder to write")
	c.Flags().StringVar(&f.profile, "profile", "default", "data and parity shards of a stripe: tiny 1+2, small 4+2, default 10+4, archive 10+10")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// sealResult is the result of `seal`.
type sealResult struct {
	Object  string `json:"root_cid"`
	Size    int64  `json:"size"`
	Profile string `json:"profile"`
	Chunks  uint32 `json:"chunks"`
	Shards  int    `json:"shards"`
	Out     string `json:"out"`
}

func (f *sealFlags) run(c *cobra.Command, path string) (err error) {
	if f.out == "" {
		return cli.Usage(errors.New("--out is missing"), "name the folder to write, for example --out out/object")
	}
	p, err := format.ParseProfile(f.profile)
	if err != nil {
		return cli.Usage(err, "")
	}
	in, size, err := openInput(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if _, err := format.NewGeometry(size, p); err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", path, err), "")
	}
	if err := wantEmpty(f.out); err != nil {
		return cli.Failed(err, "choose another folder with --out: the keys of an object can't be made again")
	}
	folder, err := output.NewFolder(f.out, manifestFile)
	if err != nil {
		return cli.Failed(err, "choose another folder with --out")
	}
	s, err := sealInto(c, folder, in, size, p)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), folder.Discard())
	}
	if err := folder.Commit(); err != nil {
		return errors.Join(err, folder.Discard())
	}
	g := s.Geometry
	return f.print(c.OutOrStdout(), sealResult{s.CID, g.Size, p.Name, g.Chunks, g.Leaves(), f.out})
}

// sealInto writes the object's files.
func sealInto(c *cobra.Command, folder *output.Folder, in io.Reader, size int64, p format.Profile) (*object.Sealed, error) {
	bar := newProgress(c.ErrOrStderr(), "sealing", size)
	defer bar.end()
	s, err := object.Put(c.Context(), in, size, object.Options{
		Profile: p, Time: time.Now().Unix(), Progress: bar.set,
	}, &shardWriter{folder: folder, there: map[canon.Octets32]bool{}})
	if err != nil {
		return nil, err
	}
	keys, err := s.Keys.Encode()
	if err != nil {
		return nil, err
	}
	if err := folder.Write(manifestFile, bytesTo(s.Envelope)); err != nil {
		return nil, err
	}
	if err := folder.Write(leavesFile, bytesTo(s.Leaves)); err != nil {
		return nil, err
	}
	return s, folder.WriteSecret(keysFile, bytesTo(keys))
}

func (f *sealFlags) print(w io.Writer, r sealResult) error {
	if f.json {
		return cli.WriteJSON(w, r)
	}
	_, err := fmt.Fprintf(w, "object %s\nsize %d\nprofile %s\nchunks %d\nshards %d\nout %s\n",
		r.Object, r.Size, r.Profile, r.Chunks, r.Shards, r.Out)
	return err
}

// shardWriter puts shards into the folder under construction.
type shardWriter struct {
	folder *output.Folder
	mu     sync.Mutex
	there  map[canon.Octets32]bool
}

// Put implements object.Store. Copies (profile tiny) have one name and are
// written once.
func (s *shardWriter) Put(_ context.Context, root [32]byte, shard []byte) error {
	s.mu.Lock()
	known := s.there[root]
	s.there[root] = true
	s.mu.Unlock()
	if known {
		return nil
	}
	return s.folder.Write(filepath.Join(shardsFolder, canon.Octets32(root).String()), bytesTo(shard))
}

func bytesTo(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// openInput opens a regular file: the size has to be known before the work.
func openInput(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, cli.Usage(err, "")
	}
	if !info.Mode().IsRegular() {
		return nil, 0, cli.Usage(fmt.Errorf("%s is not a regular file", path), "copy the content into a file first")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, cli.Usage(err, "")
	}
	return f, info.Size(), nil
}

// wantEmpty refuses a folder that holds anything.
func wantEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s holds %s already", dir, entries[0].Name())
	}
	return err
}
