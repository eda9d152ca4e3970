package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/lock"
)

// maxLock bounds a lock file.
const maxLock = 1 << 20

// inputFlags say where pinned inputs come from.
type inputFlags struct {
	lock     string
	inputs   []string
	snapshot string
	offline  bool
}

func (f *inputFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.lock, "lock", "", "lock file (default: image/safebox.lock of the source)")
	c.Flags().StringArrayVar(&f.inputs, "inputs", nil, "folder with input packages; may be given several times")
	c.Flags().StringVar(&f.snapshot, "snapshot", "", "URL of a snapshot archive, asked after the mirrors")
	c.Flags().BoolVar(&f.offline, "offline", false, "never open a network connection")
}

// arguments gives the flags as a command line.
func (f *inputFlags) arguments() []string {
	var args []string
	if f.lock != "" {
		args = append(args, "--lock", f.lock)
	}
	for _, dir := range f.inputs {
		args = append(args, "--inputs", dir)
	}
	if f.snapshot != "" {
		args = append(args, "--snapshot", f.snapshot)
	}
	if f.offline {
		args = append(args, "--offline")
	}
	return args
}

// readLock reads the lock file, by default that of the source.
func (f *inputFlags) readLock(source string) ([]byte, error) {
	return cli.ReadInput(f.lockPath(source), maxLock)
}

func (f *inputFlags) lockPath(source string) string {
	if f.lock != "" {
		return f.lock
	}
	return filepath.Join(source, "image", "safebox.lock")
}

// resolver looks in the cache, the --inputs folders, the mirrors that apt
// uses, and the snapshot archive. Downloads are told to e.
func (f *inputFlags) resolver(e *events) (*lock.Resolver, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	for _, dir := range f.inputs {
		if st, err := os.Stat(dir); err != nil {
			return nil, cli.Usage(fmt.Errorf("--inputs: %w", err), "")
		} else if !st.IsDir() {
			return nil, cli.Usage(fmt.Errorf("--inputs: %s is not a folder", dir), "name a folder that holds .deb packages, or an unpacked archive of safebox lock fetch")
		}
	}
	r := &lock.Resolver{
		CacheDir: cache,
		Inputs:   f.inputs,
		Snapshot: f.snapshot,
		Offline:  f.offline,
		Progress: e.download,
	}
	if !f.offline {
		r.FindMirrors = lock.AptMirrors
	}
	return r, nil
}

// cacheDir is $XDG_CACHE_HOME/safebox, or ~/.cache/safebox.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", cli.Failed(err, "set HOME or XDG_CACHE_HOME")
	}
	return filepath.Join(base, "safebox"), nil
}

// ofSize is empty for a size that is not known before the end.
func ofSize(total int64) string {
	if total == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d bytes)", total)
}
