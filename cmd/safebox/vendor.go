package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier"
	"safebox/verifier/endorse"
	"safebox/verifier/memory"
	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
)

// Limits of --collateral.
const (
	maxCollateral      = 512 // files and folders in a folder
	maxCollateralBytes = 64 << 20
)

// vendorFlags name what vendors said, and what is remembered of it.
type vendorFlags struct {
	collateral []string
	memory     string
	at         string

	remembered []byte // what read found in the file of memory; nil if there is none
}

func (f *vendorFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.collateral, "collateral", nil,
		"documents of vendors: a bundle, any file, or a folder of certificates, revocation lists, TCB infos and QE identities, known by their content")
	c.Flags().StringVar(&f.memory, "memory", "", "rollback memory: a file, read and written only when given; made if it is not there")
	c.Flags().StringVar(&f.at, "at", "", "time to judge at, RFC 3339 (default: now)")
}

// time is --at, or now.
func (f *vendorFlags) time() (time.Time, error) {
	if f.at == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, f.at)
	if err != nil {
		return at, cli.Usage(fmt.Errorf("--at: %w", err), "write a time such as 2026-01-31T12:00:00Z")
	}
	return at, nil
}

// read reads what the flags name.
func (f *vendorFlags) read() (verifier.Vendor, error) {
	var v verifier.Vendor
	for _, path := range f.collateral {
		paths, err := collateralFiles(path)
		if err != nil {
			return v, err
		}
		if v.Collateral, err = readCollateral(v.Collateral, path, paths); err != nil {
			return v, err
		}
	}
	if f.memory == "" {
		return v, nil
	}
	var err error
	if f.remembered, err = readMemory(f.memory); err != nil {
		return v, err
	}
	v.Memory = append([]byte{}, f.remembered...)
	return v, nil
}

// readMemory reads a rollback memory, nil if there is no file.
func readMemory(path string) ([]byte, error) {
	b, err := cli.ReadInput(path, memory.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && len(b) == 0 {
		return nil, cli.Usage(fmt.Errorf("--memory: %s is empty: not a rollback memory", path), "a memory that was lost is no beginning: remove the file if one is meant")
	}
	return b, err
}

// remember writes the rollback memory after an acceptance. Nothing may be
// released or said to be accepted before it is written: what it would notice
// later depends on it. Two that verify at a time must not undo each other, so
// the file must be as it was read; they take turns by a lock on its folder.
func (f *vendorFlags) remember(r *verifier.Result) (err error) {
	if f.memory == "" || r.Memory == nil {
		return nil
	}
	dir, err := os.Open(filepath.Dir(f.memory))
	if err != nil {
		return fmt.Errorf("--memory: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("--memory: locking %s: %w", dir.Name(), err)
	}
	now, err := readMemory(f.memory)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, f.remembered) {
		return cli.Failed(fmt.Errorf("--memory: %s was changed by another verification meanwhile", f.memory), "verify again")
	}
	if bytes.Equal(now, r.Memory) {
		return nil
	}
	return output.File(f.memory, writeBytes(r.Memory))
}

// files lists what --collateral names, and the files of its folders.
func (f *vendorFlags) files() ([]string, error) {
	var list []string
	for _, path := range f.collateral {
		paths, err := collateralFiles(path)
		if err != nil {
			return nil, err
		}
		list = append(append(list, path), paths...)
	}
	return list, nil
}

// collateralFiles is a file itself, or the files of a folder.
func collateralFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--collateral: %w", err), "")
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	list, err := filesBelow(path)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--collateral: %w", err), "")
	}
	return list, nil
}

// filesBelow lists the files of a folder, in the order of their names. Links in
// it are not followed, but it may be one itself.
func filesBelow(dir string) ([]string, error) {
	var list []string
	seen := -1 // without the folder itself
	err := filepath.WalkDir(dir+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			list = append(list, path)
		}
		if seen++; seen > maxCollateral {
			return fmt.Errorf("%s: more than %d files and folders", dir, maxCollateral)
		}
		return nil
	})
	return list, err
}

// readCollateral reads files, named by their place below the folder.
func readCollateral(list []verifier.File, dir string, paths []string) ([]verifier.File, error) {
	total := 0
	for _, f := range list {
		total += len(f.Bytes)
	}
	for _, path := range paths {
		b, err := readStart(path, endorse.MaxFile+1)
		if err != nil {
			return nil, err
		}
		if total += len(b); total > maxCollateralBytes {
			return nil, cli.Usage(fmt.Errorf("--collateral: more than %d bytes", maxCollateralBytes), "")
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "." {
			name = filepath.Base(path)
		}
		list = append(list, verifier.File{Name: name, Bytes: b})
	}
	return list, nil
}

// checkOutputs refuses names under which something that is read, or that is
// written too, would be lost.
func checkOutputs(outputs []string, inputs ...string) error {
	for i, out := range outputs {
		if out == "" {
			continue
		}
		if err := cli.CheckNotInput(out, inputs...); err != nil {
			return err
		}
		for _, other := range outputs[:i] {
			if err := cli.CheckNotInput(out, other); err != nil {
				return err
			}
			if other != "" && sameName(out, other) {
				return cli.Usage(fmt.Errorf("%s would be written twice", out), "choose another name")
			}
		}
	}
	return nil
}

// sameName reports whether two names, of files that need not be there, are of
// one file.
func sameName(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	x, errX := os.Stat(filepath.Dir(a))
	y, errY := os.Stat(filepath.Dir(b))
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// outputFlags name what commands that verify can write besides the verdict.
type outputFlags struct {
	json bool
	html string
}

func (f *outputFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.json, "json", false, "print the verdict as JSON")
	c.Flags().StringVar(&f.html, "html", "", "write the verdict as one HTML page for people")
}

// print writes the verdict to standard output, and the page, of a refusal too.
func (f *outputFlags) print(stdout io.Writer, r *verifier.Result) error {
	text := []byte(r.Verdict.Text())
	var err error
	if f.json {
		if text, err = r.Verdict.Encode(); err != nil {
			return err
		}
	}
	if _, err := stdout.Write(text); err != nil {
		return err
	}
	if f.html == "" {
		return nil
	}
	b, err := page.Render(r.Verdict, r.Events())
	if err != nil {
		return err
	}
	return output.File(f.html, writeBytes(b))
}

// refused is the error of a verdict that is none of acceptance.
func refused(v *verdict.Verdict) error {
	var failed, unreached []string
	for _, c := range v.Failed() {
		if c.Reached {
			failed = append(failed, c.ID)
		} else {
			unreached = append(unreached, c.ID)
		}
	}
	text := fmt.Sprintf("refused: %d checks failed: %s", len(failed), strings.Join(failed, " "))
	if len(unreached) > 0 {
		text += fmt.Sprintf("; %d not reached: %s", len(unreached), strings.Join(unreached, " "))
	}
	return cli.Failed(errors.New(text), "")
}
