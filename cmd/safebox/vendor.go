package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	maxCollateral      = 512 // files in a folder
	maxCollateralBytes = 64 << 20
)

// vendorFlags name what vendors said, and what is remembered of it.
type vendorFlags struct {
	collateral []string
	memory     string
	at         string
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
		info, err := os.Stat(path)
		if err != nil {
			return v, cli.Usage(fmt.Errorf("--collateral: %w", err), "")
		}
		paths := []string{path}
		if info.IsDir() {
			if paths, err = filesBelow(path); err != nil {
				return v, cli.Usage(fmt.Errorf("--collateral: %w", err), "")
			}
		}
		if v.Collateral, err = readCollateral(v.Collateral, path, paths); err != nil {
			return v, err
		}
	}
	if f.memory == "" {
		return v, nil
	}
	b, err := cli.ReadInput(f.memory, memory.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = []byte{}, nil
	}
	v.Memory = b
	if b == nil {
		v.Memory = []byte{}
	}
	return v, err
}

// remember writes the rollback memory after an acceptance. Nothing may be
// released before it is written: what it would notice later depends on it.
func (f *vendorFlags) remember(r *verifier.Result) error {
	if f.memory == "" || r.Memory == nil {
		return nil
	}
	return output.File(f.memory, writeBytes(r.Memory))
}

// filesBelow lists the files of a folder, in the order of their names.
func filesBelow(dir string) ([]string, error) {
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			list = append(list, path)
		}
		if len(list) > maxCollateral {
			return fmt.Errorf("%s: more than %d files", dir, maxCollateral)
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

// outputFlags name what commands that verify can write besides the verdict.
type outputFlags struct {
	json bool
	html string
}

func (f *outputFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.json, "json", false, "print the verdict as JSON")
	c.Flags().StringVar(&f.html, "html", "", "write the verdict as one HTML page for people")
}

// text is what goes to standard output.
func (f *outputFlags) text(r *verifier.Result) ([]byte, error) {
	if f.json {
		return r.Verdict.Encode()
	}
	return []byte(r.Verdict.Text()), nil
}

// write writes the page, of a refusal too.
func (f *outputFlags) write(r *verifier.Result) error {
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
