package acpi

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"safebox/image/output"
	"safebox/measure/tdx"
)

// File names in a folder: fw_cfg's with the slashes replaced.
const (
	loaderName = "etc_table-loader.bin"
	rsdpName   = "etc_acpi_rsdp.bin"
	tablesName = "etc_acpi_tables.bin"
)

// ReadFolder reads tables that were dumped before: etc_table-loader.bin,
// etc_acpi_rsdp.bin and etc_acpi_tables.bin. They must pass Check.
func ReadFolder(dir string) (*tdx.ACPI, error) {
	a := &tdx.ACPI{}
	for _, f := range []struct {
		into *[]byte
		name string
		max  int64
	}{{&a.Loader, loaderName, loaderMax}, {&a.RSDP, rsdpName, rsdpSize}, {&a.Tables, tablesName, tablesMax}} {
		b, err := readFile(filepath.Join(dir, f.name), f.max)
		if err != nil {
			return nil, fmt.Errorf("reading ACPI tables: %w", err)
		}
		*f.into = b
	}
	if err := Check(a); err != nil {
		return nil, fmt.Errorf("reading ACPI tables in %s: %w", dir, err)
	}
	return a, nil
}

func readFile(path string, limit int64) (b []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: length: got more than %d bytes, want at most that", path, limit)
	}
	return b, nil
}

// WriteFolder writes tables that pass Check in the form that ReadFolder reads.
// The folder appears whole or not at all; an earlier one is replaced.
func WriteFolder(dir string, a *tdx.ACPI) error {
	if err := Check(a); err != nil {
		return fmt.Errorf("writing ACPI tables: %w", err)
	}
	folder, err := output.NewFolder(dir, loaderName)
	if err != nil {
		return fmt.Errorf("writing ACPI tables: %w", err)
	}
	for _, f := range []struct {
		name string
		b    []byte
	}{{loaderName, a.Loader}, {rsdpName, a.RSDP}, {tablesName, a.Tables}} {
		err := folder.Write(f.name, func(w io.Writer) error {
			_, err := w.Write(f.b)
			return err
		})
		if err != nil {
			return fmt.Errorf("writing ACPI tables: %w", errors.Join(err, folder.Discard()))
		}
	}
	if err := folder.Commit(); err != nil {
		return fmt.Errorf("writing ACPI tables: %w", err)
	}
	return nil
}
