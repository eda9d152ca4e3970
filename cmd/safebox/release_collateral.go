package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/verifier/bundle"
)

// ridingFiles reads files, and the files of folders, under their own names.
func ridingFiles(paths []string) ([]bundle.File, error) {
	var files []bundle.File
	for _, path := range paths {
		names := []string{path}
		info, err := os.Stat(path)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--collateral: %w", err), "")
		}
		if info.IsDir() {
			entries, err := os.ReadDir(path)
			if err != nil {
				return nil, cli.Usage(fmt.Errorf("--collateral: %w", err), "")
			}
			names = nil
			for _, e := range entries {
				names = append(names, filepath.Join(path, e.Name()))
			}
		}
		for _, name := range names {
			if len(files) == bundle.MaxCollateral {
				return nil, cli.Usage(fmt.Errorf("--collateral: more than %d files", bundle.MaxCollateral), "safebox collateral pack makes one of several")
			}
			b, err := cli.ReadInput(name, bundle.MaxFile)
			if err != nil {
				return nil, fmt.Errorf("--collateral: %w", err)
			}
			files = append(files, bundle.File{Name: filepath.Base(name), Bytes: b})
		}
	}
	slices.SortFunc(files, func(a, b bundle.File) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(files); i++ {
		if files[i-1].Name == files[i].Name {
			return nil, cli.Usage(fmt.Errorf("--collateral: two files called %s", files[i].Name), "give one of them another name")
		}
	}
	return files, nil
}
